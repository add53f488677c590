//! Lays the documents of files over one another, each filled in, with what it includes and extends,
//! and checked (specification, "Merge"). It never looks at how the parts of the result fit together.

use super::Loader;
use super::charts::is_charted;
use crate::manifest::lint::DEPRECATED;
use crate::manifest::node::{Mark, Node};
use crate::manifest::support::VERSION;
use crate::manifest::trail::Trail;
use crate::manifest::{canonical, interpolate, merge, paths, reset, schema, shape, unique, yaml};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What a file's paths are relative to, and the variables that it sees.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// One for the stack's own files, another for each that is included.
    pub(super) id: usize,
    pub(super) directory: PathBuf,
    pub(super) variables: Rc<BTreeMap<String, String>>,
    /// The files that led here, the stack's own first.
    pub(super) trail: Vec<PathBuf>,
}

impl Scope {
    pub(super) fn lookup(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// `path` as seen from this scope's directory.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        paths::clean(&self.directory.join(path))
    }
}

/// The documents of a file.
pub(super) struct Layer {
    pub(super) path: PathBuf,
    pub(super) documents: Vec<Node>,
}

impl Loader<'_> {
    /// The documents of `path`; what is wrong with the file is noted, at `mark` if it cannot be
    /// read.
    pub(super) fn layer(&mut self, path: &Path, scope: &Scope, mark: Mark, field: &str) -> Layer {
        let mut layer = Layer { path: path.to_owned(), documents: vec![] };
        if is_charted(path) {
            layer.documents = self.charted(path, scope, mark, field);
            return layer;
        }
        match self.door.text(path) {
            Ok(text) => {
                let file = self.notes.add_file(self.door.shown(path), text);
                match yaml::parse(self.notes.text(file), file) {
                    Ok(documents) => layer.documents = documents,
                    Err(error) => self.notes.error(error.mark, &error.path, error.message),
                }
            }
            Err(message) => self.notes.error(mark, field, message),
        }
        layer
    }

    /// All documents laid over one another, in the long form and with absolute paths; nothing if
    /// something is wrong.
    pub(super) fn lay(&mut self, layers: Vec<Layer>, scope: &Scope) -> Option<Node> {
        let mut merged = Node::map(Mark::default());
        let before = self.notes.errors();
        for layer in layers {
            for document in layer.documents {
                self.add(&mut merged, document, &layer.path, scope);
                if self.notes.errors() > before {
                    // What is wrong with its values is told as well.
                    canonical::values(&mut merged, &mut self.notes);
                    return None;
                }
            }
        }
        if self.request.interpolate {
            canonical::values(&mut merged, &mut self.notes);
        }
        let home = scope.lookup("HOME");
        let base = paths::Base { directory: &scope.directory, home: home.as_deref() };
        paths::resolve(&mut merged, &base, &mut self.notes);
        self.resolve_variables(&mut merged, scope);
        (self.notes.errors() == before).then_some(merged)
    }

    fn add(&mut self, merged: &mut Node, mut document: Node, path: &Path, scope: &Scope) {
        if document.as_map().is_none() {
            let message = format!(
                "the top of a file must be a mapping, such as `services:`, not {}",
                document.kind()
            );
            return self.notes.error(document.mark, "", message);
        }
        // One problem does not hide those behind it: each step leaves alone what it cannot read.
        let resets = reset::take(&mut document);
        self.fill_in(&mut document, scope);
        self.include(&mut document, scope, &resets);
        self.extend(&mut document, path, scope, &resets);
        reset::apply(merged, &resets);
        merge::merge(merged, document, &[], &mut self.notes);
        unique::unify(merged);
        shape::check(merged, &schema::FILE, &Trail::Start(""), &mut self.notes);
        if let Some(version) = merged.as_map_mut().and_then(|map| map.shift_remove("version")) {
            self.notes.named_warning(DEPRECATED, version.place(), "version", VERSION.why);
        }
        canonical::canonical(merged, &mut self.notes);
        unique::unify(merged);
    }

    /// Puts the values of variables in, unless the request asks to leave them.
    pub(super) fn fill_in(&mut self, document: &mut Node, scope: &Scope) {
        interpolate::variables(document, &mut self.variables);
        if self.request.interpolate {
            let lookup = |name: &str| scope.lookup(name);
            interpolate::interpolate(document, &lookup, &mut self.notes);
        } else {
            self.notes.excuse(interpolate::templates(document));
        }
    }
}
