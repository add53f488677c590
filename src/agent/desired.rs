//! What all sources together ask for. Pure: it is told what each source holds, and answers what
//! each stack shall be.

use crate::model::{Revision, SourceName, Stack, StackName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The stacks that the sources hold.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    sources: BTreeMap<SourceName, Content>,
    /// Where each stack is in `sources`: the source, and the index there.
    items: BTreeMap<StackName, BTreeSet<(SourceName, usize)>>,
    /// The last definition of each stack that was fine, and the source that it came from.
    good: BTreeMap<StackName, (SourceName, Arc<Stack>)>,
    /// Stacks that left their source, but are kept, and why.
    held: BTreeMap<StackName, (SourceName, &'static str)>,
    /// Stacks that left their source and are to be taken away.
    gone: BTreeMap<StackName, SourceName>,
}

/// What one source holds at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    /// The commit.
    pub revision: Option<Revision>,
    /// Its stacks.
    pub stacks: Vec<Item>,
}

/// A stack in a source.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Its name; of a file in error the name that it had before, or its directory's.
    pub name: StackName,
    /// Its first file, relative to the checkout.
    pub file: String,
    /// The stack, or what is wrong with its files.
    pub stack: Result<Arc<Stack>, String>,
}

/// What shall become of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The source that asks for it.
    pub source: SourceName,
    /// At this commit.
    pub revision: Option<Revision>,
    /// What it asks for.
    pub want: Want,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Want {
    /// It shall run so.
    Run(Arc<Stack>),
    /// Its files are in error: it is kept as it was last asked for, if that is known, and else
    /// stays as it is.
    Invalid {
        /// What is wrong.
        problem: String,
        /// How it was last asked for.
        last_good: Option<Arc<Stack>>,
    },
    /// It left its source, but is kept for this reason.
    Held(&'static str),
    /// It shall be taken away; its volumes stay.
    Gone,
}

/// Why stacks are kept that no later commit takes away.
const TOO_MANY: &str = "more than half of the source's stacks were gone at once";

/// What a source's new content means for the stacks that it made on the engine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Prune {
    /// These are to be taken away; possibly none.
    Now(BTreeSet<StackName>),
    /// These have left the source, but are kept for this reason.
    Held(BTreeSet<StackName>, &'static str),
}

impl Desired {
    /// Takes in what `source` holds now. Returns the stacks concerned, before and after.
    pub(crate) fn set(&mut self, source: &SourceName, content: Content) -> BTreeSet<StackName> {
        let names = |content: &Content| -> Vec<StackName> {
            content.stacks.iter().map(|item| item.name.clone()).collect()
        };
        let mut concerned: BTreeSet<StackName> = names(&content).into_iter().collect();
        self.gone.retain(|name, _| !concerned.contains(name));
        self.held.retain(|name, _| !concerned.contains(name));
        self.good.retain(|name, (owner, _)| owner != source || concerned.contains(name));
        for item in &content.stacks {
            if let Ok(stack) = &item.stack {
                self.good.insert(item.name.clone(), (source.clone(), Arc::clone(stack)));
            }
        }
        if let Some(former) = self.sources.insert(source.clone(), content) {
            concerned.extend(names(&former));
        }
        self.note_items(source, &concerned);
        concerned
    }

    /// Notes anew where in `source` the stacks `concerned` are.
    fn note_items(&mut self, source: &SourceName, concerned: &BTreeSet<StackName>) {
        for name in concerned {
            let Some(items) = self.items.get_mut(name) else { continue };
            items.retain(|(other, _)| other != source);
            if items.is_empty() {
                self.items.remove(name);
            }
        }
        let stacks = self.sources.get(source).into_iter().flat_map(|content| &content.stacks);
        for (index, item) in stacks.enumerate() {
            self.items.entry(item.name.clone()).or_default().insert((source.clone(), index));
        }
    }

    /// Whether the content of `source` is known.
    pub(crate) fn knows(&self, source: &SourceName) -> bool {
        self.sources.contains_key(source)
    }

    /// The names of the stacks in `source`, by file.
    pub(crate) fn names_in(&self, source: &SourceName) -> BTreeMap<String, StackName> {
        let items = self.sources.get(source).into_iter().flat_map(|content| &content.stacks);
        items.map(|item| (item.file.clone(), item.name.clone())).collect()
    }

    /// Decides which of the stacks that `source` made on the engine have left it. A source that
    /// holds nothing, or something in error, takes nothing away: the name of a file in error is
    /// unknown. What was kept because too much left at once is kept until it is taken away by hand.
    pub(crate) fn prune(&mut self, source: &SourceName, on_engine: &BTreeSet<StackName>) -> Prune {
        self.held.retain(|name, (owner, why)| {
            owner != source || (on_engine.contains(name) && *why == TOO_MANY)
        });
        let pruned = self.pruned(source, on_engine);
        if let Prune::Held(left, why) = &pruned {
            let held = left.iter().map(|name| (name.clone(), (source.clone(), *why)));
            self.held.extend(held);
        }
        pruned
    }

    fn pruned(&self, source: &SourceName, on_engine: &BTreeSet<StackName>) -> Prune {
        let empty = Content::default();
        let content = self.sources.get(source).unwrap_or(&empty);
        let wanted: BTreeSet<&StackName> = self
            .sources
            .values()
            .flat_map(|content| &content.stacks)
            .map(|item| &item.name)
            .collect();
        let left: BTreeSet<StackName> =
            on_engine.iter().filter(|name| !wanted.contains(name)).cloned().collect();
        let left: BTreeSet<_> =
            left.into_iter().filter(|name| !self.held.contains_key(name)).collect();
        if left.is_empty() {
            Prune::Now(left)
        } else if content.stacks.is_empty() {
            Prune::Held(left, "the source holds no stack at all")
        } else if content.stacks.iter().any(|item| item.stack.is_err()) {
            Prune::Held(left, "a stack of the source is in error")
        } else if left.len() * 2 > on_engine.len() {
            Prune::Held(left, TOO_MANY)
        } else {
            Prune::Now(left)
        }
    }

    /// The stacks that left `source`, but are kept.
    pub(crate) fn held(&self, source: &SourceName) -> BTreeSet<StackName> {
        let of_source = self.held.iter().filter(|(_, (owner, _))| owner == source);
        of_source.map(|(name, _)| name.clone()).collect()
    }

    /// Notes that a stack is to be taken away.
    pub(crate) fn take_away(&mut self, name: StackName, source: SourceName) {
        self.gone.insert(name, source);
    }

    /// Notes that a stack is gone for good.
    pub(crate) fn forget(&mut self, name: &StackName) {
        self.gone.remove(name);
    }

    /// What shall become of `name`; `None` if nobody asks for anything.
    pub(crate) fn wish(&self, name: &StackName) -> Option<Wish> {
        let items = self.items.get(name).into_iter().flatten().filter_map(|(source, index)| {
            let content = self.sources.get(source)?;
            Some((source, content, content.stacks.get(*index)?))
        });
        // The name of a file in error may be a guess, so a stack that is fine comes before it.
        let mut all: Vec<_> = items.collect();
        all.sort_by_key(|(_, _, item)| item.stack.is_err());
        let Some((source, content, item)) = all.first().copied() else {
            if let Some((source, why)) = self.held.get(name) {
                let want = Want::Held(why);
                return Some(Wish { source: source.clone(), revision: None, want });
            }
            let source = self.gone.get(name)?.clone();
            return Some(Wish { source, revision: None, want: Want::Gone });
        };
        let other = all.get(1).filter(|(_, _, other)| other.stack.is_ok());
        let want = match (other, &item.stack) {
            (Some((other_source, _, other)), _) => Want::Invalid {
                problem: format!(
                    "two stacks are named {name}: {source}:{} and {other_source}:{}; give one of them another `name`",
                    item.file, other.file
                ),
                last_good: None,
            },
            (None, Ok(stack)) => Want::Run(Arc::clone(stack)),
            (None, Err(problem)) => {
                let known = self.good.get(name).filter(|(owner, _)| owner == source);
                let last_good = known.map(|(_, stack)| Arc::clone(stack));
                Want::Invalid { problem: problem.clone(), last_good }
            }
        };
        Some(Wish { source: source.clone(), revision: content.revision.clone(), want })
    }

    /// Whether all stacks of which something is asked are among `names`.
    pub(crate) fn are_all_in(&self, names: &BTreeSet<StackName>) -> bool {
        let left = self.gone.keys().chain(self.held.keys());
        self.items.keys().chain(left).all(|name| names.contains(name))
    }

    /// All stacks of which something is asked.
    pub(crate) fn names(&self) -> BTreeSet<StackName> {
        let held = self.sources.values().flat_map(|content| &content.stacks);
        let left = self.gone.keys().chain(self.held.keys());
        held.map(|item| item.name.clone()).chain(left.cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> StackName {
        StackName::new(text).unwrap()
    }

    fn source(text: &str) -> SourceName {
        SourceName::new(text).unwrap()
    }

    fn names(texts: &[&str]) -> BTreeSet<StackName> {
        texts.iter().map(|text| name(text)).collect()
    }

    fn item(text: &str, ok: bool) -> Item {
        let stack = Stack {
            name: name(text),
            working_dir: String::new(),
            config_files: Vec::new(),
            services: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            policy: crate::model::Policy::default(),
            places: crate::model::Places::default(),
        };
        let stack = if ok { Ok(Arc::new(stack)) } else { Err("broken".to_owned()) };
        Item { name: name(text), file: format!("{text}/compose.yaml"), stack }
    }

    fn holding(items: Vec<Item>) -> Desired {
        let mut desired = Desired::default();
        desired.set(&source("infra"), Content { revision: None, stacks: items });
        desired
    }

    #[test]
    fn two_stacks_of_one_name_are_both_refused_and_both_named() {
        let mut desired = holding(vec![item("web", true)]);
        desired.set(&source("other"), Content { revision: None, stacks: vec![item("web", true)] });
        let wish = desired.wish(&name("web")).unwrap();
        let Want::Invalid { problem: message, last_good: None } = wish.want else {
            panic!("not refused");
        };
        assert!(message.contains("infra:web/compose.yaml"), "{message}");
        assert!(message.contains("other:web/compose.yaml"), "{message}");
    }

    #[test]
    fn a_stack_whose_file_breaks_is_kept_as_it_was() {
        let mut desired = holding(vec![item("a", true), item("b", false)]);
        let broken = || Content { revision: None, stacks: vec![item("a", false)] };
        desired.set(&source("infra"), broken());
        desired.set(&source("infra"), broken());
        let known = |desired: &Desired, text| match desired.wish(&name(text)).unwrap().want {
            Want::Invalid { last_good, .. } => last_good.is_some(),
            Want::Run(_) | Want::Held(_) | Want::Gone => panic!("it is in error"),
        };
        assert!(known(&desired, "a"));
        desired.set(&source("infra"), Content::default());
        let both = vec![item("a", false), item("b", false)];
        desired.set(&source("infra"), Content { revision: None, stacks: both });
        assert!(!known(&desired, "a"), "it had left the source");
        assert!(!known(&desired, "b"), "it was never fine");
    }

    #[test]
    fn a_stack_that_left_its_source_is_pruned() {
        let mut desired = holding(vec![item("a", true), item("b", true)]);
        let pruned = desired.prune(&source("infra"), &names(&["a", "b", "c"]));
        assert_eq!(pruned, Prune::Now(names(&["c"])));
    }

    #[test]
    fn nothing_is_pruned_by_a_source_that_is_empty_broken_or_lost_most() {
        let held = |mut desired: Desired, on_engine: &[&str]| {
            matches!(desired.prune(&source("infra"), &names(on_engine)), Prune::Held(..))
        };
        assert!(held(holding(vec![]), &["a"]));
        assert!(held(holding(vec![item("a", false)]), &["a", "b", "c"]));
        assert!(held(holding(vec![item("a", true)]), &["a", "b", "c"]));
    }

    #[test]
    fn what_was_kept_is_known_and_kept_until_it_is_taken_away_by_hand() {
        let mut desired = holding(vec![item("new", true)]);
        let infra = source("infra");
        assert!(matches!(desired.prune(&infra, &names(&["old"])), Prune::Held(..)));
        assert!(matches!(desired.wish(&name("old")).unwrap().want, Want::Held(_)));
        assert!(desired.names().contains(&name("old")));
        let again = desired.prune(&infra, &names(&["new", "old", "third"]));
        assert_eq!(again, Prune::Now(names(&["third"])));
        assert_eq!(desired.prune(&infra, &names(&["new"])), Prune::Now(names(&[])));
        assert!(desired.wish(&name("old")).is_none());
    }

    #[test]
    fn what_was_kept_for_an_error_is_judged_again_without_it() {
        let mut desired = holding(vec![item("a", true), item("b", false)]);
        let all = names(&["a", "b", "c"]);
        assert!(matches!(desired.prune(&source("infra"), &all), Prune::Held(..)));
        let both = vec![item("a", true), item("b", true)];
        desired.set(&source("infra"), Content { revision: None, stacks: both });
        assert_eq!(desired.prune(&source("infra"), &all), Prune::Now(names(&["c"])));
    }

    #[test]
    fn a_stack_that_comes_back_is_no_longer_to_be_taken_away() {
        let mut desired = holding(vec![item("a", true)]);
        desired.take_away(name("b"), source("infra"));
        assert!(matches!(desired.wish(&name("b")).unwrap().want, Want::Gone));
        let both = Content { revision: None, stacks: vec![item("a", true), item("b", true)] };
        desired.set(&source("infra"), both);
        assert!(matches!(desired.wish(&name("b")).unwrap().want, Want::Run(_)));
    }
}
