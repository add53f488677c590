//! What a `stack.yaml` asks for, and what a `Chart.yaml` says of its chart.

use super::{Asking, Loader, Scope};
use crate::chart::CHART_FILE;
use crate::manifest::load::include::is_remote;
use crate::manifest::node::{Mark, Node};
use crate::manifest::schema::{CHART, ORDER, ORDER_KEYS};
use crate::manifest::trail::Trail;
use crate::manifest::{STACK_FILE, shape, yaml};
use std::path::{Path, PathBuf};

/// What a file asks of a chart.
pub(super) struct Order {
    /// The chart's directory, and where it is named.
    pub(super) chart: PathBuf,
    pub(super) mark: Mark,
    pub(super) field: String,
    /// Files of values, and where they are named.
    pub(super) files: Vec<(PathBuf, Mark)>,
    pub(super) set: Option<Node>,
    /// What else the file says.
    pub(super) rest: Node,
}

/// What a chart says of itself.
pub(super) struct Chart {
    pub(super) name: Node,
    pub(super) version: String,
    pub(super) description: String,
}

impl Loader<'_> {
    /// What `asking` asks for; a `Chart.yaml` asks for itself.
    pub(super) fn order(&mut self, asking: &Asking<'_>, scope: &Scope) -> Option<Order> {
        if asking.path.file_name().is_some_and(|name| name == CHART_FILE) {
            return Some(Order {
                chart: asking.path.parent().map(PathBuf::from).unwrap_or_default(),
                mark: asking.mark,
                field: asking.field.to_owned(),
                files: vec![],
                set: None,
                rest: Node::map(asking.mark),
            });
        }
        let text = self.door.text(asking.path);
        let mut rest = self.mapping(asking.path, text, asking.mark, asking.field)?;
        let mut own = Node::map(rest.mark);
        for key in ORDER_KEYS {
            let taken = rest.as_map_mut().and_then(|map| map.shift_remove(key.name));
            if let (Some(map), Some(node)) = (own.as_map_mut(), taken) {
                map.insert(key.name, node);
            }
        }
        let services = rest.get("services").filter(|_| own.get("chart").is_none());
        if let Some(services) = services {
            let message = format!("a {STACK_FILE} needs `chart`");
            let help = Some("a compose file without one is named `compose.yaml`".to_owned());
            self.notes.error_with_help(services.place(), "", message, help);
            return None;
        }
        let before = self.notes.errors();
        self.fill_in(&mut own, scope);
        shape::check(&mut own, &ORDER, &Trail::Start(""), &mut self.notes);
        let chart = own.get("chart").filter(|_| self.notes.errors() == before)?;
        let name = chart.as_str().unwrap_or_default();
        if is_remote(name) {
            let message = format!("`{name}` is not a directory here; copy it into the repository");
            self.notes.error(chart.place(), "chart", message);
            return None;
        }
        let files = own.get("values").map(|node| match node.as_seq() {
            Some(items) => items.iter().collect(),
            None => vec![node],
        });
        let file = |node: &Node| (scope.absolute(node.as_str().unwrap_or_default()), node.place());
        Some(Order {
            chart: scope.absolute(name),
            mark: chart.place(),
            field: "chart".to_owned(),
            files: files.unwrap_or_default().into_iter().map(file).collect(),
            set: own.get("set").cloned(),
            rest,
        })
    }

    /// What the `Chart.yaml` says.
    pub(super) fn chart(&mut self, order: &Order) -> Option<Chart> {
        let path = order.chart.join(CHART_FILE);
        let text = self.door.text(&path);
        let mut node = self.mapping(&path, text, order.mark, &order.field)?;
        let before = self.notes.errors();
        shape::check(&mut node, &CHART, &Trail::Start(""), &mut self.notes);
        let name = node.get("name").filter(|_| self.notes.errors() == before)?.clone();
        let text = |key: &str| node.get(key).and_then(Node::text).unwrap_or_default();
        Some(Chart { name, version: text("version"), description: text("description") })
    }

    /// The one mapping that `text` holds; an empty one where it holds nothing.
    pub(super) fn mapping(
        &mut self,
        path: &Path,
        text: Result<String, String>,
        mark: Mark,
        field: &str,
    ) -> Option<Node> {
        let text = text.map_err(|message| self.notes.error(mark, field, message)).ok()?;
        let file = self.notes.add_file(self.door.shown(path), text);
        let parsed = yaml::parse(self.notes.text(file), file);
        let mut documents = parsed
            .map_err(|error| self.notes.error(error.mark, &error.path, error.message))
            .ok()?;
        let last = documents.pop().filter(|node| !node.is_null());
        let Some(node) = last else { return Some(Node::map(Mark::new(file, 1, 1))) };
        if !documents.is_empty() {
            self.notes.error(node.mark, "", "this file may have one document");
            return None;
        }
        if node.as_map().is_none() {
            let message = format!("the top of this file must be a mapping, not {}", node.kind());
            self.notes.error(node.mark, "", message);
            return None;
        }
        Some(node)
    }
}
