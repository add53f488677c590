//! Orders by hand: each changes the stack's record and wakes it. What follows the next pass decides. Who
//! was answered is obeyed also after a crash.

use super::desired::{Want, Wish};
use super::turn::definition;
use super::{World, jobs, keeping};
use crate::engine::{Discreet, Secrets};
use crate::model::{ContentDigest, StackName};
use crate::pass::preview_in;
use crate::plan::{Aim, Circumstances};
use crate::rollout;
use crate::status::{
    Caller, Done, GivenOrder, Order, Preview, Refusal, RollbackTo, Suspension, near_misses,
};
use crate::store::{Good, Mishap, Wanted};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

impl World {
    /// Carries an order out, as far as that is done at once, and has it on the disk before it answers.
    pub(super) async fn obey(
        self: &Arc<Self>,
        name: &StackName,
        order: &Order,
        by: &Caller,
    ) -> Result<Done, Refusal> {
        let also = match order {
            Order::Rollback(to) => self.other_digests(name, to).await?,
            Order::Retry | Order::Pause | Order::Suspend(_) | Order::Resume | Order::Sync => {
                BTreeSet::new()
            }
        };
        let done = self.begin_to_obey(name, order, by, also)?;
        let did = match keeping::write_now(self).await {
            None | Some(Mishap::Damaged { .. }) => done.did,
            Some(mishap) => format!("{}, but only until a restart: {mishap}", done.did),
        };
        if matches!(order, Order::Suspend(_)) {
            self.keep_files(name).await;
        }
        Ok(Done { did, ..done })
    }

    fn begin_to_obey(
        &self,
        name: &StackName,
        order: &Order,
        by: &Caller,
        also: BTreeSet<ContentDigest>,
    ) -> Result<Done, Refusal> {
        let wish = self.known(name)?;
        let did = match order {
            Order::Rollback(to) => self.rollback(name, &wish, to, also)?,
            Order::Retry => self.retry(name, &wish),
            Order::Pause => self.pause(name),
            Order::Suspend(suspension) => self.suspend(name, suspension, by),
            Order::Resume => self.resume(name),
            Order::Sync => self.sync(name, &wish),
        };
        let is_suspended = self.inventory.stack(name).suspended.is_some();
        let did = match order {
            Order::Rollback(_) | Order::Retry | Order::Pause | Order::Sync if is_suspended => {
                format!("{did}; it is suspended, so this takes effect with `bowline resume {name}`")
            }
            _ => did,
        };
        let word = order.word();
        tracing::warn!(stack = %name, order = word, by = %by, "{word} by hand, by {by}: {did}");
        // A pass that begins from here on has seen all of it.
        let at = Timestamp::now();
        self.inventory.update(name, |record| record.note_order(given(order, by, at, &did)));
        self.unsaved.notify_one();
        self.show_remembered(name, None);
        // What failed before says nothing about this.
        self.queue.forget(name);
        self.queue.add(name.clone());
        let goes_back = self.inventory.stack(name).held_back.is_some();
        Ok(Done { stack: name.clone(), at, did, goes_back })
    }

    /// What going back would change.
    pub(super) async fn preview_rollback(
        &self,
        name: &StackName,
        to: &RollbackTo,
    ) -> Result<Preview, Refusal> {
        let wish = self.known(name)?;
        let also = self.other_digests(name, to).await?;
        let wanted = Wanted { also, ..self.wanted(name, &wish)? };
        let record = self.inventory.stack(name);
        let good = record.way_back(&wanted, to.to.as_ref());
        let good = good.map_err(|error| Refusal::Impossible(format!("{name}: {error}")))?;
        let stack = self.former(name, &wish.source, good).await.map_err(|problem| {
            Refusal::Failed(format!("{name}: cannot read {}: {problem}", named(good)))
        })?;
        let (stack, _) = self.with_adoption(name, &stack, &wish.source);
        let around = Circumstances {
            source: Some(wish.source.clone()),
            aim: Aim::Rollback,
            pinned: good.images.clone(),
            monitor: self.config().monitor,
            completed: jobs::all(&stack, |_| true),
            ..Circumstances::default()
        };
        let engine = Discreet::over(&self.engine, &Secrets::of(&stack));
        let plan = preview_in(&around, &*engine, &stack)
            .await
            .map_err(|error| Refusal::Failed(error.to_string()))?;
        Ok(Preview::of(&plan, rollout::waves(&plan), good.revision.clone()))
    }

    /// The digests by which another version of Bowline knew what is wanted: that is no way back. The commits
    /// on it are read.
    async fn other_digests(
        &self,
        name: &StackName,
        to: &RollbackTo,
    ) -> Result<BTreeSet<ContentDigest>, Refusal> {
        let wish = self.known(name)?;
        let (mut wanted, record) = (self.wanted(name, &wish)?, self.inventory.stack(name));
        // Each that is found is not on the way any more.
        while let Ok(good) = record.way_back(&wanted, to.to.as_ref()) {
            let stack = self.former(name, &wish.source, good).await;
            if !stack.is_ok_and(|it| definition(&it, &self.digest_key) == wanted.definition) {
                break;
            }
            wanted.also.insert(good.definition.clone());
        }
        Ok(wanted.also)
    }

