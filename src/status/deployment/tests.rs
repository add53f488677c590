//! What is worth an entry, what only comes again, and how it reads.

use super::super::{Explanation, history, told_in_full};
use super::*;
use crate::model::{
    Container, ContainerId, ContainerSpec, Health, ImageRef, Observed, Slot, State,
};
use crate::plan::Reason;
use crate::status::fixtures::{shop, web};
use crate::status::{RolloutReport, Seen};
use std::time::Duration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn act(action: Action, object: Object) -> ActionReport {
    let reason = Reason {
        field: "services.web.image".to_owned(),
        desired: "nginx:1.25".to_owned(),
        actual: "nginx:1.24".to_owned(),
        place: None,
    };
    ActionReport {
        object,
        action,
        reasons: vec![reason],
        error: None,
        took: Duration::from_secs(1),
    }
}

fn replaced(number: u32) -> ActionReport {
    act(Action::Replace, Object::Container(Slot { service: web(), number }))
}

fn pulled(image: &str) -> ActionReport {
    act(Action::Pull, Object::Image(image.to_owned()))
}

fn report(result: PassResult, actions: Vec<ActionReport>) -> Report {
    Report { result, actions, took: Duration::from_secs(3), ..Report::begun(shop(), at(0)) }
}

fn by(cause: DeploymentCause) -> Occasion {
    Occasion {
        cause,
        orders: Vec::new(),
        revision: Some(Revision("1f6a52ea1d2e77".to_owned())),
        commit: Some(Commit::new(b"Anna Adams", b"Bump web to 1.25")),
        instead_of: None,
        definition: Some(ContentDigest("one".to_owned())),
    }
}

fn deployed(result: PassResult, message: &str, second: i64) -> Deployment {
    let fails = result == PassResult::Failed;
    let error = fails.then(|| message.to_owned());
    let action = ActionReport { error, ..replaced(1) };
    let report =
        Report { message: message.to_owned(), started: at(second), ..report(result, vec![action]) };
    Deployment::of(&report, by(DeploymentCause::Drift))
}

#[test]
fn what_changed_something_or_failed_to_is_worth_an_entry() {
    let is = |result, actions| report(result, actions).is_deployment();
    assert!(is(PassResult::Changed, vec![replaced(1)]));
    assert!(is(PassResult::RolledBack, vec![replaced(1)]));
    for result in [PassResult::Failed, PassResult::Invalid, PassResult::Crashing] {
        assert!(is(result, vec![]), "{result:?}");
    }
    for result in [PassResult::Unchanged, PassResult::RolledBack, PassResult::Waiting] {
        assert!(!is(result, vec![]), "{result:?}");
    }
    assert!(!is(PassResult::Changed, vec![pulled("nginx:1.25")]), "a pull that brings nothing new");
    let failed = ActionReport { error: Some("away".to_owned()), ..pulled("nginx:1.25") };
    assert!(is(PassResult::Waiting, vec![failed]));
    let gave_up = RolloutReport {
        service: web(),
        verdict: RolloutVerdict::Paused,
        updated: 0,
        failed: 1,
        why: None,
        cause: None,
    };
    assert!(!is(PassResult::Paused, vec![]), "it only rests on");
    assert!(
        Report { rollouts: vec![gave_up], ..report(PassResult::Paused, vec![]) }.is_deployment()
    );
}

#[test]
fn another_image_under_a_name_that_was_pulled_is_no_drift() {
    let is = |actions| report(PassResult::Changed, actions).is_of_images_only();
    assert!(is(vec![pulled("nginx:1.25"), replaced(1)]));
    assert!(!is(vec![replaced(1)]) && !is(vec![pulled("other:1"), replaced(1)]));
    assert!(!is(vec![pulled("nginx:1.25")]) && !is(vec![]));
}

#[test]
fn failures_come_again_whatever_their_numbers_and_whoever_takes_turns() {
    let failed = |message, second| deployed(PassResult::Failed, message, second);
    let first = failed("web/1: not up within 3.2 s", 1);
    let again = failed("web/1: not up within 4.1 s", 5).among([first.clone()], 2);
    assert_eq!((again.entry.times, again.entry.begun, again.entry.last), (2, at(1), at(5)));
    assert_eq!(again.entry.message, "web/1: not up within 4.1 s");
    let other = failed("the engine is away", 6).among([first.clone()], 2);
    assert_eq!((other.entry.id, other.entry.times), (2, 1));
    let turn = failed("web/1: not up within 9 s", 7).among([other.clone(), again.clone()], 3);
    assert_eq!(turn.entry.times, 3);
    let mut acted = failed("web/1: not up within 3.2 s", 9);
    acted.entry.changes = 1;
    acted.actions[0].object = "container db/1".to_owned();
    assert_eq!(acted.among([first.clone()], 2).entry.id, 2, "something was done beside it");
    let between = deployed(PassResult::Changed, "", 8);
    let anew = failed("web/1: not up within 9 s", 9).among([between, again.clone()], 3);
    assert_eq!((anew.entry.id, anew.entry.times), (3, 1), "something was done between them");
    let mut newer = failed("web/1: not up within 3.2 s", 9);
    newer.definition = Some(ContentDigest("two".to_owned()));
    assert_eq!(newer.among([again.clone()], 3).entry.id, 3, "it is defined otherwise");
    let mut ordered = failed("web/1: not up within 3.2 s", 9);
    ordered.entry.order = Some("retry".to_owned());
    assert_eq!(ordered.among([again], 3).entry.id, 3, "somebody asked for it");
}

