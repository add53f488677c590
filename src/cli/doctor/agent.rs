//! The agent: whether it runs, answers, is ready and alive, and is of this version.

use super::finding::Finding;
use super::page::get;
use super::person::{is_root, owner, user_name};
use crate::cli::plan::counted;
use crate::config::Config;
use crate::control::{AskError, Asker, SOCKET};
use crate::status::{ConditionKind, Snapshot, Verdict};
use crate::store::holder;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

const CHECK: &str = "agent";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is found, and whether an agent runs with the configuration.
pub(super) async fn check(
    socket: Option<&Path>,
    state_dir: &Path,
    config: Option<&Config>,
) -> (Vec<Finding>, bool) {
    // A configuration that says `off` has none.
    let off = config.is_some_and(|config| config.socket.is_none()) && socket.is_none();
    let socket = socket.unwrap_or(Path::new(SOCKET));
    let holder = holder(state_dir);
    let listen = config.and_then(|config| config.http.listen);
    let mut findings = Vec::new();
    let mut answers = false;
    if off {
        findings.push(Finding::ok(CHECK, "socket", "switched off in the configuration"));
    } else {
        let (finding, answered) = at_socket(socket, holder, config.is_some()).await;
        findings.push(finding);
        answers = answered;
    }
    let is_running = answers || holder.is_some();
    if let Some(listen) = listen.filter(|_| is_running) {
        findings.extend(pages(listen).await);
    }
    findings.extend(holder.and_then(replaced_program));
    (findings, is_running)
}

async fn at_socket(socket: &Path, holder: Option<u32>, is_wanted: bool) -> (Finding, bool) {
    let shown = socket.display();
    let start = "sudo systemctl start bowline; journalctl -u bowline -n 50";
    match Asker::at(socket) {
        Ok(Some(agent)) => match agent.status().await {
            Ok(snapshot) => (answering(socket, &snapshot), true),
            Err(error) => {
                let fix = "journalctl -u bowline -n 50, then sudo systemctl restart bowline";
                (Finding::error(CHECK, &shown, error, fix), true)
            }
        },
        Ok(None) => {
            if let Some(process) = holder {
                let told =
                    format!("an agent runs (process {process}) and listens elsewhere or not yet");
                let fix = "bowline doctor --socket PATH; journalctl -u bowline -n 50";
                return (Finding::error(CHECK, &shown, told, fix), false);
            }
            let told = "no agent answers: nothing is kept as git says";
            let finding = if is_wanted {
                Finding::error(CHECK, &shown, told, start)
            } else {
                Finding::warning(CHECK, &shown, told, start)
            };
            (finding, false)
        }
        Err(AskError::PermissionDenied { .. }) => (denied(socket), true),
        Err(error) => (Finding::error(CHECK, &shown, error, format!("ls -l {shown}")), false),
    }
}

fn denied(socket: &Path) -> Finding {
    let of = fs::metadata(socket).map(|found| owner(&found)).unwrap_or_default();
    let told = format!("{} may not speak with the agent ({of})", user_name());
    let fix = if is_root() { "ls -lZ /run/bowline" } else { "sudo bowline doctor" };
    Finding::warning(CHECK, socket.display(), told, fix)
}

fn answering(socket: &Path, snapshot: &Snapshot) -> Finding {
    let told = format!(
        "answers, with {} and {}",
        counted(snapshot.stacks.len(), "stack"),
        counted(snapshot.sources.len(), "source")
    );
    let stalled = snapshot.stacks.iter().filter(|stack| {
        stack.conditions.get(ConditionKind::Stalled).is_some_and(|it| it.status == Verdict::True)
    });
    let stalled: Vec<&str> = stalled.map(|stack| stack.name.as_str()).collect();
    if stalled.is_empty() {
        return Finding::ok(CHECK, socket.display(), told);
    }
    let told = format!("{told}; these wait for somebody to mend them: {}", stalled.join(", "));
    Finding::warning(CHECK, socket.display(), told, format!("bowline status {}", stalled[0]))
}

/// Whether it is ready and alive, and which version it is, by its pages.
async fn pages(listen: SocketAddr) -> Vec<Finding> {
    let mut findings = Vec::new();
    let logs = "journalctl -u bowline -n 50";
    for (path, fix) in [("/healthz", "sudo systemctl restart bowline"), ("/readyz", logs)] {
        let address = format!("http://{}{path}", here(listen));
        findings.push(match get(&address).await {
            Ok((200, text)) => Finding::ok(CHECK, address, text),
            Ok((_, text)) => Finding::warning(CHECK, address, text, fix),
            Err(error) => Finding::error(CHECK, address, error, logs),
        });
    }
    let address = format!("http://{}/metrics", here(listen));
    if let Ok((200, text)) = get(&address).await {
        findings.extend(version_in(&text).map(|found| version(&address, found)));
    }
    findings
}

/// What can be asked from here, of an address on which is listened.
pub(super) fn here(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    address
}

/// The version in a page of metrics: `bowline_build_info{version="0.1.0"} 1`.
fn version_in(page: &str) -> Option<&str> {
    let line = page.lines().find(|line| line.starts_with("bowline_build_info{"))?;
    let (_, rest) = line.split_once("version=\"")?;
    rest.split('"').next()
}

fn version(address: &str, found: &str) -> Finding {
    if found == VERSION {
        return Finding::ok(CHECK, address, format!("of this version, {VERSION}"));
    }
    let told = format!("the agent is Bowline {found}, this command {VERSION}");
    Finding::warning(CHECK, address, told, "sudo systemctl restart bowline")
}

/// That the program which runs is not on the disk any more: it was exchanged.
fn replaced_program(process: u32) -> Option<Finding> {
    let program = fs::read_link(format!("/proc/{process}/exe")).ok()?;
    let program = program.to_str()?;
    let path = program.strip_suffix(" (deleted)")?;
    let told = format!("process {process} runs a program that was exchanged on the disk since");
    Some(Finding::warning(CHECK, path, told, "sudo systemctl restart bowline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_page_of_metrics() {
        let page = "# HELP bowline_build_info x\nbowline_build_info{version=\"1.2.3\"} 1\n";
        assert_eq!(version_in(page), Some("1.2.3"));
        assert_eq!(version_in("bowline_up 1\n"), None);
        assert!(version("x", "0.0.1").message.contains("the agent is Bowline 0.0.1"));
        assert_eq!(version("x", VERSION).fix, None);
    }

    #[test]
    fn who_listens_on_all_addresses_is_asked_at_the_loopback() {
        let asked = |listen: &str| here(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9184"), "127.0.0.1:9184");
        assert_eq!(asked("[::]:9184"), "[::1]:9184");
        assert_eq!(asked("10.0.0.7:80"), "10.0.0.7:80");
    }
}
