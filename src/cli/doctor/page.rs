//! The address of the agent's pages.

use super::finding::Finding;
use crate::config::Config;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

/// How long a page may take.
const BOUND: Duration = Duration::from_secs(5);
/// The longest page that is read.
const LONGEST_BYTES: u64 = 16 << 20;

/// Whether the agent could listen; `None` where it does, or has nothing to listen on.
pub(super) fn check(config: &Config, is_listening: bool) -> Option<Finding> {
    const CHECK: &str = "http.listen";
    let address = config.http.listen.filter(|_| !is_listening)?;
    // Taken and let go at once; nobody was ever answered there.
    Some(match TcpListener::bind(address) {
        Ok(_) => Finding::ok(CHECK, address, "free for the agent"),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let fix = format!(
                "sudo ss -ltnp 'sport = :{}'  # end the other, or set `http.listen`",
                address.port()
            );
            Finding::error(CHECK, address, "in use by another process", fix)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let told = "not for this user: a port below 1024 is root's";
            Finding::warning(CHECK, address, told, "sudo bowline doctor")
        }
        Err(error) => Finding::error(
            CHECK,
            address,
            error,
            "ip address  # set `http.listen` to one of this host's",
        ),
    })
}

/// The status and the text of a page.
pub(super) async fn get(address: &str) -> anyhow::Result<(u16, String)> {
    let address = address.to_owned();
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(BOUND))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let mut answer = agent.get(&address).call()?;
        let text = answer.body_mut().with_config().limit(LONGEST_BYTES).read_to_string()?;
        Ok((answer.status().as_u16(), text))
    })
    .await?
}
