//! Acts of the catalogue by Docker's own command line.

use super::row::{
    Again, FRONT, FRONT_ENDPOINT, Further, Lane, NetworkAgain, Row, WEB, WEB_COMMAND, WEB_IMAGE,
};
use super::support::api::get;
use super::support::docker::docker;
use super::support::stacks::{container, is_running};
use super::support::wait::until;
use bowline::model::labels::is_bookkeeping;
use serde_json::Value;
use std::process::Command;

/// Does what a row says.
pub fn act(lane: Lane, row: &Row) {
    let hand = Hand { lane, labels: Labels::of(lane) };
    row.by.iter().for_each(|line| hand.command(line));
    if let Some(again) = &row.again {
        hand.make_web_anew(again);
    }
    if let Some(network) = &row.network {
        hand.make_front_anew(network);
    }
    if let Some(further) = &row.copy {
        hand.add(further);
    }
}

/// Takes away what is to be left alone, as far as it can go.
pub fn undo(lane: Lane, row: &Row) {
    for line in &row.undo {
        let words = lane.words(line);
        docker(&words[1..].iter().map(String::as_str).collect::<Vec<_>>());
    }
}

struct Hand {
    lane: Lane,
    labels: Labels,
}

/// Our labels on a lane's objects, as they are before an act.
struct Labels {
    web: Vec<String>,
    worker: Vec<String>,
    front: Vec<String>,
    data: Vec<String>,
}

impl Labels {
    fn of(lane: Lane) -> Self {
        let container =
            |name: &str| options(&get(&lane.of(&format!("/containers/{name}/json")))["Config"]);
        Self {
            web: container("shop-web-1"),
            worker: container("shop-worker-2"),
            front: options(&get(&lane.of("/networks/shop_front"))),
            data: options(&get(&lane.of("/volumes/shop_data"))),
        }
    }
}

impl Hand {
    fn command(&self, line: &str) {
        let words = self.lane.words(line).into_iter();
        let words: Vec<String> = words
            .flat_map(|word| if word == "LABELS" { self.labels.data.clone() } else { vec![word] })
            .collect();
        run(&words[1..]);
        if words[1] == "exec" {
            let ended = || container(&words[2]).filter(|one| !is_running(one));
            until("the end of the process", ended);
        }
    }

    fn make_web_anew(&self, again: &Again) {
        let image = again.image.as_deref().unwrap_or(WEB_IMAGE);
        let command = again.command.as_deref().unwrap_or(WEB_COMMAND);
        let mut words = first(again.start);
        words.extend(self.lane.changed(WEB, &again.without, &again.with));
        words.extend(self.labels.web.iter().cloned());
        words.extend(self.lane.words(&format!("{image} {command}")));
        run(&self.lane.words("rm --force shop-web-1"));
        run(&words);
        again.then.iter().for_each(|line| self.command(line));
    }

    fn make_front_anew(&self, network: &NetworkAgain) {
        if network.connect {
            run(&self.lane.words("network disconnect shop_front shop-web-1"));
        }
        run(&self.lane.words("network rm shop_front"));
        let is_of_the_network = |name: &str| !["--ip", "--alias"].contains(&name);
        let part = |base: &str, of_the_network: bool| {
            let part = |text: &str| {
                let options = self.lane.options(text).into_iter();
                let kept = options.filter(|(name, _)| is_of_the_network(name) == of_the_network);
                kept.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(" ")
            };
            self.lane.changed(base, &part(&network.without), &part(&network.with))
        };
        let labels = if network.labels { &self.labels.front[..] } else { &[] };
        let name = self.lane.of("shop_front");
        let words = |verb: &str| vec!["network".to_owned(), verb.to_owned()];
        run(&[words("create"), part(FRONT, true), labels.to_vec(), vec![name.clone()]].concat());
        if network.connect {
            let container = self.lane.of("shop-web-1");
            run(&[words("connect"), part(FRONT_ENDPOINT, false), vec![name, container]].concat());
        }
    }

    /// Only replicas of worker are copied.
    fn add(&self, further: &Further) {
        let (service, number) = further.slot.split_once('/').expect("a slot has a number");
        let mut words = first(further.start);
        words.extend(self.lane.words(&format!("--name {} --network shop_back", further.name)));
        words.extend(self.lane.words("--network-alias worker --stop-signal SIGKILL"));
        words.extend(self.lane.words("--cpu-period 50000 --cpu-quota 25000"));
        words.extend(self.labels.worker.iter().cloned());
        for label in [
            format!("com.docker.compose.service={service}"),
            format!("com.docker.compose.container-number={number}"),
            format!("bowline.slot={}", further.slot),
            format!("bowline.name={}", self.lane.of(&further.name)),
        ] {
            words.extend(["--label".to_owned(), label]);
        }
        words.extend(self.lane.words(&format!("{WEB_IMAGE} {WEB_COMMAND}")));
        run(&words);
    }
}

fn first(start: bool) -> Vec<String> {
    let words = if start { &["run", "--detach"][..] } else { &["create"] };
    words.iter().map(|&word| word.to_owned()).collect()
}

/// The labels of Compose and ours of an object, as options.
fn options(object: &Value) -> Vec<String> {
    let labels = object["Labels"].as_object().into_iter().flatten();
    let ours = labels.filter(|(key, _)| is_bookkeeping(key));
    let ours = ours.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    ours.flat_map(|label| ["--label".to_owned(), label]).collect()
}

/// Who is attached to a process that ends badly, or is in a container that ends, fails as well.
fn run(words: &[String]) {
    let output = Command::new("docker").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let may_fail = ["start", "exec"].contains(&words[0].as_str());
    assert!(output.status.success() || may_fail, "docker {words:?}: {said}");
}