#[test]
fn the_same_repair_soon_after_is_counted_and_later_or_another_is_told() {
    let repaired = |second| deployed(PassResult::Changed, "", second);
    let hour = 3600;
    assert_eq!(repaired(hour).among([repaired(1)], 2).entry.times, 2);
    assert_eq!(repaired(hour + 1).among([repaired(1)], 2).entry.id, 2);
    let back = |second| deployed(PassResult::RolledBack, "held back", second);
    let mut more = back(2);
    more.actions[0].object = "container web/2".to_owned();
    assert_eq!(
        more.among([back(1)], 2).entry.id,
        2,
        "a repair while another definition is held back"
    );
    assert_eq!(back(2).among([back(1)], 2).entry.times, 2);
    let mut other = repaired(2);
    other.actions[0].object = "container web/2".to_owned();
    assert_eq!(other.among([repaired(1)], 2).entry.id, 2);
}

fn given(order: &str, by: &str, second: i64) -> GivenOrder {
    let (order, by, did) = (order.to_owned(), by.to_owned(), format!("did {order}"));
    GivenOrder { order, by, at: at(second), did }
}

/// An update, a failure that came three times, and an order.
fn some() -> Vec<Deployment> {
    let seen = Seen {
        images: [(web(), [("sha256:c0ffee".to_owned(), "nginx:1.25".to_owned())].into())].into(),
        ..Seen::default()
    };
    let update = Report {
        plan: "pull      image nginx:1.25\n    services.web.image: want nginx:1.25, is not on this engine\n"
            .to_owned(),
        seen: Some(seen),
        started: at(100),
        ..report(PassResult::Changed, vec![pulled("nginx:1.25"), replaced(1), replaced(2)])
    };
    let mut update = Deployment::of(&update, by(DeploymentCause::Commit)).among([], 1);
    update.entry.source = Some(SourceName::new("infra").unwrap());
    let mut failed =
        deployed(PassResult::Failed, "replace container web/1: exec: no such file\nmore", 3000);
    failed.actions[0].error = Some("exec: no such file\nmore".to_owned());
    let failed = Deployment {
        entry: HistoryEntry { times: 3, last: at(3500), ..failed.entry.clone() },
        ..failed
    };
    let failed = failed.among([], 2);
    let back = Report { started: at(3600), ..report(PassResult::RolledBack, vec![replaced(1)]) };
    let occasion = Occasion {
        orders: vec![given("retry", "root", 3590), given("rollback", "anna", 3599)],
        instead_of: Some(Revision("0c4a0be0c4a1ff".to_owned())),
        commit: None,
        ..by(DeploymentCause::ByHand)
    };
    let back = Deployment::of(&back, occasion).among([], 3);
    vec![back, failed, update]
}

#[test]
fn the_table_reads_like_a_history() {
    let entries: Vec<_> = some().into_iter().map(|it| it.entry).collect();
    assert_eq!(
        history(&entries, at(7300)),
        "\
ID  WHEN  REVISION      AUTHOR      CAUSE            RESULT       TOOK  WHAT
3   1h    1f6a52ea1d2e  root, anna  retry, rollback  rolled_back  3.0s  replace container web/1
2   1h    1f6a52ea1d2e  Anna Adams  drift            failed       3.0s  3 times: replace container web/1: exec: no such file
1   2h    1f6a52ea1d2e  Anna Adams  commit           changed      3.0s  Bump web to 1.25
"
    );
}

