//! Whether a stack is ready, for those that depend on it.

use super::{PassResult, Report, Workload};

/// How much of a reason is told, in characters: those who wait pass it on to those who wait for them.
const TOLD: usize = 200;

impl Report {
    /// Why stacks that depend on this one must wait; nothing if it is ready.
    pub fn obstacle(&self) -> Option<String> {
        let word = self.result.word();
        let said = match (self.result, self.workload) {
            (PassResult::Unchanged | PassResult::Changed, Some(workload)) => {
                return short(workload);
            }
            (PassResult::Unchanged | PassResult::Changed, None) => {
                "its state is not known".to_owned()
            }
            (PassResult::Waiting | PassResult::RolledBack | PassResult::Suspended, _) => {
                first_line(&self.message)
            }
            (
                PassResult::Failed
                | PassResult::Invalid
                | PassResult::Crashing
                | PassResult::Stalled
                | PassResult::Paused
                | PassResult::Drifted
                | PassResult::Removed,
                _,
            ) => match first_line(&self.message) {
                line if line.is_empty() => word.to_owned(),
                line => format!("{word}: {line}"),
            },
        };
        Some(said)
    }
}

/// What a workload is short of.
fn short(workload: Workload) -> Option<String> {
    let Workload { desired, up, starting, unhealthy } = workload;
    if unhealthy > 0 {
        return Some(format!("{unhealthy} of {desired} containers unhealthy"));
    }
    if up + starting < desired {
        return Some(format!("{} of {desired} containers not up", desired - up - starting));
    }
    (starting > 0).then(|| format!("{starting} of {desired} containers not healthy yet"))
}

/// The first line of a text, cut where it is long.
pub fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= TOLD {
        return line.to_owned();
    }
    line.chars().take(TOLD - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StackName;
    use jiff::Timestamp;

    #[test]
    fn a_stack_is_ready_when_its_pass_succeeded_and_all_is_up() {
        let workload =
            |desired, up, starting, unhealthy| Some(Workload { desired, up, starting, unhealthy });
        let long = format!("{}\nmore", "x".repeat(500));
        for (result, workload, message, expected) in [
            (PassResult::Unchanged, workload(2, 2, 0, 0), "", None),
            (PassResult::Changed, workload(2, 2, 0, 0), "", None),
            (PassResult::Changed, workload(0, 0, 0, 0), "", None),
            (PassResult::Changed, None, "", Some("its state is not known")),
            (
                PassResult::Changed,
                workload(3, 1, 2, 0),
                "",
                Some("2 of 3 containers not healthy yet"),
            ),
            (PassResult::Unchanged, workload(3, 1, 1, 0), "", Some("1 of 3 containers not up")),
            (PassResult::Unchanged, workload(3, 1, 1, 1), "", Some("1 of 3 containers unhealthy")),
            (PassResult::Failed, workload(2, 2, 0, 0), "no space\nmore", Some("failed: no space")),
            (PassResult::Failed, None, "", Some("failed")),
            (
                PassResult::Waiting,
                None,
                "waiting for stack a: failed",
                Some("waiting for stack a: failed"),
            ),
            (PassResult::Waiting, None, &long, Some(&format!("{}…", "x".repeat(TOLD - 1)))),
        ] {
            let report = Report {
                result,
                message: message.to_owned(),
                workload,
                ..Report::begun(StackName::new("db").unwrap(), Timestamp::UNIX_EPOCH)
            };
            assert_eq!(report.obstacle().as_deref(), expected, "{result:?} {workload:?}");
        }
    }
}
