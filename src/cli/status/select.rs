//! Which of the known stacks are asked for.

use crate::model::{SourceName, StackName};
use crate::status::{Snapshot, near_misses};
use anyhow::bail;

/// The stacks of these names and sources, with the sources that they are from; all of it where neither is
/// given. A name that is not known is an error.
pub(super) fn select(
    snapshot: &Snapshot,
    stacks: &[StackName],
    sources: &[SourceName],
) -> anyhow::Result<Snapshot> {
    for name in stacks {
        if !snapshot.stacks.iter().any(|stack| stack.name == *name) {
            let known = snapshot.stacks.iter().map(|stack| stack.name.as_str());
            let near = near_misses(name.as_str(), known);
            bail!("the agent knows no stack {name}{near}; `bowline status` lists those it knows");
        }
    }
    for name in sources {
        let known = || snapshot.sources.iter().map(|source| source.name.as_str());
        if !known().any(|known| known == name.as_str()) {
            let near = near_misses(name.as_str(), known());
            bail!("the agent knows no source {name}{near}; `bowline status` lists those it knows");
        }
    }
    Ok(among(snapshot, stacks, sources))
}

/// The same without a word about names that are not known.
pub(super) fn among(snapshot: &Snapshot, stacks: &[StackName], sources: &[SourceName]) -> Snapshot {
    if stacks.is_empty() && sources.is_empty() {
        return snapshot.clone();
    }
    let mut chosen = snapshot.clone();
    chosen.stacks.retain(|stack| {
        let is_named = stacks.is_empty() || stacks.contains(&stack.name);
        let of = stack.source.as_ref();
        is_named && (sources.is_empty() || of.is_some_and(|source| sources.contains(source)))
    });
    let of_stacks: Vec<_> = chosen.stacks.iter().filter_map(|it| it.source.clone()).collect();
    chosen
        .sources
        .retain(|source| sources.contains(&source.name) || of_stacks.contains(&source.name));
    chosen
}
