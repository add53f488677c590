//! What becomes of stacks as sources change.

mod histories;
mod order;

use super::departures::{Judgement, Memo};
use super::*;
use crate::model::{ContainerSpec, ImageRef, PullPolicy, Service};
use crate::status::HoldReason;
use crate::store::StackRecord;

fn name(text: &str) -> StackName {
    StackName::new(text).unwrap()
}

fn source(text: &str) -> SourceName {
    SourceName::new(text).unwrap()
}

fn names(texts: &[&str]) -> BTreeSet<StackName> {
    texts.iter().map(|text| name(text)).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A stack of one service, whose image is called `image`.
fn stack(text: &str, image: &str) -> Stack {
    let service = Service {
        container: Box::new(ContainerSpec::new(ImageRef::new(image).unwrap())),
        container_name: None,
        replicas: 1,
        depends_on: BTreeMap::new(),
        pull_policy: PullPolicy::Missing,
        one_shot: false,
        on_content_change: crate::model::OnContentChange::Replace,
        rolling: crate::model::Rolling::default(),
        hooks: crate::model::Hooks::default(),
        drain: None,
    };
    Stack {
        name: name(text),
        working_dir: String::new(),
        config_files: Vec::new(),
        services: [(ServiceName::new("app").unwrap(), service)].into(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        policy: crate::model::Policy::default(),
        windows: crate::model::Windows::default(),
        places: crate::model::Places::default(),
        hidden: crate::model::Hidden::default(),
    }
}

fn running(text: &str, image: &str) -> Item {
    let stack = Ok(Arc::new(stack(text, image)));
    Item { name: name(text), file: format!("{text}/compose.yaml"), stack }
}

/// A stack with an image of its own.
fn fine(text: &str) -> Item {
    running(text, text)
}

fn broken(text: &str) -> Item {
    Item { stack: Err("broken".to_owned()), ..fine(text) }
}

/// Where the source is sought.
const HERE: &str = "/srv/infra.git, HEAD, /";

fn content(stacks: Vec<Item>) -> Content {
    Content { stacks, ..Content::default() }
}

fn holding(items: Vec<Item>) -> Desired {
    let mut desired = Desired::default();
    desired.set(&source("infra"), content(items), at(0));
    desired.fetched(&source("infra"), HERE);
    desired
}

#[test]
fn what_a_changed_source_holds_is_not_known_before_it_is_fetched() {
    let (mut desired, infra) = (holding(vec![fine("a")]), source("infra"));
    assert!(desired.knows_as_configured(&infra));
    desired.must_fetch([&infra]);
    // What an earlier fetch brought is none of it.
    desired.set(&infra, content(vec![fine("a")]), at(1));
    assert_eq!((desired.knows(&infra), desired.knows_as_configured(&infra)), (true, false));
    assert_eq!((desired.fetched(&infra, HERE), desired.fetched(&infra, HERE)), (true, false));
    assert!(desired.knows_as_configured(&infra));
}

/// Judges with stacks on the engine that have images of their own names.
fn judge(desired: &mut Desired, on_engine: &[&str], second: i64) -> Judgement {
    judge_allowing(desired, on_engine, &[], second)
}

fn judge_allowing(
    desired: &mut Desired,
    on_engine: &[&str],
    allowed: &[&str],
    second: i64,
) -> Judgement {
    judge_at(desired, HERE, (on_engine, allowed), second)
}

fn judge_at(
    desired: &mut Desired,
    place: &str,
    (on_engine, allowed): (&[&str], &[&str]),
    second: i64,
) -> Judgement {
    let outlines = on_engine.iter().map(|text| (name(text), alike::outline(&stack(text, text))));
    desired.judge(
        (&source("infra"), place),
        &names(on_engine),
        &outlines.collect(),
        &names(allowed),
        at(second),
    )
}

fn removes(desired: &mut Desired, on_engine: &[&str]) -> BTreeSet<StackName> {
    judge(desired, on_engine, 1).removed
}

fn reason(desired: &Desired, text: &str) -> Option<HoldReason> {
    match desired.wish(&name(text))?.want {
        Want::Held(hold) => Some(hold.reason),
        Want::Run(_) | Want::Invalid { .. } | Want::Gone(_) => None,
    }
}

/// The desired state in another process that has only what was remembered.
fn restarted(desired: &Desired) -> Desired {
    let records = desired.memos().into_iter().map(|(name, memo)| {
        let (origin, held, removal) = (memo.origin, memo.held, memo.removal);
        let record = StackRecord { origin, held, removal, ..StackRecord::default() };
        let text = serde_json::to_string(&record).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    });
    Desired::remembering(&records.collect(), &[source("infra")].into())
}

#[test]
fn two_stacks_of_one_name_are_both_refused_and_both_named() {
    let mut desired = holding(vec![fine("web")]);
    desired.set(&source("other"), content(vec![fine("web")]), at(1));
    let wish = desired.wish(&name("web")).unwrap();
    let Want::Invalid { problem: message, last_good: None } = wish.want else {
        panic!("not refused");
    };
    assert!(message.contains("infra:web/compose.yaml"), "{message}");
    assert!(message.contains("other:web/compose.yaml"), "{message}");
}

#[test]
fn a_stack_whose_file_breaks_is_kept_as_it_was() {
    let mut desired = holding(vec![fine("a"), broken("b")]);
    desired.set(&source("infra"), content(vec![broken("a")]), at(1));
    desired.set(&source("infra"), content(vec![broken("a")]), at(2));
    let known = |desired: &Desired, text| match desired.wish(&name(text)).unwrap().want {
        Want::Invalid { last_good, .. } => last_good.is_some(),
        Want::Run(_) | Want::Held(_) | Want::Gone(_) => panic!("it is in error"),
    };
    assert!(known(&desired, "a"));
    desired.set(&source("infra"), Content::default(), at(3));
    desired.set(&source("infra"), content(vec![broken("a"), broken("b")]), at(4));
    assert!(!known(&desired, "a"), "it had left the source");
    assert!(!known(&desired, "b"), "it was never fine");
}

#[test]
fn a_stack_that_left_its_source_is_removed() {
    let mut desired = holding(vec![fine("a"), fine("b")]);
    assert_eq!(removes(&mut desired, &["a", "b", "c"]), names(&["c"]));
    assert!(matches!(desired.wish(&name("c")).unwrap().want, Want::Gone(_)));
    assert_eq!(removes(&mut desired, &["a", "b", "c"]), names(&[]), "it was told already");
}

#[test]
fn every_guard_holds_and_says_why() {
    let partly = Content { partly: true, ..content(vec![fine("a"), fine("b")]) };
    let renamed = content(vec![fine("a"), fine("b"), running("new", "c:2")]);
    for (content, expected) in [
        (content(vec![]), HoldReason::Empty),
        (content(vec![fine("a"), broken("b")]), HoldReason::InError),
        (partly, HoldReason::Unreadable),
        (content(vec![fine("a")]), HoldReason::TooMany),
        (renamed, HoldReason::Renamed { to: name("new") }),
    ] {
        let mut desired = holding(vec![fine("a"), fine("b"), fine("c")]);
        desired.set(&source("infra"), content, at(5));
        let judgement = judge(&mut desired, &["a", "b", "c"], 6);
        assert_eq!(judgement.removed, names(&[]), "{expected:?}");
        assert_eq!(judgement.held[&name("c")], expected);
        assert_eq!(reason(&desired, "c"), Some(expected));
        let again = judge(&mut desired, &["a", "b", "c"], 7);
        assert_eq!(again, Judgement::default(), "it is told once");
    }
}

#[test]
fn a_stack_that_was_there_before_is_no_heir() {
    let mut desired = holding(vec![fine("a"), fine("c"), running("twin", "c")]);
    desired.set(&source("infra"), content(vec![fine("a"), running("twin", "c")]), at(1));
    assert_eq!(removes(&mut desired, &["a", "c", "twin"]), names(&["c"]));
}

#[test]
fn a_renaming_while_the_agent_was_away_is_seen_also_without_the_inventory() {
    let before = holding(vec![fine("a"), fine("b"), fine("c")]);
    for mut desired in [restarted(&before), Desired::default()] {
        let items = vec![fine("a"), fine("b"), running("new", "c")];
        desired.set(&source("infra"), content(items), at(9));
        judge(&mut desired, &["a", "b", "c"], 9);
        assert_eq!(reason(&desired, "c"), Some(HoldReason::Renamed { to: name("new") }));
    }
}

#[test]
fn what_is_held_stays_so_over_commits_and_restarts_until_it_is_confirmed() {
    let mut desired = holding(vec![fine("new")]);
    judge(&mut desired, &["old"], 1);
    let mut desired = restarted(&desired);
    assert_eq!(reason(&desired, "old"), Some(HoldReason::TooMany));
    assert!(desired.names().contains(&name("old")));
    desired.set(&source("infra"), content(vec![fine("new"), fine("more")]), at(2));
    assert_eq!(removes(&mut desired, &["new", "more", "old", "third"]), names(&["third"]));
    let confirmed = desired.confirm(&[], &BTreeSet::new(), at(3));
    assert_eq!(confirmed.refused, [""; 0]);
    assert!(confirmed.removing.contains(&name("old")));
    assert!(matches!(desired.wish(&name("old")).unwrap().want, Want::Gone(_)));
    desired.forget(&name("old"));
    assert!(desired.wish(&name("old")).is_none());
}

#[test]
fn what_is_held_and_was_removed_by_hand_is_forgotten() {
    let mut desired = holding(vec![fine("new")]);
    judge(&mut desired, &["old"], 1);
    let judgement = judge(&mut desired, &["new"], 2);
    assert_eq!(judgement.freed, names(&["old"]));
    assert!(desired.wish(&name("old")).is_none());
}

#[test]
fn what_was_kept_for_an_error_is_judged_again_without_it() {
    let mut desired = holding(vec![fine("a"), broken("b")]);
    judge(&mut desired, &["a", "b", "c"], 1);
    assert_eq!(reason(&desired, "c"), Some(HoldReason::InError));
    let all = desired.confirm(&[], &BTreeSet::new(), at(2));
    assert_eq!(all.removing, []);
    assert!(all.refused[0].contains("name it to have it removed all the same"), "{all:?}");
    desired.set(&source("infra"), content(vec![fine("a"), fine("b")]), at(3));
    let judgement = judge(&mut desired, &["a", "b", "c"], 3);
    assert_eq!((judgement.removed, judgement.freed), (names(&["c"]), names(&["c"])));
}

#[test]
fn what_is_gone_where_a_source_is_sought_now_is_kept_and_later_commits_count_again() {
    let before = || holding(vec![fine("a"), fine("b"), fine("c")]);
    for mut desired in [before(), restarted(&before())] {
        let there = "/srv/infra.git, HEAD, /hosts";
        let judge = |desired: &mut Desired, second| {
            judge_at(desired, there, (&["a", "b", "c"], &[]), second)
        };
        // While the new place cannot be reached, what was fetched from the former one counts.
        desired.set(&source("infra"), content(vec![fine("a"), fine("b"), fine("c")]), at(1));
        desired.set(&source("infra"), content(vec![fine("a"), fine("b")]), at(2));
        desired.fetched(&source("infra"), there);
        let judgement = judge(&mut desired, 2);
        assert_eq!(judgement.held, BTreeMap::from([(name("c"), HoldReason::Reconfigured)]));
        assert_eq!(judgement.removed, names(&[]));
        desired.set(&source("infra"), content(vec![fine("a")]), at(3));
        let mut desired = restarted(&desired);
        desired.set(&source("infra"), content(vec![fine("a")]), at(4));
        let judgement = judge(&mut desired, 4);
        assert_eq!(judgement.removed, names(&["b"]));
        assert_eq!(desired.confirm(&[], &names(&[]), at(5)).removing, [name("c"), name("b")]);
    }
}

#[test]
fn what_is_gone_and_of_which_an_earlier_bowline_noted_no_place_is_kept() {
    let mut before = Desired::default();
    before.set(&source("infra"), content(vec![fine("a"), fine("b"), fine("c")]), at(0));
    let mut desired = restarted(&before);
    desired.set(&source("infra"), content(vec![fine("a"), fine("b")]), at(1));
    desired.fetched(&source("infra"), HERE);
    judge(&mut desired, &["a", "b", "c"], 1);
    assert_eq!(reason(&desired, "c"), Some(HoldReason::Reconfigured));
    desired.set(&source("infra"), content(vec![fine("a")]), at(2));
    assert_eq!(judge(&mut desired, &["a", "b", "c"], 2).removed, names(&["b"]));
}

#[test]
fn a_stack_that_is_suspended_is_not_removed_before_it_is_resumed() {
    for asked in [vec![], vec![name("c")]] {
        let mut desired = holding(vec![broken("a")]);
        judge(&mut desired, &["c"], 1);
        let confirmed = desired.confirm(&asked, &names(&["c"]), at(2));
        assert_eq!(confirmed.removing, []);
        assert!(confirmed.refused[0].starts_with("c is suspended"), "{confirmed:?}");
    }
}

#[test]
fn a_stack_that_is_named_is_removed_whatever_held_it_and_one_that_is_not_held_is_refused() {
    let mut desired = holding(vec![broken("a")]);
    judge(&mut desired, &["c"], 1);
    let confirmed = desired.confirm(&[name("c"), name("a"), name("x")], &BTreeSet::new(), at(2));
    assert_eq!(confirmed.removing, [name("c")]);
    assert_eq!(confirmed.refused.len(), 2);
    assert!(confirmed.refused[0].starts_with("a is not held"), "{confirmed:?}");
}

#[test]
fn the_configuration_confirms_what_surely_left() {
    let all = ["a", "b", "c"];
    let mut desired = holding(vec![fine("a")]);
    let judgement = judge_allowing(&mut desired, &all, &["b"], 1);
    assert_eq!((judgement.removed, judgement.held.len()), (names(&["b"]), 1));
    let judgement = judge_allowing(&mut desired, &all, &["c"], 2);
    assert_eq!(judgement.removed, names(&["c"]), "it was held before");
    let mut desired = holding(vec![fine("a"), broken("b")]);
    let judgement = judge_allowing(&mut desired, &all, &["c"], 1);
    assert_eq!(judgement.removed, names(&[]), "it may be the one in error");
}

#[test]
fn a_stack_that_comes_back_is_no_longer_to_be_taken_away() {
    let mut desired = holding(vec![fine("a")]);
    removes(&mut desired, &["a", "b"]);
    assert!(matches!(desired.wish(&name("b")).unwrap().want, Want::Gone(_)));
    desired.set(&source("infra"), content(vec![fine("a"), fine("b")]), at(2));
    assert!(matches!(desired.wish(&name("b")).unwrap().want, Want::Run(_)));
}

#[test]
fn a_removal_that_was_confirmed_and_failed_goes_on_after_a_restart() {
    let mut desired = holding(vec![fine("new")]);
    judge(&mut desired, &["old"], 1);
    desired.confirm(&[name("old")], &BTreeSet::new(), at(2));
    desired.removal_failed(&name("old"), "no");
    let mut desired = restarted(&desired);
    assert!(desired.wish(&name("old")).is_none(), "not before its source is known");
    desired.set(&source("infra"), content(vec![fine("new")]), at(3));
    assert_eq!(removes(&mut desired, &["new", "old"]), names(&["old"]));
    let (_, state) = desired.departed().remove(&name("old")).unwrap();
    let removal = state.unwrap_err();
    assert_eq!((removal.failures, removal.since), (1, at(2)));
    assert_eq!(removal.problem.as_deref(), Some("no"));
}

#[test]
fn the_services_of_what_is_held_or_in_error_are_not_known() {
    let mut desired = holding(vec![fine("a"), broken("b"), fine("c")]);
    assert_eq!(desired.undefined(), names(&["b"]));
    judge(&mut desired, &["a", "old"], 1);
    desired.set(&source("infra"), content(vec![fine("a"), broken("c")]), at(2));
    assert_eq!(desired.undefined(), names(&["old"]), "c was fine before");
    desired.confirm(&[name("old")], &BTreeSet::new(), at(3));
    assert_eq!(desired.undefined(), names(&[]));
}

#[test]
fn what_was_held_is_so_again_when_it_is_known_late_unless_it_came_back() {
    let mut earlier = holding(vec![fine("new")]);
    judge(&mut earlier, &["old", "back"], 1);
    let records: BTreeMap<_, _> = earlier
        .memos()
        .into_iter()
        .map(|(name, memo)| {
            let Memo { origin, held, removal } = memo;
            (name, StackRecord { origin, held, removal, ..StackRecord::default() })
        })
        .collect();
    let mut desired = Desired::default();
    desired.set(&source("infra"), content(vec![fine("new"), fine("back")]), at(9));
    let held = desired.recall(&records, &[source("infra")].into(), at(10));
    assert_eq!(held, names(&["old"]));
    assert_eq!(reason(&desired, "old"), Some(HoldReason::TooMany));
    assert_eq!(desired.memos()[&name("new")].origin, earlier.memos()[&name("new")].origin);
    assert_eq!(removes(&mut desired, &["new", "back", "old"]), names(&[]));
}

#[test]
fn the_name_of_a_file_that_breaks_while_the_agent_is_away_is_known() {
    let mut item = fine("shop");
    item.file = "dir/compose.yaml".to_owned();
    let desired = restarted(&holding(vec![item]));
    assert_eq!(desired.names_in(&source("infra"))["dir/compose.yaml"], name("shop"));
}
