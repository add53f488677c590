//! `!reset` and `!override` (specification, "Merge"): what an overriding file takes away from those
//! before it. It never merges.

use super::node::{Directive, Node, Text, Value};

/// The keys to a value, from the top of a file.
pub(crate) type Keys = Vec<Text>;

/// Takes the tags out of `node`: what is reset goes, what overrides stays. Returns the paths that
/// must go from what was said before. Within a list a tag only says what the list holds.
pub(crate) fn take(node: &mut Node) -> Vec<Keys> {
    let mut found = Vec::new();
    if has_tags(node) {
        visit(node, &mut Vec::new(), &mut found);
    }
    found
}

/// Whether anything in `node` has a tag; hardly any file has.
fn has_tags(node: &Node) -> bool {
    node.directive.is_some()
        || node.items().iter().any(has_tags)
        || node.entries().any(|(_, node)| has_tags(node))
}

fn visit(node: &mut Node, path: &mut Keys, found: &mut Vec<Keys>) {
    match &mut node.value {
        Value::Map(map) => {
            map.retain(|key, value| {
                path.push(key.clone());
                let directive = value.directive.take();
                if directive.is_some() {
                    found.push(path.clone());
                } else {
                    visit(value, path, found);
                }
                let stays = directive != Some(Directive::Reset);
                path.pop();
                stays
            });
        }
        Value::Seq(items) => items.retain_mut(|item| {
            let directive = item.directive.take();
            if directive.is_none() {
                visit(item, &mut Vec::new(), &mut Vec::new());
            }
            directive != Some(Directive::Reset)
        }),
        _ => {}
    }
}

/// Takes what stands at `paths` out of `root`.
pub(crate) fn apply(root: &mut Node, paths: &[Keys]) {
    for path in paths {
        let Some((last, before)) = path.split_last() else { continue };
        let parent =
            before.iter().try_fold(&mut *root, |node, key| node.as_map_mut()?.get_mut(key));
        if let Some(map) = parent.and_then(Node::as_map_mut) {
            map.shift_remove(last);
        }
    }
}

/// Those of `paths` that lie below `above`, as seen from there.
pub(crate) fn below(paths: &[Keys], above: &[Text]) -> Vec<Keys> {
    paths.iter().filter_map(|path| path.strip_prefix(above)).map(<[Text]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    #[test]
    fn what_is_reset_goes_here_and_before_and_what_overrides_goes_before_only() {
        let text = "a: {b: !reset x, c: !override [1], d: 2, l: [1, !reset 2]}\ne: !reset {}\n";
        let mut over = yaml::parse(text, 0).unwrap().remove(0);
        let paths = take(&mut over);
        assert_eq!(over.to_json().to_string(), r#"{"a":{"c":[1],"d":2,"l":[1]}}"#);
        let mut base = yaml::parse("{a: {b: 1, c: 1, d: 1, l: [1, 2]}, e: 1, f: 1}", 0).unwrap();
        apply(&mut base[0], &paths);
        assert_eq!(base[0].to_json().to_string(), r#"{"a":{"d":1,"l":[1,2]},"f":1}"#);
    }

    #[test]
    fn a_tag_in_an_anchor_counts_wherever_the_anchor_is_used() {
        let text = "x: &x {p: !reset 1}\na: *x\nb: {<<: *x, q: 1}\n";
        let mut over = yaml::parse(text, 0).unwrap().remove(0);
        let paths: Vec<_> = take(&mut over).into_iter().map(|keys| keys.join(".")).collect();
        assert_eq!(paths, ["x.p", "a.p", "b.p"]);
    }
}
