//! What was fetched is read, and gone by from then on.

use super::super::World;
use super::super::desired::Content;
use super::super::load::load;
use super::{Synced, Watched};
use crate::model::{Commit, Revision};
use crate::source::Repository;
use jiff::Timestamp;
use std::sync::Arc;

/// What a commit holds, and what was in error about it as a whole.
pub(super) async fn read(
    world: &World,
    watched: &Watched,
    mut repository: Repository,
    revision: Revision,
) -> Result<(Content, Vec<String>), String> {
    let name = &watched.config.name;
    let former = world.desired().names_in(name);
    let (reads, from) = (watched.reading.clone(), name.clone());
    // Reading and parsing a whole repository is no work for the threads of the passes.
    let loading = tokio::task::spawn_blocking(move || {
        let files = repository.files_of(&revision).map_err(|error| error.to_string())?;
        load(&reads, &from, &files, &former)
    });
    loading.await.unwrap_or_else(|error| Err(format!("a defect of Bowline: {error}")))
}

/// Goes by what a commit holds from now on; `is_newest`: the source was just asked, and has no newer one.
pub(super) fn take_in(
    world: &Arc<World>,
    watched: &Watched,
    (content, problems): (Content, Vec<String>),
    shown: Option<(Revision, Commit)>,
    is_newest: bool,
) -> Synced {
    let name = &watched.config.name;
    for problem in &problems {
        tracing::error!(source = %name, "{problem}");
    }
    let count = content.stacks.len();
    let short = content.revision.as_ref().map(Revision::short).unwrap_or_default().to_owned();
    let told = shown.map(|(_, Commit { author, subject })| format!("; {subject} ({author})"));
    let told = told.unwrap_or_default();
    tracing::info!(source = %name, revision = short, "revision {short}, stacks: {count}{told}");
    let (concerned, all_are_known) = {
        let mut desired = world.desired();
        // It may have left the configuration meanwhile, and nothing of it is asked any more.
        if watched.stop.is_cancelled() {
            return Synced::Nothing;
        }
        let all_were_known = world.all_are_known(&desired);
        let concerned = desired.set(name, content, Timestamp::now());
        if is_newest {
            desired.fetched(name, &watched.config.place());
        }
        (concerned, !all_were_known && world.all_are_known(&desired))
    };
    world.remember();
    for stack in concerned {
        world.renew(&stack);
    }
    world.wake_dependents();
    if all_are_known {
        world.judge_all();
    }
    Synced::Loaded
}

/// The source was asked, and what was taken in of it before is the newest.
pub(super) fn note_unmoved(world: &World, watched: &Watched) {
    let mut desired = world.desired();
    let source = &watched.config;
    let was_open = !watched.stop.is_cancelled() && desired.fetched(&source.name, &source.place());
    let all_are_known = was_open && world.all_are_known(&desired);
    drop(desired);
    if was_open {
        world.remember();
        world.wake_dependents();
    }
    if all_are_known {
        world.judge_all();
    }
}

/// The source was asked, and its newest commit could not be read.
pub(super) fn note_unread(world: &World, watched: &Watched) {
    let mut desired = world.desired();
    if !watched.stop.is_cancelled() {
        desired.must_fetch([&watched.config.name]);
    }
}
