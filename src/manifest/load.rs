//! The order of the steps from files to stack. It decides nothing that a step decides.

use super::canonical::{Base, canonical, clean};
use super::node::{Map, Mark, Node, Value};
use super::notes::Notes;
use super::{
    Diagnostics, Loaded, Read, Request, Resolved, check, config, decode, dotenv, feasible,
    interpolate, merge, normalise, schema, shape, support, yaml,
};
use crate::model::{Place, Places, StackName};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What the files of `request` say in the long form, for any tool; all problems found are told at
/// once.
pub fn resolve(request: &Request, read: Read<'_>) -> Result<Resolved, Diagnostics> {
    let model = model(request, read)?;
    let config = config::config(&model.root, &model.extensions, &model.name);
    let (inputs, notes) = (model.session.inputs, model.session.notes);
    Ok(Resolved { config, warnings: notes.into_diagnostics(), inputs })
}

/// The stack that the files of `request` describe; what cannot be run here is an error.
pub fn load(request: &Request, read: Read<'_>) -> Result<Loaded, Diagnostics> {
    let Model { root, extensions, name, mut session } = model(request, read)?;
    support::check(&root, &mut session.notes);
    feasible::check(&root, &mut session.notes);
    let Ok(stack_name) = StackName::new(name.clone()) else {
        session.notes.error(Mark::default(), "name", format!("`{name}` is no project name"));
        return Err(session.fail());
    };
    if session.notes.has_errors() {
        return Err(session.fail());
    }
    let config = config::config(&root, &extensions, &name);
    let contents = session.read_contents(&root);
    let mut stack = decode::stack(&root, stack_name, &contents, request, &mut session.notes);
    stack.working_dir = session.directory.to_string_lossy().into_owned();
    stack.config_files =
        request.files.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    stack.places = places(&root, &session.notes);
    if session.notes.has_errors() {
        return Err(session.fail());
    }
    let inputs = session.inputs;
    Ok(Loaded { stack, config, warnings: session.notes.into_diagnostics(), inputs })
}

/// A whole project in its long form, and what was noted on the way.
struct Model<'a> {
    root: Node,
    extensions: Map,
    name: String,
    session: Session<'a>,
}

fn model<'a>(request: &'a Request, read: Read<'a>) -> Result<Model<'a>, Diagnostics> {
    let mut session = Session::new(request, read);
    session.read_variables();
    let Some(mut root) = session.read_files() else { return Err(session.fail()) };
    let name = session.project_name(&root);
    session.variables.entry("COMPOSE_PROJECT_NAME".to_owned()).or_insert(name.clone());
    session.interpolate(&mut root);
    let extensions = take_extensions(&mut root);
    shape::check(&mut root, &schema::FILE, "", &mut session.notes);
    if session.notes.has_errors() {
        return Err(session.fail());
    }
    if let Some(version) = root.as_map_mut().and_then(|map| map.shift_remove("version")) {
        session.notes.warning(version.place(), "version", "has no effect; take it out");
    }
    let directory = session.directory.clone();
    canonical(&mut root, &Base { directory: &directory }, &mut session.notes);
    let inactive = normalise::select(&mut root, &request.profiles);
    normalise::normalise(&mut root, &name);
    session.resolve_environment(&mut root);
    check::check(&root, &inactive, &mut session.notes);
    if session.notes.has_errors() {
        return Err(session.fail());
    }
    Ok(Model { root, extensions, name, session })
}

/// What the user keeps at the top of the file for himself.
fn take_extensions(root: &mut Node) -> Map {
    let mut extensions = Map::new();
    if let Some(map) = root.as_map_mut() {
        map.retain(|key, node| {
            let is_extension = key.starts_with("x-");
            if is_extension {
                extensions.insert(key.clone(), node.clone());
            }
            !is_extension
        });
    }
    extensions
}

struct Session<'a> {
    request: &'a Request,
    read: Read<'a>,
    directory: PathBuf,
    variables: BTreeMap<String, String>,
    inputs: BTreeSet<PathBuf>,
    notes: Notes,
}

impl<'a> Session<'a> {
    fn new(request: &'a Request, read: Read<'a>) -> Self {
        let beside =
            || request.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"));
        let directory = request.project_directory.as_deref().unwrap_or_else(beside);
        Self {
            request,
            read,
            directory: clean(directory),
            variables: request.variables.clone(),
            inputs: BTreeSet::new(),
            notes: Notes::default(),
        }
    }

