//! What containers write from now on, whichever are there. What was read and not shown yet is bounded.

use super::print::{Printer, name};
use super::{Started, Wanted, unreadable};
use crate::engine::{Engine, EngineError, Event, EventStream, LogLine, LogRange, Subject};
use crate::model::{Container, ContainerId, Slot, StackName, State};
use crate::plan::ContainerRef;
use futures_util::stream::StreamExt;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Lines that were read and are not printed yet.
const KEPT_LINES: usize = 256;
/// Between two looks at which containers are there, where no event says that something changed.
const LOOK: Duration = Duration::from_secs(5);
/// The same while the engine is away, or a container has just ended.
const SOON: Duration = Duration::from_secs(1);

/// What is heard of a container.
enum Word {
    Line(LogLine),
    /// Its log ended; with the error that did it.
    Ended(Option<EngineError>),
}

/// A container whose log is followed, or was.
struct Followed {
    slot: Slot,
    is_open: bool,
    /// The start after which its log was opened last.
    started: Option<Timestamp>,
    /// When the last line that was shown was written.
    last: Option<Timestamp>,
    has_ended: bool,
}

struct Follower<'a> {
    engine: Arc<dyn Engine>,
    wanted: &'a Wanted,
    range: LogRange,
    known: BTreeMap<ContainerId, Followed>,
    words: mpsc::Sender<(ContainerId, Word)>,
    is_away: bool,
}

/// Follows until it is dropped, or standard output is gone.
pub(super) async fn follow(
    engine: &Arc<dyn Engine>,
    wanted: &Wanted,
    started: Started,
    printer: &mut Printer,
) -> anyhow::Result<ExitCode> {
    let (words, mut heard) = mpsc::channel(KEPT_LINES);
    let Started { containers, last, range, unread } = started;
    let mut follower = Follower {
        engine: Arc::clone(engine),
        wanted,
        range,
        known: BTreeMap::new(),
        words,
        is_away: false,
    };
    for container in containers {
        let last = last.get(&container.id.0).copied();
        let is_read = !unread.contains(&container.name);
        follower.begin(&container, last, is_read);
    }
    let mut events = engine.events().await.ok();
    let mut next_look = Instant::now() + SOON;
    loop {
        tokio::select! {
            Some((id, word)) = heard.recv() => {
                let Some(followed) = follower.known.get_mut(&id) else { continue };
                match word {
                    Word::Line(line) => {
                        followed.last = line.at.or(followed.last);
                        printer.line(&followed.slot, &line)?;
                    }
                    Word::Ended(error) => {
                        followed.is_open = false;
                        follower.tell_failure(&id, error.as_ref());
                        next_look = next_look.min(Instant::now() + SOON);
                    }
                }
            }
            event = next(&mut events) => match event {
                Some(Ok(event)) if concerns(&event, &wanted.query.stack) => next_look = Instant::now(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => events = None,
            },
            () = sleep_until(next_look) => {
                let is_back = follower.look().await;
                if is_back && events.is_none() {
                    events = engine.events().await.ok();
                }
                next_look = Instant::now() + if is_back { LOOK } else { SOON };
            }
        }
    }
}

/// What happens next; never where nobody tells.
async fn next(events: &mut Option<EventStream>) -> Option<Result<Event, EngineError>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

fn concerns(event: &Event, stack: &StackName) -> bool {
    event.subject == Subject::Container && event.stack.as_ref().is_none_or(|of| of == stack)
}

impl Follower<'_> {
    /// Follows a container whose log was shown until now.
    fn begin(&mut self, container: &Container, last: Option<Timestamp>, is_read: bool) {
        let followed = Followed {
            slot: container.slot.clone(),
            is_open: false,
            started: container.started,
            last,
            has_ended: !is_running(container),
        };
        self.known.insert(container.id.clone(), followed);
        if is_read && is_running(container) {
            let since = self.range.since;
            // Of one that has not written anything yet, or nothing of which is to be shown.
            let tail =
                if last.is_none() { self.range.tail.filter(|lines| *lines == 0) } else { None };
            self.open(
                container,
                LogRange { tail, since: last.map(just_after).or(since), follow: true },
            );
        }
    }

    /// Looks which containers are there. Whether the engine could tell.
    async fn look(&mut self) -> bool {
        let found = match self.wanted.containers(&*self.engine).await {
            Ok(found) => found,
            Err(error) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    anstream::eprintln!("{error}; waiting for it");
                }
                return false;
            }
        };
        self.is_away = false;
        self.known.retain(|id, followed| followed.is_open || found.iter().any(|it| it.id == *id));
        for container in found {
            self.see(&container);
        }
        true
    }

    /// Opens the log of a container that is new, or was started anew.
    fn see(&mut self, container: &Container) {
        let Some(known) = self.known.get_mut(&container.id) else {
            // One that is made and does not run yet may be a replacement that waits for its turn.
            if container.started.is_some() {
                let id: String = container.id.0.chars().take(12).collect();
                anstream::eprintln!("{}: a new container, {id}", name(&container.slot));
                let followed = Followed {
                    slot: container.slot.clone(),
                    is_open: false,
                    started: None,
                    last: None,
                    has_ended: false,
                };
                self.known.insert(container.id.clone(), followed);
                self.open(container, LogRange { tail: None, since: None, follow: true });
            }
            return;
        };
        if known.is_open {
            return;
        }
        if let State::Exited { code } = container.state
            && !std::mem::replace(&mut known.has_ended, true)
        {
            anstream::eprintln!("{}: ended with exit code {code}", name(&container.slot));
        }
        if is_running(container) && known.started != container.started {
            let since = known.last.map(just_after).or(self.range.since);
            known.has_ended = false;
            self.open(container, LogRange { tail: None, since, follow: true });
        }
    }

    fn open(&mut self, container: &Container, range: LogRange) {
        let Some(known) = self.known.get_mut(&container.id) else { return };
        (known.is_open, known.started) = (true, container.started);
        let (engine, words) = (Arc::clone(&self.engine), self.words.clone());
        let (id, container) = (container.id.clone(), ContainerRef::of(container));
        tokio::spawn(async move {
            let error = read(&*engine, &id, &container, &range, &words).await.err();
            // Nobody listens only at the end of all.
            let _ = words.send((id, Word::Ended(error))).await;
        });
    }

    /// Says why a log ended, where that is not its container's end or the engine's.
    fn tell_failure(&mut self, id: &ContainerId, error: Option<&EngineError>) {
        let Some(known) = self.known.get_mut(id) else { return };
        match error {
            None | Some(EngineError::NotFound { .. }) => {}
            // Where it runs on, it is opened again when the engine is back.
            Some(error) if error.is_transient() => known.started = None,
            Some(error) => {
                anstream::eprintln!("error: {}: {}", name(&known.slot), unreadable(error));
            }
        }
    }
}

async fn read(
    engine: &dyn Engine,
    id: &ContainerId,
    container: &ContainerRef,
    range: &LogRange,
    words: &mpsc::Sender<(ContainerId, Word)>,
) -> Result<(), EngineError> {
    let mut lines = engine.logs(container, range).await?;
    while let Some(line) = lines.next().await {
        if words.send((id.clone(), Word::Line(line?))).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn is_running(container: &Container) -> bool {
    matches!(container.state, State::Running | State::Paused | State::Restarting)
}

fn just_after(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at)
}
