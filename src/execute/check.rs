//! Judges a canary while it is held: asks what its service says to ask, again and again, from when it
//! is up to the end of the hold. A lasting silence of the container counts against it; one of
//! whoever else is asked does not, but then nobody has judged it.

use super::probe::{self, Answer};
use super::{ChangeError, Hands};
use crate::model::{Canary, CanaryCheck, ContainerId, Health, State};
use crate::plan::ContainerRef;
use futures_util::future::try_join_all;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often in a row a container may give no answer before that is one.
const TRIES: usize = 3;
/// How long an answer may take.
const ANSWER_BOUND: Duration = Duration::from_secs(5);

/// A check said that a canary is not well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container {container} failed as a canary: {what}")]
pub struct CheckFailed {
    /// The container's name.
    pub container: String,
    /// Who was asked, and what was answered.
    pub what: String,
}

/// Nobody could say whether a canary is well: no fault of its definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("container {container} could not be judged as a canary: {what}")]
pub struct Unjudged {
    /// The container's name.
    pub container: String,
    /// Who was asked, and why there was no answer.
    pub what: String,
}

/// Makes the checks of `canary` until its hold is over, which begins now; each is made once more at the
/// end. Its start may take `start`, within which one without a health check may be silent. `warn` hears
/// when a check cannot be made.
pub(super) async fn judge(
    hands: &Hands,
    container: &ContainerRef,
    canary: &Canary,
    start: Duration,
    warn: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), ChangeError> {
    let now = Instant::now();
    let (end, patience) = (now + canary.hold, now + start);
    let trials = canary.checks.iter().map(|check| {
        let trial =
            Trial { hands, container, check, warn, first: None, patience, is_known_up: false };
        trial.run(end, canary.interval)
    });
    let unjudged = try_join_all(trials).await?.into_iter().flatten().next();
    unjudged.map_or(Ok(()), |unjudged| Err(unjudged.into()))
}

/// One check of one container.
struct Trial<'a> {
    hands: &'a Hands,
    container: &'a ContainerRef,
    check: &'a CanaryCheck,
    warn: &'a (dyn Fn(&str) + Send + Sync),
    /// The container that is judged; another one may come to its name.
    first: Option<ContainerId>,
    /// Until when its start may take.
    patience: Instant,
    /// Whether its start is known to be over: it has answered, or its health check said so.
    is_known_up: bool,
}

impl Trial<'_> {
    /// Asks until `end`, and then until there is an answer. Without one in the end nobody has judged.
    async fn run(
        mut self,
        end: Instant,
        interval: Duration,
    ) -> Result<Option<Unjudged>, CheckFailed> {
        let (mut silent, mut unanswered, mut unknown) = (0, 0, None);
        loop {
            let asked = Instant::now();
            let answer = self.ask().await;
            let is_silent = matches!(answer, Answer::Silent(_));
            match answer {
                Answer::Well => {
                    (silent, unanswered, unknown) = (0, 0, None);
                    self.is_known_up = true;
                }
                Answer::Ill(what) => return Err(self.failed(what)),
                Answer::Silent(what) => {
                    // One that starts is not there for anybody yet.
                    silent += usize::from(self.is_known_up || asked >= self.patience);
                    if silent == TRIES {
                        return Err(self.failed(format!("{what}, {TRIES} times in a row")));
                    }
                }
                Answer::Unknown(what) => {
                    if unknown.is_none() {
                        (self.warn)(&what);
                    }
                    (silent, unanswered) = (0, unanswered + 1);
                    unknown = Some(what);
                }
            }
            // What was answered before is not what would be answered at the end.
            if asked >= end && !is_silent && (unknown.is_none() || unanswered >= TRIES) {
                let container = self.container.name.clone();
                return Ok(unknown.map(|what| Unjudged { container, what }));
            }
            sleep_until(if asked < end {
                (asked + interval).min(end)
            } else {
                asked + interval.min(ANSWER_BOUND)
            })
            .await;
        }
    }

    fn failed(&self, what: String) -> CheckFailed {
        CheckFailed { container: self.container.name.clone(), what }
    }

    async fn ask(&mut self) -> Answer {
        let secrets = &self.hands.secrets;
        match self.check {
            CanaryCheck::Http { port, path } => match self.address(port.get()).await {
                Ok(address) => probe::page(address, path, ANSWER_BOUND, secrets).await,
                Err(answer) => answer,
            },
            CanaryCheck::Prometheus { url, query } => {
                probe::alert(url, query, ANSWER_BOUND, secrets).await
            }
        }
    }

    /// Where the container is now, or what follows from its being nowhere. Who ended is told by whoever
    /// watches it.
    async fn address(&mut self, port: u16) -> Result<SocketAddr, Answer> {
        let sighting = self.hands.engine.watch(self.container).await;
        let sighting = sighting.map_err(|error| Answer::Unknown(error.to_string()))?;
        if sighting.state != State::Running {
            return Err(Answer::Unknown(format!("it is {}", sighting.state)));
        }
        self.is_known_up |= sighting.health != Health::Unchecked;
        if *self.first.get_or_insert_with(|| sighting.id.clone()) != sighting.id {
            return Err(Answer::Unknown("another one is in its place".to_owned()));
        }
        let nowhere = "none of its networks gives it an address at which this host reaches it";
        let address = sighting.address.ok_or_else(|| Answer::Unknown(nowhere.to_owned()))?;
        Ok(SocketAddr::new(address, port))
    }
}
