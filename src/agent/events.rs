//! Engine events to wake-ups. After every (re)connection all stacks are looked at, since what
//! happened in between is lost.

use super::World;
use crate::engine::{EngineError, Event, EventStream, Subject};
use crate::model::StackName;
use crate::pass::Snapshots;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_stream::StreamExt;

/// The first wait before the stream is opened again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait before the stream is opened again.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Events that change nothing by themselves: `die` or `destroy` tells what came of them. A pass
/// made at once would only see the container as it was before.
const FORERUNNERS: [&str; 2] = ["kill", "oom"];

/// Listens until the agent stops.
pub(super) async fn listen(world: Arc<World>) {
    let mut wait = FIRST_WAIT;
    let mut connected_before = false;
    loop {
        let opened = tokio::select! {
            opened = world.engine.events() => opened,
            () = world.stop.cancelled() => return,
        };
        let error = match opened {
            Ok(stream) => {
                world.views.metrics.engine_up(true);
                if connected_before {
                    world.views.metrics.event_stream_reconnected();
                    tracing::info!("the engine's event stream is back; looking at all stacks");
                }
                if !connected_before && let Ok(facts) = world.engine.facts().await {
                    tracing::info!("engine {} (API {})", facts.version, facts.api);
                }
                connected_before = true;
                // What is seen from here on holds until something is heard; a resync is a look.
                world.snapshots.listening(world.config().resync);
                world.wake_all();
                let opened = Instant::now();
                let ended = follow(&world, stream).await;
                world.snapshots.deaf();
                // One that breaks off at once is as good as none.
                if opened.elapsed() > LONGEST_WAIT {
                    wait = FIRST_WAIT;
                }
                ended
            }
            Err(error) => Some(error),
        };
        if world.stop.is_cancelled() {
            return;
        }
        world.views.metrics.engine_up(false);
        if let Some(error) = error {
            tracing::warn!("no engine events: {error}");
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = world.stop.cancelled() => return,
        }
        wait = LONGEST_WAIT.min(wait * 2);
    }
}

/// Wakes stacks until the stream ends; returns why it did, if it tells.
async fn follow(world: &World, mut stream: EventStream) -> Option<EngineError> {
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            () = world.stop.cancelled() => return None,
        };
        match event {
            Some(Ok(event)) => {
                world.views.metrics.engine_event(&event.action);
                note_exit(world, &event);
                for stack in concerned(&world.snapshots, &event) {
                    if !FORERUNNERS.contains(&event.action.as_str()) && world.is_alive(&stack) {
                        world.heard_of(stack);
                    }
                }
            }
            Some(Err(error)) => return Some(error),
            None => return None,
        }
    }
}

/// Counts the end of a container, if it is one of a stack that is asked for.
fn note_exit(world: &World, event: &Event) {
    if event.action == "die"
        && let Some(stack) = &event.stack
        && world.desired().wish(stack).is_some()
    {
        world.views.metrics.container_exited(stack);
    }
}

/// The stacks that an event concerns; what was seen of them holds no longer.
fn concerned(snapshots: &Snapshots, event: &Event) -> BTreeSet<StackName> {
    let mut stacks: BTreeSet<StackName> = event.stack.iter().cloned().collect();
    match &event.subject {
        // One of others: it can only be in the way of what is to be done.
        Subject::Container => {}
        Subject::Resource(name) => stacks.extend(snapshots.using_name(name)),
        Subject::Image(names) => {
            stacks.extend(names.iter().flat_map(|name| snapshots.using_image(name)));
        }
    }
    for stack in &stacks {
        snapshots.heard(stack);
    }
    if event.subject != Subject::Container && event.stack.is_none() {
        // A pass that is under way may have looked before, and nothing is known of its stack.
        snapshots.heard_of_all();
    }
    stacks
}
