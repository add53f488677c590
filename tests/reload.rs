//! SIGHUP: the configuration is read anew, and what differs takes effect without a restart of anything.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{self, AgentError, Reloads, Views};
use bowline::config::{self, Config};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Instant;
use support::agent::{Agent, Settings};
use support::repository::Git;
use support::site::{Site, until as until_async};
use support::wait::{BOUND, until};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A repository with a stack of this name, and another one in a directory `other`.
fn repository(name: &str) -> Git {
    let git = Git::new();
    let stack = |name: &str| format!("name: {name}\nservices: {{ a: {{ image: absent:1 }} }}\n");
    git.write("first/compose.yaml", &stack(name));
    git.write("other/compose.yaml", &stack(&format!("{name}-other"))).push("Begin");
    git
}

/// The text of a configuration with these sources (name, url, more keys), and more.
fn text(settings: &Settings, sources: &[(&str, &Git, &str)], more: &str) -> String {
    let source = |(name, git, more): &(&str, &Git, &str)| {
        format!("  - {{ name: {name}, url: {:?}, interval: 1h{more} }}\n", git.url())
    };
    let sources: String = sources.iter().map(source).collect();
    format!(
        "sources:\n{sources}http: {{ listen: {:?} }}\nstate_dir: state\nsocket: bowline.sock\nmonitor: 0s\n{more}",
        settings.address
    )
}

fn names(agent: &Agent, of: &str) -> Vec<String> {
    let all = agent.status()[of].as_array().cloned().unwrap_or_default();
    all.iter().filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
}

fn fetches(agent: &Agent, source: &str) -> String {
    let begin = format!("bowline_source_fetch_total{{result=\"success\",source=\"{source}\"}} ");
    let page = agent.metrics();
    let line = page.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("no {begin} in\n{page}")).to_owned()
}

fn reload(settings: &Settings, agent: &Agent, text: &str) -> String {
    std::fs::write(settings.file(), text).unwrap();
    let mark = agent.mark();
    agent.hang_up();
    agent.until_logged(mark, &["configuration was read anew"])
}

#[test]
fn sources_come_change_and_leave_and_others_are_not_fetched_again() {
    let (one, two, three) = (repository("one"), repository("two"), repository("three"));
    let settings = Settings::new("unused", "/unused", "");
    let both = [("one", &one, ""), ("two", &two, ", path: first")];
    std::fs::write(settings.file(), text(&settings, &both, "")).unwrap();
    let agent = Agent::start_with(&settings, &["--engine", "sim"], &[]);
    agent.until_ready();
    assert_eq!(names(&agent, "stacks"), ["one", "one-other", "two"]);
    let before = fetches(&agent, "one");

    let new = [("one", &one, ""), ("two", &two, ", path: other"), ("three", &three, "")];
    let told = reload(&settings, &agent, &text(&settings, &new, ""));
    assert!(told.contains("new: three; changed: two"), "{told}");
    agent.until_stack("three", |stack| stack["last_pass"].is_object());
    agent.until_stack("two-other", |stack| stack["last_pass"].is_object());
    assert_eq!(names(&agent, "sources"), ["one", "three", "two"]);

    // The new one is watched as well as the others.
    three.write("first/compose.yaml", "name: three\nservices: { b: { image: absent:1 } }\n");
    let commit = three.push("Turn");
    agent.until_stack("three", |stack| stack["revision"].as_str() == Some(&commit));

    let told = reload(&settings, &agent, &text(&settings, &both[..1], ""));
    assert!(told.contains("gone: three, two"), "{told}");
    until("the stacks of the others to be forgotten", || {
        (names(&agent, "stacks") == ["one", "one-other"] && names(&agent, "sources") == ["one"])
            .then_some(())
    });
    assert_eq!(fetches(&agent, "one"), before, "one was fetched though nothing of it changed");
    let metrics = agent.metrics();
    assert!(
        !metrics.contains("source=\"three\"") && !metrics.contains("stack=\"three\""),
        "{metrics}"
    );

    // And back again.
    reload(&settings, &agent, &text(&settings, &new, ""));
    agent.until_stack("three", |stack| stack["last_pass"].is_object());
    assert_eq!(fetches(&agent, "one"), before);
    assert!(agent.terminate().success());
}

