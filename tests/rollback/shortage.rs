//! An image cannot be had for a while.

use crate::stage::{CHECK, Of, config, site, web};
use crate::support::site::until;
use bowline::engine::sim::Behaviour;
use bowline::plan::{ContainerRef, Step};
use bowline::status::PassResult;

/// The versions of the services of a stack: `db` is by itself, `web` has an image, `api` needs `web`.
fn three(image: &str, version: u8) -> String {
    let more =
        |depends: &str| format!("image: 'web:1', environment: {{ V: '{version}' }}{depends}");
    format!(
        "{}  db: {{ {} }}\n  api: {{ {} }}\n",
        web(image, ""),
        more(""),
        more(", depends_on: [web]")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_image_cannot_be_had_what_waits_for_it_is_repaired_as_it_held_before() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let good = of.commit(&three("web:1", 1));
    let agent = site.start();
    of.applied(&agent, &good).await;
    let version = async |name: &str| {
        let all = of.containers().await;
        let one = all.into_iter().find(|it| it.name == name)?;
        one.spec.environment.get("V").cloned().flatten()
    };
    let passes = || {
        let page = agent.views.metrics.render();
        let counts = page.lines().filter(|line| line.starts_with("bowline_reconcile_total{"));
        counts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>()
    };
    let first = passes();
    site.sim.registry_answers(false);
    let commit = of.commit(&three("web:3", 2));
    until("what needs no image to go on", async || version("s-db-1").await.as_deref() == Some("2"))
        .await;
    let pulls = || site.sim.calls().get("pull").copied().unwrap_or_default();
    // The pauses between the pulls have grown by now, and a repair waits for none of them.
    until("some pulls", async || pulls() >= 3).await;
    let before = pulls();
    site.sim.crash("s-web-1", 1);
    of.until_serves(&["web:1"; 4]).await;
    let remove = Step::Remove(ContainerRef::named("s-web-2"));
    while site.sim.by_hand(&remove).is_err() {
        site.sim.crash("s-web-2", 1);
    }
    of.until_serves(&["web:1"; 4]).await;
    assert!(pulls() <= before + 1, "the repairs waited for pulls");
    assert_eq!(version("s-api-1").await.as_deref(), Some("1"), "it needs what waits");
    let status = of.ended(&agent, PassResult::Failed).await;
    let told = &status.message;
    assert!(told.contains("connection refused") && told.contains(&good[..12]), "{told}");
    assert_eq!((&status.held_back, &status.paused), (&None, &None));
    assert_ne!(status.applied_revision.unwrap().0, commit);
    let made = passes() - first;
    assert!((6..40).contains(&made), "{made} passes: they follow each other without a reason");

    site.sim.registry_add("web:3", config(), Behaviour::default());
    site.sim.registry_answers(true);
    let status = of.applied(&agent, &commit).await;
    of.until_serves(&["web:1", "web:1", "web:3", "web:3"]).await;
    assert_eq!(version("s-api-1").await.as_deref(), Some("2"));
    assert_eq!((status.held_back, status.paused), (None, None));
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_waited_for_also_while_another_service_rests() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let both = |image: &str, other: &str| {
        let pause = "deploy: { update_config: { failure_action: pause } }";
        format!("{}  db: {{ image: '{other}', {CHECK}, {pause} }}\n", web(image, ""))
    };
    let good = of.commit(&both("web:1", "web:1"));
    let agent = site.start();
    of.applied(&agent, &good).await;
    site.sim.registry_answers(false);
    of.commit(&both("web:3", "web:ill"));
    of.until_status(&agent, |status| status.paused.is_some()).await;
    site.sim.registry_add("web:3", config(), Behaviour::default());
    site.sim.registry_answers(true);
    until("the image to be had", async || {
        let all = of.containers().await;
        all.iter().filter(|it| it.spec.image.as_str() == "web:3").count() == 2
    })
    .await;
    of.until_status(&agent, |status| {
        status.paused.is_some() && !status.message.contains("until the image can be had")
    })
    .await;
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_image_cannot_be_had_what_is_only_told_is_not_repaired() {
    let site = site();
    let of = Of { site: &site, stack: "s" };
    let drift = |image: &str| format!("x-bowline: {{ drift: report }}\n{}", web(image, ""));
    let good = of.commit(&drift("web:1"));
    let agent = site.start();
    of.applied(&agent, &good).await;
    site.sim.registry_answers(false);
    of.commit(&drift("web:3"));
    of.ended(&agent, PassResult::Failed).await;
    site.sim.crash("s-web-1", 1);
    of.is_quiet().await;
    assert_eq!(of.lives().await.len(), 1);
    agent.end().await;
}
