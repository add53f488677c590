//! Why a service is as it is: its containers, the changes that led there, and what differs now.

use super::history::{REPAIRS, ago, one_line, origin};
use super::said::{Hold, Holds};
use super::{
    DeployedReason, Deployment, DeploymentCause, HeldBackStatus, HistoryEntry, PausedStatus,
    StackProblem, StackStatus, SuspendedStatus, WindowStatus, first_line,
};
use crate::model::{
    Commit, Container, Health, Observed, Revision, ServiceName, SourceName, StackName, State,
};
use crate::plan::Plan;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// How many changes are told.
const TOLD: usize = 10;
/// How many reasons of a change are told in the text.
const TOLD_REASONS: usize = 5;
/// The field that tells whether a container runs.
const STATE: &str = "state";
/// How far the engine's clock may be behind ours.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(2);

/// Why a service is as it is; the body of `/v1/stacks/NAME/services/SERVICE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The stack.
    pub stack: StackName,
    /// The service.
    pub service: ServiceName,
    /// Where the stack comes from.
    pub source: Option<SourceName>,
    /// The commit that git asks for; absent where nobody knows it.
    pub revision: Option<Revision>,
    /// What that commit says of itself.
    pub commit: Option<Commit>,
    /// Its containers, by number.
    pub containers: Vec<ExplainedContainer>,
    /// The last changes that concerned it, the newest first.
    pub changes: Vec<ServiceChange>,
    /// What differs now from what git asks for; absent where that is not known.
    pub differs: Option<Vec<DeployedReason>>,
    /// Why that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs_unknown: Option<String>,
    /// What a person must mend.
    pub problems: Vec<StackProblem>,
    /// That the stack's last good definition runs in place of what git asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<HeldBackStatus>,
    /// That containers are not exchanged for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PausedStatus>,
    /// That nothing is done to the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<SuspendedStatus>,
    /// That what git asks for waits for a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowStatus>,
    /// What the last pass over the stack said; empty where it had nothing to say.
    pub message: String,
}

/// A container of the service as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedContainer {
    /// Its name.
    pub name: String,
    /// Its place among the replicas, from 1.
    pub number: u32,
    /// What its image was asked for by.
    pub image: String,
    /// `sha256:...`.
    pub image_id: String,
    /// `running`, `exited (1)`, ...
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; absent where it has no health check.
    pub health: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was started last.
    pub started: Option<Timestamp>,
    /// How often the engine restarted it by itself; absent where that is not known.
    pub restarts: Option<u32>,
}

/// A change that concerned the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// The deployment that it was a part of.
    pub deployment: HistoryEntry,
    /// What was done: `create`, `replace`, ...
    pub action: String,
    /// To what.
    pub object: String,
    /// Why.
    pub reasons: Vec<DeployedReason>,
    /// The error that ended it, if one did.
    pub error: Option<String>,
}

impl Explanation {
    /// What a snapshot and the history, the newest first, tell of a service. Nothing is known yet of
    /// what git asks for.
    pub fn of(
        (stack, service): (&StackName, &ServiceName),
        observed: &Observed,
        restarts: impl Fn(&Container) -> Option<u32>,
        history: &[Deployment],
    ) -> Self {
        let containers = observed.containers.iter().filter(|it| it.slot.service == *service);
        let mut containers: Vec<_> =
            containers.map(|it| ExplainedContainer::of(it, restarts(it))).collect();
        containers.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
        let changes = history.iter().flat_map(|deployment| {
            let concerned = deployment.actions.iter().filter(|it| it.concerns(service));
            concerned.map(|action| ServiceChange {
                deployment: deployment.entry.clone(),
                action: action.action.clone(),
                object: action.object.clone(),
                reasons: action.reasons.clone(),
                error: action.error.clone(),
            })
        });
        Self {
            stack: stack.clone(),
            service: service.clone(),
            source: history.iter().find_map(|it| it.entry.source.clone()),
            revision: None,
            commit: None,
            containers,
            changes: changes.take(TOLD).collect(),
            differs: None,
            differs_unknown: Some("only an agent knows what git asks for".to_owned()),
            problems: Vec::new(),
            held_back: None,
            paused: None,
            suspended: None,
            window: None,
            message: String::new(),
        }
    }

