//! `extends` (specification, "Extends"): a service laid over another one, of the same file or of
//! another. It never looks at services of other layers.

use super::Loader;
use super::include::is_remote;
use super::layers::Scope;
use crate::manifest::node::{Map, Mark, Node, Text};
use crate::manifest::reset::{self, Keys};
use crate::manifest::trail::Trail;
use crate::manifest::{canonical, merge, paths};
use std::path::{Path, PathBuf};

/// How long a chain of services may be.
const MAX_DEPTH: usize = 64;
/// How many values extending may copy, all together.
const MAX_COPIED_NODES: usize = 1_000_000;

/// The services of one file, and how its paths are meant.
#[derive(Debug, Clone)]
pub(super) struct Services {
    file: PathBuf,
    directory: PathBuf,
    by_name: Map,
    resets: Vec<Keys>,
}

/// A service on the way to the end of a chain.
type Step = (PathBuf, String);

impl Loader<'_> {
    /// Puts in place of every service of `document` that extends another one the two together.
    pub(super) fn extend(
        &mut self,
        document: &mut Node,
        file: &Path,
        scope: &Scope,
        resets: &[Keys],
    ) {
        let section = document.as_map_mut().and_then(|map| map.get_mut("services"));
        let Some(services) = section.and_then(Node::as_map_mut) else { return };
        if services.values().all(|service| service.get("extends").is_none()) {
            return;
        }
        let mut all = Services {
            file: file.to_owned(),
            directory: scope.directory.clone(),
            by_name: std::mem::take(services),
            resets: resets.to_vec(),
        };
        for name in all.by_name.keys().cloned().collect::<Vec<_>>() {
            self.complete(&mut all, &name, scope, &mut vec![]);
        }
        *services = all.by_name;
    }

    /// Completes the service `name` with what it extends.
    fn complete(&mut self, all: &mut Services, name: &str, scope: &Scope, trail: &mut Vec<Step>) {
        if self.copied > MAX_COPIED_NODES {
            return;
        }
        let Some(service) = all.by_name.get_mut(name).and_then(Node::as_map_mut) else { return };
        let Some(extends) = service.shift_remove("extends") else { return };
        let field = format!("services.{name}.extends");
        let text = |key: &str| extends.get(key).and_then(Node::as_str).map(str::to_owned);
        let base_name = extends.as_str().map(str::to_owned).or_else(|| text("service"));
        let Some(base_name) = base_name else {
            return self.notes.error(extends.place(), &field, "needs `service`");
        };
        let known = ["service", "file"];
        for (key, value) in extends.entries().filter(|(key, _)| !known.contains(&key.as_str())) {
            self.notes.warning(value.place(), &field, format!("unknown key `{key}`: no effect"));
        }
        let step = (all.file.clone(), name.to_owned());
        if trail.contains(&step) {
            let names = trail.iter().map(|(_, name)| name.as_str()).chain([name]);
            let circle = names.collect::<Vec<_>>().join(" -> ");
            let message = format!("services extend each other in a circle: {circle}");
            return self.notes.error(extends.place(), &field, message);
        }
        if trail.len() >= MAX_DEPTH {
            let message =
                format!("services extend each other more than {MAX_DEPTH} times in a row");
            return self.notes.error(extends.place(), &field, message);
        }
        trail.push(step);
        // While its base is looked for the service still says that it extends: so a circle shows.
        restore(all, name, &extends);
        let base = match text("file") {
            None => self.base_here(all, &base_name, &extends, &field, scope, trail),
            Some(file) => {
                let place = At { mark: extends.place(), field: &field };
                self.base_elsewhere(all, &file, &base_name, &place, scope, trail)
            }
        };
        trail.pop();
        if let Some(service) = all.by_name.get_mut(name).and_then(Node::as_map_mut) {
            service.shift_remove("extends");
        }
        let Some(mut base) = base.filter(|base| !base.is_null()) else { return };
        self.copied += base.count();
        if self.copied > MAX_COPIED_NODES {
            let message = format!("services copy more than {MAX_COPIED_NODES} values in all");
            return self.notes.error(extends.place(), &field, message);
        }
        let below = reset::below(&all.resets, &["services".into(), name.into()]);
        reset::apply(&mut base, &below);
        let Some(own) = all.by_name.get_mut(name) else { return };
        let key = own.key;
        let over = std::mem::replace(own, Node::null(own.mark));
        merge::merge(&mut base, over, &["services", name], &mut self.notes);
        base.key = key;
        all.by_name.insert(name.to_owned(), base);
    }

    fn base_here(
        &mut self,
        all: &mut Services,
        base: &str,
        extends: &Node,
        field: &str,
        scope: &Scope,
        trail: &mut Vec<Step>,
    ) -> Option<Node> {
        if !all.by_name.contains_key(base) {
            self.no_such_service(all, base, &At { mark: extends.place(), field });
            return None;
        }
        self.complete(all, base, scope, trail);
        all.by_name.get(base).cloned()
    }

    fn base_elsewhere(
        &mut self,
        all: &Services,
        file: &str,
        base: &str,
        at: &At<'_>,
        scope: &Scope,
        trail: &mut Vec<Step>,
    ) -> Option<Node> {
        if is_remote(file) {
            let message = format!("`{file}` is not a file here; copy it into the repository");
            self.notes.error(at.mark, at.field, message);
            return None;
        }
        let path = paths::clean(&all.directory.join(file));
        let key = (path.clone(), scope.id);
        // Taken out while in use: a service of it may extend another one of it.
        let mut others = match self.extended.remove(&key) {
            Some(others) => others,
            None => self.services_of(&path, at, scope)?,
        };
        let found = if others.by_name.contains_key(base) {
            self.complete(&mut others, base, scope, trail);
            let field = format!("services.{base}");
            let home = scope.lookup("HOME");
            let paths = paths::Base { directory: &others.directory, home: home.as_deref() };
            others.by_name.get_mut(base).map(|service| {
                canonical::service(&Trail::Start(&field), service, &mut self.notes);
                paths::resolve_service(&field, service, &paths, &mut self.notes);
                service.clone()
            })
        } else {
            self.no_such_service(&others, base, at);
            None
        };
        self.extended.insert(key, others);
        found
    }

    fn services_of(&mut self, path: &Path, at: &At<'_>, scope: &Scope) -> Option<Services> {
        let before = self.notes.errors();
        let layer = self.layer(path, scope, at.mark, at.field);
        let mut merged = Node::map(Mark::default());
        let mut all_resets = Vec::new();
        for mut document in layer.documents {
            let resets = reset::take(&mut document);
            self.fill_in(&mut document, scope);
            reset::apply(&mut merged, &resets);
            merge::merge(&mut merged, document, &[], &mut self.notes);
            all_resets.extend(resets);
        }
        if self.notes.errors() > before {
            return None;
        }
        let services = merged.get("services").and_then(Node::as_map).cloned().unwrap_or_default();
        Some(Services {
            file: path.to_owned(),
            directory: path.parent().map(PathBuf::from).unwrap_or_default(),
            by_name: services,
            resets: all_resets,
        })
    }

    fn no_such_service(&mut self, all: &Services, base: &str, at: &At<'_>) {
        let known = all.by_name.keys().map(Text::as_str);
        let help = crate::manifest::shape::suggestion(base, known);
        let message = format!("there is no service `{base}` in {}", self.door.shown(&all.file));
        self.notes.error_with_help(at.mark, at.field, message, help);
    }
}

/// Where `extends` was written.
struct At<'a> {
    mark: Mark,
    field: &'a str,
}

fn restore(all: &mut Services, name: &str, extends: &Node) {
    if let Some(service) = all.by_name.get_mut(name).and_then(Node::as_map_mut) {
        service.insert("extends", extends.clone());
    }
}
