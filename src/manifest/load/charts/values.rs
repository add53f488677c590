//! The values of a chart, in their order: its own, the files that are named, what is set in the file,
//! and what is given by hand.

use super::Loader;
use super::order::Order;
use crate::chart::VALUES_FILE;
use crate::manifest::node::{Mark, Node};
use crate::manifest::trail::Trail;
use crate::manifest::{paths, values, yaml};
use std::path::Path;

impl Loader<'_> {
    /// The chart's own values, and over them what is given.
    pub(super) fn values(&mut self, path: &Path, order: &Order) -> Option<Node> {
        let defaults = self.value_file(&order.chart.join(VALUES_FILE), order.mark, &order.field)?;
        let mut layers = Vec::new();
        for (file, mark) in &order.files {
            layers.extend(self.value_file(file, *mark, "values"));
        }
        layers.extend(order.set.clone());
        let request = self.request;
        let first = request.files.first().map(|first| paths::clean(first));
        let trail = Trail::Start("Values");
        if first.as_deref() == Some(path) {
            for file in &request.values {
                layers.extend(self.value_file(file, Mark::default(), ""));
            }
            for (key, text) in &request.set {
                match values::assigned(key, text, &defaults) {
                    Ok(layer) => layers.push(layer),
                    Err(message) => self.notes.error(Mark::default(), trail.key(key), message),
                }
            }
        }
        let mut all = defaults.clone();
        for layer in layers {
            values::lay(&mut all, layer, Some(&defaults), &trail, &mut self.notes);
        }
        Some(all)
    }

    /// The values in `path`. Of an encrypted file no place is known but that of the file, and no value is
    /// shown.
    fn value_file(&mut self, path: &Path, mark: Mark, field: &str) -> Option<Node> {
        let text = match self.door.values(path) {
            Ok((text, true)) => text,
            read => return self.mapping(path, read.map(|(text, _)| text), mark, field),
        };
        let file = self.notes.add_file(self.door.shown(path), String::new());
        self.sealed.insert(file);
        let mark = Mark::new(file, 1, 1);
        let parsed = yaml::parse(&text, file).ok().and_then(|mut documents| documents.pop());
        let Some(mut node) = parsed.filter(|node| node.as_map().is_some()) else {
            self.notes.error(mark, "", "must be a mapping of values");
            return None;
        };
        values::replace(&mut node, &|_| mark);
        for text in values::texts(&node) {
            // As it is, and as a compose file has it.
            for text in [text.replace('$', "$$"), text] {
                let added = self.notes.hidden.add(&text);
                added.map_err(|message| self.notes.error(mark, "", message)).ok()?;
            }
        }
        Some(node)
    }
}
