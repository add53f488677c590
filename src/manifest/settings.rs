//! What `x-bowline` says, at the top of a file and in a service: how the stack is treated. It never
//! touches what the stack is made of.

mod canary;
mod misplaced;
mod schedule;

use super::lint::LINTS;
use super::node::{Map, Mark, Node, Value};
use super::notes::Notes;
use super::schema::{self, OF_A_SERVICE, OF_THE_STACK};
use super::shape::{Field, suggestion};
use super::units::parse_duration;
use crate::model::{
    Canary, DriftPolicy, FieldPattern, OnContentChange, Order, Policy, RollbackPolicy, StackName,
    Windows,
};
use misplaced::{other_place, warn_of_near_misses};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The key of all of it.
pub(crate) const KEY: &str = "x-bowline";

/// The key of the stacks that one waits for.
const DEPENDS_ON: &str = "depends_on";
/// The shortest time in which a container may have to come up.
const SHORTEST_START: Duration = Duration::from_secs(1);
/// How many `*` a field may have.
const MOST_STARS: usize = 4;
/// Fields of a container that no attribute of Compose names.
const FURTHER_FIELDS: [&str; 2] = ["replicas", "state"];

/// The settings of a stack.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    pub(crate) windows: Windows,
    /// Lints that are switched off everywhere.
    pub(crate) allow: BTreeSet<String>,
    on_content_change: Option<OnContentChange>,
    /// The stacks that this one depends on, each where it was written.
    depends_on: Map,
    order: Order,
    start_timeout: Option<Duration>,
    drain: Option<Duration>,
    services: BTreeMap<String, OfService>,
}

/// What the settings say about how one service goes from one definition to another.
#[derive(Debug, Default)]
pub(crate) struct OfRolling {
    /// The order of services that say none.
    pub(crate) order: Order,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) canary: Option<Canary>,
}

#[derive(Debug, Default)]
struct OfService {
    allow: BTreeSet<String>,
    on_content_change: Option<OnContentChange>,
    start_timeout: Option<Duration>,
    drain: Option<Duration>,
    canary: Option<Canary>,
}

impl Settings {
    /// Reads the settings of the long form `root` and of what stood at the top beside it.
    pub(crate) fn read(root: &Node, extensions: &Map, notes: &mut Notes) -> Self {
        let mut settings = Self::default();
        warn_of_near_misses(extensions.iter(), "", notes);
        if let Some(node) = extensions.get(KEY) {
            settings.of_stack(node, &mut At { path: KEY.to_owned(), notes });
        }
        for (name, service) in root.get("services").into_iter().flat_map(Node::entries) {
            warn_of_near_misses(service.entries(), &format!("services.{name}."), notes);
            let Some(node) = service.get(KEY) else { continue };
            let at = &mut At { path: format!("services.{name}.{KEY}"), notes };
            let of_service = settings.of_service(node, name, at);
            settings.services.insert(name.to_string(), of_service);
        }
        settings
    }

    /// The lints that are switched off in `service` alone.
    pub(crate) fn allowed_in(&self, service: &str) -> BTreeSet<String> {
        self.services.get(service).map(|service| service.allow.clone()).unwrap_or_default()
    }

    /// What becomes of the containers of `service` when a content changes.
    pub(crate) fn on_content_change(&self, service: &str) -> OnContentChange {
        let own = self.services.get(service).and_then(|of| of.on_content_change.as_ref());
        own.or(self.on_content_change.as_ref()).cloned().unwrap_or_default()
    }

    /// How long a container of `service` that goes is left running.
    pub(crate) fn drain(&self, service: &str) -> Option<Duration> {
        self.services.get(service).and_then(|own| own.drain).or(self.drain)
    }

    /// Puts what has places of its own into the long form: `x-bowline.depends_on.STACK`.
    pub(crate) fn place(&mut self, root: &mut Node) {
        if let Some(root) = root.as_map_mut().filter(|_| !self.depends_on.is_empty()) {
            let names = std::mem::take(&mut self.depends_on);
            let mut settings = Node::map(Mark::default());
            let names = Node::new(Value::Map(names), Mark::default());
            settings.as_map_mut().map(|map| map.insert(DEPENDS_ON, names));
            root.insert(KEY, settings);
        }
    }

    /// How `service` goes from one definition to another.
    pub(crate) fn rolling(&self, service: &str) -> OfRolling {
        let own = self.services.get(service);
        OfRolling {
            order: self.order,
            start_timeout: own.and_then(|own| own.start_timeout).or(self.start_timeout),
            canary: own.and_then(|own| own.canary.clone()),
        }
    }