    /// Whether anything is known of the service at all.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.changes.is_empty() && self.differs.is_none()
    }

    /// Takes in what an agent knows of the stack.
    pub fn note_status(&mut self, status: &StackStatus) {
        self.source = status.source.clone().or(self.source.take());
        self.revision.clone_from(&status.revision);
        self.message.clone_from(&status.message);
        self.held_back.clone_from(&status.held_back);
        self.window.clone_from(&status.window);
        self.suspended.clone_from(&status.suspended);
        let concerns = |paused: &&PausedStatus| {
            paused.services.is_empty() || paused.services.contains(&self.service)
        };
        self.paused = status.paused.as_ref().filter(concerns).cloned();
    }

    /// Takes in what a plan of what git asks for finds.
    pub fn note_plan(&mut self, plan: &Plan) {
        let prefix = format!("services.{}.", self.service);
        let changes = plan.changes.iter();
        let reasons = changes.flat_map(|change| {
            let is_its = change.object.service() == Some(&self.service);
            let named = change.reasons.iter();
            named.filter(|reason| is_its || reason.field.starts_with(&prefix)).collect::<Vec<_>>()
        });
        let mut differs: Vec<DeployedReason> = Vec::new();
        for reason in reasons {
            let reason = DeployedReason {
                field: reason.field.clone(),
                desired: reason.desired.clone(),
                actual: reason.actual.clone(),
            };
            if !differs.contains(&reason) {
                differs.push(reason);
            }
        }
        (self.differs, self.differs_unknown) = (Some(differs), None);
        let problems = plan.problems.iter().filter(|it| it.field.starts_with(&prefix));
        self.problems = problems.map(Into::into).collect();
    }

    /// For people.
    pub fn text(&self, now: Timestamp) -> String {
        let mut text = format!("{}/{}", self.stack, self.service);
        let source = self.source.as_ref().map(|source| format!(" from {source}"));
        text.push_str(&source.unwrap_or_default());
        if let Some(revision) = &self.revision {
            let _ = write!(text, ", git asks for {}", revision.short());
        }
        if let Some(commit) = &self.commit {
            let _ = write!(text, " ({}: {})", commit.author, commit.subject);
        }
        text.push('\n');
        self.containers_text(&mut text, now);
        self.holds_text(&mut text, now);
        self.differs_text(&mut text);
        self.changes_text(&mut text, now);
        text
    }

    fn containers_text(&self, text: &mut String, now: Timestamp) {
        let _ = writeln!(text, "\nnow:");
        if self.containers.is_empty() {
            let _ = writeln!(text, "  no container");
        }
        for container in &self.containers {
            let health = container.health.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
            let since = container.started.map(|at| format!(" for {}", ago(at, now)));
            let since = since.filter(|_| container.state == "running").unwrap_or_default();
            let restarts = match container.restarts {
                None => String::new(),
                Some(1) => ", 1 restart".to_owned(),
                Some(count) => format!(", {count} restarts"),
            };
            let ExplainedContainer { name, image, image_id, state, .. } = container;
            let _ = writeln!(text, "  {name}: {state}{since}{health}{restarts}");
            let _ = writeln!(text, "    image {image} ({})", short(image_id));
            let made = self.made(container);
            let made = made.map(|it| format!(" {}", origin(&it.deployment))).unwrap_or_default();
            let _ = writeln!(text, "    made {} ago{made}", ago(container.created, now));
        }
    }

    /// The change that made a container: one that was made before cannot have.
    fn made(&self, container: &ExplainedContainer) -> Option<&ServiceChange> {
        let object = format!("container {}/{}", self.service, container.number);
        let makes = |it: &&ServiceChange| {
            it.object == object
                && it.error.is_none()
                && ["create", "replace"].contains(&it.action.as_str())
        };
        // What is under way, or was done beside Bowline, stands in no record yet.
        let during = |it: &&ServiceChange| {
            let entry = &it.deployment;
            let took = SignedDuration::try_from_secs_f64(entry.took_seconds).unwrap_or_default();
            let within = |begun: Timestamp| {
                let since = container.created.duration_since(begun);
                -CLOCKS_APART <= since && since <= took + CLOCKS_APART
            };
            within(entry.begun) || within(entry.last - took)
        };
        self.changes.iter().filter(makes).find(during)
    }

    fn holds_text(&self, text: &mut String, now: Timestamp) {
        // What the last pass said of the newest commit comes first, and what was so before it after that.
        if !self.message.is_empty() {
            let _ = writeln!(text, "\nlast pass: {}", one_line(&self.message));
        }
        let holds = Holds {
            stack: &self.stack,
            revision: self.revision.as_ref(),
            suspended: self.suspended.as_ref(),
            window: self.window.as_ref(),
            paused: self.paused.as_ref(),
            held_back: self.held_back.as_ref(),
        };
        for Hold { sentence, why, end } in holds.told(now) {
            let why = if why.is_empty() { String::new() } else { format!(": {}", first_line(why)) };
            let _ = writeln!(text, "\n{sentence}{why}\n  {end}");
        }
        for problem in &self.problems {
            let place = problem.place.as_ref().map(|it| format!("{it}: ")).unwrap_or_default();
            let _ = writeln!(text, "\nproblem: {place}{}: {}", problem.field, problem.message);
        }
    }

    fn differs_text(&self, text: &mut String) {
        match &self.differs {
            None => {
                let why = self.differs_unknown.as_deref().unwrap_or_default();
                let _ = writeln!(text, "\nwhat differs is not known: {why}");
            }
            Some(differs) if differs.is_empty() => {
                let _ = writeln!(text, "\ndiffers: nothing");
            }
            Some(differs) => {
                let _ = writeln!(text, "\ndiffers:");
                for DeployedReason { field, desired, actual } in differs {
                    let _ = writeln!(text, "  {field}: want {desired}, is {actual}");
                }
            }
        }
    }

    fn changes_text(&self, text: &mut String, now: Timestamp) {
        let _ = writeln!(text, "\nlast changes:");
        if self.changes.is_empty() {
            let _ = writeln!(text, "  none is known");
        }
        for change in &self.changes {
            let entry = &change.deployment;
            let times =
                if entry.times > 1 { format!(" ({} times)", entry.times) } else { String::new() };
            let (when, what, origin) = (ago(entry.last, now), &change.object, change.origin());
            let did = match change.error {
                None => done(&change.action).to_owned(),
                Some(_) => format!("could not {}", change.action),
            };
            let id = entry.id;
            let _ = writeln!(text, "  #{id} {when} ago: {did} {what} {origin}{times}");
            let reasons = self.reasons(change);
            for reason in reasons.iter().take(TOLD_REASONS) {
                let DeployedReason { field, desired, actual } = reason;
                let _ = match ended(field, actual) {
                    Some(how) => writeln!(text, "    it had ended with {how}"),
                    None => writeln!(text, "    {field}: {actual} -> {desired}"),
                };
            }
            if let Some(more) = reasons.len().checked_sub(TOLD_REASONS).filter(|more| *more > 0) {
                let _ = writeln!(text, "    and {more} more");
            }
            if let Some(error) = &change.error {
                let _ = writeln!(text, "    failed: {}", one_line(error));
            }
        }
    }

    /// The reasons of a change, with fields as the service's file names them.
    fn reasons(&self, change: &ServiceChange) -> Vec<DeployedReason> {
        let prefix = format!("services.{}.", self.service);
        let named = change.reasons.iter().map(|reason| {
            let field = reason.field.strip_prefix(&prefix).unwrap_or(&reason.field).to_owned();
            DeployedReason { field, ..reason.clone() }
        });
        named.collect()
    }
}

