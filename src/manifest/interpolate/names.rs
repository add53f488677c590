//! Which variables texts name, and how. It never fills anything in.

use super::{Form, MAX_DEPTH, braced, each_text, name_at_start};
use crate::manifest::Variable;
use crate::manifest::node::Node;
use crate::manifest::trail::Trail;
use std::collections::BTreeMap;

/// Adds the variables that the texts of `node` name.
pub(crate) fn variables(node: &mut Node, found: &mut BTreeMap<String, Variable>) {
    each_text(node, &Trail::Start(""), &mut |text, _, _| named(text, found, 0));
}

fn named(text: &str, found: &mut BTreeMap<String, Variable>, depth: usize) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let body = rest.strip_prefix('{');
        let inner = body.and_then(braced).unwrap_or(rest);
        let name = name_at_start(inner);
        if name.is_empty() {
            continue;
        }
        let variable = found.entry(name.to_owned()).or_default();
        if body.is_some() && depth < MAX_DEPTH {
            let text = match Form::parse(&inner[name.len()..]) {
                Some(Form::Default { text, .. }) => {
                    variable.default = Some(text.to_owned());
                    text
                }
                Some(Form::Demand { message, .. }) => {
                    variable.required = true;
                    message
                }
                Some(Form::Alternative { text, .. }) => {
                    variable.alternate = Some(text.to_owned());
                    text
                }
                _ => "",
            };
            named(text, found, depth + 1);
            rest = &rest[inner.len()..];
        } else {
            rest = &rest[name.len()..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::node::Mark;

    #[test]
    fn the_variables_of_a_text_are_found_with_what_stands_for_them() {
        let mut node = Node::str("$a ${b:-x${c}} ${d?e} $$f ${g:+h} ${", Mark::default());
        let mut found = BTreeMap::new();
        variables(&mut node, &mut found);
        let shown: Vec<_> = found
            .iter()
            .map(|(name, one)| {
                format!("{name} {} {:?} {:?}", one.required, one.default, one.alternate)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "a false None None",
                "b false Some(\"x${c}\") None",
                "c false None None",
                "d true None None",
                "g false None Some(\"h\")",
            ]
        );
    }
}
