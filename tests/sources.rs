//! Sources as an agent follows them: one that fails, beside one that does not, and what is shown of
//! both. On the simulated engine, with real git repositories, in time that goes by as fast as it can.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{self, Views};
use bowline::config::Config;
use bowline::engine::sim::Sim;
use bowline::model::StackName;
use bowline::status::{ConditionKind, SourceStatus, Verdict};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::program::{Ended, command, run};
use support::repository::Git;
use support::site::until;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Long enough for several pauses of who fails, and many intervals of who does not.
const LONG: Duration = Duration::from_secs(120);

fn source(views: &Views, name: &str) -> Option<SourceStatus> {
    let all = views.shared.board().snapshot().sources;
    all.into_iter().find(|source| source.name.as_str() == name)
}

async fn fetched(views: &Views, name: &str, commit: &str) -> SourceStatus {
    let at = || source(views, name).and_then(|it| it.revision).is_some_and(|it| it.0 == commit);
    until(&format!("{name} to be at {commit}"), async || at()).await;
    source(views, name).unwrap()
}

/// How many fetches ended so.
fn fetches(views: &Views, name: &str, result: &str) -> u64 {
    let page = views.metrics.render();
    let series = format!("bowline_source_fetch_total{{result=\"{result}\",source=\"{name}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |it| it.parse().unwrap())
}

async fn bowline(dir: &TempDir, arguments: &[&str]) -> Ended {
    let mut command = command(&dir.path().join("state"), arguments);
    command.arg("--socket").arg(dir.path().join("bowline.sock"));
    tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
}

#[tokio::test]
async fn a_commit_that_could_not_be_read_is_told_and_read_again_though_nothing_moved() {
    let (dir, git) = (tempfile::tempdir().unwrap(), Git::new());
    let commit = git.write("a/compose.yaml", "services: {}\n").push("Begin a");
    let text = format!(
        "sources: [{{ name: infra, url: {:?}, path: hosts, interval: 1h }}]\n\
         socket: bowline.sock\nstate_dir: state\n",
        git.url()
    );
    let config = Config::parse(&text, &dir.path().join("config.yaml")).unwrap();
    let (views, stop) = (Views::default(), CancellationToken::new());
    let agent = tokio::spawn(agent::run(config, Arc::new(Sim::new()), views.clone(), stop.clone()));
    let status = fetched(&views, "infra", &commit).await;
    let ready = status.conditions.get(ConditionKind::Ready).unwrap();
    assert_eq!((status.last_fetch.ok, ready.status), (false, Verdict::False), "{ready:?}");
    assert!(ready.message.contains("there is no directory hosts"), "{}", ready.message);
    until("it to be tried again", async || source(&views, "infra").unwrap().failures > 1).await;

    // What no commit knows of is seen in the checkout as well, so that it can be read from now on.
    let hosts = dir.path().join("state/sources/infra/checkout/hosts/b");
    std::fs::create_dir_all(&hosts).unwrap();
    std::fs::write(hosts.join("compose.yaml"), "services: {}\n").unwrap();
    let b = StackName::new("b").unwrap();
    until("b to be known", async || views.shared.board().stack(&b).is_some()).await;
    let status = source(&views, "infra").unwrap();
    assert_eq!((status.failures, status.message.as_str()), (0, ""));
    assert_eq!(status.revision.unwrap().0, commit);
    stop.cancel();
    agent.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_is_asked_in_growing_pauses_and_at_once_when_somebody_knows_better() {
    let (dir, well, ill) = (tempfile::tempdir().unwrap(), Git::new(), Git::new());
    let first = well.write("a/compose.yaml", "services: {}\n").push("Begin a");
    ill.write("b/compose.yaml", "services: {}\n");
    let second = ill.push("Bump \u{1b}]0;owned\u{7}b\n\nMore of it.\n");
    let one = |name: &str, git: &Git| {
        format!("{{ name: {name}, url: {:?}, interval: 1s, watch: false }}", git.url())
    };
    let text = format!(
        "sources: [{}, {}]\nsocket: bowline.sock\nstate_dir: state\n",
        one("well", &well),
        one("ill", &ill)
    );
    let config = Config::parse(&text, &dir.path().join("config.yaml")).unwrap();
    let (views, stop) = (Views::default(), CancellationToken::new());
    let agent = tokio::spawn(agent::run(config, Arc::new(Sim::new()), views.clone(), stop.clone()));
    fetched(&views, "well", &first).await;
    let status = fetched(&views, "ill", &second).await;
    let commit = status.commit.unwrap();
    assert_eq!((commit.author.as_str(), commit.subject.as_str()), ("Test", "Bump ]0;owned b"));
    assert!(status.next_fetch.unwrap() > status.last_success.unwrap());

    let away = dir.path().join("away");
    let moves = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    moves(&ill.bare(), &away);
    let before = fetches(&views, "well", "success");
    sleep(LONG).await;
    let failed = fetches(&views, "ill", "error");
    assert!((4..=9).contains(&failed), "{failed} tries");
    assert!(fetches(&views, "well", "success") - before > 90, "the other goes on");
    let status = source(&views, "ill").unwrap();
    assert_eq!((u64::from(status.failures), status.last_fetch.ok), (failed, false));
    assert_eq!(status.revision.unwrap().0, second);
    assert!(status.message.contains("ill"), "{}", status.message);
    assert!(status.next_fetch.unwrap() > Timestamp::now());
    let listed = bowline(&dir, &["status"]).await.expect(0).out;
    assert!(listed.contains(&format!("failed {failed} times: ")), "{listed}");
    assert!(listed.contains("Begin a (Test)") && !listed.contains('\u{1b}'), "{listed}");

    moves(&away, &ill.bare());
    let asked = Instant::now();
    bowline(&dir, &["sync", "b"]).await.expect(0);
    until("it to be well again", async || source(&views, "ill").unwrap().failures == 0).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let before = fetches(&views, "ill", "success");
    sleep(Duration::from_secs(20)).await;
    assert!(fetches(&views, "ill", "success") - before > 10, "it is back at its interval");
    stop.cancel();
    agent.await.unwrap().unwrap();
}
