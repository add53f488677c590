//! The long form as the typed stack. It never sees a short form, and checks only what a type
//! cannot hold.

mod deliver;
mod hooks;
mod mounts;
mod network;
mod resources;
mod rolling;
mod service;
#[cfg(test)]
mod tests;

use super::node::{Mark, Node, Text};
use super::notes::Notes;
use super::settings::Settings;
use super::units;
use super::{Content, Request};
use crate::model::{Hidden, Places, ServiceName, Stack, StackName, VolumeSpec};
use std::collections::BTreeMap;
use std::time::Duration;

/// The stack that `root` describes, which is taken apart on the way: so there is room for the one
/// where the other was. What a type cannot hold is noted.
pub(crate) fn stack(
    mut root: Node,
    name: StackName,
    settings: &Settings,
    contents: &BTreeMap<String, Content>,
    request: &Request,
    notes: &mut Notes,
) -> Stack {
    let mut services = take_services(&mut root);
    // A map that is built in its order is filled without gaps.
    services.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let container_names = container_names(&services);
    let whole = Whole { root: &root, settings, container_names, stack: &name };
    let mut networks = BTreeMap::new();
    let mut decoded = Vec::with_capacity(services.len());
    for (key, node) in services {
        let mut at = At { path: format!("services.{key}"), notes };
        match ServiceName::new(key.as_str()) {
            Ok(service_name) => {
                let service = service::service(&whole, &key, &node, contents, request, &mut at);
                decoded.extend(service.map(|service| (service_name, service)));
            }
            Err(error) => at.fail(node.place(), "", error.to_string()),
        }
        for (network, _) in section(&node, "networks") {
            let declared = root.get("networks").and_then(|all| all.get(network));
            if let Some(spec) = declared.filter(|_| !networks.contains_key(network.as_str())) {
                let mut at = At { path: format!("networks.{network}"), notes };
                networks.insert(network.to_string(), network::network(spec, &mut at));
            }
        }
    }
    let volumes =
        section(&root, "volumes").map(|(key, node)| (key.to_string(), volume(node))).collect();
    Stack {
        name,
        working_dir: String::new(),
        config_files: vec![],
        services: decoded.into_iter().collect(),
        networks,
        volumes,
        policy: settings.policy.clone(),
        windows: settings.windows.clone(),
        places: Places::default(),
        hidden: Hidden::default(),
    }
}

fn take_services(root: &mut Node) -> Vec<(Text, Node)> {
    let services = root.as_map_mut().and_then(|root| root.get_mut("services"));
    let services = services.and_then(Node::as_map_mut).map(std::mem::take);
    services.into_iter().flatten().collect()
}

/// The names of containers that services ask for, by service.
fn container_names(services: &[(Text, Node)]) -> BTreeMap<Text, String> {
    let name = |(key, node): &(Text, Node)| Some((key.clone(), text(node, "container_name")?));
    services.iter().filter_map(name).collect()
}

/// The manifest as a whole.
pub(crate) struct Whole<'a> {
    /// Without its services.
    pub(crate) root: &'a Node,
    pub(crate) settings: &'a Settings,
    container_names: BTreeMap<Text, String>,
    stack: &'a StackName,
}

impl Whole<'_> {
    /// The name of the first container of a service: the one that others share something with.
    pub(crate) fn first_container(&self, service: &str) -> String {
        let given = self.container_names.get(service).cloned();
        given.unwrap_or_else(|| format!("{}-{service}-1", self.stack))
    }

    /// The container that `service:NAME` or `container:NAME` names.
    pub(crate) fn shared_container(&self, mode: &str) -> Option<String> {
        match mode.split_once(':')? {
            ("service", "") => Some(String::new()),
            ("service", name) => Some(self.first_container(name)),
            ("container", name) => Some(name.to_owned()),
            _ => None,
        }
    }
}

/// Where in the manifest decoding is.
pub(crate) struct At<'a> {
    pub(crate) path: String,
    pub(crate) notes: &'a mut Notes,
}

impl At<'_> {
    pub(crate) fn fail(&mut self, mark: Mark, key: &str, message: impl Into<String>) {
        self.fail_with_help(mark, key, message, None);
    }

    pub(crate) fn fail_with_help(
        &mut self,
        mark: Mark,
        key: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let dot = if key.is_empty() { "" } else { "." };
        let field = format_args!("{}{dot}{key}", self.path);
        self.notes.error_with_help(mark, field, message, help);
    }

    /// The number under `key` in the type wanted.
    pub(crate) fn number<T: TryFrom<i128>>(&mut self, node: &Node, key: &str) -> Option<T> {
        let found = node.get(key)?;
        let number = found.as_int().or_else(|| found.as_str()?.parse().ok());
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            let text = found.text().unwrap_or_default();
            self.fail(found.mark, key, format!("`{text}` is out of range"));
        }
        number
    }

    /// The text under `key` parsed to the type wanted.
    pub(crate) fn parsed<T: std::str::FromStr>(
        &mut self,
        node: &Node,
        key: &str,
        what: &str,
    ) -> Option<T> {
        let found = node.get(key)?;
        let text = found.as_str().filter(|text| !text.is_empty())?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.fail(found.mark, key, format!("`{text}` is no {what}"));
        }
        parsed
    }
}

pub(crate) fn section<'a>(
    root: &'a Node,
    name: &str,
) -> impl Iterator<Item = (&'a Text, &'a Node)> + use<'a> {
    root.get(name).into_iter().flat_map(Node::entries)
}

/// The text under `key`, unless empty.
pub(crate) fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::text).filter(|text| !text.is_empty())
}

pub(crate) fn flag(node: &Node, key: &str) -> bool {
    node.get(key).and_then(Node::as_bool).unwrap_or(false)
}

/// The texts of the list under `key`.
pub(crate) fn texts<C: FromIterator<String>>(node: &Node, key: &str) -> C {
    node.get(key).map(Node::items).unwrap_or_default().iter().filter_map(Node::text).collect()
}

/// The mapping under `key`, values as text; `KEY=VALUE` where it is a list.
pub(crate) fn pairs(node: &Node, key: &str) -> BTreeMap<String, String> {
    let items = node.get(key).map(Node::items).unwrap_or_default();
    let listed = items.iter().filter_map(Node::as_str).map(|text| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    });
    let mapped = section(node, key);
    mapped
        .map(|(key, value)| (key.to_string(), value.text().unwrap_or_default()))
        .chain(listed)
        .collect()
}

/// The duration under `key`; the long form has only valid ones.
pub(crate) fn duration(node: &Node, key: &str) -> Option<Duration> {
    units::parse_duration(node.get(key)?.as_str()?).ok()
}

fn volume(node: &Node) -> VolumeSpec {
    VolumeSpec {
        name: text(node, "name").unwrap_or_default(),
        external: flag(node, "external"),
        driver: text(node, "driver"),
        driver_opts: pairs(node, "driver_opts"),
        labels: pairs(node, "labels"),
    }
}
