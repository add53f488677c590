//! What the next pass over a stack would do: looked at and planned as it would, and nothing changed.

use super::World;
use super::desired::{Want, Wish};
use super::stacks_in_order::Leave;
use super::steering::{Course, course, end_holds, partly};
use super::turn::definition;
use super::windows::Shut;
use crate::execute::Onlooker;
use crate::model::{Stack, StackName};
use crate::pass::{Means, Subject};
use crate::plan::{Plan, plan_removal};
use crate::rollout;
use crate::status::{Preview, Refusal, Report};
use crate::store::Paused;
use jiff::Timestamp;
use std::sync::Arc;

/// What a pass would do.
pub(super) struct Foresight {
    pub(super) plan: Plan,
    /// How the stack is.
    pub(super) report: Report,
    /// Why a pass would not do it now, a line each.
    pub(super) obstacles: Vec<String>,
}

impl World {
    /// What a pass over `name` would do towards what git asks for, and why not now.
    pub(super) async fn preview(&self, name: &StackName) -> Result<Preview, Refusal> {
        let asked = self.known(name)?;
        let now = self.at_its_window(name, &asked).await;
        // What a shut window holds up is told all the same.
        let wish = if now.waits_for_newer() { asked } else { now.clone() };
        let suspended = self.inventory.stack(name).suspended;
        let mut obstacles: Vec<String> = suspended.iter().map(ToString::to_string).collect();
        let (plan, revision) = match &wish.want {
            Want::Run(stack) | Want::Invalid { last_good: Some(stack), .. } => {
                let ahead = self.foresee(name, &wish, stack).await;
                let ahead = ahead.map_err(|why| Refusal::Failed(format!("{name}: {why}")))?;
                obstacles.extend(ahead.obstacles);
                (ahead.plan, ahead.report.revision)
            }
            Want::Invalid { problem, last_good: None } => {
                let problem = problem.strip_prefix("error: ").unwrap_or(problem);
                return Err(Refusal::Impossible(format!(
                    "{name}: its files are in error, so nothing is planned; mend them in git: {problem}"
                )));
            }
            Want::Held(_) => {
                return Err(Refusal::Impossible(format!(
                    "{name}: it left its source and is kept as it is; `bowline prune` tells why"
                )));
            }
            Want::Gone(_) => {
                let query = self.adopted.owned_by(name, Some(&wish.source));
                let observed = self.engine.observe(&query).await;
                let observed = observed.map_err(|error| Refusal::Failed(error.to_string()))?;
                obstacles.extend(wish.shut.as_ref().and_then(Shut::obstacle));
                let first = self.desired().goes_before(name, Timestamp::now());
                obstacles
                    .extend(first.map(|other| format!("waiting for stack {other} to go first")));
                (plan_removal(name, &observed, false), None)
            }
        };
        if let Some(shut) = now.shut.as_ref().filter(|_| now.waits_for_newer()) {
            obstacles.push(format!("{}; until then it is kept as it was begun", shut.told()));
        }
        if let Want::Invalid { problem, .. } = &wish.want {
            let problem = problem.strip_prefix("error: ").unwrap_or(problem);
            obstacles.push(format!("its files are in error, so it is kept as it was: {problem}"));
        }
        let obstacle = (!obstacles.is_empty()).then(|| obstacles.join("\n"));
        Ok(Preview { obstacle, ..Preview::of(&plan, rollout::waves(&plan), revision) })
    }

    /// What a pass towards `wish`, which asks for `asked`, would do. It goes by the same circumstances, and
    /// leaves the record and the checkout as they are. The error says what cannot be read.
    pub(super) async fn foresee(
        &self,
        name: &StackName,
        wish: &Wish,
        asked: &Arc<Stack>,
    ) -> Result<Foresight, String> {
        let digest = definition(asked, &self.digest_key);
        let mut record = self.inventory.stack(name);
        end_holds(&mut record, &digest, wish.revision.as_ref());
        let short = self.memory().short.get(name).cloned();
        let course = course(&record, &digest, short.as_ref());
        let (stack, revision) = match &course {
            Course::Asked => (Arc::clone(asked), wish.revision.clone()),
            Course::Back(held) => {
                let good = self.former(name, &wish.source, &held.instead).await?;
                let stack = partly(asked, &good, &held.services);
                (Arc::new(stack), held.instead.revision.clone())
            }
            Course::Short(short) => {
                let good = self.former(name, &wish.source, &short.instead).await?;
                (Arc::new(partly(asked, &good, &course.kept())), wish.revision.clone())
            }
        };
        let (target, leave) = match &course {
            Course::Asked | Course::Short(_) => (digest, self.leave(asked)),
            Course::Back(_) => (definition(&stack, &self.digest_key), Leave::Begin),
        };
        let (stack, _) = self.with_adoption(name, &stack, &wish.source);
        let due = self.due(wish, &record);
        let way = (&course, &target, &leave);
        // What a pause holds up is told all the same.
        let goes_for = |paused: &Paused| {
            paused.definition.as_ref().is_none_or(|of| of == course.asked(&target))
        };
        let rests = record.paused.take().filter(goes_for).map(|paused| {
            let why = paused.reason;
            format!("containers are not exchanged: {why}; `bowline resume {name}` does it")
        });
        let moment = self.moment((name, wish, &record), &stack, way, &due);
        let subject = Subject { stack: &stack, source: Some(wish.source.clone()), revision };
        let means = self.for_looking();
        let ahead = means.foresee(&subject, &moment).await.map_err(|error| error.to_string())?;
        let stuck = (!ahead.1.stuck.is_empty()).then(|| {
            format!("what did not help before is not done again; `bowline retry {name}` does it")
        });
        let only_told = moment.only_report.then(|| "`drift` is `report`".to_owned());
        let waits = moment.waits.clone();
        let obstacles = waits.into_iter().chain(only_told).chain(rests).chain(stuck).collect();
        Ok(Foresight { plan: ahead.0, report: ahead.1, obstacles })
    }

    /// Means that change nothing, and tell nobody.
    fn for_looking(&self) -> Means {
        let onlooker: Onlooker = Arc::new(|_| {});
        Means {
            engine: Arc::clone(&self.engine),
            bounds: self.bounds(),
            onlooker,
            snapshots: Arc::clone(&self.snapshots),
            stop: self.stop.clone(),
            brake: self.stop.clone(),
        }
    }
}
