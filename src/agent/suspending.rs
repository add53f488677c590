//! Stacks to which nothing is done: they are looked at, and told of, until somebody says that it goes on.

use super::World;
use super::desired::{Want, Wish};
use super::turn::invalid;
use crate::model::StackName;
use crate::status::{
    Caller, Departure, PassResult, Report, SuspendedStatus, Suspension, first_line,
};
use crate::store::Begun;
use jiff::Timestamp;

/// How many of the differences are told.
const TOLD: usize = 5;

impl World {
    /// Notes that nothing is to be done to a stack. The pass under way begins nothing more.
    pub(super) fn suspend(&self, name: &StackName, suspension: &Suspension, by: &Caller) -> String {
        self.inventory.update(name, |record| record.suspend(suspension, by, Timestamp::now()));
        if let Some(under_way) = self.memory().under_way.get(name) {
            under_way.brake.cancel();
        }
        format!("suspended; nothing is done to it until `bowline resume {name}`")
    }

    /// Has the checkout go on showing what containers of a stack mount as they were begun: a later commit
    /// does not reach them. That it cannot be is told, and no reason to go on with the stack.
    pub(super) async fn keep_files(&self, name: &StackName) {
        let wish = self.desired().wish(name);
        let begun = self.inventory.stack(name).last_begun();
        let (Some(wish), Some(begun)) = (wish, begun) else { return };
        if let Err(problem) = self.show_begun_of(name, &wish, begun).await {
            tracing::warn!(stack = %name, "later commits may reach files that it mounts: {problem}");
        }
    }

    async fn show_begun_of(
        &self,
        name: &StackName,
        wish: &Wish,
        begun: Begun,
    ) -> Result<(), String> {
        // What is held already is what its containers run with: a stack that went back mounts other files than
        // those that were begun last.
        if begun.revision.is_none() || self.is_laid(name, &wish.source)? {
            return Ok(());
        }
        let stack = self.defined(name, &wish.source, &begun).await?;
        let layer = self.layer(&wish.source, &stack, begun.revision, |_| true)?;
        self.show(name, &wish.source, layer.into_iter().collect()).await
    }

    /// A pass over a stack that is suspended: it tells how the stack is, and what would be done.
    pub(super) async fn look_at_suspended(
        &self,
        name: &StackName,
        wish: &Wish,
        suspended: &SuspendedStatus,
    ) -> Report {
        let report = match &wish.want {
            Want::Run(stack) | Want::Invalid { last_good: Some(stack), .. } => {
                self.keep_files(name).await;
                match self.foresee(name, wish, stack).await {
                    Ok(ahead) => {
                        let reasons = ahead.plan.changes.iter().flat_map(|change| &change.reasons);
                        let fields: Vec<_> = reasons.map(ToString::to_string).collect();
                        Report { message: differing(&fields), ..ahead.report }
                    }
                    Err(why) => invalid(name, wish, &why),
                }
            }
            Want::Invalid { last_good: None, .. } => invalid(name, wish, ""),
            Want::Held(hold) => {
                let held = Some(hold.reason.to_string());
                let departure = Some(Departure { since: hold.since, held });
                let told = "it left its source, and is kept";
                Report { departure, ..invalid(name, wish, told) }
            }
            Want::Gone(removal) => {
                let departure = Some(Departure { since: removal.since, held: None });
                let told = "it left its source, and would be taken away";
                Report { departure, ..invalid(name, wish, told) }
            }
        };
        let problem = match &wish.want {
            Want::Invalid { problem, .. } => {
                format!("its files are in error: {}", first_line(problem))
            }
            Want::Run(_) | Want::Held(_) | Want::Gone(_) => String::new(),
        };
        let told = [suspended.to_string(), problem, report.message];
        let told: Vec<String> = told.into_iter().filter(|line| !line.is_empty()).collect();
        // The commit that git asks for, whatever was compared with.
        let revision = wish.revision.clone();
        Report {
            result: PassResult::Suspended,
            message: told.join("\n"),
            revision,
            suspended: Some(suspended.clone()),
            ..report
        }
    }
}

/// What differs, for people.
fn differing(fields: &[String]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let more = fields.len().saturating_sub(TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let shown = &fields[..fields.len().min(TOLD)];
    format!("differs, and is left so: {}{more}", shown.join("; "))
}
