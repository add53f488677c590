//! Each source: whether its server can be reached as the agent reaches it, with its login.

use super::finding::Finding;
use super::person::is_root;
use crate::agent::repository_of;
use crate::config::{Config, Source, Through};
use crate::source::{Fault, Limits, Location, SourceError};
use crate::status::{SourceStatus, first_line};
use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

const CHECK: &str = "source";
/// How long one server may take; a fetch may take longer.
const BOUND: Duration = Duration::from_secs(20);
/// For a connection, and without a byte.
const CONNECT: Duration = Duration::from_secs(10);
/// For a name.
const NAME_BOUND: Duration = Duration::from_secs(10);

/// What is found, and the addresses of servers that could be asked for the time. `known` is what the agent
/// that runs says of its sources.
pub(super) async fn check(
    config: Option<&Config>,
    state_dir: &Path,
    known: &[SourceStatus],
) -> (Vec<Finding>, Vec<String>) {
    let Some(config) = config else { return (Vec::new(), Vec::new()) };
    let probes: Vec<_> = config.sources.iter().map(|source| probe(source, state_dir)).collect();
    let mut findings = Vec::new();
    let mut reached = Vec::new();
    for (source, probe) in config.sources.iter().zip(futures_util::future::join_all(probes).await) {
        let is_reached = probe.is_ok();
        findings.extend(name_of(source, is_reached).await);
        findings.push(match probe {
            Ok(found) => {
                let told = format!("reached; {} is at {found}", source.reference);
                let failing = known.iter().find(|it| it.name == source.name && it.failures > 0);
                match failing {
                    None => Finding::ok(CHECK, shown(source), told),
                    Some(failing) => {
                        let told = format!("{told}; the agent: {}", first_line(&failing.message));
                        let fix = format!(
                            "bowline sync --source {0}; bowline status --source {0}",
                            source.name
                        );
                        Finding::error(CHECK, shown(source), told, fix)
                    }
                }
            }
            Err(finding) => *finding,
        });
        if let (true, Location::Remote(url)) = (is_reached, &source.location)
            && matches!(url.scheme(), "http" | "https")
        {
            reached.push(format!("{}/", url.origin().ascii_serialization()));
        }
    }
    reached.sort();
    reached.dedup();
    (findings, reached)
}

fn shown(source: &Source) -> String {
    format!("{} ({})", source.name, source.location)
}

/// The commit that is followed, as the server says, or what is wrong.
async fn probe(source: &Source, state_dir: &Path) -> Result<String, Box<Finding>> {
    let wrong = |told: &dyn ToString, fix: &str| {
        let told = told.to_string();
        Box::new(if told.contains("Permission denied (os error") && !is_root() {
            Finding::warning(CHECK, shown(source), told, "sudo bowline doctor")
        } else {
            Finding::error(CHECK, shown(source), told, fix)
        })
    };
    let repository = repository_of(source, &state_dir.join("sources"))
        .map_err(|error| wrong(&error, "correct the file, or name another under `auth`"))?;
    let limits = Limits { connect: CONNECT, idle: CONNECT, whole: BOUND, ..source.limits };
    let repository = repository.with_limits(limits);
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let work = tokio::task::spawn_blocking(move || repository.probe(&flag));
    match timeout(BOUND + CONNECT, work).await {
        Ok(Ok(Ok(found))) => Ok(found.short().to_owned()),
        Ok(Ok(Err(SourceError { fault, .. }))) => {
            let fix = fix(&fault, source);
            let told = fault.to_string();
            Err(wrong(&told.trim_end_matches("; it is tried again"), &fix))
        }
        Ok(Err(defect)) => Err(wrong(&defect, "report this defect of Bowline")),
        Err(_) => {
            cancelled.store(true, Ordering::Relaxed);
            let told = format!("no answer within {} s", (BOUND + CONNECT).as_secs());
            Err(wrong(&told, &by_hand(source)))
        }
    }
}

