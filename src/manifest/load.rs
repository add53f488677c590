//! The order of the steps from files to stack. It decides nothing that a step decides.

mod charts;
mod contents;
mod door;
mod extends;
mod include;
mod layers;

pub use charts::template;

use super::config::Style;
use super::node::{Map, Mark, Node, Value};
use super::notes::Notes;
use super::settings::Settings;
use super::{
    Declared, Diagnostics, Loaded, Read, Request, Resolved, Variable, check, config, decode,
    feasible, interpolate, lint, normalise, paths, support,
};
use crate::model::{FieldIndex, Places, Position, StackName};
use door::Door;
use extends::Services;
use layers::{Layer, Scope};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What the files of `request` say in the long form, for any tool; all problems found are told at
/// once.
pub fn resolve(request: &Request, read: Read<'_>) -> Result<Resolved, Diagnostics> {
    let mut loader = Loader::new(request, read);
    let Some(model) = loader.model() else { return Err(loader.fail()) };
    let shown = |style| config::config(&model.root, &model.extensions, &model.name, style);
    let (mut config, mut document) = if request.interpolate {
        (shown(Style::Json), shown(Style::Yaml))
    } else {
        let plain = model.plain();
        (plain.clone(), plain)
    };
    loader.notes.hidden.hide(&mut config);
    loader.notes.hidden.hide(&mut document);
    let inputs = loader.door.inputs;
    let warnings = loader.notes.into_diagnostics();
    Ok(Resolved { config, document, declared: model.declared, warnings, inputs })
}

/// The stack that the files of `request` describe; what cannot be run here is an error.
pub fn load(request: &Request, read: Read<'_>) -> Result<Loaded, Diagnostics> {
    let mut loader = Loader::new(request, read);
    let Some(Model { mut root, extensions, name, scope, .. }) = loader.model() else {
        return Err(loader.fail());
    };
    support::check(&root, &mut loader.notes);
    lint::lint(&root, &mut loader.notes);
    let mut settings = Settings::read(&root, &extensions, &mut loader.notes);
    lint::switch_off(&root, &settings, &request.allow, &mut loader.notes);
    feasible::check(&root, &mut loader.notes);
    let Ok(stack_name) = StackName::new(name.clone()) else {
        loader.notes.error(Mark::default(), "name", format!("`{name}` is no project name"));
        return Err(loader.fail());
    };
    if loader.notes.has_errors() {
        return Err(loader.fail());
    }
    let contents = loader.read_contents(&root);
    settings.place(&mut root);
    let places = places(&root, &loader.notes);
    let mut stack =
        decode::stack(root, stack_name, &settings, &contents, request, &mut loader.notes);
    stack.working_dir = scope.directory.to_string_lossy().into_owned();
    stack.config_files =
        request.files.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    stack.places = places;
    let mut hidden = loader.notes.hidden.clone();
    stack.spare_names(&mut hidden);
    stack.hidden = hidden;
    if loader.notes.has_errors() {
        return Err(loader.fail());
    }
    let inputs = loader.door.inputs;
    let lints = loader.notes.take_lints();
    Ok(Loaded { stack, warnings: loader.notes.into_diagnostics(), lints, inputs })
}

/// A whole project in its long form.
struct Model {
    root: Node,
    extensions: Map,
    name: String,
    scope: Scope,
    declared: Declared,
}

impl Model {
    /// The long form as it is, with the names of variables in it.
    fn plain(&self) -> serde_json::Value {
        let mut plain = serde_json::Map::new();
        plain.insert("name".to_owned(), self.name.clone().into());
        for (key, node) in self.root.entries().chain(&self.extensions) {
            if key != "name" {
                plain.insert(key.to_string(), node.to_json());
            }
        }
        plain.into()
    }
}

