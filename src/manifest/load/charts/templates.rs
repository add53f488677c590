//! Renders a chart: reads the templates that it asks for, and says where one fails.

use super::Loader;
use super::order::Order;
use crate::chart::{
    ENTRY, Flaw, MAX_TEMPLATE_BYTES, MAX_TEMPLATES, Outcome, Rendered, TEMPLATES, Templates,
};
use crate::manifest::node::Mark;
use crate::manifest::paths;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The files of templates, by the template's name.
type Files = BTreeMap<String, usize>;

impl Loader<'_> {
    /// What the templates put out, and the files of those that took part.
    pub(super) fn put_out(&mut self, order: &Order, context: &Json) -> Option<(Rendered, Files)> {
        let (mut templates, mut files) = (Templates::new(), Files::new());
        let mut wanted = BTreeSet::from([ENTRY.to_owned()]);
        loop {
            for name in wanted {
                let text = self.template(order, &name, &mut files);
                let told = text.map_err(|message| self.refuse(order, message));
                templates.insert(name, told.ok()?);
            }
            let bytes: usize = templates.values().flatten().map(String::len).sum();
            if files.is_empty() {
                let chart = self.door.shown(&order.chart);
                self.refuse(order, format!("there is no {TEMPLATES}/{ENTRY} in {chart}"));
                return None;
            }
            if templates.len() > MAX_TEMPLATES || bytes > MAX_TEMPLATE_BYTES {
                let message = format!(
                    "a chart may have {MAX_TEMPLATES} templates and {MAX_TEMPLATE_BYTES} bytes of them"
                );
                self.refuse(order, message);
                return None;
            }
            match (self.request.render)(&templates, context) {
                Ok(Outcome::Rendered(rendered)) => return Some((rendered, files)),
                Ok(Outcome::Asks(names)) => wanted = names,
                Err(flaw) => {
                    self.note_flaw(order, flaw, &files);
                    return None;
                }
            }
        }
    }

    /// The text of a template, if there is one of that name: what does not lie with the others is none.
    fn template(
        &mut self,
        order: &Order,
        name: &str,
        files: &mut Files,
    ) -> Result<Option<String>, String> {
        let directory = order.chart.join(TEMPLATES);
        let path = paths::clean(&directory.join(name));
        if path == directory || !path.starts_with(&directory) {
            return Ok(None);
        }
        let text = self.door.optional_text(&path)?;
        if let Some(text) = &text {
            let file = self.notes.add_file(self.door.shown(&path), text.clone());
            files.insert(name.to_owned(), file);
        }
        Ok(text)
    }

    fn note_flaw(&mut self, order: &Order, flaw: Flaw, files: &Files) {
        let file = files.get(&flaw.template);
        let mark = file.map_or(order.mark, |file| Mark::new(*file, flaw.line, flaw.column));
        self.notes.flaw(mark, flaw);
    }

    fn refuse(&mut self, order: &Order, message: String) {
        self.notes.error(order.mark, &order.field, message);
    }
}