    fn of_stack(&mut self, node: &Node, at: &mut At<'_>) {
        at.known_keys(node, OF_THE_STACK);
        self.allow = at.allow(node);
        self.policy.adopt = at.adopt(node);
        self.policy.drift = at.drift(node);
        self.policy.ignore.extend(at.ignore(node, None));
        for (name, node) in at.depends_on(node) {
            self.depends_on.insert(name.as_str(), node);
            self.policy.depends_on.insert(name);
        }
        self.on_content_change = at.on_content_change(node);
        self.policy.rollback = at.rollback(node);
        self.order = at.order(node);
        self.start_timeout = at.start_timeout(node);
        self.drain = at.duration(node, "drain");
        self.windows = at.schedule(node);
    }

    fn of_service(&mut self, node: &Node, name: &str, at: &mut At<'_>) -> OfService {
        at.known_keys(node, OF_A_SERVICE);
        self.policy.ignore.extend(at.ignore(node, Some(name)));
        OfService {
            allow: at.allow(node),
            on_content_change: at.on_content_change(node),
            start_timeout: at.start_timeout(node),
            drain: at.duration(node, "drain"),
            canary: at.canary(node),
        }
    }
}

/// Where reading is.
struct At<'a> {
    path: String,
    notes: &'a mut Notes,
}

impl At<'_> {
    fn fail(&mut self, node: &Node, key: &str, message: String, help: Option<String>) {
        let path = format!("{}.{key}", self.path);
        self.notes.error_with_help(node.mark, &path, message, help);
    }

    /// Where the mapping under `key` is read.
    fn below(&mut self, key: &str) -> At<'_> {
        At { path: format!("{}.{key}", self.path), notes: &mut *self.notes }
    }

    /// Whether it is a mapping; its keys must be among `known`.
    fn known_keys(&mut self, node: &Node, known: &[Field]) -> bool {
        let names = || known.iter().map(|field| field.name);
        if node.as_map().is_none() {
            let message = format!("must be a mapping, not {}", node.kind());
            self.notes.error(node.mark, &self.path, message);
        }
        for (key, value) in node.entries().filter(|(key, _)| names().all(|name| *key != name)) {
            let help = other_place(key).or_else(|| suggestion(key, names()));
            let message = format!("unknown key `{key}`");
            self.notes.error_with_help(value.place(), &self.path, message, help);
        }
        node.as_map().is_some()
    }

    /// The texts of the list under `key`.
    fn list<'n>(&mut self, node: &'n Node, key: &str, what: &str) -> Vec<(&'n Node, String)> {
        let Some(list) = node.get(key) else { return vec![] };
        if list.as_seq().is_none() {
            self.fail(list, key, format!("must be a list of {what}"), None);
        }
        list.items().iter().map(|item| (item, item.text().unwrap_or_default())).collect()
    }

    /// One of `known`.
    fn word(&mut self, node: &Node, key: &str, known: &[&str]) -> Option<String> {
        let found = node.get(key)?;
        let text = found.text().unwrap_or_default();
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        let message = format!("must be {}, not `{text}`", known.join(" or "));
        let is_no = known.contains(&"off") && ["no", "false"].contains(&text.as_str());
        let meant = if is_no { "off" } else { text.as_str() };
        self.fail(found, key, message, suggestion(meant, known.iter().copied()));
        None
    }

    fn allow(&mut self, node: &Node) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (item, name) in self.list(node, "allow", "names of lints") {
            if LINTS.iter().any(|lint| lint.name == name) {
                names.insert(name);
                continue;
            }
            let known = LINTS.iter().map(|lint| lint.name);
            let help = suggestion(&name, known.clone())
                .unwrap_or_else(|| format!("there are {}", known.collect::<Vec<_>>().join(", ")));
            self.fail(item, "allow", format!("`{name}` is no lint"), Some(help));
        }
        names
    }

    fn adopt(&mut self, node: &Node) -> bool {
        self.word(node, "adopt", &["true", "false"]).is_some_and(|word| word == "true")
    }

    fn drift(&mut self, node: &Node) -> DriftPolicy {
        match self.word(node, "drift", &["repair", "report"]).as_deref() {
            Some("report") => DriftPolicy::Report,
            _ => DriftPolicy::Repair,
        }
    }

    /// The names under `depends_on`, each where it was written.
    fn depends_on(&mut self, node: &Node) -> Vec<(StackName, Node)> {
        let mut names = Vec::new();
        for (item, text) in self.list(node, DEPENDS_ON, "names of stacks") {
            match StackName::new(text) {
                Ok(name) => names.push((name, item.clone())),
                Err(error) => self.fail(item, DEPENDS_ON, error.to_string(), None),
            }
        }
        names
    }

    fn rollback(&mut self, node: &Node) -> RollbackPolicy {
        match self.word(node, "rollback", &["auto", "off"]).as_deref() {
            Some("off") => RollbackPolicy::Off,
            _ => RollbackPolicy::Auto,
        }
    }

    fn order(&mut self, node: &Node) -> Order {
        match self.word(node, "order", &["start-first", "stop-first"]).as_deref() {
            Some("start-first") => Order::StartFirst,
            _ => Order::StopFirst,
        }
    }

    /// How long a container may take to come up.
    fn start_timeout(&mut self, node: &Node) -> Option<Duration> {
        let bound = self.duration(node, "start_timeout")?;
        if bound >= SHORTEST_START {
            return Some(bound);
        }
        let found = node.get("start_timeout").unwrap_or(node);
        self.fail(found, "start_timeout", "must be at least 1s".to_owned(), None);
        None
    }

    /// A time such as `30s`.
    fn duration(&mut self, node: &Node, key: &str) -> Option<Duration> {
        let found = node.get(key)?;
        match parse_duration(&found.text().unwrap_or_default()) {
            Ok(duration) => Some(duration),
            Err(problem) => {
                self.fail(found, key, problem, None);
                None
            }
        }
    }

    fn on_content_change(&mut self, node: &Node) -> Option<OnContentChange> {
        let found = node.get("on_content_change")?;
        let text = found.text().unwrap_or_default();
        let mut words = text.split_whitespace();
        let change = match (words.next(), words.next(), words.next()) {
            (Some("replace"), None, None) => OnContentChange::Replace,
            (Some("restart"), None, None) => OnContentChange::Restart,
            (Some("signal"), Some(signal), None) if is_signal(signal) => {
                OnContentChange::Signal(signal.to_owned())
            }
            _ => {
                let message = format!(
                    "must be `replace`, `restart` or `signal` with its name (`signal SIGHUP`), not `{text}`"
                );
                self.fail(found, "on_content_change", message, None);
                return None;
            }
        };
        Some(change)
    }

    /// The fields under `ignore`, as full paths; in a `service` they are written below it.
    fn ignore(&mut self, node: &Node, service: Option<&str>) -> Vec<FieldPattern> {
        let mut patterns = Vec::new();
        for (item, text) in self.list(node, "ignore", "fields") {
            let checked = match service {
                _ if text.matches('*').count() > MOST_STARS => {
                    Err((format!("`{text}` has more than {MOST_STARS} `*`"), None))
                }
                Some(_) => check_field("services", &text),
                None => check_path(&text),
            };
            match (checked, service) {
                (Ok(()), Some(name)) => {
                    patterns.push(FieldPattern::new(format!("services.{name}.{text}")));
                }
                (Ok(()), None) => patterns.push(FieldPattern::new(text)),
                (Err((message, help)), _) => self.fail(item, "ignore", message, help),
            }
        }
        patterns
    }
}

