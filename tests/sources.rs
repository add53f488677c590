//! Sources as an agent follows them: one that fails, beside one that does not, and what is shown of
//! both. On the simulated engine, with real git repositories, in time that goes by as fast as it can.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{self, Views};
use bowline::config::Config;
use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{ImageConfig, Query, StackName};
use bowline::status::{ConditionKind, SourceStatus, Verdict};
use jiff::{SignedDuration, Timestamp};
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::program::{Ended, command, run};
use support::repository::Git;
use support::site::{Site, until};
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

/// Does something to a repository.
type Spoil<'a> = Box<dyn Fn() + 'a>;

/// The containers of the stacks `a` and `b`.
async fn containers(site: &Site) -> Vec<String> {
    let mut ids = Vec::new();
    for stack in ["a", "b"] {
        let query = Query::owned_by(StackName::new(stack).unwrap());
        let observed = site.sim.observe(&query).await.unwrap();
        ids.extend(observed.containers.iter().map(|it| it.id.0.clone()));
    }
    ids
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

#[tokio::test]
async fn a_stack_whose_files_the_host_cannot_read_is_read_again_and_one_in_error_is_not() {
    let (dir, git, sim) = (tempfile::tempdir().unwrap(), Git::new(), Sim::new());
    let image = ImageConfig { command: vec!["run".into()], ..ImageConfig::default() };
    sim.image_add("a:1", image, Behaviour::default());
    let write = |more: &str| {
        let text = format!("services: {{ app: {{ image: a:1{more} }} }}\n");
        git.write("a/compose.yaml", &text).push("Another a")
    };
    write("");
    let text = format!(
        "sources: [{{ name: infra, url: {:?}, interval: 1h }}]\nsocket: bowline.sock\nstate_dir: state\n\
         monitor: 0s\n",
        git.url()
    );
    let config = Config::parse(&text, &dir.path().join("config.yaml")).unwrap();
    let (views, stop) = (Views::default(), CancellationToken::new());
    let agent = tokio::spawn(agent::run(config, Arc::new(sim), views.clone(), stop.clone()));
    let a = StackName::new("a").unwrap();
    let stack = || views.shared.board().stack(&a).cloned();
    let is_synced = |commit: &str| {
        stack().is_some_and(|it| it.applied_revision.is_some_and(|at| at.0 == commit))
    };
    let message = || stack().map(|it| it.message).unwrap_or_default();
    let soon = || source(&views, "infra").unwrap().next_fetch.unwrap();
    let in_minutes = |minutes| Timestamp::now() + SignedDuration::from_mins(minutes);
    until("a to run", async || stack().is_some_and(|it| it.last_success.is_some())).await;

    // A file that is there and cannot be opened, as with an error of the disk.
    let file = dir.path().join("state/sources/infra/checkout/a/app.env");
    let unreadable = UnixListener::bind(&file).unwrap();
    let commit = write(", env_file: [app.env]");
    until("it to be told", async || message().contains("cannot read a/app.env")).await;
    let ready = stack().unwrap().conditions.get(ConditionKind::Ready).unwrap().status;
    assert_eq!(ready, Verdict::False);
    assert!(soon() < in_minutes(11), "it is tried again in a while: {}", soon());
    drop(unreadable);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "A=1\n").unwrap();
    until("it to be read again", async || is_synced(&commit)).await;
    assert!(soon() > in_minutes(30), "{}", soon());

    write(", imgae: a:2");
    until("the error to be told", async || message().contains("imgae")).await;
    assert!(soon() > in_minutes(30), "what is in error is not read again: {}", soon());
    stop.cancel();
    agent.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_clone_that_a_loss_of_power_took_while_the_source_is_away_touches_nothing_and_comes_again()
 {
    let site = Site::new("");
    let agent = site.begin(&["a", "b"]).await;
    agent.end().await;
    let before = containers(&site).await;
    let packs = site.dir.path().join("state/sources/infra/git/objects/pack");
    for entry in std::fs::read_dir(packs).unwrap().flatten() {
        let length = entry.metadata().unwrap().len();
        std::fs::remove_file(entry.path()).unwrap();
        std::fs::write(entry.path(), vec![0; usize::try_from(length).unwrap()]).unwrap();
    }
    let away = site.dir.path().join("away");
    std::fs::rename(site.git.bare(), &away).unwrap();
    let agent = site.start();
    let failed = || source(&agent.views, "infra").is_some_and(|it| it.failures > 1);
    until("it to be told", async || failed()).await;
    assert_eq!(containers(&site).await, before);
    std::fs::rename(&away, site.git.bare()).unwrap();
    let commit = site.git.write("README", "").push("Go on");
    fetched(&agent.views, "infra", &commit).await;
    until("passes over both", async || {
        let at = |name| agent.stack(name).and_then(|it| it.applied_revision);
        ["a", "b"].into_iter().all(|name| at(name).is_some_and(|at| at.0 == commit))
    })
    .await;
    assert_eq!(containers(&site).await, before);
    agent.end().await;
}

#[tokio::test]
async fn a_file_that_a_loss_of_power_took_with_the_clone_reaches_no_container() {
    let site = Site::new("");
    site.image("a:2");
    let agent = site.begin(&["a", "b"]).await;
    agent.end().await;
    let before = containers(&site).await;
    let source = site.dir.path().join("state/sources/infra");
    // It looks as it was written.
    let file = source.join("checkout/a/compose.yaml");
    let (text, at) = (std::fs::read_to_string(&file).unwrap(), std::fs::metadata(&file).unwrap());
    std::fs::write(&file, text.replace("a:1", "a:2")).unwrap();
    let open = std::fs::File::options().write(true).open(&file).unwrap();
    open.set_modified(at.modified().unwrap()).unwrap();
    // So nothing can be gone on from, and it is cloned anew.
    std::fs::write(source.join("git/refs/bowline/shown"), format!("{:040}\n", 1)).unwrap();
    std::fs::write(source.join("git/HEAD"), format!("{:040}\n", 1)).unwrap();
    let agent = site.start();
    until("passes over both", async || {
        let passed = |name| agent.stack(name).is_some_and(|it| it.last_success.is_some());
        ["a", "b"].into_iter().all(passed)
    })
    .await;
    assert_eq!(containers(&site).await, before);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    agent.end().await;
}

#[tokio::test]
async fn whatever_becomes_of_a_repository_is_one_error_and_touches_no_stack() {
    let mut site = Site::new("");
    site.source = ", path: stacks";
    for name in ["a", "b"] {
        site.write(&format!("stacks/{name}"), "app:1");
    }
    let begin = site.git.push("Begin");
    let agent = site.start();
    site.runs("a").await;
    site.runs("b").await;
    let before = containers(&site).await;
    let bare = site.git.bare();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git.arg("--git-dir").arg(&bare).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let commit = |tree: &str| {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        git(&[&who[..], &["commit-tree", "-m", "Spoil", tree]].concat())
    };
    let main = |id: &str| drop(git(&["update-ref", "refs/heads/main", id]));
    let tree = |lines: &str| {
        let mut make = Command::new("git");
        make.arg("--git-dir").arg(&bare).args(["mktree", "--missing"]);
        make.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut make = make.spawn().unwrap();
        make.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        String::from_utf8(make.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let a = git(&["rev-parse", &format!("{begin}:stacks/a")]);
    let b = git(&["rev-parse", &format!("{begin}:stacks/b")]);
    let blob = git(&["rev-parse", &format!("{begin}:stacks/a/compose.yaml")]);
    let twins = tree(&format!("040000 tree {a}\tA\n040000 tree {a}\ta\n040000 tree {b}\tb\n"));
    let rows: [(&str, &str, Spoil<'_>); 6] = [
        ("an empty commit", "there is no directory stacks", Box::new(|| main(&commit(&tree(""))))),
        (
            "a path that becomes a file",
            "there is no directory stacks",
            Box::new(|| main(&commit(&tree(&format!("100644 blob {blob}\tstacks\n"))))),
        ),
        (
            "a path that becomes a link that leads out",
            "there is no directory stacks",
            Box::new(|| main(&commit(&tree(&format!("120000 blob {blob}\tstacks\n"))))),
        ),
        (
            "no branch at all",
            "the repository is empty",
            Box::new(|| drop(git(&["update-ref", "-d", "refs/heads/main"]))),
        ),
        (
            "a default branch that is gone",
            "HEAD",
            Box::new(|| {
                git(&["update-ref", "refs/heads/trunk", &begin]);
                git(&["update-ref", "-d", "refs/heads/main"]);
            }),
        ),
        (
            "names that differ in their case",
            "two stacks are named a",
            Box::new(|| main(&commit(&tree(&format!("040000 tree {twins}\tstacks\n"))))),
        ),
    ];
    for (what, words, spoil) in &rows {
        spoil();
        let told = || {
            let of_source = source(&agent.views, "infra").map(|it| it.message).unwrap_or_default();
            let of_stack = agent.stack("a").map(|it| it.message).unwrap_or_default();
            format!("{of_source}\n{of_stack}")
        };
        until(&format!("`{words}` of {what}"), async || told().contains(words)).await;
        assert_eq!(containers(&site).await, before, "{what}");
        let departed = ["a", "b"].map(|name| agent.stack(name).and_then(|it| it.departure));
        assert_eq!(departed, [None, None], "{what}");
        main(&begin);
        bowline(&site.dir, &["sync", "a"]).await.expect(0);
        let is_well = || source(&agent.views, "infra").is_some_and(|it| it.failures == 0);
        until(&format!("all to be well after {what}"), async || {
            let at = agent.stack("a").filter(|it| it.message.is_empty());
            is_well() && at.and_then(|it| it.applied_revision).is_some_and(|at| at.0 == begin)
        })
        .await;
        assert_eq!(containers(&site).await, before, "{what}");
    }
    agent.end().await;
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
