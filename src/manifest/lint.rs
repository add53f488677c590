//! Advice about stacks that can be run as they are. Each lint has a name, by which it is switched
//! off: under `x-bowline: { allow: [NAME] }` at the top of a file or in a service, or by hand.

use super::node::Node;
use super::notes::Notes;
use super::settings::{KEY, Settings};
use super::units::parse_duration;
use std::collections::BTreeSet;
use std::time::Duration;

/// A kind of advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lint {
    /// The name by which it is switched off.
    pub name: &'static str,
    /// What it looks for.
    pub about: &'static str,
}

const fn lint_named(name: &'static str, about: &'static str) -> Lint {
    Lint { name, about }
}

/// All of them.
pub const LINTS: [Lint; 7] = [
    lint_named(ANONYMOUS_VOLUME, "a volume without a name, which nothing else can find again"),
    lint_named(CANARY_OF_ALL, "a canary of all replicas: none is left behind it"),
    lint_named(DEPRECATED, "`version` and `links`, which Compose has left behind"),
    lint_named(IMAGE_TAG, "an image without a tag, or `latest`: git does not say what runs"),
    lint_named(OPEN_PORT, "a port that is published on all addresses of the host"),
    lint_named(SHELL_SYNTAX, "a command in shell's words that no shell reads"),
    lint_named(SHORT_MONITOR, "a `monitor` that ends before the health check can fail"),
];

const ANONYMOUS_VOLUME: &str = "anonymous-volume";
const CANARY_OF_ALL: &str = "canary-of-all";
/// Given where `version` is dropped, too.
pub(crate) const DEPRECATED: &str = "deprecated";
const IMAGE_TAG: &str = "image-tag";
const OPEN_PORT: &str = "open-port";
/// Given where commands are split.
pub(crate) const SHELL_SYNTAX: &str = "shell-syntax";
const SHORT_MONITOR: &str = "short-monitor";

/// The engine's interval and timeout of health checks.
const DEFAULT_PROBE: Duration = Duration::from_secs(30);
/// The engine's retries of health checks.
const DEFAULT_RETRIES: u32 = 3;

/// Looks at the services of the long form.
pub(crate) fn lint(root: &Node, notes: &mut Notes) {
    for (name, service) in root.get("services").into_iter().flat_map(Node::entries) {
        let path = format!("services.{name}");
        image_tag(&path, service, notes);
        open_ports(&path, service, notes);
        anonymous_volumes(&path, service, notes);
        links(&path, service, notes);
        short_monitor(&path, service, notes);
        canary_of_all(&path, service, notes);
    }
}

/// Takes out what is switched off: by `x-bowline` at the top, by that of a service, and by hand.
pub(crate) fn switch_off(
    root: &Node,
    settings: &Settings,
    by_hand: &BTreeSet<String>,
    notes: &mut Notes,
) {
    let everywhere = settings.allow.union(by_hand).cloned().collect();
    notes.drop_lints("", &everywhere);
    for (name, _) in root.get("services").into_iter().flat_map(Node::entries) {
        notes.drop_lints(&format!("services.{name}"), &settings.allowed_in(name));
    }
}