#[test]
fn one_in_full_has_its_plan_and_its_actions_with_their_reasons() {
    assert_eq!(
        told_in_full(&some()[2], at(7300)),
        "\
stack:     shop from infra
id:        1
revision:  1f6a52ea1d2e77
commit:    Bump web to 1.25 (Anna Adams)
cause:     commit
begun:     1970-01-01 00:01:40 UTC, 2h ago, took 3.0s
result:    changed
plan:
  pull      image nginx:1.25
      services.web.image: want nginx:1.25, is not on this engine
actions:
  pull      image nginx:1.25: done in 1.0s
      services.web.image: want nginx:1.25, was nginx:1.24
  replace   container web/1: done in 1.0s
      services.web.image: want nginx:1.25, was nginx:1.24
  replace   container web/2: done in 1.0s
      services.web.image: want nginx:1.25, was nginx:1.24
images:
  web: nginx:1.25 sha256:c0ffee
"
    );
    let failed = told_in_full(&some()[1], at(7300));
    for part in [
        "times:     3, last 1970-01-01 00:58:20 UTC, 1h ago\n",
        "message:\n  replace container web/1: exec: no such file\n  more\n",
        "failed after 1.0s: exec: no such file; more\n",
    ] {
        assert!(failed.contains(part), "no {part:?} in\n{failed}");
    }
    let back = told_in_full(&some()[0], at(7300));
    for part in [
        "instead of: 0c4a0be0c4a1ff\ncause:     retry, rollback by root, anna\n",
        "orders:\n  1970-01-01 00:59:50 UTC retry by root: did retry\n",
        "  1970-01-01 00:59:59 UTC rollback by anna: did rollback\n",
    ] {
        assert!(back.contains(part), "no {part:?} in\n{back}");
    }
}

#[test]
fn the_json_form_reads_back_and_is_flat() {
    for deployment in some() {
        let text = serde_json::to_string(&deployment).unwrap();
        assert_eq!(serde_json::from_str::<Deployment>(&text).unwrap(), deployment);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["stack"], "shop");
        assert_eq!(value["actions"][0]["reasons"][0]["actual"], "nginx:1.24");
    }
}

#[test]
fn a_service_is_explained_by_what_was_done_to_it() {
    let spec = ContainerSpec::new(ImageRef::new("nginx:1.25").unwrap());
    let container = |number, created| Container {
        id: ContainerId(format!("id{number}")),
        name: format!("shop-web-{number}"),
        slot: Slot { service: web(), number },
        image_id: "sha256:c0ffee00c0ffee00".to_owned(),
        spec: spec.clone(),
        adopted: false,
        contents_known: true,
        owes_hooks: false,
        created: at(created),
        started: Some(at(created)),
        state: State::Running,
        health: Health::Healthy,
        network_ids: BTreeMap::new(),
        anonymous_volumes: BTreeMap::new(),
    };
    let observed =
        Observed { containers: vec![container(2, 101), container(1, 50)], ..Observed::default() };
    let mut explanation = Explanation::of((&shop(), &web()), &observed, |_| Some(1), &some());
    let text = explanation.text(at(7300));
    assert_eq!(
        text,
        "\
shop/web from infra

now:
  shop-web-1: running for 2h, healthy, 1 restart
    image nginx:1.25 (c0ffee00c0ff)
    made 2h ago
  shop-web-2: running for 1h, healthy, 1 restart
    image nginx:1.25 (c0ffee00c0ff)
    made 1h ago by commit 1f6a52ea1d2e (Anna Adams: Bump web to 1.25)

what differs is not known: only an agent knows what git asks for

last changes:
  #3 1h ago: replaced container web/1 by hand (retry by root, rollback by anna)
    image: nginx:1.24 -> nginx:1.25
  #2 1h ago: could not replace container web/1 to repair drift (3 times)
    image: nginx:1.24 -> nginx:1.25
    failed: exec: no such file; more
  #1 2h ago: pulled image nginx:1.25 by commit 1f6a52ea1d2e (Anna Adams: Bump web to 1.25)
    image: nginx:1.24 -> nginx:1.25
  #1 2h ago: replaced container web/1 by commit 1f6a52ea1d2e (Anna Adams: Bump web to 1.25)
    image: nginx:1.24 -> nginx:1.25
  #1 2h ago: replaced container web/2 by commit 1f6a52ea1d2e (Anna Adams: Bump web to 1.25)
    image: nginx:1.24 -> nginx:1.25
"
    );
    let mut ended = some().remove(1);
    ended.actions[0] = DeployedAction {
        action: "start".to_owned(),
        error: None,
        reasons: vec![DeployedReason {
            field: "services.web.state".to_owned(),
            desired: "running".to_owned(),
            actual: "exited (137)".to_owned(),
        }],
        ..ended.actions[0].clone()
    };
    // The pass before failed, for whatever reason.
    ended.entry.cause = DeploymentCause::Retry;
    let told = Explanation::of((&shop(), &web()), &observed, |_| None, &[ended]).text(at(7300));
    let line = "  #2 1h ago: started container web/1 to repair drift (3 times)\n";
    assert!(told.contains(&format!("{line}    it had ended with code 137 (SIGKILL)\n")), "{told}");
    explanation.differs = Some(Vec::new());
    assert!(explanation.text(at(7300)).contains("\ndiffers: nothing\n"));
    let other = ServiceName::new("db").unwrap();
    assert!(Explanation::of((&shop(), &other), &observed, |_| None, &some()).is_empty());
}
