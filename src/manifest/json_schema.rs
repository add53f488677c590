//! The rules for files as a JSON Schema (draft 7, which editors read), before variables are put in:
//! where a word or a number is asked for, `${NAME}` may stand. It knows no key by itself.

use super::attributes::{Effect, effect};
use super::schema::{CHART, FILE, OF_A_SERVICE, OF_THE_STACK, ORDER_KEYS};
use super::settings::KEY;
use super::shape::{Field, Presence, Rule};
use serde_json::{Map, Value, json};

/// Which file is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A compose file, with what `x-bowline` may say in it.
    Compose,
    /// A `stack.yaml`, which names a chart.
    Stack,
    /// A `Chart.yaml`.
    Chart,
}

/// What may stand for any value before variables are put in.
const VARIABLE: &str = r"\$";

/// The schema of a file. It accepts each file that [`load`](super::load) does, and some that it refuses: what
/// depends on more than one place is not in it.
pub fn json_schema(kind: Kind) -> Value {
    let (title, mut schema) = match kind {
        Kind::Compose => ("A compose file, as Bowline reads it", compose()),
        Kind::Stack => ("A stack that is made of a chart", stack()),
        Kind::Chart => ("A chart", of(&CHART, "", &|_| None)),
    };
    let head = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "title": title });
    if let (Value::Object(mut head), Value::Object(body)) = (head, schema.take()) {
        head.extend(body);
        schema = Value::Object(head);
    }
    schema
}

fn compose() -> Value {
    let mut schema = of(&FILE, "", &told);
    let places = [
        ("/properties", OF_THE_STACK),
        ("/properties/services/additionalProperties/properties", OF_A_SERVICE),
    ];
    for (place, fields) in places {
        if let Some(Value::Object(properties)) = schema.pointer_mut(place) {
            properties.insert(KEY.to_owned(), of(&Rule::Closed(fields), KEY, &|_| None));
        }
    }
    schema
}

fn stack() -> Value {
    let mut schema = compose();
    let order = object(ORDER_KEYS, "", &|_| None);
    for part in ["properties", "required"] {
        match (&mut schema[part], &order[part]) {
            (Value::Object(known), Value::Object(more)) => known.extend(more.clone()),
            (known, more) => *known = more.clone(),
        }
    }
    schema
}

/// What is said about the attribute at a path, if it has not its effect here.
type Told<'a> = &'a dyn Fn(&str) -> Option<(bool, &'static str)>;

fn told(path: &str) -> Option<(bool, &'static str)> {
    match effect(path) {
        Effect::Works => None,
        Effect::Warns(why) => Some((false, why)),
        Effect::Fails(why) => Some((true, why)),
    }
}

fn of(rule: &Rule, path: &str, told: Told<'_>) -> Value {
    let below = |rule| of(rule, &join(path, "*"), told);
    match rule {
        Rule::Any => json!({}),
        Rule::Str | Rule::Time | Rule::Like(_) => json!({ "type": "string" }),
        Rule::Text | Rule::Int | Rule::Number => json!({ "type": ["string", "number"] }),
        Rule::WholeText | Rule::Whole => json!({ "type": ["string", "integer"] }),
        Rule::Scalar => json!({ "type": ["string", "number", "boolean", "null"] }),
        Rule::Bool => json!({ "type": ["boolean", "string"] }),
        Rule::Flag => or_variable(&json!({ "type": "boolean" })),
        Rule::Numeric => or_variable(&json!({ "type": "number" })),
        Rule::Count => or_text(&json!({ "type": "number", "minimum": 0 })),
        Rule::Between(low, i64::MAX) => or_text(&json!({ "type": "integer", "minimum": low })),
        Rule::Between(low, high) => {
            or_text(&json!({ "type": "integer", "minimum": low, "maximum": high }))
        }
        Rule::Choice(words) => or_variable(&json!({ "enum": words })),
        Rule::List(item) => json!({ "type": "array", "items": below(item) }),
        Rule::Set(item) => json!({ "type": "array", "items": below(item), "uniqueItems": true }),
        Rule::Map(inner) => json!({ "type": "object", "additionalProperties": below(inner) }),
        Rule::Named(inner) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^([A-Za-z0-9._-]+|x-.*)$" },
            "additionalProperties": below(inner),
        }),
        Rule::Object(fields) => {
            let mut schema = object(fields, path, told);
            schema["patternProperties"] = json!({ "^x-": {} });
            schema["additionalProperties"] = json!(false);
            schema
        }
        Rule::Closed(fields) => {
            let mut schema = object(fields, path, told);
            schema["additionalProperties"] = json!(false);
            schema
        }
        Rule::Open(fields) => object(fields, path, told),
        Rule::Nullable(inner) => json!({ "anyOf": [of(inner, path, told), { "type": "null" }] }),
        Rule::OneOf(rules) => {
            let rules: Vec<_> = rules.iter().map(|rule| of(rule, path, told)).collect();
            json!({ "anyOf": rules })
        }
    }
}

fn object(fields: &[Field], path: &str, told: Told<'_>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let path = join(path, field.name);
        let said = told(&path);
        let mut schema = match said {
            // What is below one that is refused is of no use to anybody.
            Some((true, _)) => json!({}),
            _ => of(field.rule(), &path, told),
        };
        if let Some((_, why)) = said {
            schema["description"] = json!(why);
            schema["deprecated"] = json!(true);
        }
        properties.insert(field.name.to_owned(), schema);
        if matches!(field.presence, Presence::Required(_)) {
            required.push(field.name);
        }
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn or_text(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string" }] })
}

fn or_variable(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": VARIABLE }] })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