/// What to do about a fault, as a command where there is one.
fn fix(fault: &Fault, source: &Source) -> String {
    let host = || host(source).unwrap_or_default();
    match fault {
        Fault::HostKey { .. } => {
            let port = match &source.location {
                Location::Ssh(address) => address.port.map(|port| format!("-p {port} ")),
                Location::Local(_) | Location::Remote(_) => None,
            };
            let file = source
                .ssh
                .known_hosts_file
                .as_deref()
                .unwrap_or(Path::new("/etc/ssh/ssh_known_hosts"));
            format!(
                "ssh-keyscan {}{} | sudo tee -a {}  # compare the key with what its owner publishes",
                port.unwrap_or_default(),
                host(),
                file.display()
            )
        }
        Fault::KeyRefused { .. } => {
            let key =
                source.ssh.key_file.as_ref().map(|key| format!(" with {}.pub", key.display()));
            format!(
                "add the public key{} to the server's deploy keys, or name another `auth.key_file`",
                key.unwrap_or_default()
            )
        }
        Fault::NoSsh => "sudo apt install openssh-client".to_owned(),
        Fault::NotOwned { path } => format!("sudo git config --system --add safe.directory {path}"),
        Fault::LoginMissing { .. } => {
            format!("set sources.{}.auth in the configuration: `token_file: FILE`", source.name)
        }
        Fault::AuthenticationFailed { .. } => {
            "renew the token or password in its file; the agent reads it anew at each fetch"
                .to_owned()
        }
        Fault::UnknownReference { .. } => {
            format!("git ls-remote {}  # and correct the source's `ref`", source.location)
        }
        Fault::Tls { .. } => format!(
            "openssl s_client -connect {}:{}  # and set `tls.ca_file` for a CA of your own",
            host(),
            port(source)
        ),
        _ => by_hand(source),
    }
}

/// Where https is spoken.
fn port(source: &Source) -> u16 {
    match &source.location {
        Location::Remote(url) => url.port_or_known_default().unwrap_or(443),
        Location::Local(_) | Location::Ssh(_) => 443,
    }
}

fn by_hand(source: &Source) -> String {
    match &source.location {
        Location::Local(path) => format!("ls -ld {0} && git ls-remote {0}", path.display()),
        Location::Remote(_) | Location::Ssh(_) => format!("git ls-remote {}", source.location),
    }
}

/// Whether the server's name can be resolved. Where it was reached all the same, by a proxy or a word of
/// ssh's settings, it need not be.
async fn name_of(source: &Source, is_reached: bool) -> Option<Finding> {
    const CHECK: &str = "dns";
    let host = host(source)?;
    if host.parse::<std::net::IpAddr>().is_ok()
        || matches!(source.reach.proxy, Through::Proxy { .. })
    {
        return None;
    }
    let name = host.clone();
    let asked = tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs());
    let found = match timeout(NAME_BOUND, asked).await {
        Ok(Ok(Ok(addresses))) => Ok(addresses.count()),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(defect)) => Err(defect.to_string()),
        Err(_) => Err(format!("no answer within {} s", NAME_BOUND.as_secs())),
    };
    match found {
        Ok(count) if count > 0 => Some(Finding::ok(CHECK, host, "is resolved")),
        Ok(_) | Err(_) if is_reached => None,
        Ok(_) => {
            Some(Finding::error(CHECK, &host, "has no address", format!("getent hosts {host}")))
        }
        Err(error) => {
            let fix = format!("getent hosts {host}; cat /etc/resolv.conf");
            Some(Finding::error(CHECK, &host, error, fix))
        }
    }
}

fn host(source: &Source) -> Option<String> {
    match &source.location {
        Location::Local(_) => None,
        Location::Remote(url) => {
            url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())
        }
        Location::Ssh(address) => Some(address.host.clone()),
    }
}
