//! Whose a stack is that a command is about to change by itself. Asked before anything is changed, so that
//! two writers never work on one stack, nor undo each other's work without a word.

use super::socket::Socket;
use super::{Common, EngineKind, status};
use crate::control::AskError;
use crate::engine::Engine;
use crate::model::{SourceName, StackName};
use crate::status::{PassResult, StackStatus};
use crate::store::{self, Lock};
use anyhow::bail;

/// Keeps `stacks` for this command as long as the locks live; an error if one of them is an agent's, or
/// somebody is at work on it. `instead` is what to do about a stack of an agent. What is simulated is
/// nobody's.
pub(super) async fn claim(
    common: &Common,
    socket: &Socket,
    engine: &dyn Engine,
    stacks: &[&StackName],
    instead: &str,
) -> anyhow::Result<Vec<Lock>> {
    let locks = lock(common, stacks)?;
    if common.engine == EngineKind::Sim {
        return Ok(locks);
    }
    let (known, denied) = match socket.agent() {
        Ok(Some(agent)) => (Some(agent.status().await?), None),
        Ok(None) => (None, None),
        // Everybody on this host may read the page.
        Err(denied @ AskError::PermissionDenied { .. }) => {
            (status::of_page().await.ok().flatten(), Some(denied))
        }
        Err(error) => return Err(error.into()),
    };
    // What cannot be asked is not told: the pass will say why.
    let mut made = engine.stacks().await.unwrap_or_default();
    let mut managed = Vec::new();
    for &name in stacks {
        let mut stacks = known.iter().flat_map(|known| &known.stacks);
        let status = stacks.find(|status| status.name == *name);
        match (status, made.remove(name).flatten()) {
            (Some(status), _) => match left_alone(status) {
                Some(warning) => anstream::eprintln!("warning: {warning}"),
                None => managed.push((name, described(status))),
            },
            (None, Some(source)) => match denied {
                Some(denied) if known.is_none() => return Err(denied.into()),
                _ => of_source(common, socket, name, &source, known.is_some())?,
            },
            (None, None) => {}
        }
    }
    if managed.is_empty() {
        return Ok(locks);
    }
    // One order is for one stack.
    let name = if let [(name, _)] = managed.as_slice() { name.as_str() } else { "STACK" };
    let managed: Vec<String> = managed.iter().map(|(_, told)| told.clone()).collect();
    let (managed, socket) = (managed.join(", "), socket.path().display());
    bail!(
        "the agent at {socket} manages {managed}: nothing was changed; {instead}, or `bowline suspend {name}` \
         first, and it leaves the stack to you until `bowline resume {name}`"
    )
}

/// Keeps `stacks` for this command, whosever they are; an error if somebody is at work on one of them.
pub(super) fn lock(common: &Common, stacks: &[&StackName]) -> anyhow::Result<Vec<Lock>> {
    let state_dir = common.state_dir();
    let mut locks = Vec::new();
    if common.engine == EngineKind::Sim {
        return Ok(locks);
    }
    for &name in stacks {
        let Some(lock) = store::lock_stack(&state_dir, name)? else {
            bail!("{}: nothing was changed; try again when it is done", is_busy(common, name));
        };
        locks.push(lock);
    }
    Ok(locks)
}

/// That somebody else is at work on a stack.
pub(super) fn is_busy(common: &Common, name: &StackName) -> String {
    let process = store::holder_of_stack(&common.state_dir(), name);
    let process = process.map(|id| format!(" (process {id})")).unwrap_or_default();
    format!("an agent or another command{process} is at work on {name}")
}

/// Why the agent that knows a stack does nothing to it; `None` if it does.
fn left_alone(status: &StackStatus) -> Option<String> {
    let name = &status.name;
    if status.suspended.is_some() {
        return Some(format!(
            "{name} is suspended; with `bowline resume {name}` the agent makes it again as git has it"
        ));
    }
    if status.last_pass.as_ref().is_some_and(|pass| pass.result == PassResult::Drifted) {
        return Some(format!("{name} differs from git, and by its policy the agent only tells so"));
    }
    let held = status.departure.as_ref().and_then(|departure| departure.held.as_ref())?;
    Some(format!("{name} left its source, and the agent keeps it: {held}"))
}

/// A stack with where it comes from: `shop (from infra at 1f0c3a9be2d4)`.
fn described(status: &StackStatus) -> String {
    let source = status.source.as_ref().map_or("git", SourceName::as_str);
    let at = status.revision.as_ref().map(|at| format!(" at {}", at.short()));
    format!("{} (from {source}{})", status.name, at.unwrap_or_default())
}

/// A stack that an agent made from `source`, and that none which answers knows.
fn of_source(
    common: &Common,
    socket: &Socket,
    name: &StackName,
    source: &SourceName,
    answers: bool,
) -> anyhow::Result<()> {
    let state_dir = common.state_dir();
    if let Some(process) = store::holder(&state_dir).filter(|_| !answers) {
        bail!(
            "{name} comes from the source {source}, and process {process} works with {}, but {}: nothing was \
             changed; name its socket with --socket, or end it first",
            state_dir.display(),
            socket.absence()
        );
    }
    anstream::eprintln!(
        "warning: {name} comes from the source {source}; an agent that watches it makes it again as it is there"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Revision;
    use crate::status::{Board, Departure, Report, SuspendedStatus};
    use jiff::Timestamp;

    #[test]
    fn a_stack_of_the_agent_is_left_alone_only_while_it_is_suspended_kept_or_only_told_of() {
        let report = Report {
            source: Some(SourceName::new("infra").unwrap()),
            revision: Some(Revision("1f0c3a9be2d4e5f60718293a4b5c6d7e8f901234".to_owned())),
            result: PassResult::Unchanged,
            ..Report::begun(StackName::new("shop").unwrap(), Timestamp::UNIX_EPOCH)
        };
        let mut board = Board::default();
        board.note(&Report { result: PassResult::Drifted, ..report.clone() });
        let drifted = board.stack(&report.stack).unwrap();
        assert!(left_alone(drifted).unwrap().starts_with("shop differs from git"));
        board.note(&report);
        let status = board.stack(&report.stack).unwrap().clone();
        assert_eq!(left_alone(&status), None);
        assert_eq!(described(&status), "shop (from infra at 1f0c3a9be2d4)");
        let departure = |held: Option<&str>| {
            let held = held.map(str::to_owned);
            Some(Departure { since: Timestamp::UNIX_EPOCH, held })
        };
        let leaving = StackStatus { departure: departure(None), ..status.clone() };
        assert_eq!(left_alone(&leaving), None);
        let kept = StackStatus { departure: departure(Some("it is empty")), ..status.clone() };
        assert!(left_alone(&kept).unwrap().ends_with("the agent keeps it: it is empty"));
        let by = "anna".to_owned();
        let suspended = SuspendedStatus { since: Timestamp::UNIX_EPOCH, by, reason: None };
        let status = StackStatus { suspended: Some(suspended), ..status };
        assert!(left_alone(&status).unwrap().contains("`bowline resume shop`"));
    }
}
