//! Whatever happens to a source, in whatever order.

use super::*;
use proptest::prelude::*;

/// Something that happens to a source of up to five stacks, each of which may be there as it is,
/// in error, under another name, or not at all.
#[derive(Debug, Clone)]
enum Step {
    /// What is gone by `moves` is gone since the configuration names another place.
    Commit {
        stays: [Stay; 5],
        partly: bool,
        moves: bool,
    },
    Restart,
    RemovalsEnd,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stay {
    There,
    Broken,
    Renamed,
    Gone,
}

fn step() -> impl Strategy<Value = Step> {
    let stay = prop_oneof![
        5 => Just(Stay::There),
        1 => Just(Stay::Broken),
        1 => Just(Stay::Renamed),
        3 => Just(Stay::Gone),
    ];
    let commit = |stays: BoxedStrategy<[Stay; 5]>| {
        let all = (stays, prop::bool::weighted(0.1), prop::bool::weighted(0.1));
        all.prop_map(|(stays, partly, moves)| Step::Commit { stays, partly, moves })
    };
    let only = |stay| Just([stay; 5]).boxed();
    prop_oneof![
        4 => commit(prop::array::uniform5(stay).boxed()),
        1 => commit(only(Stay::Gone)),
        1 => commit(only(Stay::There)),
        1 => Just(Step::Restart),
        2 => Just(Step::RemovalsEnd),
    ]
}

/// What the guards promise, told by the history and not by what the code keeps of it.
#[derive(Default)]
struct Promise {
    engine: BTreeSet<String>,
    /// The step at which each stack came, of those that are there.
    came: BTreeMap<String, usize>,
    /// The step at which each stack was first missing.
    missing: BTreeMap<String, usize>,
    /// How often the source had moved when each stack was there last.
    seen: BTreeMap<String, usize>,
    moves: usize,
    /// Never to be removed unless they come back.
    kept: BTreeSet<String>,
    /// May go.
    doomed: BTreeSet<String>,
}

impl Promise {
    fn commit(&mut self, now: usize, items: &[Item], partly: bool) {
        let there: BTreeSet<String> = items.iter().map(|item| item.name.to_string()).collect();
        self.came.retain(|name, _| there.contains(name));
        for name in &there {
            self.came.entry(name.clone()).or_insert(now);
            self.seen.insert(name.clone(), self.moves);
            self.missing.remove(name);
            self.kept.remove(name);
            self.doomed.remove(name);
        }
        let base: BTreeSet<String> = self
            .engine
            .iter()
            .filter(|name| !self.kept.contains(*name) && !self.doomed.contains(*name))
            .cloned()
            .collect();
        let lost: BTreeSet<String> = base.difference(&there).cloned().collect();
        for name in &lost {
            self.missing.entry(name.clone()).or_insert(now);
        }
        let unsure = partly || items.iter().any(|item| item.stack.is_err());
        let first = lost.iter().map(|name| self.missing[name]).min().unwrap_or(now);
        // One that was in error before was a stack of the source all the same.
        let stays = |name: &String| self.came[name] < first && !self.kept.contains(name);
        let runs = |item: &&Item| item.stack.is_ok() || base.contains(item.name.as_str());
        let running = items.iter().filter(runs).map(|item| item.name.to_string());
        let stayed = running.filter(stays).count();
        let too_many = lost.len() > stayed;
        for name in lost {
            let twin = self.came.get(&twin(&name));
            let renamed = twin.is_some_and(|came| *came >= self.missing[&name]);
            if items.is_empty() {
                self.kept.insert(name);
            } else if unsure {
            } else if too_many || renamed || self.seen[&name] != self.moves {
                self.kept.insert(name);
            } else {
                self.doomed.insert(name);
            }
        }
        let fine = items.iter().filter(|item| item.stack.is_ok());
        self.engine.extend(fine.map(|item| item.name.to_string()));
    }
}

/// The other name of a stack.
fn twin(name: &str) -> String {
    match name.strip_suffix("-new") {
        Some(name) => name.to_owned(),
        None => format!("{name}-new"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_of_a_source_removes_what_a_guard_keeps(steps in prop::collection::vec(step(), 1..14)) {
        let infra = source("infra");
        let mut desired = Desired::default();
        let mut promise = Promise::default();
        let mut last = Content::default();
        for (now, step) in (0..).zip(steps) {
            match step {
                Step::Commit { stays, partly, moves } => {
                    promise.moves += usize::from(moves);
                    let item = |(number, stay): (usize, &Stay)| {
                        let old = format!("s{number}");
                        match stay {
                            Stay::There => Some(running(&old, &old)),
                            Stay::Broken => Some(broken(&old)),
                            Stay::Renamed => Some(running(&twin(&old), &old)),
                            Stay::Gone => None,
                        }
                    };
                    let stacks: Vec<Item> = stays.iter().enumerate().filter_map(item).collect();
                    promise.commit(now, &stacks, partly);
                    last = Content { partly, ..content(stacks) };
                }
                Step::Restart => desired = restarted(&desired),
                Step::RemovalsEnd => {
                    for text in std::mem::take(&mut promise.doomed) {
                        desired.forget(&name(&text));
                        promise.engine.remove(&text);
                        promise.missing.remove(&text);
                    }
                    continue;
                }
            }
            let second = at(i64::try_from(now).unwrap());
            let place = promise.moves.to_string();
            desired.set(&infra, last.clone(), second);
            desired.fetched(&infra, &place);
            let texts: Vec<&str> = promise.engine.iter().map(String::as_str).collect();
            let of = |text: &&str| {
                (name(text), alike::outline(&stack(text, text.trim_end_matches("-new"))))
            };
            let outlines = texts.iter().map(of).collect();
            desired.judge((&infra, &place), &names(&texts), &outlines, &BTreeSet::new(), second);
            let gone = |text: &&str| {
                matches!(desired.wish(&name(text)).map(|wish| wish.want), Some(Want::Gone(_)))
            };
            let gone: BTreeSet<String> = texts.into_iter().filter(gone).map(str::to_owned).collect();
            prop_assert!(gone.is_subset(&promise.doomed), "step {now}: {gone:?}, kept {:?}", promise.kept);
            // What was begun is not gone on with by a new process while the source is in doubt.
            let sound = !last.partly && last.stacks.iter().all(|item| item.stack.is_ok());
            if sound && !last.stacks.is_empty() {
                prop_assert_eq!(&gone, &promise.doomed, "step {}", now);
            }
        }
    }
}
