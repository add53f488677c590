//! What was seen of stacks that were as desired, for as long as nothing is heard of them. From it a
//! pass may learn that there is nothing to do, and nothing else: who finds something to do looks
//! again first.

use crate::model::{Image, Observed, Query, StackName};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Snapshots of stacks. As long as nobody listens to the engine, none is kept.
#[derive(Debug, Default)]
pub struct Snapshots(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// How long a snapshot is believed; zero while nobody listens.
    believed: Duration,
    /// Counts what concerned all stacks.
    all: u64,
    /// Counts what concerned each stack.
    heard: BTreeMap<StackName, u64>,
    snapshots: BTreeMap<StackName, Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    query: Query,
    observed: Arc<Observed>,
    mark: Mark,
}

/// A moment in what was heard of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    all: u64,
    heard: u64,
    at: Instant,
}

impl Snapshots {
    /// Somebody listens from now on: what is seen is believed until something is heard, and for at
    /// most so long.
    pub fn listening(&self, believed: Duration) {
        let mut memory = self.memory();
        memory.all += 1;
        memory.believed = believed;
    }

    /// While somebody listens, what is seen is believed for so long from now on.
    pub fn believe_for(&self, believed: Duration) {
        let mut memory = self.memory();
        if !memory.believed.is_zero() {
            memory.believed = believed;
        }
    }

    /// Nobody listens any more.
    pub fn deaf(&self) {
        self.listening(Duration::ZERO);
    }

    /// Something happened to an object of `stack`.
    pub fn heard(&self, stack: &StackName) {
        *self.memory().heard.entry(stack.clone()).or_default() += 1;
    }

    /// Something happened that may concern any stack.
    pub fn heard_of_all(&self) {
        self.memory().all += 1;
    }

    /// The moment before a look at `stack`.
    pub fn mark(&self, stack: &StackName) -> Mark {
        self.memory().mark(stack)
    }

    /// Keeps what was seen since `mark`, unless something was heard meanwhile.
    pub fn keep(&self, query: Query, mut observed: Observed, mark: Mark) {
        let mut memory = self.memory();
        if memory.believed.is_zero() || !memory.holds(&query.stack, mark) {
            return;
        }
        // Others only matter to what is to be done.
        observed.strangers = Vec::new();
        let stack = query.stack.clone();
        memory.snapshots.insert(stack, Snapshot { query, observed: Arc::new(observed), mark });
    }

    /// What was seen for the same query, if it still holds.
    pub fn known(&self, query: &Query) -> Option<Arc<Observed>> {
        let memory = self.memory();
        let known = memory.snapshots.get(&query.stack).filter(|known| known.query == *query)?;
        memory.holds(&query.stack, known.mark).then(|| Arc::clone(&known.observed))
    }

    /// The stacks that use an image with this id or reference, as they were last seen.
    pub fn using_image(&self, name: &str) -> Vec<StackName> {
        let memory = self.memory();
        let uses = |known: &Snapshot| {
            let is = |image: &Image| image.id == name;
            known.query.images.iter().any(|image| image.means(name))
                || known.observed.images.values().any(is)
        };
        let found = memory.snapshots.iter().filter(|(_, known)| uses(known));
        found.map(|(stack, _)| stack.clone()).collect()
    }

    /// The stacks that use a network or volume of this name, whoever owns it.
    pub fn using_name(&self, name: &str) -> Vec<StackName> {
        let memory = self.memory();
        let uses = |query: &Query| query.networks.contains(name) || query.volumes.contains(name);
        let found = memory.snapshots.iter().filter(|(_, known)| uses(&known.query));
        found.map(|(stack, _)| stack.clone()).collect()
    }

    /// Forgets a stack that is gone.
    pub fn forget(&self, stack: &StackName) {
        let mut memory = self.memory();
        memory.snapshots.remove(stack);
        memory.heard.remove(stack);
    }

    /// Every change of it is a single call, so a panic under the lock leaves it whole.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn mark(&self, stack: &StackName) -> Mark {
        let heard = self.heard.get(stack).copied().unwrap_or_default();
        Mark { all: self.all, heard, at: Instant::now() }
    }

    fn holds(&self, stack: &StackName, mark: Mark) -> bool {
        let now = self.mark(stack);
        (now.all, now.heard) == (mark.all, mark.heard) && now.at - mark.at < self.believed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Act = fn(&Snapshots, &StackName);

    fn query() -> Query {
        Query::owned_by(StackName::new("shop").unwrap())
    }

    fn listening() -> Snapshots {
        let snapshots = Snapshots::default();
        snapshots.listening(Duration::from_secs(60));
        snapshots
    }

    fn look(snapshots: &Snapshots) {
        let mark = snapshots.mark(&query().stack);
        snapshots.keep(query(), Observed::default(), mark);
    }

    #[tokio::test(start_paused = true)]
    async fn a_snapshot_holds_until_something_is_heard() {
        let shop = query().stack;
        let other = StackName::new("other").unwrap();
        let acts: [(&str, Act, bool); 5] = [
            (
                "another stack",
                |snapshots, _| snapshots.heard(&StackName::new("other").unwrap()),
                true,
            ),
            ("the stack", |snapshots, shop| snapshots.heard(shop), false),
            ("all", |snapshots, _| snapshots.heard_of_all(), false),
            ("deaf", |snapshots, _| snapshots.deaf(), false),
            ("forgotten", |snapshots, shop| snapshots.forget(shop), false),
        ];
        for (what, act, holds) in acts {
            let snapshots = listening();
            look(&snapshots);
            assert!(snapshots.known(&query()).is_some());
            assert!(snapshots.known(&Query::owned_by(other.clone())).is_none());
            act(&snapshots, &shop);
            assert_eq!(snapshots.known(&query()).is_some(), holds, "{what}");
        }
        let snapshots = listening();
        look(&snapshots);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(snapshots.known(&query()).is_none(), "a resync is a look");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_heard_during_a_look_makes_it_worthless() {
        let snapshots = listening();
        let mark = snapshots.mark(&query().stack);
        snapshots.heard(&query().stack);
        snapshots.keep(query(), Observed::default(), mark);
        assert!(snapshots.known(&query()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_believed_while_nobody_listens() {
        let snapshots = Snapshots::default();
        look(&snapshots);
        assert!(snapshots.known(&query()).is_none());
    }
}
