//! Lays one file over another (specification, "Merge"). It never checks what it merges beyond the
//! kinds of what meets.

use super::node::{Map, Node, Value};
use super::notes::Notes;

/// Lays `over` on `base`; both stand at `path`, the keys from the top of a file.
pub(crate) fn merge(base: &mut Node, over: Node, path: &[&str], notes: &mut Notes) {
    let rule = rule_of(path);
    if rule == Rule::Replace {
        return replace(base, over);
    }
    if over.is_null() {
        return;
    }
    if base.is_null() {
        return replace(base, over);
    }
    let mut over = over;
    for node in [&mut *base, &mut over] {
        match rule {
            Rule::Pairs => pairs_to_map(node),
            Rule::Names => names_to_map(node, Vec::new),
            Rule::Dependencies => names_to_map(node, started),
            Rule::Hosts => hosts_to_list(node),
            Rule::List => to_list(node),
            Rule::Build => context_to_map(node),
            Rule::Logging | Rule::Ulimit | Rule::Pools | Rule::Replace | Rule::Deep => {}
        }
    }
    match rule {
        Rule::Logging if drivers_differ(base, &over) => return replace(base, over),
        Rule::Ulimit if base.as_map().is_none() || over.as_map().is_none() => {
            return replace(base, over);
        }
        _ => {}
    }
    let place = over.place();
    match (&mut base.value, over.value) {
        // A name without a value goes over a value too: it asks for the variable's.
        (Value::Map(base), Value::Map(over)) if rule == Rule::Pairs => base.extend(over),
        (Value::Map(base), Value::Map(over)) => merge_maps(base, over, path, notes),
        (Value::Seq(base), Value::Seq(over)) if rule == Rule::Pools => {
            merge_pools(base, over, path, notes);
        }
        (Value::Seq(base), Value::Seq(over)) if rule == Rule::Hosts => {
            let added: Vec<Node> =
                over.into_iter().filter(|one| base.iter().all(|b| b.value != one.value)).collect();
            base.extend(added);
        }
        (Value::Seq(base), Value::Seq(over)) => base.extend(over),
        (Value::Map(_) | Value::Seq(_), over) => {
            let kind = Node::new(over, place).kind();
            let message = format!("{kind} cannot be laid over {}", base.kind());
            notes.error(place, path.join("."), message);
        }
        (_, value) => {
            base.value = value;
            base.mark = over.mark;
            base.key = over.key;
        }
    }
}

fn replace(base: &mut Node, over: Node) {
    *base = Node { directive: None, ..over };
}

fn merge_maps(base: &mut Map, over: Map, path: &[&str], notes: &mut Notes) {
    for (key, value) in over {
        match base.get_mut(&key) {
            Some(existing) => merge(existing, value, &[path, &[&key]].concat(), notes),
            None => drop(base.insert(key, value)),
        }
    }
}

/// How what stands at a path is merged, where not as every other value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Mappings by key, lists one after the other, the later scalar.
    Deep,
    /// The later value alone, even if it is null.
    Replace,
    /// A list of `KEY=VALUE` is a mapping.
    Pairs,
    /// A list of names is a mapping to nothing.
    Names,
    /// A list of names is a mapping to conditions.
    Dependencies,
    /// A mapping of hosts is a list.
    Hosts,
    /// A string is a list of one.
    List,
    /// A string is a context.
    Build,
    Logging,
    Ulimit,
    /// Address pools meet by their subnet.
    Pools,
}

fn rule_of(path: &[&str]) -> Rule {
    match *path {
        ["services", _, ref attribute @ ..] => match attribute {
            ["command" | "entrypoint"] | ["healthcheck", "test"] | ["provider", "options", _] => {
                Rule::Replace
            }
            ["environment" | "labels" | "annotations" | "sysctls"]
            | ["build", "args" | "labels" | "additional_contexts"]
            | ["deploy", "labels"] => Rule::Pairs,
            ["networks" | "models"] => Rule::Names,
            ["depends_on"] => Rule::Dependencies,
            ["extra_hosts"] | ["build", "extra_hosts"] => Rule::Hosts,
            ["dns" | "dns_opt" | "dns_search" | "tmpfs" | "env_file" | "label_file"] => Rule::List,
            ["build"] => Rule::Build,
            ["logging"] => Rule::Logging,
            ["ulimits", _] => Rule::Ulimit,
            _ => Rule::Deep,
        },
        ["networks" | "volumes", _, "labels"] => Rule::Pairs,
        ["networks", _, "ipam", "config"] => Rule::Pools,
        _ => Rule::Deep,
    }
}

/// Whether both name a driver, and not the same: then the options of one mean nothing to the other.
fn drivers_differ(base: &Node, over: &Node) -> bool {
    match (base.get("driver"), over.get("driver")) {
        (Some(base), Some(over)) => base.value != over.value,
        _ => false,
    }
}

/// A list of `KEY=VALUE` as a mapping; one with other things in it stays.
pub(crate) fn pairs_to_map(node: &mut Node) {
    let Value::Seq(items) = &node.value else { return };
    if items.iter().any(|item| item.as_str().is_none()) {
        return;
    }
    let entries = items.iter().map(|item| {
        let text = item.text().unwrap_or_default();
        match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), item.with(Value::str(value))),
            None => (text, item.with(Value::Null)),
        }
    });
    node.value = Value::Map(entries.collect());
}

/// What a name alone says of a dependency.
pub(crate) fn started() -> Vec<(&'static str, Value)> {
    let condition = Value::str("service_started");
    vec![("condition", condition), ("required", Value::Bool(true))]
}