/// What the steps share.
struct Loader<'a> {
    request: &'a Request,
    door: Door<'a>,
    notes: Notes,
    /// How many scopes there are beside the stack's own.
    scopes: usize,
    /// Files whose services are extended, by their scope.
    extended: BTreeMap<(PathBuf, usize), Services>,
    /// How many values were copied by extending.
    copied: usize,
    /// The variables that the files name.
    variables: BTreeMap<String, Variable>,
    /// The files among those noted that are encrypted.
    sealed: BTreeSet<usize>,
    /// Whether charts are given something else for what such files hold.
    masks: bool,
    /// What configs and secrets take from variables, by their path and the variable's name.
    given: BTreeMap<(String, String), String>,
}

impl<'a> Loader<'a> {
    fn new(request: &'a Request, read: Read<'a>) -> Self {
        Self {
            request,
            door: Door::new(request, read),
            notes: Notes::default(),
            scopes: 0,
            extended: BTreeMap::new(),
            copied: 0,
            variables: BTreeMap::new(),
            sealed: BTreeSet::new(),
            masks: false,
            given: BTreeMap::new(),
        }
    }

    fn fail(self) -> Diagnostics {
        self.notes.into_diagnostics()
    }

    /// The whole project; nothing if something is wrong with it.
    fn model(&mut self) -> Option<Model> {
        let mut scope = self.scope();
        let files: Vec<PathBuf> =
            self.request.files.iter().map(|file| paths::clean(file)).collect();
        let layers: Vec<Layer> =
            files.iter().map(|path| self.layer(path, &scope, Mark::default(), "")).collect();
        if self.notes.has_errors() {
            return None;
        }
        if layers.iter().flat_map(|layer| &layer.documents).all(Node::is_null) {
            let files: Vec<_> = files.iter().map(|file| self.door.shown(file)).collect();
            let message = format!("{} is empty; a stack needs `services`", files.join(" and "));
            self.notes.error(Mark::default(), "", message);
            return None;
        }
        // What else is wrong is told as well, so a bad name does not end it.
        let name = self.project_name(&layers, &scope).unwrap_or_else(|| "unnamed".to_owned());
        Rc::make_mut(&mut scope.variables)
            .entry("COMPOSE_PROJECT_NAME".to_owned())
            .or_insert_with(|| name.clone());
        let mut root = self.lay(layers, &scope)?;
        let extensions = take_extensions(&mut root);
        check::objects(&root, &mut self.notes);
        let declared = Declared {
            profiles: normalise::profiles(&root),
            variables: std::mem::take(&mut self.variables),
        };
        let inactive = if self.request.interpolate {
            normalise::select(&mut root, &self.profiles(&scope))
        } else {
            BTreeSet::new()
        };
        normalise::normalise(&mut root, &name);
        if self.request.consistency {
            check::check(&root, &inactive, &mut self.notes);
        }
        if self.notes.has_errors() {
            return None;
        }
        // What files hold depends on variables, and so does which services are on.
        if self.request.interpolate {
            self.resolve_files(&mut root, &scope);
        }
        (!self.notes.has_errors()).then_some(Model { root, extensions, name, scope, declared })
    }

