//! `bowline status` in its forms, asked of an agent on the simulated engine over the real socket.

#![allow(clippy::unwrap_used)]

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::Duration;
use support::program::{command, signal, wait};
use support::site::{Agent, Site, until};

const NAMES: [&str; 3] = ["shop", "shop-eu", "wiki"];

fn well(agent: &Agent, name: &str) -> bool {
    agent.stack(name).is_some_and(|it| it.sync.word() == "Synced" && it.health.word() == "Healthy")
}

/// An agent that has brought up three stacks.
async fn site() -> (Site, Agent) {
    let site = Site::new("");
    let agent = site.begin(&NAMES).await;
    for name in NAMES {
        until(&format!("{name} to be well"), async || well(&agent, name)).await;
    }
    (site, agent)
}

fn head(text: &str) -> Vec<&str> {
    text.lines().next().unwrap_or_default().split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forms_tell_the_same_to_people_and_to_programs() {
    let (site, agent) = site().await;
    let text = site.run(&["status"]).await.expect(0).out;
    let columns = ["STACK", "SOURCE", "REVISION", "SYNC", "HEALTH", "DRIFT", "AGE", "MESSAGE"];
    assert_eq!(head(&text), columns, "{text}");
    assert!(!text.contains('\u{1b}'), "colours in a pipe: {text:?}");
    let wide = site.run(&["status", "-o", "wide"]).await.expect(0).out;
    for column in ["READY", "PASS", "CHANGED", "NEXT", "HOLD"] {
        assert!(head(&wide).contains(&column), "no {column} in:\n{wide}");
    }
    let row: Vec<&str> =
        wide.lines().find(|line| line.starts_with("shop-eu")).unwrap().split_whitespace().collect();
    assert_eq!(row[5], "1/1", "{wide}");
    let json = site.run(&["status", "-o", "json"]).await.expect(0).out;
    let yaml = site.run(&["status", "-o", "yaml"]).await.expect(0).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    let yaml: Value = serde_yaml::from_str(&yaml).unwrap();
    let names = |all: &Value| -> Vec<Value> {
        all["stacks"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect()
    };
    assert_eq!(names(&json), NAMES);
    assert_eq!(names(&json), names(&yaml));
    assert_eq!(json["stacks"][0]["workload"]["desired"], 1);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_are_chosen_by_name_or_source_and_what_is_not_known_is_said_with_what_is_near() {
    let (site, agent) = site().await;
    let rows = |text: &str| -> Vec<String> {
        let lines = text.lines().skip(1).take_while(|line| !line.is_empty());
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let some = site.run(&["status", "wiki", "shop"]).await.expect(0).out;
    assert_eq!(rows(&some), ["shop", "wiki"], "{some}");
    let of_source = site.run(&["status", "--source", "infra"]).await.expect(0).out;
    assert_eq!(rows(&of_source), NAMES, "{of_source}");
    let full = site.run(&["status", "wiki"]).await.expect(0).out;
    assert!(full.starts_with("wiki: Synced, Healthy"), "{full}");
    let row = site.run(&["status", "wiki", "-o", "wide"]).await.expect(0).out;
    assert_eq!(rows(&row), ["wiki"], "{row}");
    let one = site.run(&["status", "wiki", "-o", "json"]).await.expect(0).out;
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap()["name"], "wiki");
    site.run(&["status", "shpo"])
        .await
        .expect(1)
        .says(&["no stack shpo (did you mean shop?); `bowline status` lists"]);
    site.run(&["status", "wiki", "queue"])
        .await
        .expect(1)
        .says(&["knows no stack queue; `bowline"]);
    let unknown = site.run(&["status", "--source", "infar"]).await.expect(1);
    unknown.says(&["no source infar (did you mean infra?); `bowline status` lists"]);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_told_by_the_exit_code_whether_all_is_well() {
    let (site, agent) = site().await;
    site.run(&["status", "--check"]).await.expect(0);
    // No engine has its image.
    site.git.write("wiki/compose.yaml", "services: { app: { image: 'nowhere:2' } }\n").push("Bump");
    until("wiki not to be well", async || !well(&agent, "wiki")).await;
    site.run(&["status", "--check"]).await.expect(2);
    site.run(&["status", "--check", "shop"]).await.expect(0);
    site.run(&["status", "--check", "wiki"]).await.expect(2);
    site.run(&["status", "--check", "nobody"]).await.expect(1);
    // Nothing is fetched any more: the stacks are as a commit of before asks for.
    let away = site.git.bare().with_extension("away");
    std::fs::rename(site.git.bare(), &away).unwrap();
    site.run(&["sync", "--source", "infra"]).await.expect(0);
    until("the check to fail", async || site.run(&["status", "--check", "shop"]).await.code == 2)
        .await;
    std::fs::rename(&away, site.git.bare()).unwrap();
    agent.end().await;
    let nobody = site.run(&["status", "--check", "--agent", "http://127.0.0.1:1"]).await.expect(1);
    nobody.says(&["no agent answers at http://127.0.0.1:1, and only an agent knows"]);
    let bare = site.run(&["status", "--check", "--agent", "127.0.0.1:1"]).await.expect(1);
    bare.says(&["no agent answers at 127.0.0.1:1, and only an agent knows"]);
}

/// `bowline status --watch` under way, its lines as they come.
struct Watching {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Watching {
    fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut command = command(&site.dir.path().join("state"), &["status", "--watch"]);
        command.args(arguments).args(["--engine", "sim", "--socket"]).arg(site.socket());
        // Nobody answers here where the socket is away.
        command.env_remove("BOWLINE_AGENT").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let err = lines(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// The next line that holds all of `words`; what comes before is given, too.
    async fn line(&self, words: &[&str]) -> Vec<String> {
        let mut seen = Vec::new();
        until(&format!("a line with {words:?}"), async || {
            seen.extend(self.out.try_iter());
            seen.iter().any(|line| words.iter().all(|word| line.contains(word)))
        })
        .await;
        seen
    }

    fn interrupt(mut self) -> (Option<i32>, Vec<String>, Vec<String>) {
        signal(&self.child, Signal::INT);
        let status = wait(&mut self.child, Duration::from_secs(30)).expect("it ends");
        (status.code(), self.out.iter().collect(), self.err.iter().collect())
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_changes_alone_outlives_the_agent_and_ends_cleanly() {
    let (site, agent) = site().await;
    let watching = Watching::start(&site, &[]);
    let begun = watching.line(&["wiki", "Synced"]).await;
    assert_eq!(begun.len(), 4, "a heading and a line a stack: {begun:#?}");
    site.write("wiki", "wiki:2").git.push("Bump");
    let revision = || agent.stack("wiki")?.applied_revision.map(|it| it.short().to_owned());
    let before = revision();
    until("wiki to be bumped", async || revision() != before).await;
    let after = revision().unwrap();
    let changed = watching.line(&["wiki", &after, "Synced"]).await;
    // The commit is that of the other stacks, too.
    assert!(
        changed.iter().all(|line| NAMES.iter().any(|name| line.starts_with(name))),
        "{changed:#?}"
    );
    for name in ["shop", "shop-eu"] {
        let is_there = || agent.stack(name)?.applied_revision.filter(|it| it.short() == after);
        until(&format!("{name} to follow"), async || is_there().is_some()).await;
    }
    agent.end().await;
    let away = || watching.err.try_iter().next();
    let mut said = None;
    until("it to say that the agent is away", async || {
        said = said.take().or_else(away);
        said.is_some()
    })
    .await;
    let said = said.unwrap();
    assert!(said.contains("does not answer any more; waiting for it"), "{said}");
    let agent = site.start();
    for name in NAMES {
        until(&format!("{name} to be well again"), async || well(&agent, name)).await;
    }
    site.write("shop", "shop:3").git.push("Bump again");
    let shop = || agent.stack("shop")?.applied_revision.map(|it| it.short().to_owned());
    until("shop to be bumped", async || shop().is_some_and(|it| it != after)).await;
    let later = watching.line(&["shop ", &shop().unwrap(), "Synced"]).await;
    assert!(
        !later.iter().any(|line| line.contains("Unknown")),
        "a fresh agent's ignorance: {later:#?}"
    );
    let (code, _, err) = watching.interrupt();
    assert_eq!((code, err.len()), (Some(0), 0), "{err:?}");
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_for_programs_has_a_document_a_line() {
    let (site, agent) = site().await;
    let watching = Watching::start(&site, &["-o", "json", "wiki"]);
    let begun = watching.line(&["wiki"]).await;
    let document: Value = serde_json::from_str(&begun[0]).unwrap();
    assert_eq!(
        (document["name"].as_str(), document["sync"].as_str()),
        (Some("wiki"), Some("Synced"))
    );
    let commit = site.write("wiki", "wiki:2").git.push("Bump");
    let more = watching.line(&[&format!("\"applied_revision\":\"{commit}\"")]).await;
    for line in more {
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["name"], "wiki");
    }
    let (code, ..) = watching.interrupt();
    assert_eq!(code, Some(0));
    agent.end().await;
    let mut nobody =
        command(&site.dir.path().join("state"), &["status", "-w", "--agent", "http://127.0.0.1:1"]);
    support::program::run(&mut nobody).expect(1).says(&["only an agent can be watched; start it"]);
}
