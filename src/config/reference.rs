//! What may stand in the configuration, from the types that read it: as a schema for editors, and as a
//! page for people.

use super::raw;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::fmt::Write;

/// The configuration's JSON Schema (draft 7).
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<raw::Config>();
    schema.insert("title".to_owned(), "The configuration of Bowline's agent".into());
    schema.into()
}

/// The same as a page in Markdown: a table for each mapping, in the order in which they are named.
pub fn reference() -> String {
    let schema = schema();
    let mut page = Page { schema: &schema, text: HEAD.to_owned(), done: vec![] };
    page.table("", &schema);
    page.text
}

const HEAD: &str = "\
# Keys of the agent's configuration

Made by `bowline schema config --output markdown`; a test holds it to what is read. What the keys are for stands in
[configuration.md](configuration.md). `bowline schema config` prints the schema for editors. With the YAML language
server, write at the top of the file:

    # yaml-language-server: $schema=./bowline-config.schema.json

A **length of time** has its unit: `30s`, `5m`, `1h30m`. A **size** is `500m`, `2g`, or a number of bytes. A **file**
is a path, relative ones begin at the directory of the configuration. Unknown keys are errors.
";

/// A page that is being written.
struct Page<'a> {
    schema: &'a Value,
    text: String,
    /// Mappings that have their table, with the path that they have it under.
    done: Vec<(&'a str, String)>,
}

impl<'a> Page<'a> {
    /// The table of the mapping `schema` at `path`, and those of what it holds.
    fn table(&mut self, path: &str, schema: &'a Value) {
        let heading = if path.is_empty() { "The file".to_owned() } else { format!("`{path}`") };
        let said = schema["description"].as_str().unwrap_or_default();
        let _ = write!(self.text, "\n## {heading}\n\n{said}\n\n| key | | |\n| --- | --- | --- |\n");
        let properties = schema["properties"].as_object().into_iter().flatten();
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut below = Vec::new();
        for (key, property) in properties {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let mut kind = self.kind(property, &path, &mut below);
            if required.contains(&Value::from(key.as_str())) {
                kind.push_str(", required");
            }
            let said = property["description"].as_str().unwrap_or_default().replace('\n', " ");
            let _ = writeln!(self.text, "| `{key}` | {kind} | {said} |");
        }
        for (path, schema) in below {
            self.table(&path, schema);
        }
    }

    /// What may stand there. Mappings without a table yet are noted in `below`.
    fn kind(
        &mut self,
        schema: &'a Value,
        path: &str,
        below: &mut Vec<(String, &'a Value)>,
    ) -> String {
        if let Some(name) = schema["x-type"].as_str() {
            return name.to_owned();
        }
        if let Some(words) = words(schema) {
            return words;
        }
        if let Some(name) = schema["$ref"].as_str() {
            return self.named(name, path, below);
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            if let Some(kinds) = schema[several].as_array() {
                let kinds = kinds.iter().filter(|kind| kind["type"] != "null");
                let kinds: Vec<_> = kinds.map(|kind| self.kind(kind, path, below)).collect();
                return kinds.join(" or ");
            }
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null"),
            kind => Some(kind),
        };
        match kind.and_then(Value::as_str) {
            Some("array") => {
                format!("list of {}", self.kind(&schema["items"], &format!("{path}[]"), below))
            }
            Some("object") => "mapping of texts".to_owned(),
            Some("string") if path.ends_with("_file") => "file".to_owned(),
            Some("string") => "text".to_owned(),
            Some("integer") => "number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            _ => "anything".to_owned(),
        }
    }

    /// A mapping of its own, by its place among the definitions.
    fn named(
        &mut self,
        reference: &'a str,
        path: &str,
        below: &mut Vec<(String, &'a Value)>,
    ) -> String {
        let found = self.schema.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        if found["properties"].is_null() {
            return self.kind(found, path, below);
        }
        let known = self.done.iter().find(|(name, _)| *name == reference);
        let at = if let Some((_, at)) = known {
            at.clone()
        } else {
            self.done.push((reference, path.to_owned()));
            below.push((path.to_owned(), found));
            path.to_owned()
        };
        let anchor = at.replace(['.', '[', ']'], "");
        format!("[mapping](#{anchor})")
    }
}

/// The words of an enumeration.
fn words(schema: &Value) -> Option<String> {
    let own = schema["enum"].as_array().into_iter().flatten();
    let each = schema["oneOf"].as_array().into_iter().flatten();
    let each = each
        .flat_map(|one| one["enum"].as_array().into_iter().flatten().chain(Some(&one["const"])));
    let words: Vec<_> =
        own.chain(each).filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}
