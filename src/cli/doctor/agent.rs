//! The agent: whether it runs, answers, is ready and alive, and is of this version.

use super::finding::Finding;
use super::page::get;
use super::person::{is_root, owner, user_name};
use super::service::Service;
use crate::cli::plan::counted;
use crate::config::Config;
use crate::control::{AskError, Asker, SOCKET};
use crate::status::{
    ConditionKind, ConfigStatus, PassResult, Snapshot, SourceStatus, StackStatus, Verdict,
    first_line,
};
use crate::store::holder;
use jiff::Timestamp;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

const CHECK: &str = "agent";
/// How many stacks that are not ready are named.
const NAMED: usize = 3;
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is found, whether an agent listens where the configuration at `path` says, and what it knows of its
/// sources.
pub(super) async fn check(
    socket: Option<&Path>,
    state_dir: &Path,
    path: &Path,
    config: Option<&Config>,
) -> (Vec<Finding>, bool, Vec<SourceStatus>) {
    // A configuration that says `off` has none.
    let off = config.is_some_and(|config| config.socket.is_none()) && socket.is_none();
    let socket = socket.unwrap_or(Path::new(SOCKET));
    let holder = holder(state_dir);
    let service = Service::of(path, holder);
    let mut findings = Vec::new();
    let (mut answers, mut goes_by, mut sources) = (false, None, Vec::new());
    if off {
        findings.push(Finding::ok(CHECK, "socket", "switched off in the configuration"));
    } else {
        match at_socket(socket, &service).await {
            Ok(snapshot) => {
                answers = true;
                findings.push(answering(socket, &snapshot));
                (goes_by, sources) = (snapshot.config, snapshot.sources);
            }
            Err(Silence::Other(finding)) => {
                answers = true;
                findings.push(*finding);
            }
            Err(Silence::Nobody) => findings.push(nobody(socket, holder, &service, config)),
        }
    }
    let outdated = goes_by.as_ref().and_then(|it| outdated(path, it, &service));
    let is_outdated = outdated.is_some();
    findings.extend(outdated);
    let waits = goes_by.is_some_and(|it| it.awaits_restart.iter().any(|key| key == "http.listen"));
    let is_listening = (answers || holder.is_some()) && !waits;
    if let Some(listen) = config.and_then(|it| it.http.listen).filter(|_| is_listening) {
        findings.extend(pages(listen, is_outdated, state_dir, &service).await);
    }
    findings.extend(holder.and_then(|process| replaced_program(process, &service)));
    (findings, is_listening, sources)
}

/// Why nothing is known by the agent's socket.
enum Silence {
    /// No agent is there.
    Nobody,
    /// One is, or something is wrong with the socket.
    Other(Box<Finding>),
}

async fn at_socket(socket: &Path, service: &Service) -> Result<Snapshot, Silence> {
    let shown = socket.display();
    let other = |error: AskError, fix: String| {
        Silence::Other(Box::new(Finding::error(CHECK, &shown, error, fix)))
    };
    match Asker::at(socket) {
        Ok(Some(agent)) => {
            let fix = || format!("{}; {}", service.log(), service.restart());
            agent.status().await.map_err(|error| other(error, fix()))
        }
        Ok(None) => Err(Silence::Nobody),
        Err(AskError::PermissionDenied { .. }) => Err(Silence::Other(Box::new(denied(socket)))),
        Err(error) => Err(other(error, format!("ls -l {shown}"))),
    }
}

fn nobody(
    socket: &Path,
    holder: Option<u32>,
    service: &Service,
    config: Option<&Config>,
) -> Finding {
    let shown = socket.display();
    if let Some(process) = holder {
        let told = format!(
            "an agent runs (process {process}) and does not listen here: its `socket` is another, was \
             changed since it began, or is not open yet"
        );
        let fix = format!("sudo ss -xlp | grep pid={process},; {}", service.log());
        return Finding::error(CHECK, &shown, told, fix);
    }
    let told = "no agent answers: nothing is kept as git says";
    match config {
        Some(_) => Finding::error(CHECK, &shown, told, service.start()),
        None => Finding::warning(CHECK, &shown, told, service.start()),
    }
}

fn denied(socket: &Path) -> Finding {
    let of = fs::metadata(socket).map(|found| format!(" ({})", owner(&found))).unwrap_or_default();
    let told = format!("{} may not speak with the agent{of}", user_name());
    let directory = socket.parent().unwrap_or(socket).display();
    let fix = if is_root() { format!("ls -lZ {directory}") } else { "sudo bowline doctor".into() };
    Finding::warning(CHECK, socket.display(), told, fix)
}

fn answering(socket: &Path, snapshot: &Snapshot) -> Finding {
    let told = format!(
        "answers, with {} and {}",
        counted(snapshot.stacks.len(), "stack"),
        counted(snapshot.sources.len(), "source")
    );
    let ill: Vec<&StackStatus> = snapshot.stacks.iter().filter(|stack| is_ill(stack)).collect();
    let Some(first) = ill.first() else {
        return Finding::ok(CHECK, socket.display(), told);
    };
    let mut said: Vec<String> = ill.iter().take(NAMED).map(|stack| complaint(stack)).collect();
    if ill.len() > NAMED {
        said.push(format!("and {} more", ill.len() - NAMED));
    }
    let told = format!("{told}; not ready: {}", said.join("; "));
    Finding::warning(CHECK, socket.display(), told, format!("bowline status {}", first.name))
}

