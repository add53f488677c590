//! The values of a chart: layers over the chart's own, which say which values there are and of what
//! kind. It never reads a file.

use super::node::{Mark, Node, Text, Value};
use super::notes::Notes;
use super::trail::Trail;
use super::{scalar, shape, yaml};
use crate::model::HIDDEN;
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Lays `over` on `values`: mappings key by key, all else as a whole. `defaults` are the chart's own
/// values; one that is null there, or in an empty mapping, may be anything.
pub(crate) fn lay(
    values: &mut Node,
    over: Node,
    defaults: Option<&Node>,
    path: &Trail<'_>,
    notes: &mut Notes,
) {
    let defaults = defaults.filter(|defaults| !defaults.is_null());
    let over = match defaults.map(|defaults| fitted(over.clone(), defaults)) {
        None => over,
        Some(Some(fitted)) => fitted,
        Some(None) => {
            let wanted = kind(defaults.unwrap_or(values));
            let message = format!("is {wanted} in the chart's values.yaml, not {}", kind(&over));
            return notes.error(over.place(), path, message);
        }
    };
    let named = defaults.and_then(Node::as_map).filter(|named| !named.is_empty());
    let Some(map) = values.as_map_mut().filter(|_| over.as_map().is_some()) else {
        *values = over;
        return;
    };
    let Value::Map(entries) = over.value else { return };
    for (key, node) in entries {
        let defaults = named.and_then(|named| named.get(&key));
        if let Some(named) = named.filter(|_| defaults.is_none()) {
            let help = shape::suggestion(&key, named.keys().map(Text::as_str));
            let message = format!("the chart has no value `{key}`");
            notes.error_with_help(node.place(), path, message, help);
            continue;
        }
        match map.get_mut(&key) {
            Some(former) => lay(former, node, defaults, &path.key(&key), notes),
            None => drop(map.insert(key, node)),
        }
    }
}

/// What `text` means for the value at the dotted `path`, in the mappings that lead there.
pub(crate) fn assigned(path: &str, text: &str, defaults: &Node) -> Result<Node, String> {
    let keys: Vec<&str> = path.split('.').collect();
    let default = keys.iter().try_fold(defaults, |node, key| node.as_map()?.get(key));
    let is_text = default.is_some_and(|default| default.as_str().is_some());
    let value = if is_text {
        Value::str(text)
    } else {
        let mut documents = yaml::parse(text, 0).map_err(|error| error.message)?;
        documents.pop().map_or(Value::Null, |document| document.value)
    };
    let mut node = unplaced(value);
    for key in keys.iter().rev() {
        let mut around = Node::map(Mark::default());
        if let Some(map) = around.as_map_mut() {
            map.insert(*key, node);
        }
        node = around;
    }
    Ok(node)
}

/// A value as templates are given it: dollars are written twice, so that Compose takes none for a
/// variable, where it looks for them; what comes from the files `hidden` is not told.
pub(crate) fn given(node: &Node, escape: bool, hidden: &BTreeSet<usize>) -> Json {
    match &node.value {
        Value::Seq(items) => items.iter().map(|item| given(item, escape, hidden)).collect(),
        Value::Map(map) => {
            let entries = map.iter();
            let entries =
                entries.map(|(key, value)| (key.to_string(), given(value, escape, hidden)));
            Json::Object(entries.collect())
        }
        Value::Null => Json::Null,
        _ if hidden.contains(&node.mark.file()) && !node.mark.is_nowhere() => HIDDEN.into(),
        Value::Str(text) if escape => text.replace('$', "$$").into(),
        _ => node.to_json(),
    }
}

/// All scalars in it, as texts.
pub(crate) fn texts(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Seq(items) => items.iter().flat_map(texts).collect(),
        Value::Map(map) => map.values().flat_map(texts).collect(),
        _ => node.text().into_iter().collect(),
    }
}

/// `node` with each place in it replaced by what `place` says of it.
pub(crate) fn replace(node: &mut Node, place: &dyn Fn(Mark) -> Mark) {
    for mark in [&mut node.mark, &mut node.key] {
        if !mark.is_nowhere() {
            *mark = place(*mark);
        }
    }
    match &mut node.value {
        Value::Seq(items) => items.iter_mut().for_each(|item| replace(item, place)),
        Value::Map(map) => map.values_mut().for_each(|value| replace(value, place)),
        _ => {}
    }
}

