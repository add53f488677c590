//! An agent on the simulated engine, whose source is verified: the last good revision runs on, and the
//! status says why.

use crate::forge::Forge;
use crate::keys::{Signer, SshKey};
use crate::support::site::{Agent, Site, until};
use bowline::engine::Engine;
use bowline::model::{Query, StackName};
use bowline::plan::{ContainerRef, Step};
use bowline::status::{ConditionKind, SourceStatus, Verdict};
use std::fs;

const VERIFIED: &str = ", verify: { mode: head, allowed_signers: allowed_signers }";

/// Commits a stack that runs this image, and pushes it to where the agent looks.
fn push(site: &Site, forge: &Forge, image: &str, signer: Option<&Signer>) {
    site.image(image);
    let text = format!("services: {{ app: {{ image: {image} }} }}\n");
    forge.commit_files(&[("web/compose.yaml", &text)], signer);
    forge.git(&["push", "--quiet", &site.git.url(), "main"]);
}

/// The images that containers of the stack run.
async fn images(site: &Site) -> Vec<String> {
    let query = Query::owned_by(StackName::new("web").unwrap());
    let observed = site.sim.observe(&query).await.unwrap();
    observed.containers.iter().map(|one| one.spec.image.to_string()).collect()
}

async fn runs(site: &Site, image: &str) {
    until(&format!("{image} to run"), async || images(site).await == [image]).await;
}

fn source(agent: &Agent) -> Option<SourceStatus> {
    agent.views.shared.board().sources().next().cloned()
}

/// The status of the source once it has this condition's reason.
async fn told(agent: &Agent, reason: &str) -> SourceStatus {
    let found = || {
        let status = source(agent)?;
        let ready = status.conditions.get(ConditionKind::Ready)?;
        (ready.reason == reason).then_some(status)
    };
    until(reason, async || found().is_some()).await;
    found().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_keeps_running_the_last_good_revision_and_the_status_tells_why() {
    let Some(forge) = Forge::new() else { return };
    let mut site = Site::new("");
    site.source = VERIFIED;
    let key = SshKey::new(&forge, "key", "ed25519");
    fs::write(site.dir.path().join("allowed_signers"), key.line("")).unwrap();
    push(&site, &forge, "web:1", Some(&key.signer()));
    let agent = site.start();
    runs(&site, "web:1").await;
    let by = format!("commit signed with SSH key {} (alice@example.org)", key.fingerprint());
    let good = told(&agent, "Fetched").await;
    assert_eq!(good.verified.as_deref(), Some(by.as_str()));
    assert!(agent.views.metrics.render().contains("bowline_source_verified{source=\"infra\"} 1"));

    push(&site, &forge, "web:2", None);
    let refused = told(&agent, "VerificationFailed").await;
    assert!(refused.message.contains("it is not signed; sign it"), "{}", refused.message);
    assert_eq!((refused.revision, refused.verified.as_deref()), (good.revision, Some(by.as_str())));
    assert_eq!(refused.conditions.get(ConditionKind::Ready).unwrap().status, Verdict::False);
    assert!(agent.views.metrics.render().contains("bowline_source_verified{source=\"infra\"} 0"));
    assert_eq!(images(&site).await, ["web:1"]);
    agent.end().await;

    // Over a restart: what was verified is kept as it was.
    site.sim.by_hand(&Step::Remove(ContainerRef::named("web-app-1"))).unwrap();
    let agent = site.start();
    told(&agent, "VerificationFailed").await;
    runs(&site, "web:1").await;

    push(&site, &forge, "web:3", Some(&key.signer()));
    runs(&site, "web:3").await;
    assert_eq!(told(&agent, "Fetched").await.message, "");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deployed_unsigned_is_left_alone_once_signatures_are_asked_for() {
    let Some(forge) = Forge::new() else { return };
    let mut site = Site::new("");
    let key = SshKey::new(&forge, "key", "ed25519");
    push(&site, &forge, "web:1", None);
    let agent = site.start();
    runs(&site, "web:1").await;
    agent.end().await;

    site.source = VERIFIED;
    fs::write(site.dir.path().join("allowed_signers"), key.line("")).unwrap();
    let agent = site.start();
    told(&agent, "VerificationFailed").await;
    assert!(agent.stack("web").is_none(), "nothing unsigned is taken in");
    assert_eq!(images(&site).await, ["web:1"], "nothing is taken away either");
    push(&site, &forge, "web:2", Some(&key.signer()));
    runs(&site, "web:2").await;
    agent.end().await;
}