impl ServiceChange {
    /// How it came about. What ended is started again whatever else failed before: that is no other try.
    fn origin(&self) -> String {
        let is_state = |reason: &DeployedReason| reason.field.rsplit('.').next() == Some(STATE);
        let only_state = !self.reasons.is_empty() && self.reasons.iter().all(is_state);
        if only_state && self.error.is_none() && self.deployment.cause == DeploymentCause::Retry {
            return REPAIRS.to_owned();
        }
        origin(&self.deployment)
    }
}

impl ExplainedContainer {
    fn of(container: &Container, restarts: Option<u32>) -> Self {
        Self {
            name: container.name.clone(),
            number: container.slot.number,
            image: container.spec.image.to_string(),
            image_id: container.image_id.clone(),
            state: state(container.state),
            health: health(container.health).map(str::to_owned),
            created: container.created,
            started: container.started,
            restarts,
        }
    }
}

/// The code that a container ended with, where a reason tells of one: `code 137 (SIGKILL)`.
fn ended(field: &str, actual: &str) -> Option<String> {
    let code = actual.strip_prefix("exited (")?.strip_suffix(')').filter(|_| field == STATE)?;
    let signal = match code {
        "129" => " (SIGHUP)",
        "130" => " (SIGINT)",
        "131" => " (SIGQUIT)",
        "134" => " (SIGABRT)",
        "137" => " (SIGKILL)",
        "139" => " (SIGSEGV)",
        "143" => " (SIGTERM)",
        _ => "",
    };
    Some(format!("code {code}{signal}"))
}

fn state(state: State) -> String {
    match state {
        State::Created => "created".to_owned(),
        State::Running => "running".to_owned(),
        State::Paused => "paused".to_owned(),
        State::Restarting => "restarting".to_owned(),
        State::Removing => "removing".to_owned(),
        State::Exited { code } => format!("exited ({code})"),
        State::Dead => "dead".to_owned(),
    }
}

fn health(health: Health) -> Option<&'static str> {
    match health {
        Health::Unchecked => None,
        Health::Starting => Some("starting"),
        Health::Healthy => Some("healthy"),
        Health::Unhealthy => Some("unhealthy"),
    }
}

/// An action as something that was done.
fn done(action: &str) -> &str {
    match action {
        "pull" => "pulled",
        "create" => "made",
        "adopt" => "adopted",
        "rename" => "renamed",
        "update" => "updated",
        "reconnect" => "reconnected",
        "unpause" => "unpaused",
        "signal" => "signalled",
        "start" => "started",
        "restart" => "restarted",
        "replace" => "replaced",
        "remove" => "removed",
        other => other,
    }
}

/// The id of an image as Docker's lists have it.
fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}
