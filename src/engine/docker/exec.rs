//! Commands in a container that runs. It waits for their end, and cannot end them: the engine has no
//! call for that.

use super::client::{Call, Client};
use super::error::unreadable;
use super::tail::bytes;
use super::write_container::environment;
use crate::engine::{Ended, EngineError};
use crate::model::Hook;
use crate::plan::ContainerRef;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::stream::{BoxStream, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How much of the end of what a command writes is kept.
const KEPT_BYTES: usize = 8 << 10;
/// How many of its last lines are told.
const LAST_LINES: usize = 5;
/// Between two looks at a command that says nothing: one that leaves a process behind has ended
/// though its output has not.
const LOOK: Duration = Duration::from_millis(200);
/// How long after its end the rest of its output may take.
const REST: Duration = Duration::from_millis(200);

/// Runs `hook` in `container`, and waits for its end at most for `bound`.
pub(super) async fn exec(
    client: &Client,
    container: &ContainerRef,
    hook: &Hook,
    bound: Duration,
) -> Result<Ended, EngineError> {
    let deadline = Instant::now() + bound;
    let api = client.api().await?;
    let object = format!("container {}", container.name);
    let call = Call::short("run a command in", &object);
    let made = client.request(call, api.create_exec(&container.key, config(hook))).await?;
    let started = api.start_exec(&made.id, None::<StartExecOptions>);
    let StartExecResults::Attached { mut output, input: _input } =
        client.request(call, started).await?
    else {
        return Err(unreadable(call, "no output"));
    };

    let mut said = Said::default();
    let ended = async {
        loop {
            let is_over = read_for(LOOK, &mut output, &mut said).await;
            let found = client.request(call, api.inspect_exec(&made.id)).await?;
            if found.running != Some(true) {
                if !is_over {
                    read_for(REST, &mut output, &mut said).await;
                }
                return found.exit_code.ok_or_else(|| unreadable(call, "no exit code"));
            }
            if is_over {
                sleep(LOOK).await;
            }
        }
    };
    let result = timeout_at(deadline, ended).await;
    let code = match result {
        Ok(code) => Some(code?),
        Err(_) => None,
    };
    Ok(Ended { code, output: said.last_lines() })
}

/// The end of what a command writes.
#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    /// There was more before.
    is_cut: bool,
}

impl Said {
    fn take(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
        let surplus = self.bytes.len().saturating_sub(KEPT_BYTES);
        self.is_cut |= surplus > 0;
        self.bytes.drain(..surplus);
    }

    /// Whole lines: a part of a secret is not known for one.
    fn last_lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<&str> = text.lines().skip(usize::from(self.is_cut)).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        last.iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// Reads at most for `time`. Whether the output came to its end.
async fn read_for(
    time: Duration,
    output: &mut BoxStream<'_, Result<LogOutput, bollard::errors::Error>>,
    said: &mut Said,
) -> bool {
    let until = Instant::now() + time;
    while let Ok(part) = timeout_at(until, output.next()).await {
        // A last line without an end is an error to the decoder: nothing comes after it.
        let Some(Ok(part)) = part else { return true };
        said.take(bytes(&part));
    }
    false
}

fn config(hook: &Hook) -> ExecConfig {
    ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(hook.command.clone()),
        env: Some(environment(&hook.environment)),
        user: hook.user.clone(),
        working_dir: hook.working_dir.clone(),
        privileged: Some(hook.privileged),
        ..ExecConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_hook_asks_for_is_said_to_the_engine() {
        let hook = Hook {
            command: vec!["a".to_owned(), "b".to_owned()],
            user: Some("7".to_owned()),
            privileged: true,
            working_dir: Some("/w".to_owned()),
            environment: [("A".to_owned(), Some("b".to_owned())), ("C".to_owned(), None)].into(),
            ..Hook::default()
        };
        let said = config(&hook);
        assert_eq!(said.cmd, Some(hook.command));
        assert_eq!(said.env, Some(vec!["A=b".to_owned(), "C".to_owned()]));
        assert_eq!((said.user.as_deref(), said.working_dir.as_deref()), (Some("7"), Some("/w")));
        assert_eq!((said.privileged, said.tty), (Some(true), None));
    }

    #[test]
    fn the_last_whole_lines_are_kept() {
        let said = |parts: &[&str]| {
            let mut said = Said::default();
            for part in parts {
                said.take(part.as_bytes());
            }
            said.last_lines()
        };
        assert_eq!(said(&["one\ntw", "o \n"]), ["one", "two"]);
        assert_eq!(said(&["1\n2\n3\n4\n5\n6\n"]), ["2", "3", "4", "5", "6"]);
        let long = "x".repeat(KEPT_BYTES);
        assert_eq!(said(&[&long, "secret\nend\n"]), ["end"]);
        assert_eq!(said(&[&long, "y"]), [""; 0]);
    }
}
