//! What a pass works towards, and what follows from how it ended.

use super::*;
use crate::manifest::{self, DigestKey, Request};
use crate::model::StackName;
use crate::pass::Pause;
use crate::plan::Aim;
use crate::status::{Cause, PassResult, Workload};
use crate::store::Good;
use std::path::PathBuf;

fn stack(policy: &str) -> Stack {
    let text = format!(
        "name: shop\nx-bowline: {policy}\nservices:\n  web: {{ image: x:1 }}\n  db: {{ image: y:1 }}\n"
    );
    let request = Request::new(vec![PathBuf::from("/s/compose.yaml")], DigestKey::new([0; 32]));
    let read = |path: &std::path::Path| {
        let known = path.ends_with("compose.yaml");
        known.then(|| text.as_bytes().to_vec()).ok_or(std::io::ErrorKind::NotFound.into())
    };
    manifest::load(&request, &read).expect("a stack").stack
}

fn digest(text: &str) -> ContentDigest {
    ContentDigest(text.to_owned())
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

fn good(definition: &str) -> Good {
    Good {
        revision: Some(Revision(format!("{definition}000000"))),
        file: "compose.yaml".to_owned(),
        definition: digest(definition),
        images: BTreeMap::from([
            (service("web"), "sha256:w".to_owned()),
            (service("db"), "sha256:d".to_owned()),
        ]),
        since: Timestamp::UNIX_EPOCH,
    }
}

/// A stack that runs the definition `a`.
fn running_a() -> StackRecord {
    StackRecord { good: Some(good("a")), ..StackRecord::default() }
}

fn report(result: PassResult, verdicts: &[(&str, RolloutVerdict)]) -> Report {
    let rollouts = verdicts.iter().map(|(name, verdict)| RolloutReport {
        service: service(name),
        verdict: *verdict,
        updated: 0,
        failed: 1,
        why: Some("container shop-web-1 is exited (3), but should be up".to_owned()),
        cause: Some(Cause::Exited),
    });
    let workload = Workload { desired: 2, up: 2, starting: 0, unhealthy: 0 };
    Report {
        revision: Some(Revision("b000000".to_owned())),
        result,
        workload: Some(workload),
        rollouts: rollouts.collect(),
        ..Report::begun(StackName::new("shop").unwrap(), Timestamp::UNIX_EPOCH)
    }
}

/// What follows from a pass towards the definition `b` with these settings of the stack.
fn follows(record: &mut StackRecord, policy: &str, report: &Report) -> Consequence {
    end_holds(record, &digest("b"), None);
    let course = course(record, &digest("b"), None);
    let follows = consequence(record, &course, &stack(policy), report);
    let now = Timestamp::UNIX_EPOCH;
    apply(record, &follows, course.asked(&digest("b")), report.revision.as_ref(), now);
    follows
}

fn rests_of(record: &StackRecord, definition: &ContentDigest) -> Pause {
    course(record, definition, None).pause(record, definition)
}

use PassResult::{Changed, Failed};
use RolloutVerdict::{Completed, RollBack};

#[test]
fn what_is_known_to_hold_is_only_kept_and_all_else_is_an_update() {
    let record = running_a();
    let aim = |definition: &str| {
        course(&record, &digest(definition), None).aim(&record, &digest(definition))
    };
    assert_eq!((aim("a"), aim("b")), (Aim::Hold, Aim::Update));
    assert_eq!(Course::Asked.held_with(&record, &digest("a")).len(), 2);
    assert_eq!(Course::Asked.held_with(&record, &digest("b")).len(), 0);
}

#[test]
fn a_commit_that_fails_is_held_back_until_git_asks_for_something_else() {
    let mut record = running_a();
    let failed = report(Failed, &[("web", RollBack), ("db", Completed)]);
    let first = follows(&mut record, "{}", &failed);
    assert!(matches!(first, Consequence::HoldBack { services, .. } if services.is_empty()));
    let held = record.held_back.clone().unwrap();
    assert_eq!((&held.definition, &held.instead.definition), (&digest("b"), &digest("a")));
    assert!(held.reason.contains("web: container shop-web-1 is exited (3)"), "{}", held.reason);
    assert!(!held.reason.contains("db"), "{}", held.reason);
    let back = course(&record, &digest("b"), None);
    assert_eq!(back.aim(&record, &digest("a")), Aim::Rollback);
    assert_eq!(back.pinned().len(), 2);
    let reached = follows(&mut record, "{}", &report(Changed, &[]));
    assert!(matches!(reached, Consequence::Reached { .. }), "{reached:?}");
    assert_eq!(course(&record, &digest("b"), None).aim(&record, &digest("a")), Aim::Hold);
    // The same definition in another commit is the same.
    end_holds(&mut record, &digest("b"), None);
    assert!(record.held_back.is_some());
    end_holds(&mut record, &digest("c"), None);
    assert!(record.held_back.is_none());
}

#[test]
fn with_rollback_off_a_service_that_says_so_goes_back_alone() {
    let mut record = running_a();
    let failed = report(Failed, &[("web", RollBack)]);
    let found = follows(&mut record, "{ rollback: off }", &failed);
    let Consequence::HoldBack { services, .. } = found else { panic!("{found:?}") };
    assert_eq!(services, BTreeSet::from([service("web")]));
    let Course::Back(held) = course(&record, &digest("b"), None) else { panic!("goes back") };
    assert_eq!(Course::Back(held.clone()).pinned().len(), 1);
    let (mut asked, former) = (stack("{}"), stack("{}"));
    asked.services.get_mut(&service("web")).unwrap().replicas = 5;
    asked.services.get_mut(&service("db")).unwrap().replicas = 5;
    let both = partly(&asked, &former, &held.services);
    let replicas = |name| both.services[&service(name)].replicas;
    assert_eq!((replicas("web"), replicas("db")), (1, 5));
}

#[test]
fn while_a_service_is_held_back_alone_another_image_of_the_others_is_an_update() {
    let mut record = running_a();
    follows(&mut record, "{ rollback: off }", &report(Failed, &[("web", RollBack)]));
    let image = |id: &str| BTreeMap::from([(id.to_owned(), "y:1".to_owned())]);
    let images = [(service("web"), image("sha256:w")), (service("db"), image("sha256:new"))];
    let seen = Seen { images: images.into(), ..Seen::default() };
    let back = Report { seen: Some(seen), ..report(Changed, &[]) };
    follows(&mut record, "{ rollback: off }", &back);
    let course = course(&record, &digest("b"), None);
    assert_eq!(course.aim(&record, &digest("partly a")), Aim::Hold);
    let held_with = course.held_with(&record, &digest("partly a"));
    assert_eq!(held_with, BTreeMap::from([(service("db"), "sha256:new".to_owned())]));
    assert_eq!(course.pinned(), BTreeMap::from([(service("web"), "sha256:w".to_owned())]));
}

#[test]
fn a_first_deployment_has_nothing_to_go_back_to() {
    let mut record = StackRecord::default();
    let failed = report(Failed, &[("web", RollBack)]);
    assert_eq!(follows(&mut record, "{}", &failed), Consequence::NothingToGoBackTo);
    assert_eq!((record.held_back, record.paused), (None, None));
}

#[test]
fn what_rests_does_so_until_git_asks_for_something_else() {
    let mut record = running_a();
    let paused = report(Failed, &[("web", RolloutVerdict::Paused)]);
    assert!(matches!(follows(&mut record, "{}", &paused), Consequence::Rest { .. }));
    let only_web = Pause::Services(BTreeSet::from([service("web")]));
    assert_eq!(rests_of(&record, &digest("b")), only_web);
    end_holds(&mut record, &digest("c"), None);
    assert_eq!(rests_of(&record, &digest("c")), Pause::None);
}

#[test]
fn what_somebody_paused_rests_whatever_comes() {
    let by_hand = Paused {
        definition: None,
        services: BTreeSet::new(),
        reason: "paused by hand".to_owned(),
        since: Timestamp::UNIX_EPOCH,
        by_hand: true,
    };
    let mut record = StackRecord { paused: Some(by_hand), ..running_a() };
    assert_eq!(follows(&mut record, "{}", &report(Changed, &[])), Consequence::Good);
    assert_eq!(rests_of(&record, &digest("c")), Pause::All);
}

#[test]
fn a_rollback_that_fails_rests_and_is_not_rolled_back() {
    let mut record = running_a();
    follows(&mut record, "{}", &report(Failed, &[("web", RollBack)]));
    let failed = report(Failed, &[("web", RolloutVerdict::Paused)]);
    assert!(matches!(follows(&mut record, "{}", &failed), Consequence::Rest { .. }));
    assert!(record.held_back.is_some());
    end_holds(&mut record, &digest("b"), None);
    assert_ne!(rests_of(&record, &digest("b")), Pause::None);
}

#[test]
fn what_is_not_well_is_not_good() {
    let mut record = running_a();
    let mut unwell = report(Changed, &[("web", Completed)]);
    unwell.workload = Some(Workload { desired: 2, up: 1, starting: 0, unhealthy: 1 });
    assert_eq!(follows(&mut record, "{}", &unwell), Consequence::GoOn);
    assert_eq!(follows(&mut record, "{}", &report(Failed, &[])), Consequence::GoOn);
}

#[test]
fn how_far_slots_came_is_known_for_one_definition() {
    let mut record = running_a();
    let slot = |number| Slot { service: service("web"), number };
    note_slot(&mut record, &digest("b"), &slot(1), SlotPhase::Watching);
    note_slot(&mut record, &digest("b"), &slot(2), SlotPhase::Failed);
    let progress = &earlier(&record, &digest("b"))[&service("web")];
    assert_eq!((progress.changed.len(), progress.failed.len()), (1, 1));
    assert!(earlier(&record, &digest("c")).is_empty());
}
