//! What becomes of bad commits: the old version serves on or again, the reason is told, and nothing
//! is tried twice. An agent on the simulated engine, with a real git repository.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "rollback/paused.rs"]
mod paused;
#[path = "rollback/shortage.rs"]
mod shortage;
#[path = "rollback/stage.rs"]
mod stage;
mod support;

use bowline::engine::EngineError;
use bowline::engine::sim::Behaviour;
use bowline::model::{Container, Health, StackName};
use bowline::status::{ConditionKind, PassResult, RolloutPhase, StackStatus, Verdict};
use stage::{CHECK, Of, config, site, web};
use std::collections::BTreeSet;
use std::time::Duration;
use support::site::{Site, until};
use tokio::time::sleep;

/// A good commit, then one that must be gone back from; `before` comes before it.
async fn is_gone_back_from(bad: &str, reason: &str, before: impl FnOnce(&Site)) {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.until_serves(&["web:1", "web:1"]).await;

    before(&site);
    let commit = of.commit(bad);
    let status = of.ended(&agent, PassResult::RolledBack).await;
    assert!(of.serves(&["web:1", "web:1"]).await, "{:#?}", of.containers().await);
    let held = status.held_back.clone().unwrap();
    assert!(held.reason.contains(reason), "{}", held.reason);
    assert_eq!(held.revision.as_ref().unwrap().0, commit);
    assert_eq!(held.instead.as_ref().unwrap().0, good);
    assert!(!held.by_hand);
    for words in [&held.reason, &commit[..7], &good[..7]] {
        assert!(status.message.contains(words), "no {words} in {}", status.message);
    }
    let page = agent.views.metrics.render();
    assert!(page.contains("bowline_stack_held_back{stack=\"s\"} 1"), "{page}");
    assert_eq!(status.applied_revision.as_ref().unwrap().0, good);
    assert!(held.reached);
    let drifted = status.conditions.get(ConditionKind::Drifted).unwrap();
    assert_eq!(drifted.status, Verdict::False, "{:?}", status.drift);
    let differ = page
        .lines()
        .find(|line| line.starts_with("bowline_drift_fields{") && !line.ends_with(" 0"));
    assert_eq!(differ, None, "all of it was repaired");

    // Neither time nor another commit has it tried again.
    let unrelated = site.git.write("README", "nothing").push("Unrelated");
    of.until_status(&agent, |status| status.revision.as_ref().unwrap().0 == unrelated).await;
    of.is_quiet().await;
    assert_eq!(of.status(&agent).held_back, Some(held.clone()));
    agent.end().await;

    // Nor another process.
    let agent = site.start();
    let status = of.ended(&agent, PassResult::RolledBack).await;
    assert_eq!(status.applied_revision.unwrap().0, good, "it is known past a restart");
    of.is_quiet().await;
    assert_eq!(of.status(&agent).held_back, Some(held));
    // What held is kept as it was.
    site.sim.crash("s-web-2", 1);
    of.until_serves(&["web:1", "web:1"]).await;

    let mended = of.commit(&web("web:2", ""));
    let status = of.applied(&agent, &mended).await;
    of.until_serves(&["web:2", "web:2"]).await;
    assert_eq!((status.held_back, status.paused), (None, None));
    let page = agent.views.metrics.render();
    assert!(page.contains("bowline_stack_held_back{stack=\"s\"} 0"), "{page}");
    agent.end().await;
    let record = site.inventory().stack(&StackName::new("s").unwrap());
    assert_eq!(record.good.unwrap().revision.unwrap().0, mended);
}

