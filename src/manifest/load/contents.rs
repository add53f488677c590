//! What a stack takes from other files: variables, labels, and what configs and secrets hold. It
//! never shows any of it.

use super::Loader;
use super::layers::Scope;
use crate::manifest::Content;
use crate::manifest::interpolate::Lookup;
use crate::manifest::node::{Map, Node, Value};
use crate::manifest::{normalise, values, yaml};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// In a larger content, in bytes, no single values are looked for.
const MAX_PARSED: usize = 64 << 10;
/// So many values of one content are hidden by themselves.
const MAX_VALUES: usize = 1000;

impl Loader<'_> {
    /// Gives variables without a value the one that they have where they are written, and remembers
    /// what configs and secrets take from there.
    pub(super) fn resolve_variables(&mut self, root: &mut Node, scope: &Scope) {
        if !self.request.interpolate {
            return;
        }
        let lookup = |name: &str| scope.lookup(name);
        let services = root.as_map_mut().and_then(|root| root.get_mut("services"));
        for (name, service) in services.and_then(Node::as_map_mut).into_iter().flatten() {
            let field = format!("services.{name}.environment");
            normalise::resolve_nulls(service, &lookup, &field, &mut self.notes);
        }
        for kind in ["configs", "secrets"] {
            for (key, node) in root.get(kind).into_iter().flat_map(Node::entries) {
                let Some(name) = node.get("environment").and_then(Node::as_str) else { continue };
                if let Some(value) = scope.lookup(name) {
                    self.given.insert((format!("{kind}.{key}"), name.to_owned()), value);
                }
            }
        }
    }

    /// Puts the variables of `env_file` under `environment`, and the labels of `label_file` under
    /// `labels`.
    pub(super) fn resolve_files(&mut self, root: &mut Node, scope: &Scope) {
        let services = root.as_map_mut().and_then(|root| root.get_mut("services"));
        for (name, service) in services.and_then(Node::as_map_mut).into_iter().flatten() {
            self.resolve_env_files(name, service, scope);
            self.resolve_label_files(name, service);
        }
    }

    fn resolve_env_files(&mut self, name: &str, service: &mut Node, scope: &Scope) {
        let Some(files) = service.get("env_file").cloned() else { return };
        let own: BTreeMap<String, String> = service
            .get("environment")
            .into_iter()
            .flat_map(Node::entries)
            .filter_map(|(key, value)| Some((key.to_string(), value.text()?)))
            .collect();
        let mut found = Map::new();
        for item in files.items() {
            let lookup = |name: &str| scope.lookup(name).or_else(|| own.get(name).cloned());
            let field = format!("services.{name}.env_file");
            for (key, value) in self.variables_of(item, &field, &lookup) {
                found.insert(key, Node::str(value, item.mark));
            }
        }
        put_below(service, "environment", &files, found);
    }

    fn variables_of(
        &mut self,
        item: &Node,
        field: &str,
        lookup: Lookup<'_>,
    ) -> Vec<(String, String)> {
        let path = PathBuf::from(item.get("path").and_then(Node::as_str).unwrap_or_default());
        let raw = match item.get("format").and_then(Node::as_str) {
            None | Some("") => false,
            Some("raw") => true,
            Some(other) => {
                let message = format!("there is no format `{other}`; only `raw` has a name");
                self.notes.error(item.mark, field, message);
                return vec![];
            }
        };
        let required = item.get("required").and_then(Node::as_bool).unwrap_or(true);
        let read = if required {
            self.door.variables(&path, raw, lookup, &mut self.notes.hidden)
        } else {
            self.door.optional_variables(&path, raw, lookup, &mut self.notes.hidden)
        };
        read.unwrap_or_else(|message| {
            self.notes.error(item.mark, field, message);
            vec![]
        })
    }

    fn resolve_label_files(&mut self, name: &str, service: &mut Node) {
        let Some(files) = service.get("label_file").cloned() else { return };
        let mut found = Map::new();
        for item in files.items() {
            let path = PathBuf::from(item.as_str().unwrap_or_default());
            let earlier = found.clone();
            let lookup = |name: &str| earlier.get(name).and_then(Node::text);
            match self.door.variables(&path, false, &lookup, &mut self.notes.hidden) {
                Ok(labels) => {
                    for (key, value) in labels {
                        found.insert(key, Node::str(value, item.mark));
                    }
                }
                Err(message) => {
                    self.notes.error(
                        item.mark,
                        format_args!("services.{name}.label_file"),
                        message,
                    );
                }
            }
        }
        put_below(service, "labels", &files, found);
    }

    /// What the declared configs and secrets hold, by `configs.KEY` and `secrets.KEY`.
    pub(super) fn read_contents(&mut self, root: &Node) -> BTreeMap<String, Content> {
        let mut contents = BTreeMap::new();
        for kind in ["configs", "secrets"] {
            for (key, node) in root.get(kind).into_iter().flat_map(Node::entries) {
                let path = format!("{kind}.{key}");
                if !is_granted(root, kind, key) {
                    continue;
                }
                match self.content(&path, node) {
                    Ok(content) => {
                        let text = String::from_utf8_lossy(&content.bytes);
                        if kind == "secrets" || content.sealed {
                            for value in values_in(&text) {
                                self.notes.hidden.put(&value);
                            }
                        } else if node.get("file").is_none() {
                            self.notes.hidden.put(&text);
                        }
                        contents.insert(path, content);
                    }
                    Err(message) => self.notes.error(node.place(), &path, message),
                }
            }
        }
        contents
    }

    fn content(&mut self, path: &str, node: &Node) -> Result<Content, String> {
        let text = |key: &str| node.get(key).and_then(Node::as_str);
        if let Some(file) = text("file") {
            return self.door.content(Path::new(file));
        }
        if let Some(content) = text("content") {
            return Ok(Content { bytes: content.as_bytes().to_vec(), sealed: false });
        }
        match text("environment") {
            Some(name) => self
                .given
                .get(&(path.to_owned(), name.to_owned()))
                .map(|value| Content { bytes: value.as_bytes().to_vec(), sealed: false })
                .ok_or_else(|| format!("the variable `{name}` is not set")),
            None => {
                Err("needs `file`, `content` or `environment`; external ones are Swarm's".into())
            }
        }
    }
}

/// What may be a secret in a content: all of it, and the values of what reads as YAML, JSON or dotenv.
fn values_in(text: &str) -> Vec<String> {
    let mut found = vec![text.to_owned()];
    if text.len() > MAX_PARSED {
        return found;
    }
    let documents = yaml::parse(text, 0).unwrap_or_default();
    found.extend(documents.iter().flat_map(values::texts));
    let assigned = text.lines().filter_map(|line| Some(line.split_once('=')?.1));
    found.extend(assigned.map(|value| value.trim().trim_matches(['"', '\'']).to_owned()));
    found.truncate(MAX_VALUES);
    found
}

/// Puts `found` under `key`, below what is written there.
fn put_below(service: &mut Node, key: &str, files: &Node, mut found: Map) {
    let Some(map) = service.as_map_mut() else { return };
    let written = map.or_insert(key, Node::null(files.place()));
    if let Value::Map(entries) = &written.value {
        found.extend(entries.clone());
    }
    written.value = Value::Map(found);
}

/// Whether a service takes the config or secret `key`.
fn is_granted(root: &Node, kind: &str, key: &str) -> bool {
    let services = root.get("services").into_iter().flat_map(Node::entries);
    services
        .flat_map(|(_, service)| service.get(kind).map(Node::items).unwrap_or_default())
        .any(|grant| grant.get("source").and_then(Node::as_str) == Some(key))
}
