//! `include` (specification, "Include"): other projects' files, loaded for themselves and then made
//! part of this one. It never fetches anything.

use super::Loader;
use super::layers::Scope;
use crate::manifest::node::{Mark, Node, Value};
use crate::manifest::reset::{self, Keys};
use crate::manifest::trail::Trail;
use crate::manifest::{merge, schema, shape};
use std::path::PathBuf;
use std::rc::Rc;

/// How many includes may stand within one another.
const MAX_DEPTH: usize = 32;
/// What an included project adds.
const SECTIONS: [&str; 6] = ["services", "networks", "volumes", "secrets", "configs", "models"];

/// One item of `include`.
struct Entry {
    mark: Mark,
    paths: Vec<String>,
    project_directory: Option<String>,
    env_files: Vec<String>,
}

impl Entry {
    fn new(node: &Node) -> Self {
        let texts = |node: &Node| match node.as_str() {
            Some(text) => vec![text.to_owned()],
            None => node.items().iter().filter_map(Node::text).collect(),
        };
        let list = |key: &str| node.get(key).map(texts).unwrap_or_default();
        Self {
            mark: node.mark,
            paths: if node.as_str().is_some() { texts(node) } else { list("path") },
            project_directory: node.get("project_directory").and_then(Node::text),
            env_files: list("env_file"),
        }
    }
}

impl Loader<'_> {
    /// Loads what `document` includes into it; what the document says itself goes before.
    pub(super) fn include(&mut self, document: &mut Node, scope: &Scope, resets: &[Keys]) {
        let Some(mut list) = document.as_map_mut().and_then(|map| map.shift_remove("include"))
        else {
            return;
        };
        if list.is_null() {
            return;
        }
        let before = self.notes.errors();
        shape::check(&mut list, &schema::INCLUDES, &Trail::Start("include"), &mut self.notes);
        if self.notes.errors() > before {
            return;
        }
        for item in list.items() {
            for (key, value) in item.entries() {
                if !["path", "project_directory", "env_file"].contains(&key.as_str()) {
                    let message = format!("unknown key `{key}`: no effect");
                    self.notes.warning(value.place(), "include", message);
                }
            }
            let entry = Entry::new(item);
            if let Some(imported) = self.included(&entry, scope) {
                self.import(document, imported, resets);
            }
        }
    }

    fn included(&mut self, entry: &Entry, scope: &Scope) -> Option<Node> {
        let Some(first) = entry.paths.first() else {
            self.notes.error(entry.mark, "include", "needs `path`");
            return None;
        };
        if let Some(remote) = entry.paths.iter().find(|path| is_remote(path)) {
            let message = format!("`{remote}` is not a file here; copy it into the repository");
            self.notes.error(entry.mark, "include", message);
            return None;
        }
        let main = scope.absolute(first);
        if scope.trail.contains(&main) {
            let trail = scope.trail.iter().chain([&main]).map(|path| self.door.shown(path));
            let circle = trail.collect::<Vec<_>>().join(" includes ");
            let message = format!("files include each other in a circle: {circle}");
            self.notes.error(entry.mark, "include", message);
            return None;
        }
        if scope.trail.len() > MAX_DEPTH {
            let message = format!("files include each other more than {MAX_DEPTH} deep");
            self.notes.error(entry.mark, "include", message);
            return None;
        }
        let inner = self.scope_of(entry, main, scope)?;
        let paths: Vec<PathBuf> = entry.paths.iter().map(|path| scope.absolute(path)).collect();
        let before = self.notes.errors();
        let layers =
            paths.iter().map(|path| self.layer(path, &inner, entry.mark, "include")).collect();
        if self.notes.errors() > before {
            return None;
        }
        self.lay(layers, &inner)
    }

    fn scope_of(&mut self, entry: &Entry, main: PathBuf, scope: &Scope) -> Option<Scope> {
        let directory = match &entry.project_directory {
            Some(directory) if !directory.is_empty() => scope.absolute(directory),
            _ => main.parent().map(PathBuf::from).unwrap_or_default(),
        };
        let lookup = |name: &str| scope.lookup(name);
        let files: Vec<(PathBuf, bool)> = if entry.env_files.is_empty() {
            vec![(directory.join(".env"), false)]
        } else {
            let given = entry.env_files.iter().filter(|file| *file != "/dev/null");
            given.map(|file| (scope.absolute(file), true)).collect()
        };
        let mut variables = (*scope.variables).clone();
        for (file, required) in files {
            let read = if required {
                self.door.variables(&file, false, &lookup, &mut self.notes.hidden)
            } else {
                self.door.optional_variables(&file, false, &lookup, &mut self.notes.hidden)
            };
            match read {
                Ok(found) => {
                    // The including project's own win; of one name's, the last.
                    for (name, value) in found {
                        if scope.variables.contains_key(&name) {
                            continue;
                        }
                        variables.insert(name, value);
                    }
                }
                Err(message) => {
                    self.notes.error(entry.mark, "include", message);
                    return None;
                }
            }
        }
        let mut trail = scope.trail.clone();
        trail.push(main);
        self.scopes += 1;
        Some(Scope { id: self.scopes, directory, variables: Rc::new(variables), trail })
    }

    fn import(&mut self, document: &mut Node, imported: Node, resets: &[Keys]) {
        let Value::Map(sections) = imported.value else { return };
        for (section, resources) in sections {
            if !SECTIONS.contains(&section.as_str()) {
                continue;
            }
            let Value::Map(resources) = resources.value else { continue };
            let Some(top) = document.as_map_mut() else { return };
            let own = top.or_insert(section.clone(), Node::map(Mark::default()));
            if own.is_null() {
                own.value = Node::map(own.mark).value;
            }
            let Some(own) = own.as_map_mut() else { continue };
            for (name, mut resource) in resources {
                let Some(said) = own.shift_remove(&name) else {
                    own.insert(name, resource);
                    continue;
                };
                let (key, below) = (said.key, [section.clone(), name.clone()]);
                reset::apply(&mut resource, &reset::below(resets, &below));
                merge::merge(&mut resource, said, &[&section, &name], &mut self.notes);
                resource.key = key.or(resource.key);
                own.insert(name, resource);
            }
        }
    }
}

/// Whether a path names something that would have to be fetched.
pub(super) fn is_remote(path: &str) -> bool {
    path.contains("://") || path.starts_with("git@") || path.starts_with("github.com/")
}
