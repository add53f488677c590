//! An example stack of manifests/ in a git repository, brought up by an agent on the real engine.

use super::support::agent::{Agent, Settings, free_port};
use super::support::docker::docker;
use super::support::load::Traffic;
use super::support::packed::{Image, OF_MANIFESTS};
use super::support::repository::Git;
use super::support::stacks::{Stacks, containers, id, is_running, variable};
use super::support::wait::until_within;
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where the example stacks are.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
/// The network of the pages, where the stack names one.
const SUBNET: &str = "10.213.84.0/24";
/// How long one commit may take to be carried out or taken back, also on a busy host.
const COMMIT_BOUND: Duration = Duration::from_secs(60);

/// The stack under a name of its own, on images of its own, and who looks after it.
pub struct Site {
    agent: Agent,
    _settings: Settings,
    git: Git,
    stack: String,
    /// The compose file as it was committed last.
    text: String,
    port: u16,
    _stacks: Stacks,
    _images: Vec<Image>,
}

impl Site {
    /// Brings the stack up; `None` where there is no engine or a program for an image is missing.
    pub fn begin(example: &str) -> Option<Self> {
        super::support::engine()?;
        let stack = format!("e2e-zero-{example}");
        let stacks = Stacks::named(&[&stack]);
        let (git, mut images, port) = (Git::new(), Vec::new(), free_port());
        let dir = Path::new(MANIFESTS).join(example);
        let mut text = std::fs::read_to_string(dir.join("compose.yaml")).unwrap();
        for image in OF_MANIFESTS.into_iter().filter(|image| text.contains(image)) {
            images.push(Image::of_manifests(image, &format!("{stack}-{image}"))?);
        }
        for image in OF_MANIFESTS {
            text = text.replace(image, &format!("{stack}-{image}"));
        }
        text = text.replace(&format!("name: {example}\n"), &format!("name: {stack}\n"));
        for (variable, value) in
            [("${WEB_PORT:-", port.to_string()), ("${WEB_SUBNET:-", SUBNET.to_owned())]
        {
            text = put(&text, variable, &value);
        }
        for file in std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap();
            git.write(&format!("web/{name}"), &std::fs::read_to_string(&file).unwrap());
        }
        git.write("web/compose.yaml", &text);
        let commit = git.push("Begin");
        let settings = Settings::new(&stack, &git.url(), "");
        let agent = Agent::start(&settings);
        let site = Self {
            agent,
            _settings: settings,
            git,
            stack,
            text,
            port,
            _stacks: stacks,
            _images: images,
        };
        site.until_applied(&commit, Instant::now());
        Some(site)
    }

    /// Requests to the balancer's port on this host.
    pub fn traffic(&self, rate: u32, post_every: Option<NonZeroU32>) -> Traffic {
        let address = ([127, 0, 0, 1], self.port).into();
        Traffic { address, rate, connections: 64, post_every }
    }

    /// Commits the compose file with `from` replaced by `to`.
    pub fn commit(&mut self, from: &str, to: &str) -> String {
        assert!(self.text.contains(from), "no {from} in\n{}", self.text);
        self.text = self.text.replace(from, to);
        self.git.write("web/compose.yaml", &self.text);
        self.git.push(&format!("{from} -> {to}"))
    }

    /// Waits until the agent says that `commit` was carried out; how long after `since` that was.
    pub fn until_applied(&self, commit: &str, since: Instant) -> Duration {
        self.until(&format!("{commit} to be applied"), since, |status| {
            status["applied_revision"] == commit && is(status, "Ready", "True")
        })
    }

    /// Waits until the agent says that `commit` is held back and another definition runs.
    pub fn until_held_back(&self, commit: &str, since: Instant) -> Duration {
        self.until(&format!("{commit} to be held back"), since, |status| {
            status["revision"] == commit && is(status, "Stalled", "True")
        })
    }

    fn until(&self, what: &str, since: Instant, fits: impl Fn(&Value) -> bool) -> Duration {
        let found = until_within(COMMIT_BOUND, what, || {
            self.agent.stack(&self.stack).filter(&fits).map(drop)
        });
        let status = || self.agent.stack(&self.stack);
        found.unwrap_or_else(|| panic!("waited {COMMIT_BOUND:?} for {what}: {:#?}", status()));
        since.elapsed()
    }

    /// A page that answers with 503 from its first moment under the service's name.
    pub fn sick_page(&self) -> SickPage {
        let page = SickPage(format!("{}-sick", self.stack));
        let image = format!("{}-bowline-demo:1", self.stack);
        let sick = "UNHEALTHY_FILE=/bowline";
        docker(&["run", "-d", "--name", &page.0, "-e", sick, &image, "serve"]);
        let network = format!("{}_back", self.stack);
        docker(&["network", "connect", "--alias", "page", &network, &page.0]);
        page
    }

    /// Its name.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// All that the agent has logged.
    pub fn log(&self) -> String {
        self.agent.log()
    }

    /// Id and version of each page that runs.
    pub fn pages(&self) -> BTreeMap<String, String> {
        let pages = containers(&self.stack).into_values().filter(is_running);
        let version = |page: &Value| variable(page, "VERSION").map(str::to_owned);
        pages.filter_map(|page| Some((id(&page), version(&page)?))).collect()
    }
}

/// A container that is none of the stack's.
pub struct SickPage(String);

impl Drop for SickPage {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

/// `text` with the variable that begins so replaced by a value.
fn put(text: &str, variable: &str, value: &str) -> String {
    let Some((before, after)) = text.split_once(variable) else { return text.to_owned() };
    let (_, after) = after.split_once('}').expect("a variable has an end");
    format!("{before}{value}{after}")
}

fn is(status: &Value, kind: &str, verdict: &str) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["kind"] == kind && condition["status"] == verdict)
}
