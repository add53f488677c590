//! Templates, and the values that they are given, to the text of a compose file. It reads no file: who
//! calls it says what each template holds. It never interprets what comes out, and what a template
//! can take is bounded: steps, bytes put out, depth. What values it makes of others on the way is not: who does
//! not trust it renders in a process that is bounded ([`crate::renderer`]).
//!
//! A chart is a directory: `Chart.yaml` says what it is, `values.yaml` which values it has, and
//! `templates/compose.yaml` puts out a compose file, with the help of what lies beside it.

mod engine;
mod flaw;
mod origins;

pub use flaw::Flaw;
pub use origins::{Origin, Origins};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The file that makes a directory a chart.
pub const CHART_FILE: &str = "Chart.yaml";
/// The file of a chart that names all its values.
pub const VALUES_FILE: &str = "values.yaml";
/// The directory of a chart's templates.
pub const TEMPLATES: &str = "templates";
/// The template that puts out the compose file.
pub const ENTRY: &str = "compose.yaml";

/// The most steps that one rendering takes.
pub const MAX_STEPS: u64 = 100_000;
/// The most bytes that the templates may put out, also into variables of theirs.
pub const MAX_OUTPUT: usize = 4 << 20;
/// The most bytes that the templates of a chart may have, all together.
pub const MAX_TEMPLATE_BYTES: usize = 256 << 10;
/// The most templates that are read of one chart.
pub const MAX_TEMPLATES: usize = 100;

/// What is known of a chart's templates: the text of each by its name, none where there is no such file.
pub type Templates = BTreeMap<String, Option<String>>;

/// Who renders: [`render`], or somebody who does it elsewhere.
pub type Render = fn(&Templates, &Json) -> Result<Outcome, Flaw>;

/// What came of rendering.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The templates put this out.
    Rendered(Rendered),
    /// They ask for templates of which nothing is known yet.
    Asks(BTreeSet<String>),
}

/// What the templates put out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rendered {
    /// All of it.
    pub text: String,
    /// Where each part of it was written.
    pub origins: Origins,
}

/// Renders [`ENTRY`] with the names in `context`, a mapping. The same templates and the same context
/// give the same text.
pub fn render(templates: &Templates, context: &Json) -> Result<Outcome, Flaw> {
    let asked = |names: BTreeSet<String>| Ok(Outcome::Asks(names));
    let text = match engine::run(templates, context, MAX_OUTPUT) {
        (_, names) if !names.is_empty() => return asked(names),
        (Err(error), _) => return Err(flaw::of(&error, templates)),
        (Ok(text), _) => text,
    };
    Ok(Outcome::Rendered(Rendered { origins: origins(templates, context, &text), text }))
}

/// Where the parts of `text` were written. For that the templates are rendered once more, with signs
/// in them; where a sign changes what they put out, nothing is known.
fn origins(templates: &Templates, context: &Json, text: &str) -> Origins {
    let (signed, spots) = origins::sign(templates);
    match engine::run(&signed, context, 2 * MAX_OUTPUT).0 {
        Ok(signed) => origins::read(&signed, spots, text),
        Err(_) => Origins::default(),
    }
}

#[cfg(test)]
mod tests;