    fn rollback(
        &self,
        name: &StackName,
        wish: &Wish,
        to: &RollbackTo,
        also: BTreeSet<ContentDigest>,
    ) -> Result<String, Refusal> {
        let wanted = Wanted { also, ..self.wanted(name, wish)? };
        let mut outcome = None;
        self.inventory.update(name, |record| {
            outcome = Some(record.go_back(&wanted, to.to.as_ref(), Timestamp::now()));
        });
        let instead = outcome.expect("the record is changed at once");
        let instead = instead.map_err(|error| Refusal::Impossible(format!("{name}: {error}")))?;
        // What leads elsewhere is not waited for.
        if let Some(under_way) = self.memory().under_way.get(name) {
            under_way.stop.cancel();
        }
        self.views.metrics.rolled_back_by_hand(name);
        let from = wanted.revision.as_ref().map_or("what git asks for", |it| it.short());
        let next = self.comes_with_its_window(name, wish);
        let next = next.map(|next| format!("; {next}")).unwrap_or_default();
        Ok(format!("going back to {}; {from} is held back{next}", named(&instead)))
    }

    fn retry(&self, name: &StackName, wish: &Wish) -> String {
        let mut released = None;
        self.inventory.update(name, |record| released = record.release());
        if self.begin_by_hand(name, wish) {
            let begins = "what git asks for waits for its window no longer";
            let more = released.map(|released| format!(", and {released}")).unwrap_or_default();
            released = Some(format!("{begins}{more}"));
        }
        let mut memory = self.memory();
        memory.stuck.remove(name);
        memory.crashes.forget(name);
        // A job of a definition that is tried again has done its part already.
        if released.is_none() {
            self.jobs.forget(name);
        }
        released.map_or_else(
            || "nothing is held back; trying again".to_owned(),
            |released| format!("{released}; trying again"),
        )
    }

    fn pause(&self, name: &StackName) -> String {
        self.inventory.update(name, |record| record.pause(Timestamp::now()));
        if let Some(under_way) = self.memory().under_way.get(name) {
            under_way.brake.cancel();
        }
        "paused; no further container is exchanged".to_owned()
    }

    fn resume(&self, name: &StackName) -> String {
        let mut ended = None;
        self.inventory.update(name, |record| ended = record.resume());
        ended.map_or_else(
            || "it is neither paused nor suspended; looking again".to_owned(),
            |ended| format!("{ended}; going on"),
        )
    }

    fn sync(&self, name: &StackName, wish: &Wish) -> String {
        self.renew(name);
        if !self.fetch_soon(&wish.source) {
            return "looking again".to_owned();
        }
        format!("fetching {} and looking again", wish.source)
    }

    pub(super) fn known(&self, name: &StackName) -> Result<Wish, Refusal> {
        let desired = self.desired();
        desired.wish(name).ok_or_else(|| {
            let names: Vec<_> = desired.names().iter().map(ToString::to_string).collect();
            let near = near_misses(name.as_str(), names.iter().map(String::as_str));
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Refusal::Unknown(format!("there is no stack {name}{near}; known are: {known}"))
        })
    }

    /// What git asks for now, or did when a window was open.
    fn wanted(&self, name: &StackName, wish: &Wish) -> Result<Wanted, Refusal> {
        let stack = match &wish.want {
            Want::Run(stack) | Want::Invalid { last_good: Some(stack), .. } => stack,
            Want::Invalid { last_good: None, .. } => {
                return Err(Refusal::Impossible(format!(
                    "{name}: its files are in error, so it is not known what to go back from; mend them in git"
                )));
            }
            Want::Held(_) | Want::Gone(_) => {
                return Err(Refusal::Impossible(format!(
                    "{name}: it left its source; `bowline prune` tells what becomes of it"
                )));
            }
        };
        let (definition, revision) = self.counts(name, wish, stack);
        Ok(Wanted { revision, definition, also: BTreeSet::new() })
    }
}

/// An order as the history tells it.
fn given(order: &Order, by: &Caller, at: Timestamp, did: &str) -> GivenOrder {
    let did = match order {
        Order::Suspend(Suspension { reason: Some(reason) }) => {
            format!("{did} ({})", String::from(reason.clone()))
        }
        _ => did.to_owned(),
    };
    GivenOrder { order: order.word().to_owned(), by: by.to_string(), at, did }
}

fn named(good: &Good) -> &str {
    good.revision.as_ref().map_or("the former definition", |revision| revision.short())
}
