//! What users of other tools complained of, each as a test: redeploys that nobody asked for, and
//! changes that came to nothing.

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{Container, ImageConfig, ImageRef, Query, Revision, Stack};
use bowline::pass::{Moment, Subject, preview};
use bowline::plan::Action;
use bowline::status::{PassResult, Report};
use std::sync::Arc;
use std::time::Duration;
use support::docker::{docker, import_busybox};
use support::passes::{means, pass, stack, stack_with};
use support::registry::Registry;
use support::stacks::{Stacks, lives};

/// On the real engine.
const STACK: &str = "t-complaints";
/// On the real engine.
const IMAGE: &str = "t-complaints-app:1";

/// A simulated engine on which `before` was applied.
async fn with(before: &Stack) -> (Sim, Arc<dyn Engine>) {
    let sim = Sim::with_api(41);
    let config = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    sim.image_add("app:1", config, Behaviour::default());
    for job in ["s-job-1", "s-migrate-1"] {
        let ends = Some((Duration::from_millis(1), 0));
        sim.behave(job, Behaviour { exits: ends, ..Behaviour::default() });
    }
    let engine: Arc<dyn Engine> = Arc::new(sim.clone());
    let report = pass(&engine, before).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    tokio::time::sleep(Duration::from_millis(10)).await;
    (sim, engine)
}

/// What is planned for `after` where `before` was applied.
async fn planned(before: &Stack, after: &Stack) -> String {
    let (_, engine) = with(before).await;
    preview(&*engine, after, None).await.unwrap().to_string()
}

async fn containers(engine: &Arc<dyn Engine>) -> Vec<Container> {
    let query = Query::owned_by("s".to_owned().try_into().unwrap());
    engine.observe(&query).await.unwrap().containers
}

fn did_nothing(report: &Report) {
    assert_eq!(report.result, PassResult::Unchanged, "{}", report.message);
    assert!(report.actions.is_empty(), "{:?}", report.actions);
}

fn web(more: &str) -> Stack {
    stack(&format!("name: s\nservices:\n  web: {{ image: app:1, {more} }}\n"))
}

#[tokio::test(start_paused = true)]
async fn ports_in_another_order_or_form_are_the_same_ports() {
    let before = web("ports: ['8080:80', '8443:443', '9000-9001:9000-9001/udp']");
    let after = web(
        "ports: ['9001:9001/udp', { target: 443, published: '8443', protocol: tcp, mode: ingress }, '9000:9000/udp', '8080:80/tcp']",
    );
    assert_eq!(planned(&before, &after).await, "");
    let other = web("ports: ['8443:443', '8080:81', '9000-9001:9000-9001/udp']");
    let plan = planned(&before, &other).await;
    assert!(plan.contains("services.web.ports.80/tcp: want none, is 8080"), "{plan}");
}