fn unplaced(value: Value) -> Node {
    let mut node = Node::new(value, Mark::default());
    replace(&mut node, &|_| Mark::default());
    node
}

/// `node` as a value of the kind of `like`, if it is one. A text may mean a number or a switch: that is
/// what a variable leaves.
fn fitted(mut node: Node, like: &Node) -> Option<Node> {
    if kind(&node) != kind(like)
        && let Value::Str(text) = &node.value
    {
        node.value = scalar::resolve(text);
    }
    (kind(&node) == kind(like)).then_some(node)
}

/// What kinds of values are told apart.
fn kind(node: &Node) -> &'static str {
    match node.value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Int(_) | Value::Float(_) => "a number",
        Value::Str(_) | Value::Time(_) => "a text",
        Value::Seq(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEFAULTS: &str = "image: nginx:1\nreplicas: 2\nproxy: { port: 80, tls: false }\nports: []\nlabels: {}\nkey:\n";

    fn node(text: &str) -> Node {
        yaml::parse(text, 0).unwrap().pop().unwrap()
    }

    /// The values after `layers`, or what is wrong with them.
    fn laid(layers: &[&str]) -> Result<Json, String> {
        let mut notes = Notes::default();
        notes.add_file("v.yaml".to_owned(), String::new());
        let defaults = node(DEFAULTS);
        let mut values = defaults.clone();
        for layer in layers {
            lay(&mut values, node(layer), Some(&defaults), &Trail::Start("Values"), &mut notes);
        }
        if notes.has_errors() {
            return Err(notes.into_diagnostics().to_string());
        }
        Ok(given(&values, true, &BTreeSet::new()))
    }

    #[test]
    fn mappings_are_laid_over_one_another_and_lists_replaced() {
        let layers = [
            "replicas: 3\nproxy: { port: 81 }\nports: [1, 2]\nlabels: { a: x }\nkey: { k: 1 }\n",
            "proxy: { tls: true }\nports: [3]\nlabels: { b: y$z }\nkey: { l: 2 }\n",
        ];
        assert_eq!(
            laid(&layers).unwrap(),
            json!({ "image": "nginx:1", "replicas": 3, "proxy": { "port": 81, "tls": true },
                "ports": [3], "labels": { "a": "x", "b": "y$$z" }, "key": { "k": 1, "l": 2 } })
        );
    }

    #[test]
    fn what_the_chart_does_not_have_or_has_of_another_kind_is_an_error_at_its_place() {
        for (layer, expected) in [
            (
                "\nimgae: x",
                "v.yaml:2:1: Values: the chart has no value `imgae`; did you mean `image`?",
            ),
            ("proxy: { prot: 1 }", "v.yaml:1:10: Values.proxy: the chart has no value `prot`"),
            (
                "replicas: [1]",
                "Values.replicas: is a number in the chart's values.yaml, not a list",
            ),
            (
                "replicas: many",
                "Values.replicas: is a number in the chart's values.yaml, not a text",
            ),
            ("image: 1.10", "Values.image: is a text in the chart's values.yaml, not a number"),
            ("image: null", "Values.image: is a text in the chart's values.yaml, not null"),
            ("labels: x", "Values.labels: is a mapping in the chart's values.yaml, not a text"),
            ("proxy: { tls: 1 }", "Values.proxy.tls: is true or false in the chart's values.yaml"),
        ] {
            let told = laid(&[layer]).unwrap_err();
            assert!(told.contains(expected), "{layer}: {told}");
        }
        assert_eq!(laid(&["replicas: '4'"]).unwrap()["replicas"], 4);
    }

    #[test]
    fn a_value_given_by_hand_is_of_the_kind_that_the_chart_has() {
        let defaults = node(DEFAULTS);
        let told = |path, text| assigned(path, text, &defaults).map(|node| node.to_json());
        for (path, text, expected) in [
            ("image", "1.10", json!({ "image": "1.10" })),
            ("proxy.port", "8080", json!({ "proxy": { "port": 8080 } })),
            ("ports", "[1, 2]", json!({ "ports": [1, 2] })),
            ("labels.a", "x: y", json!({ "labels": { "a": { "x": "y" } } })),
            ("key", "", json!({ "key": null })),
        ] {
            assert_eq!(told(path, text).unwrap(), expected, "{path}");
        }
        assert!(told("ports", "[1").unwrap_err().contains("not valid YAML"));
    }
}