#[test]
fn a_wrong_configuration_changes_nothing_and_what_needs_a_restart_is_named_once() {
    let (one, two) = (repository("one"), repository("two"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(BOUND)).unwrap();
    let settings = Settings::new("unused", "/unused", "");
    let alone = [("one", &one, "")];
    std::fs::write(settings.file(), text(&settings, &alone, "")).unwrap();
    let agent = Agent::start_with(&settings, &["--engine", "sim"], &[("NOTIFY_SOCKET", &*path)]);
    hear(&systemd, |told| told.contains("READY=1"));

    let wrong = text(&settings, &[("one", &one, ""), ("two", &two, "")], "monitr: 1s\n");
    std::fs::write(settings.file(), wrong).unwrap();
    let mark = agent.mark();
    agent.hang_up();
    let reloading = hear(&systemd, |told| told.contains("RELOADING=1"));
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    hear(&systemd, |told| told.contains("READY=1"));
    let status = hear(&systemd, |told| told.contains("STATUS=") && told.contains("config.yaml:"));
    assert!(status.contains("stacks synced; the configuration stays as it was: "), "{status}");
    agent.until_logged(mark, &["ERROR", "config.yaml:8:1: unknown field `monitr`"]);
    let errors = agent.log().lines().filter(|line| line.contains("unknown field")).count();
    assert_eq!((errors, names(&agent, "sources")), (1, vec!["one".to_owned()]));
    assert_eq!(agent.get("/readyz").map(|(status, _)| status), Some(200));

    let more = "log: { level: debug }\n";
    let elsewhere = text(&settings, &[("one", &one, ""), ("two", &two, "")], more)
        .replace("bowline.sock", "other.sock");
    let mark = agent.mark();
    reload(&settings, &agent, &elsewhere);
    let told = agent.until_logged(mark, &["WARN", "a restart is needed for"]);
    assert!(told.contains("for socket, log; the rest of the configuration is in effect"), "{told}");
    agent.until_stack("two", |stack| stack["last_pass"].is_object());
    hear(&systemd, |told| told.contains("a restart is needed for socket, log"));
    assert!(!settings.dir.path().join("other.sock").exists());

    reload(&settings, &agent, &text(&settings, &alone, ""));
    hear(&systemd, |told| told.contains("STATUS=") && told.trim_end().ends_with("stacks synced"));
    assert!(agent.terminate().success());
}

/// Reads what systemd is told until something fits; returns that.
fn hear(systemd: &UnixDatagram, fits: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + BOUND;
    loop {
        assert!(Instant::now() < end, "what systemd is to be told did not come within {BOUND:?}");
        let mut buffer = [0; 4096];
        let length = systemd.recv(&mut buffer).expect("what systemd is to be told comes in time");
        let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if fits(&told) {
            return told;
        }
    }
}

/// An agent in this process, which reads its configuration anew when asked to.
struct Reloading {
    views: Views,
    tell: mpsc::Sender<()>,
    stop: CancellationToken,
    run: JoinHandle<Result<(), AgentError>>,
}

impl Reloading {
    fn start(site: &Site, config: Config) -> Self {
        let (views, stop, file) = (Views::default(), CancellationToken::new(), site.config_file());
        let read = move || config::load(&file).map_err(|error| error.to_string());
        let (tell, reloads) = Reloads::new(read);
        let engine = Arc::new(site.sim.clone());
        let run = agent::run_reloading(config, engine, views.clone(), Some(reloads), stop.clone());
        Self { views, tell, stop, run: tokio::spawn(run) }
    }

    fn stacks(&self) -> Vec<String> {
        self.views.shared.board().stacks().map(|stack| stack.name.to_string()).collect()
    }
}

#[tokio::test]
async fn a_source_that_leaves_leaves_its_stacks_running_and_is_judged_when_it_comes_back() {
    let site = Site::new("prune: true");
    for name in ["a", "b", "c"] {
        site.write(name, &format!("{name}:1"));
    }
    site.git.push("Begin");
    let other = Git::new();
    other.write("d/compose.yaml", "services: { app: { image: d:1 } }\n").push("Begin");
    site.image("d:1");
    let agent = Reloading::start(&site, site.config());
    for name in ["a", "b", "c"] {
        site.runs(name).await;
    }
    let with_infra = std::fs::read_to_string(site.config_file()).unwrap();
    let (sources, rest) = with_infra.split_once('\n').unwrap();
    let of_other = format!("{{ name: other, url: {:?}, interval: 1s }}", other.url());
    let without = format!("sources: [{of_other}]\n{rest}");
    std::fs::write(site.config_file(), without).unwrap();
    agent.tell.send(()).await.unwrap();
    site.runs("d").await;
    until_async("the others to be forgotten", async || agent.stacks() == ["d"]).await;

    // While nobody looks, one of them leaves the repository.
    site.git.remove("b").push("Without b");
    let both = sources.replacen('[', &format!("[{of_other}, "), 1);
    std::fs::write(site.config_file(), format!("{both}\n{rest}")).unwrap();
    assert_eq!(site.containers("b").await, 1, "what no source asks for was touched");
    agent.tell.send(()).await.unwrap();
    site.is_gone("b").await;
    until_async("the others to be back", async || agent.stacks() == ["a", "c", "d"]).await;
    assert_eq!((site.containers("a").await, site.containers("c").await), (1, 1));
    agent.stop.cancel();
    agent.run.await.unwrap().unwrap();
}

#[tokio::test]
async fn other_rules_of_pruning_hold_for_what_was_read_before() {
    let site = Site::new("prune: false");
    for name in ["a", "b", "c"] {
        site.write(name, &format!("{name}:1"));
    }
    site.git.push("Begin");
    let agent = Reloading::start(&site, site.config());
    for name in ["a", "b", "c"] {
        site.runs(name).await;
    }
    site.git.remove("b").push("Without b");
    until_async("b to be forgotten", async || agent.stacks() == ["a", "c"]).await;
    assert_eq!(site.containers("b").await, 1);
    let text = std::fs::read_to_string(site.config_file()).unwrap();
    std::fs::write(site.config_file(), text.replace("prune: false", "prune: true")).unwrap();
    agent.tell.send(()).await.unwrap();
    site.is_gone("b").await;
    agent.stop.cancel();
    agent.run.await.unwrap().unwrap();
}

/// How many fetches of a source ended well.
fn well(views: &Views, source: &str) -> u64 {
    let page = views.metrics.render();
    let begin = format!("bowline_source_fetch_total{{result=\"success\",source=\"{source}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&begin)).map_or(0, |it| it.parse().unwrap())
}

/// `x` moves from one source to another by a reload that changes both, of which the other cannot be fetched
/// from `url` yet.
async fn a_stack_moves_to_a_source_at(url: &str) {
    let site = Site::new("");
    let (former, later) = (Git::new(), Git::new());
    let write = |git: &Git, dir: &str, stack: &str| {
        site.image(&format!("{stack}:1"));
        let text = format!("services: {{ app: {{ image: {stack}:1 }} }}\n");
        git.write(&format!("{dir}/{stack}/compose.yaml"), &text);
    };
    for (dir, stacks) in [("one", ["a", "c", "x", "z"].as_slice()), ("two", &["a", "c", "d"])] {
        for stack in stacks {
            write(&site.git, dir, stack);
        }
    }
    site.git.push("Begin");
    for (git, stacks) in [(&former, ["k"].as_slice()), (&later, &["k", "x"])] {
        for stack in stacks {
            write(git, "stacks", stack);
        }
        git.push("Begin");
    }
    let main = site.git.url();
    let text = |path: &str, other: &str| {
        format!(
            "sources:\n- {{ name: main, url: {main:?}, path: {path}, interval: 1s }}\n\
             - {{ name: other, url: {other:?}, path: stacks, interval: 1s }}\n\
             state_dir: state\nsocket: bowline.sock\nprune: true\nmonitor: 200ms\n"
        )
    };
    let say = |text: String| std::fs::write(site.config_file(), text).unwrap();
    say(text("one", &former.url()));
    let agent = Reloading::start(&site, config::load(&site.config_file()).unwrap());
    for name in ["a", "c", "x", "z", "k"] {
        site.runs(name).await;
    }

    say(text("two", url));
    agent.tell.send(()).await.unwrap();
    site.runs("d").await;
    // The source is judged before it is fetched again.
    let before = well(&agent.views, "main");
    until_async("more fetches", async || well(&agent.views, "main") > before + 2).await;
    assert_eq!((site.containers("x").await, site.containers("z").await), (1, 1));
    let leaving: Vec<_> = {
        let board = agent.views.shared.board();
        board.stacks().filter(|it| it.departure.is_some()).map(|it| it.name.clone()).collect()
    };
    assert_eq!(leaving, []);

    say(text("two", &later.url()));
    agent.tell.send(()).await.unwrap();
    // What is in neither is kept: no commit took it away.
    let held = |name: &str| {
        let board = agent.views.shared.board();
        let stack = board.stacks().find(|it| it.name.as_str() == name)?;
        stack.departure.as_ref()?.held.clone()
    };
    until_async("z to be held", async || {
        held("z").is_some_and(|why| why.contains("names another place"))
    })
    .await;
    assert_eq!(held("x"), None);
    for name in ["x", "z", "k"] {
        assert_eq!(site.containers(name).await, 1, "{name}");
    }
    agent.stop.cancel();
    agent.run.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_to_a_changed_source_that_does_not_answer_is_not_removed() {
    // Connections are taken by the kernel, and nobody ever answers.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    a_stack_moves_to_a_source_at(&format!("http://{}/x.git", server.local_addr().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_to_a_changed_source_that_is_away_is_not_removed() {
    a_stack_moves_to_a_source_at("/nowhere/x.git").await;
}
