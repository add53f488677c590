//! Stacks that depend on others: who waits, who goes on, and who goes first. In one process on the
//! simulated engine, with a real git repository and the real state directory.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::sim::Behaviour;
use bowline::engine::{Engine, EngineError};
use bowline::model::{Container, Healthcheck, ImageConfig, Query, StackName};
use bowline::plan::{ContainerRef, Step};
use bowline::status::{ConditionKind, PassResult, StackStatus, Verdict};
use std::time::Duration;
use support::site::{Agent, Site, until};

/// A stack of one service, `app`, that depends on `others`.
fn write(site: &Site, stack: &str, image: &str, others: &str) {
    let text = format!(
        "x-bowline:\n  depends_on: [{others}]\nservices: {{ app: {{ image: '{image}' }} }}\n"
    );
    site.git.write(&format!("{stack}/compose.yaml"), &text);
}

async fn containers(site: &Site, stack: &str) -> Vec<Container> {
    let query = Query::owned_by(StackName::new(stack).unwrap());
    site.sim.observe(&query).await.unwrap().containers
}

/// The images that the containers of a stack run.
async fn images(site: &Site, stack: &str) -> Vec<String> {
    let found = containers(site, stack).await;
    found.iter().map(|container| container.spec.image.to_string()).collect()
}

/// What is told of a stack once its last pass ended so.
async fn told(agent: &Agent, stack: &str, result: PassResult, words: &str) -> StackStatus {
    let now = || {
        agent.stack(stack).filter(|status| {
            status.last_pass.as_ref().is_some_and(|pass| pass.result == result)
                && status.message.contains(words)
        })
    };
    until(&format!("{stack} to be {result:?} with {words}"), async || now().is_some()).await;
    now().unwrap()
}

