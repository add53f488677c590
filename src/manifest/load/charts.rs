//! Charts: a `stack.yaml` names one and gives it values. What its templates put out is a document of the
//! stack, and what else the `stack.yaml` says is laid over that. A `Chart.yaml` stands for the chart with
//! its own values.

mod order;
mod templates;
mod values;

use super::Loader;
use super::layers::{Layer, Scope};
use crate::chart::{CHART_FILE, Rendered};
use crate::manifest::node::{Mark, Node};
use crate::manifest::{
    Diagnostics, Read, Request, STACK_FILE, Template, paths, values as layers, yaml,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// What the chart of the first file of `request` puts out, before it is read as a compose file.
pub fn template(request: &Request, read: Read<'_>) -> Result<Template, Diagnostics> {
    let mut loader = Loader::new(request, read);
    loader.masks = true;
    let scope = loader.scope();
    let file = request.files.first().map(|file| paths::clean(file)).unwrap_or_default();
    if !is_charted(&file) {
        let message = format!("{} names no chart", loader.door.shown(&file));
        let help = Some("`bowline config` shows what a compose file says".to_owned());
        loader.notes.error_with_help(Mark::default(), "", message, help);
    }
    let charted = (!loader.notes.has_errors())
        .then(|| loader.render(&file, &scope, Mark::default(), ""))
        .flatten();
    match charted {
        Some(charted) => {
            let (text, warnings) = (charted.rendered.text, loader.notes.into_diagnostics());
            Ok(Template { text, warnings })
        }
        None => Err(loader.fail()),
    }
}

/// Whether `path` is a file that asks for a chart.
pub(super) fn is_charted(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == STACK_FILE || name == CHART_FILE)
}

/// A file that asks for a chart, and where it is named: problems with reading it are told there.
struct Asking<'a> {
    path: &'a Path,
    mark: Mark,
    field: &'a str,
}

/// What a chart puts out for a stack.
pub(super) struct Charted {
    pub(super) rendered: Rendered,
    /// The files of the templates, by name.
    files: BTreeMap<String, usize>,
    /// What else the file says that asks for the chart.
    rest: Node,
}

impl Charted {
    /// Where that was written which stands at `mark` of what is put out.
    fn origin(&self, mark: Mark) -> Mark {
        let origin = self.rendered.origins.of(mark.line() as usize, mark.column() as usize);
        let file = self.files.get(&origin.template).copied();
        file.map_or(mark, |file| Mark::new(file, origin.line, origin.column))
    }
}

impl Loader<'_> {
    /// The documents that `path` stands for; what is wrong is noted, at `mark` if it cannot be read.
    pub(super) fn charted(
        &mut self,
        path: &Path,
        scope: &Scope,
        mark: Mark,
        field: &str,
    ) -> Vec<Node> {
        let Some(charted) = self.render(path, scope, mark, field) else { return vec![] };
        match yaml::parse(&charted.rendered.text, 0) {
            Ok(mut documents) => {
                for document in &mut documents {
                    layers::replace(document, &|mark| charted.origin(mark));
                    if let Some(name) = document.get("name") {
                        let help = Some(format!("a stack has its `name` in its {STACK_FILE}"));
                        let message = "a chart does not name what is made of it";
                        self.notes.error_with_help(name.place(), "name", message, help);
                    }
                }
                documents.push(charted.rest);
                documents
            }
            Err(error) => {
                let line = (error.mark.line() as usize).saturating_sub(1);
                let line = charted.rendered.text.lines().nth(line).unwrap_or_default().trim();
                // It may hold a secret that is too short to be found again.
                let shown = if self.sealed.is_empty() { line } else { "not shown" };
                let message = format!("{}; what is put out there is `{shown}`", error.message);
                self.notes.error(charted.origin(error.mark), &error.path, message);
                vec![]
            }
        }
    }

    /// What the chart that `path` asks for puts out.
    pub(super) fn render(
        &mut self,
        path: &Path,
        scope: &Scope,
        mark: Mark,
        field: &str,
    ) -> Option<Charted> {
        let before = self.notes.errors();
        let asking = Asking { path, mark, field };
        let mut order = self.order(&asking, scope)?;
        let chart = self.chart(&order)?;
        if path.file_name().is_some_and(|name| name == CHART_FILE)
            && let Some(rest) = order.rest.as_map_mut()
        {
            rest.insert("name", chart.name.clone());
        }
        let values = self.values(path, &order)?;
        let documents = vec![order.rest.clone()];
        let stack = self.project_name(&[Layer { path: path.to_owned(), documents }], scope)?;
        if self.notes.errors() > before {
            return None;
        }
        let hidden = if self.masks { self.sealed.clone() } else { BTreeSet::new() };
        let context = json!({
            "Values": layers::given(&values, self.request.interpolate, &hidden),
            "Chart": {
                "Name": chart.name.as_str(),
                "Version": chart.version,
                "Description": chart.description,
                "Path": way(&scope.directory, &order.chart),
            },
            "Stack": { "Name": stack },
        });
        let (rendered, files) = self.put_out(&order, &context)?;
        Some(Charted { rendered, files, rest: order.rest })
    }
}

/// The path that leads from the directory `from` to `to`, both absolute; it begins with a dot.
fn way(from: &Path, to: &Path) -> String {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(shared)).collect();
    match way.to_string_lossy() {
        way if way.is_empty() => ".".to_owned(),
        way if way.starts_with("..") => way.into_owned(),
        way => format!("./{way}"),
    }
}

#[cfg(test)]
mod tests;