/// A list of names as a mapping from each to these entries; to null where there are none.
pub(crate) fn names_to_map(node: &mut Node, entries: impl Fn() -> Vec<(&'static str, Value)>) {
    let Value::Seq(items) = &node.value else { return };
    let map = items.iter().map(|item| {
        let entries = entries().into_iter();
        let entries: Map =
            entries.map(|(key, value)| (key.to_owned(), Node::new(value, item.mark))).collect();
        let value = if entries.is_empty() { Value::Null } else { Value::Map(entries) };
        (item.text().unwrap_or_default(), item.with(value))
    });
    node.value = Value::Map(map.collect());
}

/// A mapping of hosts as a list of `host=address`.
fn hosts_to_list(node: &mut Node) {
    let Value::Map(map) = &node.value else { return };
    let mut entries = Vec::new();
    for (host, addresses) in map {
        for address in addresses.as_seq().unwrap_or(std::slice::from_ref(addresses)) {
            let text = format!("{host}={}", address.text().unwrap_or_default());
            entries.push(Node::str(text, address.mark));
        }
    }
    node.value = Value::Seq(entries);
}

/// A string as a list of one.
pub(crate) fn to_list(node: &mut Node) {
    if matches!(node.value, Value::Str(_)) {
        node.value = Value::Seq(vec![Node::new(node.value.clone(), node.mark)]);
    }
}

/// The short form of `build`.
pub(crate) fn context_to_map(node: &mut Node) {
    if matches!(node.value, Value::Str(_)) {
        let context = Node::new(node.value.clone(), node.mark);
        node.value = Value::Map(Map::from_iter([("context".to_owned(), context)]));
    }
}

fn merge_pools(base: &mut Vec<Node>, over: Vec<Node>, path: &[&str], notes: &mut Notes) {
    for pool in over {
        let subnet = |node: &Node| node.get("subnet").and_then(Node::text);
        match base.iter_mut().find(|older| subnet(older) == subnet(&pool)) {
            Some(older) => merge(older, pool, &[path, &["*"]].concat(), notes),
            None => base.push(pool),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    fn merged(base: &str, over: &str) -> Node {
        let parse = |text| yaml::parse(text, 0).unwrap().remove(0);
        let mut base = parse(base);
        merge(&mut base, parse(over), &["services", "test"], &mut Notes::default());
        base
    }

    fn shown(base: &str, over: &str) -> String {
        merged(base, over).to_json().to_string()
    }

    #[test]
    fn mappings_merge_lists_append_and_scalars_are_replaced() {
        let base = "{a: {x: 1, l: [1]}, n: 1}";
        let over = "{a: {x: 2, y: 3, l: [1, 2]}, n: null}";
        assert_eq!(shown(base, over), r#"{"a":{"x":2,"l":[1,1,2],"y":3},"n":1}"#);
    }

    #[test]
    fn a_command_is_replaced_even_by_nothing() {
        let base = "{command: [a, b], healthcheck: {test: x, retries: 1}}";
        let over = "{command: , healthcheck: {test: [NONE]}}";
        let expected = r#"{"command":null,"healthcheck":{"test":["NONE"],"retries":1}}"#;
        assert_eq!(shown(base, over), expected);
    }

    #[test]
    fn short_and_long_forms_meet() {
        for (base, over, expected) in [
            ("{labels: [a=1, b]}", "{labels: {a: 2}}", r#"{"labels":{"a":2,"b":null}}"#),
            ("{environment: {A: x}}", "{environment: [A]}", r#"{"environment":{"A":null}}"#),
            (
                "{networks: [n]}",
                "{networks: {n: {priority: 1}}}",
                r#"{"networks":{"n":{"priority":1}}}"#,
            ),
            ("{build: x}", "{build: {target: t}}", r#"{"build":{"context":"x","target":"t"}}"#),
            ("{dns: a}", "{dns: [b]}", r#"{"dns":["a","b"]}"#),
            (
                "{extra_hosts: {a: [x, y]}}",
                "{extra_hosts: [a=y, b=z]}",
                r#"{"extra_hosts":["a=x","a=y","b=z"]}"#,
            ),
            (
                "{depends_on: {b: {condition: service_healthy, restart: true}}}",
                "{depends_on: [b]}",
                r#"{"depends_on":{"b":{"condition":"service_started","restart":true,"required":true}}}"#,
            ),
        ] {
            assert_eq!(shown(base, over), expected);
        }
    }

    #[test]
    fn options_of_another_log_driver_are_dropped_and_limits_meet_by_shape() {
        let logging = "{logging: {driver: a, options: {x: 1}}}";
        assert_eq!(
            shown(logging, "{logging: {options: {y: 2}}}"),
            r#"{"logging":{"driver":"a","options":{"x":1,"y":2}}}"#
        );
        assert_eq!(shown(logging, "{logging: {driver: b}}"), r#"{"logging":{"driver":"b"}}"#);
        let ulimits = "{ulimits: {n: 4, f: {soft: 1, hard: 2}}}";
        assert_eq!(
            shown(ulimits, "{ulimits: {n: {soft: 1, hard: 3}, f: {hard: 5}}}"),
            r#"{"ulimits":{"n":{"soft":1,"hard":3},"f":{"soft":1,"hard":5}}}"#
        );
    }

    #[test]
    fn a_value_of_another_kind_is_refused_with_its_place() {
        let mut base = yaml::parse("a: [1]\n", 0).unwrap().remove(0);
        let over = yaml::parse("a: {b: 1}\n", 0).unwrap().remove(0);
        let mut notes = Notes::default();
        merge(&mut base, over, &[], &mut notes);
        let told = notes.into_diagnostics().to_string();
        assert_eq!(told, "error: a: a mapping cannot be laid over a list");
    }
}
