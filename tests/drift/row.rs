//! The catalogue: what people do to a stack by hand, and what Bowline is to make of it.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

const CATALOGUE: &str = include_str!("catalogue.yaml");
const STACK: &str = include_str!("stack.yaml");

/// Rows that have something in common.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    #[serde(rename = "section")]
    pub title: String,
    pub rows: Vec<Row>,
}

/// One act by hand.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub what: String,
    /// Commands.
    #[serde(default)]
    pub by: Vec<String>,
    /// The container of web made anew with our labels.
    pub again: Option<Again>,
    /// The network front made anew.
    pub network: Option<NetworkAgain>,
    /// A further container.
    pub copy: Option<Further>,
    /// Texts in the file with those that take their place.
    #[serde(default)]
    pub edit: BTreeMap<String, String>,
    /// What Bowline says; empty where there is nothing to do.
    #[serde(default)]
    pub plan: String,
    /// Commands that take away what Bowline must leave alone.
    #[serde(default)]
    pub undo: Vec<String>,
    /// Why nothing is done.
    pub note: Option<String>,
}

/// A container made anew; options as on the command line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Again {
    #[serde(default)]
    pub with: String,
    #[serde(default)]
    pub without: String,
    pub image: Option<String>,
    pub command: Option<String>,
    #[serde(default = "yes")]
    pub start: bool,
    /// Commands that follow.
    #[serde(default)]
    pub then: Vec<String>,
}

/// A network made anew; options as on the command line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkAgain {
    #[serde(default)]
    pub with: String,
    #[serde(default)]
    pub without: String,
    /// With our labels.
    #[serde(default = "yes")]
    pub labels: bool,
    /// The container of web joins it.
    #[serde(default = "yes")]
    pub connect: bool,
}

/// A container with the labels of another, but for its slot.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Further {
    pub of: String,
    pub name: String,
    pub slot: String,
    #[serde(default = "yes")]
    pub start: bool,
}

fn yes() -> bool {
    true
}

/// How `docker run` makes the container of web, but for its labels, image and command.
pub const WEB: &str = "--name shop-web-1 --hostname counter --stop-signal SIGKILL --env MODE=fast \
     --env LEVEL=1 --label tier=front --publish 127.0.0.1::80 --volume shop_data:/data \
     --network shop_front --network-alias web --network-alias site --ip 10.219.0.10 \
     --restart unless-stopped --memory 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 \
     --cpuset-cpus 0 --pids-limit 64 --log-driver json-file --log-opt tag=web";
/// The image of web.
pub const WEB_IMAGE: &str = "shop-app:1";
/// The command of web.
pub const WEB_COMMAND: &str = "busybox sleep 600";
/// How `docker network create` makes the network front, but for its labels.
pub const FRONT: &str = "--subnet 10.219.0.0/24";
/// How `docker network connect` joins web to it.
pub const FRONT_ENDPOINT: &str = "--alias web --alias site --ip 10.219.0.10";

/// All rows.
pub fn catalogue() -> Vec<Section> {
    serde_yaml::from_str(CATALOGUE).expect("the catalogue is valid")
}

/// One of several copies of the stack that rows are played on at the same time, each with names and
/// subnets of its own.
#[derive(Debug, Clone, Copy)]
pub struct Lane(pub usize);

/// The first halves of the subnets that the stack and the catalogue name.
const SUBNETS: [u8; 3] = [219, 220, 221];

impl Lane {
    /// The stack's name.
    pub fn stack(self) -> String {
        format!("t-drift-{}", self.0)
    }

    /// A text of the catalogue for this lane.
    pub fn of(self, text: &str) -> String {
        let text = text.replace("shop", &self.stack());
        self.subnets().into_iter().fold(text, |text, (from, to)| text.replace(&from, &to))
    }

    /// A text of this lane as the catalogue writes it.
    pub fn plain(self, text: &str) -> String {
        let text = text.replace(&self.stack(), "shop");
        self.subnets().into_iter().fold(text, |text, (from, to)| text.replace(&to, &from))
    }

    /// The words of a command or of options.
    pub fn words(self, text: &str) -> Vec<String> {
        shell_words::split(&self.of(text)).expect("the catalogue quotes well")
    }

    /// The stack's file.
    pub fn manifest(self, edit: &BTreeMap<String, String>) -> String {
        edit.iter().fold(self.of(STACK), |text, (from, to)| text.replace(from, to))
    }

    fn subnets(self) -> [(String, String); 3] {
        let first = 160 + 10 * self.0;
        let mut index = first;
        SUBNETS.map(|subnet| {
            index += 1;
            (format!("10.{subnet}."), format!("10.{index}."))
        })
    }
}

/// Options by their names, each with its values; `--tty` has an empty one.
fn options(words: &[String]) -> Vec<(String, String)> {
    let mut options: Vec<(String, String)> = Vec::new();
    for word in words {
        match options.last_mut() {
            Some((_, value)) if !word.starts_with("--") => value.clone_from(word),
            _ => options.push((word.clone(), String::new())),
        }
    }
    options
}

impl Lane {
    /// Options as pairs of name and value.
    pub fn options(self, text: &str) -> Vec<(String, String)> {
        options(&self.words(text))
    }

    /// The words of `base` without some options and with others.
    pub fn changed(self, base: &str, without: &str, with: &str) -> Vec<String> {
        let without = self.options(without);
        let kept = self.options(base).into_iter().filter(|option| !without.contains(option));
        let all = kept.chain(self.options(with));
        all.flat_map(|(name, value)| [name, value]).filter(|word| !word.is_empty()).collect()
    }
}

impl Row {
    /// The act as people read it: commands, with what is as it was left out.
    pub fn told(&self) -> Vec<String> {
        let mut told: Vec<String> =
            self.by.iter().map(|line| line.replace("LABELS ", "… ")).collect();
        let changes = |with: &str, without: &str| {
            let mut text = "…".to_owned();
            for (name, value) in Lane(0).options(without) {
                write!(text, " without {name} {value}").expect("a text takes all");
            }
            if !with.is_empty() {
                write!(text, " {with}").expect("a text takes all");
            }
            Lane(0).plain(&text)
        };
        if let Some(again) = &self.again {
            told.push("docker rm -f shop-web-1".to_owned());
            let verb = if again.start { "run --detach" } else { "create" };
            let changes = changes(&again.with, &again.without);
            let rest = match (&again.image, &again.command) {
                (None, None) => String::new(),
                (image, command) => {
                    let image = image.as_deref().unwrap_or(WEB_IMAGE);
                    format!(" {image} {}", command.as_deref().unwrap_or(WEB_COMMAND))
                }
            };
            told.push(format!("docker {verb} {changes}{rest}"));
            told.extend(again.then.iter().cloned());
        }
        if let Some(network) = &self.network {
            told.push("docker network rm shop_front".to_owned());
            let changes = changes(&network.with, &network.without);
            let rest = if network.labels { "" } else { " without our labels" };
            told.push(format!("docker network create {changes}{rest} shop_front"));
        }
        if let Some(further) = &self.copy {
            let verb = if further.start { "run --detach" } else { "create" };
            let Further { name, slot, .. } = further;
            told.push(format!("docker {verb} --name {name} … with the labels of {slot}"));
        }
        let edits = self.edit.iter().map(|(from, to)| format!("`{from}` becomes `{to}`"));
        told.extend(edits);
        told
    }
}