async fn runs(site: &Site, stack: &str, image: &str) {
    until(&format!("{stack} to run {image}"), async || images(site, stack).await == [image]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stack_waits_until_the_one_it_depends_on_is_healthy() {
    let site = Site::new("");
    let check = Healthcheck {
        test: Some(vec!["CMD".to_owned(), "well".to_owned()]),
        interval: Some(Duration::from_millis(100)),
        ..Healthcheck::default()
    };
    let config = ImageConfig {
        command: vec!["run".into()],
        healthcheck: Some(check),
        ..ImageConfig::default()
    };
    let time = Duration::from_secs(1);
    let behaviour = Behaviour { healthy_after: Some(time), ..Behaviour::default() };
    site.sim.image_add("db:1", config, behaviour);
    site.image("web:1");
    // The names are such that the dependent comes first wherever names make the order.
    write(&site, "a-web", "web:1", "db");
    write(&site, "db", "db:1", "");
    site.git.push("Begin");
    let agent = site.start();
    runs(&site, "a-web", "web:1").await;
    let began = containers(&site, "db").await[0].started.unwrap();
    let made = containers(&site, "a-web").await[0].created;
    let waited = Duration::try_from(made.duration_since(began)).unwrap();
    assert!(waited >= time, "{waited:?}");
    told(&agent, "a-web", PassResult::Unchanged, "").await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_failed_stops_those_that_depend_on_it_and_says_so_through_all_of_them() {
    let site = Site::new("");
    for image in ["db:1", "web:1", "web:2", "shop:1", "shop:2", "other:1", "other:2"] {
        site.image(image);
    }
    let all = |version: u8| {
        write(&site, "db", &format!("db:{version}"), "");
        write(&site, "web", &format!("web:{version}"), "db");
        write(&site, "shop", &format!("shop:{version}"), "web");
        write(&site, "other", &format!("other:{version}"), "");
        site.git.push(&format!("Version {version}"));
    };
    all(1);
    let agent = site.start();
    runs(&site, "shop", "shop:1").await;
    all(2);
    let words = "is held back, since app: ";
    let web = told(&agent, "web", PassResult::Waiting, words).await;
    assert!(web.message.starts_with("waiting for stack db: "), "{}", web.message);
    let ready = web.conditions.get(ConditionKind::Ready).unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (Verdict::False, "Waiting"));
    assert_eq!(web.drift.values().sum::<usize>(), 1, "what waits is known: {:?}", web.drift);
    let shop = told(&agent, "shop", PassResult::Waiting, words).await;
    assert_eq!(shop.message, format!("waiting for stack web: {}", web.message));
    runs(&site, "other", "other:2").await;
    assert_eq!(images(&site, "web").await, ["web:1"]);
    assert_eq!(images(&site, "shop").await, ["shop:1"]);
    assert!(agent.views.metrics.render().contains("result=\"waiting\",stack=\"web\""));

    site.image("db:3");
    write(&site, "db", "db:3", "");
    site.git.push("Mend it");
    runs(&site, "shop", "shop:2").await;
    assert_eq!(images(&site, "db").await, ["db:3"]);
    assert_eq!(images(&site, "web").await, ["web:2"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_of_a_stack_is_repaired_while_the_one_it_depends_on_is_down_also_after_a_restart() {
    let site = Site::new("");
    site.image("db:1");
    site.image("web:1");
    write(&site, "db", "db:1", "");
    write(&site, "web", "web:1", "db");
    site.git.push("Begin");
    let agent = site.start();
    runs(&site, "web", "web:1").await;
    told(&agent, "web", PassResult::Unchanged, "").await;
    write(&site, "db", "db:2", "");
    site.git.push("A version that is not there");
    told(&agent, "db", PassResult::RolledBack, "is held back").await;
    let remove = || Step::Remove(ContainerRef::named("web-app-1"));
    let former = containers(&site, "web").await.remove(0).id;
    site.sim.by_hand(&remove()).unwrap();
    until("another container", async || {
        containers(&site, "web").await.first().is_some_and(|one| one.id != former)
    })
    .await;
    agent.end().await;

    site.sim.by_hand(&remove()).unwrap();
    let agent = site.start();
    runs(&site, "web", "web:1").await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_source_has_and_circles_are_errors_of_the_stacks_concerned_alone() {
    let site = Site::new("");
    for image in ["db:1", "web:1", "web:2", "a:1", "b:1", "c:1"] {
        site.image(image);
    }
    write(&site, "db", "db:1", "");
    write(&site, "web", "web:1", "db");
    site.git.push("Begin");
    let agent = site.start();
    runs(&site, "web", "web:1").await;

    write(&site, "web", "web:2", "dbs");
    write(&site, "a", "a:1", "b, db");
    write(&site, "b", "b:1", "a");
    write(&site, "c", "c:1", "a");
    site.git.push("A name that is wrong, and a circle");
    let words = "error: web/compose.yaml:2:16: x-bowline.depends_on: no source has a stack named \
                 `dbs`; did you mean `db`?";
    let web = told(&agent, "web", PassResult::Invalid, words).await;
    assert_eq!(web.problems.len(), 1);
    assert_eq!(web.problems[0].place.as_deref(), Some("web/compose.yaml:2:16"));
    told(&agent, "a", PassResult::Invalid, "a/compose.yaml:2:16").await;
    told(&agent, "a", PassResult::Invalid, "in a circle: a -> b -> a").await;
    told(&agent, "b", PassResult::Invalid, "in a circle: b -> a -> b").await;
    told(&agent, "c", PassResult::Waiting, "waiting for stack a: invalid: ").await;
    assert_eq!(images(&site, "web").await, ["web:1"], "it is kept as it is");
    assert_eq!(site.containers("a").await + site.containers("b").await, 0);

    // A stack of that name comes, and the circle is cut.
    site.image("dbs:1");
    write(&site, "dbs", "dbs:1", "");
    write(&site, "b", "b:1", "");
    site.git.push("Mend both");
    runs(&site, "web", "web:2").await;
    for stack in ["a", "b", "c"] {
        site.runs(stack).await;
    }
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_stacks_that_leave_git_at_once_the_dependent_goes_first() {
    let site = Site::new("");
    for name in ["db", "web", "c", "d", "e"] {
        site.image(&format!("{name}:1"));
        write(&site, name, &format!("{name}:1"), if name == "web" { "db" } else { "" });
    }
    site.git.push("Begin");
    let agent = site.start();
    for name in ["db", "web", "c", "d", "e"] {
        site.runs(name).await;
    }
    told(&agent, "web", PassResult::Unchanged, "").await;
    let refusal = EngineError::Refused {
        operation: "remove",
        object: "container web-app-1".to_owned(),
        status: 500,
        message: "device busy".to_owned(),
    };
    site.sim.fail("remove", 1, refusal);
    site.git.remove("db").remove("web").push("Two are gone");
    told(&agent, "db", PassResult::Waiting, "waiting for stack web to go first").await;
    until("web to be gone", async || {
        // The dependent is asked for first: between the two looks it could go, and the other after it.
        let (web, db) = (site.containers("web").await, site.containers("db").await);
        assert!(web == 0 || db == 1, "db went before web");
        web == 0
    })
    .await;
    site.is_gone("db").await;
    agent.end().await;
}