fn nothing(_: &Site) {}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there() {
    is_gone_back_from(&web("web:nowhere", ""), "web:nowhere", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends() {
    is_gone_back_from(&web("web:ends", ""), "no such flag", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_and_is_restarted_by_its_policy() {
    is_gone_back_from(&web("web:ends", ", restart: always"), "no such flag", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_that_never_passes() {
    is_gone_back_from(&web("web:ill", ""), "no database", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_that_passes_and_fails_after_a_while() {
    is_gone_back_from(&web("web:sickens", ""), "unhealthy", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_when_it_is_mounted() {
    is_gone_back_from(&web("web:no-file", ""), "no such file", nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_found_to_be_taken_at_the_start() {
    let taken = |site: &Site| {
        let object = "container s-web-1.next".to_owned();
        let error = EngineError::PortTaken { operation: "start", object, port: "8080".into() };
        site.sim.fail("start", 1, error);
    };
    is_gone_back_from(&web("web:2", ", ports: ['8080-8081:80']"), "8080", taken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_first_is_gone_back_from_without_a_stop() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let order = ", deploy: { update_config: { order: start-first } }";
    let good = of.commit(&web("web:1", order));
    let agent = site.start();
    of.applied(&agent, &good).await;
    let lives = of.lives().await;
    of.commit(&web("web:ill", order));
    of.ended(&agent, PassResult::RolledBack).await;
    assert_eq!(of.lives().await, lives);
    assert!(of.serves(&["web:1", "web:1"]).await);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_repository_lacks_is_told_at_its_place_and_changes_nothing() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    let lives = of.lives().await;
    of.commit(&format!(
        "{}configs: {{ conf: {{ file: ./missing.conf }} }}\n",
        web("web:2", ", configs: [conf]")
    ));
    let status = of.ended(&agent, PassResult::Invalid).await;
    assert!(status.message.contains("missing.conf"), "{}", status.message);
    assert!(status.message.contains("s/compose.yaml:3:"), "{}", status.message);
    // Nothing was tried, so there is nothing to hold back.
    assert_eq!(status.held_back, None);
    of.is_quiet().await;
    assert_eq!(of.lives().await, lives);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_deployment_that_fails_is_tried_again_and_claims_no_rollback() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    of.commit(&web("web:nowhere", ""));
    let agent = site.start();
    let status = of.ended(&agent, PassResult::Failed).await;
    assert!(status.message.contains("web:nowhere"), "{}", status.message);
    assert_eq!((status.held_back, status.paused), (None, None));
    assert_eq!(status.rollout.unwrap().phase, RolloutPhase::Failed);
    let page = agent.views.metrics.render();
    let counted =
        |line: &&str| line.starts_with("bowline_rollbacks_total") && !line.ends_with(" 0");
    assert_eq!(page.lines().find(counted), None);
    let pulls = || site.sim.calls().get("pull").copied().unwrap_or_default();
    let before = pulls();
    until("another try", async || pulls() > before).await;
    // What was not there comes.
    site.sim.registry_add("web:nowhere", config(), Behaviour::default());
    of.until_serves(&["web:nowhere", "web:nowhere"]).await;
    agent.end().await;

    let site = stage::site();
    let of = Of { site: &site, stack: "s" };
    of.commit(&web("web:sickens", ""));
    let agent = site.start();
    let status = of.until_status(&agent, |status| status.message.contains("unhealthy")).await;
    assert_eq!((status.held_back, status.paused), (None, None));
    let mended = of.commit(&web("web:2", ""));
    of.applied(&agent, &mended).await;
    of.until_serves(&["web:2", "web:2"]).await;
    agent.end().await;
}

/// A bad commit whose update rests, and what ends the rest.
async fn rests(bad: &str) {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.commit(bad);
    let status = of.ended(&agent, PassResult::Paused).await;
    assert_eq!(status.held_back, None);
    assert!(status.paused.unwrap().reason.contains("no database"), "{}", status.message);
    let serving = of.lives().await;
    assert_eq!(serving.len(), 2, "{:#?}", of.containers().await);
    let images: BTreeSet<_> = of.containers().await.into_iter().map(|it| it.spec.image).collect();
    assert_eq!(images.len(), 2, "what failed is kept beside what serves");
    let unrelated = site.git.write("README", "nothing").push("Unrelated");
    of.until_status(&agent, |status| status.revision.as_ref().unwrap().0 == unrelated).await;
    of.is_quiet().await;
    agent.end().await;
    let agent = site.start();
    let status = of.ended(&agent, PassResult::Paused).await;
    assert_eq!(status.applied_revision.unwrap().0, good, "it is known past a restart");
    of.is_quiet().await;
    let listed = site.run(&["status"]).await.expect(0).out;
    for words in ["paused for ", ": web: container s-web-1", "(bowline resume or rollback s)"] {
        assert!(listed.contains(words), "no `{words}` in\n{listed}");
    }
    let told = site.run(&["status", "s"]).await.expect(0).out;
    for words in ["no container of web is exchanged\n", "`bowline rollback s` goes back\n"] {
        assert!(told.contains(words), "no `{words}` in\n{told}");
    }
    let mended = of.commit(&web("web:2", ""));
    let status = of.applied(&agent, &mended).await;
    of.until_serves(&["web:2", "web:2"]).await;
    assert_eq!(status.paused, None);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rollback_a_failed_update_rests() {
    rests(&format!("x-bowline: {{ rollback: off }}\n{}", web("web:ill", ""))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_failure_action_is_to_pause_rests() {
    rests(&web("web:ill", ", deploy: { update_config: { failure_action: pause } }")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_failure_action_is_to_continue_neither_rests_nor_goes_back() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.commit(&web("web:ill", ", deploy: { update_config: { failure_action: continue } }"));
    let status = of.ended(&agent, PassResult::Failed).await;
    assert!(status.message.contains("no database"), "{}", status.message);
    assert_eq!((status.held_back, status.paused), (None, None));
    let tried: BTreeSet<_> = of.containers().await.into_iter().map(|it| it.name).collect();
    for name in ["s-web-1.next", "s-web-2.next"] {
        assert!(tried.contains(name), "{tried:?}");
    }
    let mended = of.commit(&web("web:2", ""));
    of.applied(&agent, &mended).await;
    of.until_serves(&["web:2", "web:2"]).await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_may_go_back_alone() {
    let both = |web: &str, api: &str| {
        let deploy = "deploy: { update_config: { failure_action: rollback } }";
        format!(
            "x-bowline: {{ rollback: off }}\nservices:\n  \
             web: {{ image: '{web}', {CHECK}, {deploy} }}\n  api: {{ image: '{api}', {CHECK} }}\n"
        )
    };
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&both("web:1", "web:1"));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.commit(&both("web:sickens", "web:2"));
    let status = of.ended(&agent, PassResult::RolledBack).await;
    let reason = status.held_back.unwrap().reason;
    assert!(reason.starts_with("web: ") && status.message.contains("for web"), "{reason}");
    of.until_serves(&["web:1", "web:2"]).await;
    of.is_quiet().await;
    let image = |name: &str, all: &[Container]| {
        all.iter().find(|it| it.name == name).map(|it| it.spec.image.to_string())
    };
    let all = of.containers().await;
    assert_eq!(image("s-web-1", &all).as_deref(), Some("web:1"));
    assert_eq!(image("s-api-1", &all).as_deref(), Some("web:2"));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_moves_is_an_update_of_its_service_while_another_one_is_held_back() {
    let both = |web: &str, api: &str| {
        let deploy = "deploy: { update_config: { failure_action: rollback } }";
        format!(
            "x-bowline: {{ rollback: off }}\nservices:\n  \
             web: {{ image: '{web}', {CHECK}, {deploy} }}\n  api: {{ image: '{api}', {CHECK} }}\n"
        )
    };
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&both("web:1", "web:1"));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.commit(&both("web:ill", "web:2"));
    of.ended(&agent, PassResult::RolledBack).await;
    of.until_serves(&["web:1", "web:2"]).await;
    // The next one of that name comes up and fails while it is watched.
    let sickens = Behaviour {
        healthy_after: Some(Duration::from_millis(100)),
        unhealthy_after: Some(Duration::from_millis(600)),
        ..Behaviour::default()
    };
    site.sim.image_add("web:2", config(), sickens);
    let status = of.ended(&agent, PassResult::Paused).await;
    let paused = status.paused.unwrap();
    assert!(paused.reason.starts_with("api: ") && !paused.by_hand, "{}", paused.reason);
    assert!(status.held_back.is_some());
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_fails_rests_and_says_so() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.commit(&web("web:sickens", ""));
    until("the bad version to be up", async || {
        let all = of.containers().await;
        all.iter().any(|it| it.name == "s-web-1" && it.spec.image.as_str() == "web:sickens")
    })
    .await;
    // From here on the former version does not come up either.
    let ill = Behaviour {
        healthy_after: None,
        health_output: Some("the disk is gone".into()),
        ..Behaviour::default()
    };
    site.sim.behave("s-web-1.next", ill);
    let status = of.ended(&agent, PassResult::Paused).await;
    let paused = status.paused.unwrap();
    assert!(paused.reason.contains("the disk is gone"), "{}", paused.reason);
    let held = status.held_back.unwrap();
    assert!(held.reason.contains("unhealthy"), "{}", held.reason);
    let listed = site.run(&["status"]).await.expect(0).out;
    assert!(listed.contains("  paused for "), "{listed}");
    for command in [&["status", "s"][..], &["explain", "s", "web"]] {
        let told = site.run(command).await.expect(0).out;
        assert!(told.contains(&format!("; {} is to run instead", &good[..12])), "{told}");
        assert!(told.contains("paused for "), "{told}");
    }
    assert!(status.message.contains("rests"), "{}", status.message);
    assert!(!status.message.contains("runs in its place"), "{}", status.message);
    of.is_quiet().await;
    agent.end().await;
    let agent = site.start();
    let status = of.ended(&agent, PassResult::Paused).await;
    assert!(status.message.contains("rests: web: container"), "{}", status.message);
    of.is_quiet().await;

    site.sim.behave("s-web-1.next", Behaviour::default());
    let mended = of.commit(&web("web:2", ""));
    let status = of.applied(&agent, &mended).await;
    of.until_serves(&["web:2", "web:2"]).await;
    assert_eq!((status.held_back, status.paused), (None, None));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_befalls_the_engine_is_tried_again_and_holds_nothing_back() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    let full = EngineError::Refused {
        operation: "create",
        object: "container s-web-1.next".into(),
        status: 500,
        message: "write /var/lib/docker/overlay2: no space left on device".into(),
    };
    site.sim.fail("create", 1, full.clone());
    site.sim.fail("start", 2, full);
    let commit = of.commit(&web("web:2", ""));
    let status = of.ended(&agent, PassResult::Failed).await;
    assert!(status.message.contains("no space left"), "{}", status.message);
    assert_eq!((status.held_back, status.paused), (None, None));
    of.applied(&agent, &commit).await;
    of.until_serves(&["web:2", "web:2"]).await;

    site.sim.crash_after(3);
    let commit = of.commit(&web("web:1", ""));
    let status = of.ended(&agent, PassResult::Failed).await;
    assert_eq!((status.held_back, status.paused), (None, None));
    site.sim.come_back();
    of.applied(&agent, &commit).await;
    of.until_serves(&["web:1", "web:1"]).await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_slot_takes_its_time_the_counts_are_those_of_now() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let slow = Behaviour { healthy_after: Some(Duration::from_secs(6)), ..Behaviour::default() };
    site.sim.image_add("web:slow", config(), slow);
    let good = of.commit(&web("web:1", "").replace("retries: 2", "retries: 200"));
    let agent = site.start();
    of.applied(&agent, &good).await;
    // It may be ill for long before it counts as that.
    of.commit(&web("web:slow", "").replace("retries: 2", "retries: 200"));
    let starts = |status: &StackStatus| {
        status.workload.is_some_and(|it| (it.desired, it.up, it.starting) == (2, 1, 1))
    };
    let status = of.until_status(&agent, starts).await;
    assert!(status.rollout.unwrap().phase.is_under_way());
    let page = agent.views.metrics.render();
    for line in [
        r#"bowline_stack_containers{stack="s",state="up"} 1"#,
        r#"bowline_stack_containers{stack="s",state="starting"} 1"#,
    ] {
        assert!(page.contains(line), "no {line} in {page}");
    }
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_error_is_told_before_what_is_held_back() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.commit(&web("web:ill", ""));
    of.ended(&agent, PassResult::RolledBack).await;
    of.commit("services: { web: { imgae: 'web:2' } }\n");
    let status = of.ended(&agent, PassResult::Invalid).await;
    assert!(status.held_back.is_some() && status.message.contains("imgae"), "{}", status.message);
    assert_eq!(status.rollout.unwrap().phase, RolloutPhase::RolledBack);
    let listed = site.run(&["status"]).await.expect(0).out;
    assert!(!listed.contains("  held back for"), "{listed}");
    of.until_serves(&["web:1", "web:1"]).await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_overtaken_before_it_held_is_not_gone_back_to() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    let together = ", deploy: { update_config: { parallelism: 2, monitor: 30s } }";
    of.commit(&web("web:2", together));
    of.until_serves(&["web:2", "web:2"]).await;
    of.commit(&web("web:ill", ""));
    let status = of.ended(&agent, PassResult::RolledBack).await;
    assert_eq!(status.held_back.unwrap().instead.unwrap().0, good);
    of.until_serves(&["web:1", "web:1"]).await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_goes_on_watching_what_the_former_one_began() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&web("web:1", ""));
    let agent = site.start();
    of.applied(&agent, &good).await;
    of.commit(&web("web:sickens", ", deploy: { update_config: { parallelism: 2 } }"));
    until("the bad version to be up", async || {
        let all = of.containers().await;
        let up = |it: &&Container| {
            it.spec.image.as_str() == "web:sickens" && it.health == Health::Healthy
        };
        all.len() == 2 && all.iter().filter(up).count() == 2
    })
    .await;
    agent.end().await;
    // They fail while nobody watches, and long before somebody does.
    sleep(Duration::from_secs(2)).await;
    let agent = site.start();
    let status = of.ended(&agent, PassResult::RolledBack).await;
    assert!(status.held_back.unwrap().reason.contains("unhealthy"));
    of.until_serves(&["web:1", "web:1"]).await;
    agent.end().await;
}