/// The signals that a process can take notice of, without `SIG` (signal(7)): not those that end or
/// stop it in any case.
const SIGNALS: [&str; 22] = [
    "HUP", "INT", "QUIT", "TRAP", "ABRT", "BUS", "USR1", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
    "CHLD", "CONT", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR",
];

/// `SIGHUP`, or a real-time one as `SIGRTMIN+3` (up to 15) or `SIGRTMAX-3` (up to 14).
fn is_signal(text: &str) -> bool {
    let Some(name) = text.strip_prefix("SIG") else { return false };
    let steps = |from: &str, sign: char, most: u8| {
        let rest = name.strip_prefix(from);
        rest.is_some_and(|rest| match rest.strip_prefix(sign) {
            Some(number) => number.parse().is_ok_and(|number| (1..=most).contains(&number)),
            None => rest.is_empty(),
        })
    };
    SIGNALS.contains(&name) || steps("RTMIN", '+', 15) || steps("RTMAX", '-', 14)
}

/// What is wrong, and what to do.
type Complaint = (String, Option<String>);

/// Whether `path` names a field of a service, network or volume.
fn check_path(path: &str) -> Result<(), Complaint> {
    let mut parts = path.splitn(3, '.');
    let kind = parts.next().filter(|kind| ["services", "networks", "volumes"].contains(kind));
    if let (Some(kind), Some(_), Some(field)) = (kind, parts.next(), parts.next()) {
        return check_field(kind, field);
    }
    let help = "write `services.NAME.FIELD`, `networks.KEY.FIELD` or `volumes.KEY.FIELD`";
    Err((format!("`{path}` names no field"), Some(help.to_owned())))
}

/// Whether `field` is one of a service, network or volume.
fn check_field(kind: &str, field: &str) -> Result<(), Complaint> {
    let first = field.split('.').next().unwrap_or_default();
    let mut known: Vec<&str> = schema::keys_of(kind);
    if kind == "services" {
        known.extend(FURTHER_FIELDS);
    }
    if first.contains('*') || known.contains(&first) {
        return Ok(());
    }
    let message = format!("there is no field `{first}` in {kind}");
    Err((message, suggestion(first, known.into_iter())))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