#[tokio::test(start_paused = true)]
async fn variables_in_another_order_or_form_are_the_same_variables() {
    let before = web("environment: ['A=1', 'B=2', 'C=']");
    let after = web("environment: { C: '', B: 2, A: '1' }");
    assert_eq!(planned(&before, &after).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_env_file_that_changes_has_its_effect_and_one_that_only_moves_lines_has_none() {
    let text = "name: s\nservices:\n  web: { image: app:1, env_file: app.env }\n";
    let of = |content| stack_with(text, &[("/stack/app.env", content)]);
    let before = of("MODE=fast\nLEVEL=1\n");
    assert_eq!(planned(&before, &of("# Note\nLEVEL=1\n\nMODE='fast'\n")).await, "");
    let plan = planned(&before, &of("MODE=slow\nLEVEL=1\n")).await;
    assert_eq!(
        plan,
        "replace   container web/1\n    services.web.environment.MODE: want \"slow\", is \"fast\"\n"
    );
}

#[tokio::test(start_paused = true)]
async fn who_lives_in_another_s_network_is_not_made_anew_at_every_pass() {
    let of = |mode: &str| {
        stack(&format!(
            "name: s\nservices:\n  vpn: {{ image: app:1, environment: {{ MODE: {mode} }} }}\n  \
             app: {{ image: app:1, network_mode: 'service:vpn', depends_on: [vpn] }}\n"
        ))
    };
    let before = of("fast");
    let (_, engine) = with(&before).await;
    for _ in 0..3 {
        did_nothing(&pass(&engine, &before).await);
    }
    let after = of("slow");
    let plan = preview(&*engine, &after, None).await.unwrap();
    let replaced: Vec<_> = plan.changes.iter().map(|change| change.object.to_string()).collect();
    assert_eq!(replaced, ["container vpn/1", "container app/1"], "{plan}");
    assert_eq!(pass(&engine, &after).await.result, PassResult::Changed);
    did_nothing(&pass(&engine, &after).await);
}

#[tokio::test(start_paused = true)]
async fn volume_options_that_change_are_told_and_nothing_is_lost() {
    let of = |size: &str| {
        stack(&format!(
            "name: s\nservices:\n  web: {{ image: app:1, volumes: ['data:/data'] }}\nvolumes:\n  \
             data: {{ driver_opts: {{ type: tmpfs, device: tmpfs, o: 'size={size}' }} }}\n"
        ))
    };
    let (_, engine) = with(&of("1m")).await;
    did_nothing(&pass(&engine, &of("1m")).await);
    let plan = preview(&*engine, &of("2m"), None).await.unwrap();
    assert!(plan.changes.is_empty(), "{plan}");
    let told: Vec<_> = plan.notes.iter().map(|note| note.field.as_str()).collect();
    assert_eq!(told, ["volumes.data.driver_opts.o"]);
    did_nothing(&pass(&engine, &of("2m")).await);
}

#[tokio::test(start_paused = true)]
async fn network_labels_that_change_reach_the_network_and_its_containers_stay() {
    let of = |tier: &str| {
        stack(&format!(
            "name: s\nservices:\n  web: {{ image: app:1, networks: [n] }}\nnetworks:\n  \
             n: {{ labels: {{ tier: {tier}, kind: inner }} }}\n"
        ))
    };
    let (_, engine) = with(&of("front")).await;
    did_nothing(&pass(&engine, &of("front")).await);
    let report = pass(&engine, &of("back")).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let done: Vec<_> =
        report.actions.iter().map(|one| (one.action, one.object.to_string())).collect();
    assert_eq!(done, [(Action::Replace, "network s_n".to_owned())]);
    did_nothing(&pass(&engine, &of("back")).await);
}

#[tokio::test(start_paused = true)]
async fn a_config_counts_by_its_content() {
    let copied = |key: &str, content: &str| {
        stack(&format!(
            "name: s\nservices:\n  web: {{ image: app:1, configs: [{{ source: {key}, target: /c }}] }}\n\
             configs: {{ {key}: {{ content: '{content}' }} }}\n"
        ))
    };
    assert_eq!(planned(&copied("c", "level 1"), &copied("d", "level 1")).await, "");
    let mounted = |content: &str| {
        let text = "name: s\nservices:\n  web: { image: app:1, configs: [{ source: c, target: /c }] }\n\
                    configs: { c: { file: ./c.conf } }\n";
        stack_with(text, &[("/stack/c.conf", content)])
    };
    assert_eq!(planned(&mounted("level 1"), &mounted("level 1")).await, "");
    for plan in [
        planned(&copied("c", "level 1"), &copied("c", "level 2")).await,
        planned(&mounted("level 1"), &mounted("level 2")).await,
    ] {
        let start = "replace   container web/1\n    services.web.configs./c: want ";
        assert!(plan.starts_with(start), "{plan}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_was_broken_off_is_gone_on_with_and_leaves_nothing_behind() {
    let of = |mode: &str| web(&format!("scale: 2, environment: {{ MODE: {mode} }}"));
    for steps in 0..20 {
        let (sim, engine) = with(&of("fast")).await;
        sim.crash_after(steps);
        pass(&engine, &of("slow")).await;
        sim.come_back();
        let report = pass(&engine, &of("slow")).await;
        assert!(report.result.is_success(), "after {steps} steps: {}", report.message);
        let found = containers(&engine).await;
        let names: Vec<_> = found.iter().map(|container| container.name.as_str()).collect();
        assert_eq!(names, ["s-web-1", "s-web-2"], "after {steps} steps");
        let slow = Some("slow".to_owned());
        assert!(
            found.iter().all(|one| one.spec.environment["MODE"] == slow),
            "after {steps} steps"
        );
        did_nothing(&pass(&engine, &of("slow")).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_one_shot_that_ended_well_is_not_run_again() {
    let of = |mode: &str| {
        stack(&format!(
            "name: s\nservices:\n  migrate: {{ image: app:1 }}\n  \
             job: {{ image: app:1, restart: 'no' }}\n  \
             web: {{ image: app:1, environment: {{ MODE: {mode} }}, \
             depends_on: {{ migrate: {{ condition: service_completed_successfully }} }} }}\n"
        ))
    };
    let (sim, engine) = with(&of("fast")).await;
    for _ in 0..3 {
        did_nothing(&pass(&engine, &of("fast")).await);
    }
    let starts = sim.calls()["start"];
    let report = pass(&engine, &of("slow")).await;
    let done: Vec<_> = report.actions.iter().map(|one| one.object.to_string()).collect();
    assert_eq!(done, ["container web/1"], "a change elsewhere runs no one-shot");
    assert_eq!(sim.calls()["start"], starts + 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_leaves_the_file_as_it_is_touches_nothing() {
    let before = web("environment: { MODE: fast }, labels: { a: '1' }");
    let (_, engine) = with(&before).await;
    let mut elsewhere = before.clone();
    elsewhere.working_dir = "/another/checkout".to_owned();
    elsewhere.config_files = vec!["/another/checkout/compose.yaml".to_owned()];
    let reordered = stack(
        "# A note.\nservices:\n  web:\n    labels: [a=1]\n    environment: [MODE=fast]\n    image: app:1\n\
         name: s\nx-unused: { a: b }\n",
    );
    for stack in [&elsewhere, &reordered] {
        let revision = Some(Revision("1f".repeat(20)));
        let subject = Subject { stack, source: None, revision };
        let moment = Moment::by_hand(Duration::ZERO);
        did_nothing(&means(Arc::clone(&engine)).reconcile(&subject, &moment).await);
    }
}

#[tokio::test]
async fn an_image_by_the_digest_of_its_index_is_the_image_that_runs() {
    let Some(engine) = support::engine() else { return };
    let stacks = Stacks::named(&[STACK]);
    import_busybox(&ImageRef::new(IMAGE).unwrap());
    let registry = Registry::start();
    let index = registry.publish_with_index(IMAGE, "t-complaints");
    let at = format!("{}/t-complaints", registry.address);
    let played = tokio::spawn(async move {
        let engine: Arc<dyn Engine> = Arc::new(engine);
        // By digest alone, by tag and digest, by a tag that names an index.
        for image in [format!("{at}@{index}"), format!("{at}:all@{index}"), format!("{at}:all")] {
            let wanted = stack(&format!(
                "name: {STACK}\nservices:\n  web: {{ image: '{image}', network_mode: none, \
                 stop_signal: SIGKILL, command: [busybox, sleep, '600'] }}\n"
            ));
            let report = pass(&engine, &wanted).await;
            assert_eq!(report.result, PassResult::Changed, "{image}: {}", report.message);
            let before = lives(STACK);
            for _ in 0..3 {
                did_nothing(&pass(&engine, &wanted).await);
            }
            assert_eq!(lives(STACK), before, "{image}");
        }
    });
    let played = played.await;
    drop(stacks);
    // Its images go when no container is made from them.
    drop(registry);
    docker(&["rmi", "-f", IMAGE]);
    played.unwrap();
}