/// Whether something is wrong with a stack: not where it waits or is being changed for the first time.
fn is_ill(stack: &StackStatus) -> bool {
    let is = |kind, verdict| stack.conditions.get(kind).filter(|it| it.status == verdict);
    let last = stack.last_pass.as_ref().map(|pass| pass.result);
    is(ConditionKind::Stalled, Verdict::True).is_some()
        || matches!(last, Some(PassResult::Failed | PassResult::Crashing))
        || is(ConditionKind::Ready, Verdict::False)
            .is_some_and(|it| !["Progressing", "Waiting"].contains(&it.reason.as_str()))
}

fn complaint(stack: &StackStatus) -> String {
    let why = first_line(&stack.message);
    let why = if why.is_empty() { stack.health.word() } else { &why };
    format!("{} ({why})", stack.name)
}

/// That the agent goes by another configuration than the file at `path`.
fn outdated(path: &Path, goes_by: &ConfigStatus, service: &Service) -> Option<Finding> {
    let changed = fs::metadata(path).and_then(|found| found.modified()).ok();
    let changed = changed.and_then(|time| Timestamp::try_from(time).ok());
    let told = |what: &str| format!("the agent goes by an older configuration: {what}");
    Some(if changed.is_some_and(|changed| changed > goes_by.read_at) && goes_by.refused.is_none() {
        let what = told("the file was written since, and not read");
        Finding::warning(CHECK, path.display(), what, service.reload())
    } else if let Some(error) = &goes_by.refused {
        Finding::error(CHECK, path.display(), told(error), service.reload())
    } else {
        Finding::warning(CHECK, path.display(), told(&goes_by.trouble()?), service.restart())
    })
}

/// Whether it is ready and alive, and which version it is, by its pages.
async fn pages(
    listen: SocketAddr,
    is_outdated: bool,
    state_dir: &Path,
    service: &Service,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, fix) in [("/healthz", service.restart()), ("/readyz", service.log())] {
        let address = format!("http://{}{path}", here(listen));
        findings.push(match get(&address).await {
            Ok((200, text)) => Finding::ok(CHECK, address, text),
            Ok((_, text)) => Finding::warning(CHECK, address, text, fix),
            // It may listen where the file said before.
            Err(_) if is_outdated => continue,
            Err(error) => Finding::error(CHECK, address, error, service.log()),
        });
    }
    let address = format!("http://{}/metrics", here(listen));
    if let Ok((200, text)) = get(&address).await {
        findings.extend(version_in(&text).map(|found| version(&address, found, service)));
        findings.extend(history(&text, state_dir, service));
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

/// That what happens is not written down.
fn history(page: &str, state_dir: &Path, service: &Service) -> Option<Finding> {
    let is_down = page.lines().any(|line| line == "bowline_history_up 0");
    let file = state_dir.join("history.redb");
    let fix = format!("ls -l {}; {}", file.display(), service.log());
    let told = "the agent cannot write the history: the file is damaged, or may not be written";
    is_down.then(|| Finding::warning("history", file.display(), told, fix))
}

fn version(address: &str, found: &str, service: &Service) -> Finding {
    if found == VERSION {
        return Finding::ok(CHECK, address, format!("of this version, {VERSION}"));
    }
    let told = format!("the agent is Bowline {found}, this command {VERSION}");
    Finding::warning(CHECK, address, told, service.restart())
}

/// That the program which runs is not on the disk any more: it was exchanged.
fn replaced_program(process: u32, service: &Service) -> Option<Finding> {
    let program = fs::read_link(format!("/proc/{process}/exe")).ok()?;
    let program = program.to_str()?;
    let path = program.strip_suffix(" (deleted)")?;
    let told = format!("process {process} runs a program that was exchanged on the disk since");
    Some(Finding::warning(CHECK, path, told, service.restart()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_page_of_metrics() {
        let page = "# HELP bowline_build_info x\nbowline_build_info{version=\"1.2.3\"} 1\n";
        assert_eq!(version_in(page), Some("1.2.3"));
        assert_eq!(version_in("bowline_up 1\n"), None);
        let service = Service::of(Path::new("/c"), None);
        assert!(version("x", "0.0.1", &service).message.contains("the agent is Bowline 0.0.1"));
        assert_eq!(version("x", VERSION, &service).fix, None);
    }

    #[test]
    fn a_history_that_is_not_written_is_told() {
        let service = Service::of(Path::new("/c"), None);
        let told = |page| history(page, Path::new("/state"), &service);
        assert_eq!(told("# TYPE bowline_history_up gauge\nbowline_history_up 1\n"), None);
        let found = told("bowline_history_up 0\n").unwrap();
        assert_eq!((found.check, found.looked_at.as_str()), ("history", "/state/history.redb"));
    }

    #[test]
    fn who_listens_on_all_addresses_is_asked_at_the_loopback() {
        let asked = |listen: &str| here(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9184"), "127.0.0.1:9184");
        assert_eq!(asked("[::]:9184"), "[::1]:9184");
        assert_eq!(asked("10.0.0.7:80"), "10.0.0.7:80");
    }
}