    fn fail(self) -> Diagnostics {
        self.notes.into_diagnostics()
    }

    fn shown(&self, path: &Path) -> String {
        let root = self.request.display_root.as_deref();
        let shown = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(path);
        shown.to_string_lossy().into_owned()
    }

    /// The bytes of `path`, or why not.
    fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        match (self.read)(path) {
            Ok(bytes) => {
                self.inputs.insert(path.to_owned());
                Ok(bytes)
            }
            Err(error) => Err(format!("cannot read {}: {error}", self.shown(path))),
        }
    }

    fn read_variables(&mut self) {
        let optional = self.request.env_files.is_none();
        let beside = || vec![self.directory.join(".env")];
        let files = self.request.env_files.clone().unwrap_or_else(beside);
        for path in files {
            if optional && (self.read)(&path).is_err_and(|e| e.kind() == ErrorKind::NotFound) {
                continue;
            }
            let given = self.request.variables.clone();
            match self.env_file(&path, false, &|name| given.get(name).cloned()) {
                Ok(variables) => {
                    for (key, value) in variables {
                        if !given.contains_key(&key) {
                            self.variables.insert(key, value);
                        }
                    }
                }
                Err(message) => self.notes.error(Mark::default(), "", message),
            }
        }
    }

    fn env_file(
        &mut self,
        path: &Path,
        raw: bool,
        lookup: interpolate::Lookup<'_>,
    ) -> Result<Vec<(String, String)>, String> {
        let bytes = self.bytes(path)?;
        let shown = self.shown(path);
        let text = yaml::decode(bytes).map_err(|message| format!("{shown} {message}"))?;
        let parse = if raw { dotenv::parse_raw } else { dotenv::parse };
        parse(&text, lookup).map_err(|message| format!("{shown}: {message}"))
    }

    /// All documents of all files, laid over one another.
    fn read_files(&mut self) -> Option<Node> {
        let mut merged: Option<Node> = None;
        for path in self.request.files.clone() {
            for document in self.documents(&path) {
                match &mut merged {
                    Some(base) => merge::merge(base, document, &[], &mut self.notes),
                    None => merged = Some(document),
                }
            }
        }
        if self.notes.has_errors() {
            return None;
        }
        let Some(mut root) = merged.filter(|root| !root.is_null()) else {
            let files: Vec<_> = self.request.files.iter().map(|file| self.shown(file)).collect();
            let message = format!("{} is empty; a stack needs `services`", files.join(" and "));
            self.notes.error(Mark::default(), "", message);
            return None;
        };
        merge::drop_resets(&mut root);
        Some(root)
    }

    fn documents(&mut self, path: &Path) -> Vec<Node> {
        let shown = self.shown(path);
        let text = self
            .bytes(path)
            .and_then(|bytes| yaml::decode(bytes).map_err(|message| format!("{shown} {message}")));
        let text = match text {
            Ok(text) => text,
            Err(message) => {
                let help = Some("check that the file is there and can be read".to_owned());
                self.notes.error_with_help(Mark::default(), "", message, help);
                return vec![];
            }
        };
        let file = self.notes.add_file(shown, text.clone());
        yaml::parse(&text, file).unwrap_or_else(|error| {
            self.notes.error(error.mark, "", error.message);
            vec![]
        })
    }

    fn interpolate(&mut self, root: &mut Node) {
        let variables = &self.variables;
        let lookup = |name: &str| variables.get(name).cloned();
        interpolate::interpolate(root, "", &lookup, &mut self.notes);
    }

    fn project_name(&self, root: &Node) -> String {
        if let Some(name) = &self.request.project_name {
            return name.clone();
        }
        let lookup = |name: &str| self.variables.get(name).cloned();
        let written = self.variables.get("COMPOSE_PROJECT_NAME").cloned().or_else(|| {
            let name = root.get("name")?.as_str()?;
            interpolate::substitute(name, &lookup, &mut vec![]).ok()
        });
        let directory = || self.directory.file_name().unwrap_or_default().to_string_lossy().into();
        let name: String = written.filter(|name| !name.is_empty()).unwrap_or_else(directory);
        let lower = name.to_lowercase();
        let kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c);
        let kept: String = lower.chars().filter(kept).collect();
        kept.trim_start_matches(['-', '_']).to_owned()
    }

    /// Puts the variables of env files under `environment`.
    fn resolve_environment(&mut self, root: &mut Node) {
        let services = root.as_map_mut().and_then(|root| root.get_mut("services"));
        let variables = self.variables.clone();
        for (name, service) in services.and_then(Node::as_map_mut).into_iter().flatten() {
            let path = format!("services.{name}.environment");
            let lookup = |name: &str| variables.get(name).cloned();
            normalise::resolve_nulls(service, &lookup, &path, &mut self.notes);
            let Some(env_files) = service.get("env_file").cloned() else { continue };
            let own: BTreeMap<String, Option<String>> = service
                .get("environment")
                .into_iter()
                .flat_map(Node::entries)
                .map(|(key, value)| (key.clone(), value.text()))
                .collect();
            let mut merged = Map::new();
            let path = format!("services.{name}.env_file");
            for item in env_files.items() {
                self.add_env_file(item, &path, &variables, &own, &mut merged);
            }
            let Some(map) = service.as_map_mut() else { continue };
            let mark = env_files.place();
            let environment =
                map.entry("environment".to_owned()).or_insert(Node::new(Value::Null, mark));
            if let Value::Map(written) = &environment.value {
                merged.extend(written.clone());
            }
            environment.value = Value::Map(merged);
        }
    }

    fn add_env_file(
        &mut self,
        item: &Node,
        path: &str,
        variables: &BTreeMap<String, String>,
        own: &BTreeMap<String, Option<String>>,
        merged: &mut Map,
    ) {
        let file = PathBuf::from(item.get("path").and_then(Node::as_str).unwrap_or_default());
        let required = item.get("required").and_then(Node::as_bool).unwrap_or(true);
        if !required && (self.read)(&file).is_err_and(|e| e.kind() == ErrorKind::NotFound) {
            return;
        }
        let raw = item.get("format").is_some();
        let lookup =
            |name: &str| variables.get(name).cloned().or_else(|| own.get(name).cloned().flatten());
        match self.env_file(&file, raw, &lookup) {
            Ok(found) => {
                for (key, value) in found {
                    merged.insert(key, Node::str(value, item.mark));
                }
            }
            Err(message) => self.notes.error(item.mark, path, message),
        }
    }

    /// What the declared configs and secrets hold, by `configs.KEY` and `secrets.KEY`.
    fn read_contents(&mut self, root: &Node) -> BTreeMap<String, Vec<u8>> {
        let mut contents = BTreeMap::new();
        for kind in ["configs", "secrets"] {
            for (key, node) in root.get(kind).into_iter().flat_map(Node::entries) {
                let path = format!("{kind}.{key}");
                if !is_granted(root, kind, key) {
                    continue;
                }
                match self.content(node) {
                    Ok(bytes) => drop(contents.insert(path, bytes)),
                    Err(message) => self.notes.error(node.place(), &path, message),
                }
            }
        }
        contents
    }

    fn content(&mut self, node: &Node) -> Result<Vec<u8>, String> {
        let text = |key: &str| node.get(key).and_then(Node::as_str);
        if let Some(file) = text("file") {
            return self.bytes(Path::new(file));
        }
        if let Some(content) = text("content") {
            return Ok(content.as_bytes().to_vec());
        }
        match text("environment") {
            Some(name) => self
                .variables
                .get(name)
                .map(|value| value.as_bytes().to_vec())
                .ok_or_else(|| format!("the variable `{name}` is not set")),
            None => {
                Err("needs `file`, `content` or `environment`; external ones are Swarm's".into())
            }
        }
    }
}

/// Whether a service takes the config or secret `key`.
fn is_granted(root: &Node, kind: &str, key: &str) -> bool {
    let services = root.get("services").into_iter().flat_map(Node::entries);
    services
        .flat_map(|(_, service)| service.get(kind).map(Node::items).unwrap_or_default())
        .any(|grant| grant.get("source").and_then(Node::as_str) == Some(key))
}

/// Where every field of the long form was written.
fn places(root: &Node, notes: &Notes) -> Places {
    let mut places = Places::default();
    let place_of = |mark: Mark| -> Option<Place> { notes.place(mark) };
    walk(root, "", &mut |path, node| {
        if let Some(place) = place_of(node.place()) {
            places.insert(path.to_owned(), place);
        }
    });
    places
}

fn walk(node: &Node, path: &str, visit: &mut dyn FnMut(&str, &Node)) {
    if !path.is_empty() {
        visit(path, node);
    }
    let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match &node.value {
        Value::Map(map) => map.iter().for_each(|(key, value)| walk(value, &inner(key), visit)),
        Value::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &inner(&index.to_string()), visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
