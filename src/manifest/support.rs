//! What of Compose a stack cannot be run with here, and what has no effect: facts, checked when a
//! stack is decoded to run. `bowline config` prints these attributes as all others.

use super::diagnostic::Severity;
use super::node::{Node, Value};
use super::notes::Notes;
use super::trail::Trail;

/// An attribute that does not work, and what to do about it.
#[derive(Debug)]
pub(crate) struct Gap {
    /// Where it stands: keys joined with dots, `*` for any key or index.
    pub(crate) path: &'static str,
    /// The value that does not work; absent: any that asks for something.
    pub(crate) value: Option<&'static str>,
    pub(crate) severity: Severity,
    /// Why, or what to do.
    pub(crate) why: &'static str,
}

const fn error(path: &'static str, why: &'static str) -> Gap {
    Gap { path, value: None, severity: Severity::Error, why }
}

const fn error_if(path: &'static str, value: &'static str, why: &'static str) -> Gap {
    Gap { path, value: Some(value), severity: Severity::Error, why }
}

const fn warning(path: &'static str, why: &'static str) -> Gap {
    Gap { path, value: None, severity: Severity::Warning, why }
}

const WINDOWS: &str = "is for Windows, and containers here run on Linux; take it out";
const NONE: &str = "has no effect on a plain Docker host";

/// All of them.
pub(crate) const GAPS: &[Gap] = &[
    // What a headless agent cannot do, or not safely.
    error("models", "is not supported: there is no model runner here"),
    error("services.*.models", "is not supported: there is no model runner here"),
    error(
        "services.*.provider",
        "is not supported: it would run a program of the manifest's choice on the host",
    ),
    error(
        "services.*.use_api_socket",
        "is not supported: it would hand the engine and its logins to the container; mount the \
         engine's socket if that is meant",
    ),
    error(
        "services.*.build",
        "is not supported yet: build and push the image elsewhere, and name it with `image`",
    ),
    error_if("services.*.pull_policy", "build", "is not supported yet: images are only pulled"),
    // Windows.
    error("services.*.credential_spec", WINDOWS),
    error("services.*.isolation", WINDOWS),
    error("services.*.cpu_count", WINDOWS),
    error("services.*.cpu_percent", WINDOWS),
    error_if("services.*.volumes.*.type", "npipe", WINDOWS),
    // Swarm.
    error_if("services.*.volumes.*.type", "cluster", "is for Swarm; take it out"),
    error("configs.*.template_driver", "is for Swarm; take it out"),
    error("secrets.*.template_driver", "is for Swarm; take it out"),
    error("secrets.*.driver", "is for Swarm; take it out"),
    error("secrets.*.driver_opts", "is for Swarm; take it out"),
    // What has no effect.
    warning("services.*.attach", "has no effect: nothing here attaches to a container's output"),
    warning("services.*.develop", "has no effect: it is for `docker compose watch`"),
    warning("services.*.pull_refresh_after", "has no effect: Docker Compose does not read it"),
    warning("services.*.volumes.*.consistency", "has no effect on Linux"),
    warning("configs.*.labels", "has no effect: nothing on the engine carries it"),
    warning("secrets.*.labels", "has no effect: nothing on the engine carries it"),
    warning("services.*.deploy.endpoint_mode", NONE),
    warning("services.*.deploy.labels", NONE),
    warning("services.*.deploy.placement", NONE),
    warning("services.*.deploy.restart_policy.delay", NONE),
    warning("services.*.deploy.restart_policy.window", NONE),
    warning("services.*.deploy.resources.reservations.cpus", NONE),
    warning("services.*.deploy.resources.reservations.generic_resources", NONE),
];

/// What is told elsewhere, where more is known than the long form shows.
pub(crate) const TOLD_ELSEWHERE: &[Gap] = &[
    VERSION,
    error("configs.*.external", "needs `file`, `content` or `environment`"),
    error("secrets.*.external", "needs `file` or `environment`"),
];

/// `version`, which is gone from the long form.
pub(crate) const VERSION: Gap = warning("version", "has no effect; take it out");

/// Notes what of `root`, in its long form, cannot be run or has no effect.
pub(crate) fn check(root: &Node, notes: &mut Notes) {
    for gap in GAPS {
        let keys: Vec<&str> = gap.path.split('.').collect();
        visit(root, &keys, &Trail::Start(""), gap, notes);
    }
}

fn visit(node: &Node, keys: &[&str], trail: &Trail<'_>, gap: &Gap, notes: &mut Notes) {
    let Some((key, rest)) = keys.split_first() else { return tell(node, trail, gap, notes) };
    match &node.value {
        Value::Map(map) if *key == "*" => {
            map.iter().for_each(|(key, node)| visit(node, rest, &trail.key(key), gap, notes));
        }
        Value::Seq(items) if *key == "*" => {
            for (index, node) in items.iter().enumerate() {
                visit(node, rest, &trail.item(index), gap, notes);
            }
        }
        Value::Map(map) => {
            if let Some(node) = map.get(key) {
                visit(node, rest, &trail.key(key), gap, notes);
            }
        }
        _ => {}
    }
}

fn tell(node: &Node, trail: &Trail<'_>, gap: &Gap, notes: &mut Notes) {
    match gap.value {
        Some(value) if node.as_str() != Some(value) => return,
        None if asks_for_nothing(node) => return,
        _ => {}
    }
    // Every gap's path ends in a key.
    let Trail::Key(parent, key) = trail else { return };
    let message = match gap.value {
        Some(value) => format!("`{key}: {value}` {}", gap.why),
        None => format!("`{key}` {}", gap.why),
    };
    match gap.severity {
        Severity::Error => notes.error(node.place(), parent, message),
        Severity::Warning => notes.warning(node.place(), parent, message),
    }
}

/// Whether a value is what the attribute's absence would be too.
fn asks_for_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::Str(text) => text.is_empty(),
        Value::Seq(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::diagnostic::Diagnostic;
    use crate::manifest::{schema, shape, yaml};

    fn told(text: &str) -> Vec<Diagnostic> {
        let mut notes = Notes::default();
        check(&yaml::parse(text, 0).unwrap().remove(0), &mut notes);
        notes.into_diagnostics().0
    }

    #[test]
    fn what_cannot_be_run_is_an_error_and_what_has_no_effect_a_warning() {
        let told = told(
            "services: {a: {build: {context: .}, attach: true, volumes: [{type: npipe}]}}\n\
             models: {m: {model: x}}\n",
        );
        let brief: Vec<_> =
            told.iter().map(|one| (one.severity, one.field.as_str(), &one.message[..7])).collect();
        assert_eq!(
            brief,
            [
                (Severity::Error, "services.a", "`build`"),
                (Severity::Error, "services.a.volumes.0", "`type: "),
                (Severity::Error, "", "`models"),
                (Severity::Warning, "services.a", "`attach"),
            ]
        );
    }

    #[test]
    fn what_asks_for_nothing_is_no_problem() {
        let text = "services: {a: {use_api_socket: false, links: [], develop: null, uts: ''}}\n";
        assert_eq!(told(text), []);
    }

    #[test]
    fn every_path_is_one_of_the_schema() {
        for gap in GAPS {
            let keys: Vec<&str> = gap.path.split('.').collect();
            assert!(shape::knows(&schema::FILE, &keys), "{}", gap.path);
        }
    }
}