    /// The profiles that are on: those asked for, or else what the variable of Compose's names.
    fn profiles(&self, scope: &Scope) -> BTreeSet<String> {
        if !self.request.profiles.is_empty() {
            return self.request.profiles.clone();
        }
        let named = scope.lookup("COMPOSE_PROFILES").unwrap_or_default();
        named
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// The scope of the stack's own files.
    fn scope(&mut self) -> Scope {
        let request = self.request;
        let beside =
            || request.files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/"));
        let directory = paths::clean(request.project_directory.as_deref().unwrap_or_else(beside));
        let given = |name: &str| request.variables.get(name).cloned();
        let mut variables = BTreeMap::new();
        let beside = vec![directory.join(".env")];
        for path in request.env_files.as_ref().unwrap_or(&beside) {
            let read = if request.env_files.is_some() {
                self.door.variables(path, false, &given, &mut self.notes.hidden)
            } else {
                self.door.optional_variables(path, false, &given, &mut self.notes.hidden)
            };
            match read {
                Ok(found) => variables.extend(found),
                Err(message) => self.notes.error(Mark::default(), "", message),
            }
        }
        variables.extend(request.variables.clone());
        Scope {
            id: 0,
            directory,
            variables: Rc::new(variables),
            trail: request.files.iter().map(|file| paths::clean(file)).collect(),
        }
    }

    /// The project's name (specification, "Name top-level element"): what is asked for must be
    /// one; what the file says and the directory's name are made one.
    fn project_name(&mut self, layers: &[Layer], scope: &Scope) -> Option<String> {
        let asked = self.request.project_name.clone();
        let asked = asked.or_else(|| scope.lookup("COMPOSE_PROJECT_NAME"));
        if let Some(name) = asked.filter(|name| !name.is_empty()) {
            if name == normalised(&name) {
                return Some(name);
            }
            let message = format!(
                "`{name}` is no project name: lower-case letters, digits, `-` and `_`, the first a \
                 letter or digit"
            );
            self.notes.error(Mark::default(), "name", message);
            return None;
        }
        let documents = layers.iter().rev().flat_map(|layer| layer.documents.iter().rev());
        let written = documents.filter_map(|document| document.get("name")).find_map(|node| {
            let text = node.as_str().filter(|text| !text.is_empty())?;
            Some((text.to_owned(), node.place()))
        });
        let (name, mark) = if let Some((text, mark)) = written {
            let lookup = |name: &str| scope.lookup(name);
            // What is wrong with it is told when the whole file is filled in.
            let filled = interpolate::substitute(&text, &lookup, &mut vec![]);
            (filled.unwrap_or(text), mark)
        } else {
            let directory = scope.directory.file_name().unwrap_or_default();
            (directory.to_string_lossy().into_owned(), Mark::default())
        };
        let kept = normalised(&name);
        if kept.is_empty() {
            let message = format!("`{name}` has nothing that a project's name could be made of");
            let help = Some("give the stack a `name`".to_owned());
            self.notes.error_with_help(mark, "name", message, help);
            return None;
        }
        Some(kept)
    }
}

/// What of `name` a project's name may have.
fn normalised(name: &str) -> String {
    let lower = name.to_lowercase();
    let kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c);
    let kept: String = lower.chars().filter(kept).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
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

/// Where every field of the long form was written. What stands where the field around it stands is
/// left out.
fn places(root: &Node, notes: &Notes) -> Places {
    let mut places = Places::new(notes.file_names());
    add_fields(&mut places, Places::TOP, root);
    places
}

fn add_fields(places: &mut Places, around: FieldIndex, node: &Node) {
    let mark = node.place();
    let inner: Vec<(Cow<'_, str>, &Node)> = match &node.value {
        Value::Map(map) => map.iter().map(|(key, node)| (Cow::from(&**key), node)).collect(),
        Value::Seq(items) => {
            items.iter().enumerate().map(|(index, node)| (index.to_string().into(), node)).collect()
        }
        _ => return,
    };
    let told = inner.iter().filter(|(_, node)| stands_apart(node, mark));
    let fields = told.map(|(key, node)| (&**key, position(node.place()), *node)).collect();
    for (field, node) in places.add(around, fields) {
        add_fields(places, field, node);
    }
}

/// Whether it, or anything in it, stands elsewhere than at `around`.
fn stands_apart(node: &Node, around: Mark) -> bool {
    let mark = node.place();
    (!mark.is_nowhere() && mark != around)
        || node.items().iter().any(|node| stands_apart(node, mark))
        || node.entries().any(|(_, node)| stands_apart(node, mark))
}

fn position(mark: Mark) -> Option<Position> {
    Some(Position {
        file: u16::try_from(mark.file()).unwrap_or(u16::MAX),
        column: u16::try_from(mark.column()).unwrap_or(u16::MAX),
        line: NonZeroU32::new(mark.line())?,
    })
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod bounds_tests;

#[cfg(test)]
mod pointer_tests;