fn image_tag(path: &str, service: &Node, notes: &mut Notes) {
    let Some(node) = service.get("image") else { return };
    let image = node.as_str().unwrap_or_default();
    if image.contains('@') {
        return;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    let message = match last.split_once(':') {
        None => format!("`{image}` has no tag, so `latest` is meant"),
        Some((_, "latest")) => format!("`{image}` is another image after every push"),
        Some(_) => return,
    };
    let help = "name a version, so that git says what runs";
    notes.lint(IMAGE_TAG, node.place(), format_args!("{path}.image"), message, help);
}

fn open_ports(path: &str, service: &Node, notes: &mut Notes) {
    for port in service.get("ports").map(Node::items).unwrap_or_default() {
        let text = |key: &str| port.get(key).and_then(Node::text).unwrap_or_default();
        let (published, host_ip) = (text("published"), text("host_ip"));
        if published.is_empty() || !["", "0.0.0.0", "::"].contains(&host_ip.as_str()) {
            continue;
        }
        let message = format!("host port {published} is open on every address of the host");
        let help = format!(
            "write 127.0.0.1:{published}:{} if others need not reach it; Docker's ports pass by \
             most firewalls",
            text("target")
        );
        notes.lint(OPEN_PORT, port.place(), format_args!("{path}.ports"), message, &help);
    }
}

fn anonymous_volumes(path: &str, service: &Node, notes: &mut Notes) {
    for mount in service.get("volumes").map(Node::items).unwrap_or_default() {
        let is_volume = mount.get("type").and_then(Node::as_str) == Some("volume");
        if !is_volume || mount.get("source").is_some() {
            continue;
        }
        let target = mount.get("target").and_then(Node::as_str).unwrap_or_default();
        let message = format!("the volume at {target} has no name");
        let help = "name it, so that its data can be found again";
        notes.lint(ANONYMOUS_VOLUME, mount.place(), format_args!("{path}.volumes"), message, help);
    }
}

fn links(path: &str, service: &Node, notes: &mut Notes) {
    let Some(node) = service.get("links").filter(|links| !links.items().is_empty()) else { return };
    let help = "services of one network find each other by name; use `networks` and `depends_on`";
    let message = "`links` are left behind by Compose";
    notes.lint(DEPRECATED, node.place(), format_args!("{path}.links"), message, help);
}

/// A service that turns unhealthy after the time in which its update is watched is not rolled back.
fn short_monitor(path: &str, service: &Node, notes: &mut Notes) {
    let Some(check) = service.get("healthcheck").filter(|check| check.get("test").is_some()) else {
        return;
    };
    if check.get("disable").and_then(Node::as_bool) == Some(true) {
        return;
    }
    let time = |key: &str| parse_duration(check.get(key)?.as_str()?).ok();
    let retries = check.get("retries").and_then(Node::as_int).unwrap_or(DEFAULT_RETRIES.into());
    let retries = u32::try_from(retries).unwrap_or(DEFAULT_RETRIES).max(1);
    let round = time("interval")
        .unwrap_or(DEFAULT_PROBE)
        .saturating_add(time("timeout").unwrap_or(DEFAULT_PROBE));
    let verdict =
        time("start_period").unwrap_or_default().saturating_add(round.saturating_mul(retries));
    let updates = service.get("deploy").and_then(|deploy| deploy.get("update_config"));
    let Some(node) = updates.and_then(|updates| updates.get("monitor")) else { return };
    let Some(monitor) = node.as_str().and_then(|text| parse_duration(text).ok()) else { return };
    if monitor < verdict {
        let message = format!(
            "an update is watched for {} s, but its health check may need {} s to fail",
            monitor.as_secs(),
            verdict.as_secs()
        );
        let path = format!("{path}.deploy.update_config.monitor");
        notes.lint(
            SHORT_MONITOR,
            node.place(),
            &path,
            message,
            "watch longer, or check more often",
        );
    }
}

/// A canary is there to spare the slots behind it.
fn canary_of_all(path: &str, service: &Node, notes: &mut Notes) {
    let Some(canary) = service.get(KEY).and_then(|settings| settings.get("canary")) else { return };
    let number = |node: &Node| node.as_int().or_else(|| node.as_str()?.parse().ok());
    let slots = canary.get("slots").and_then(number).unwrap_or(1);
    let deploy = service.get("deploy");
    let replicas = deploy.and_then(|deploy| deploy.get("replicas")).or(service.get("scale"));
    let replicas = replicas.and_then(number).unwrap_or(1);
    if slots < replicas {
        return;
    }
    let message =
        format!("the canary takes {slots} of {replicas} replicas: none is left behind it");
    let help = "have fewer `slots` or more replicas";
    let place = canary.get("slots").unwrap_or(canary).place();
    let field = format!("{path}.{KEY}.canary");
    notes.lint(CANARY_OF_ALL, place, field, message, help);
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
