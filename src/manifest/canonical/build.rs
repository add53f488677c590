//! `build`, `develop` and the commands around a container's life. It never looks at a file.

use super::{bytes, command, edit, extra_hosts, for_items, grant, pairs};
use crate::manifest::merge::{context_to_map, to_list};
use crate::manifest::node::{Node, Value};
use crate::manifest::notes::Notes;
use crate::manifest::trail::Trail;

pub(super) fn build(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    context_to_map(node);
    let mark = node.mark;
    let Some(map) = node.as_map_mut() else { return };
    map.or_insert("context", Node::str(".", mark));
    edit(map, "additional_contexts", |node| pairs(node, true));
    edit(map, "ssh", |node| ssh(&path.key("ssh"), node, notes));
    edit(map, "secrets", |node| {
        for_items(node, |item| grant(&path.key("secrets"), item, false, notes));
    });
    edit(map, "no_cache_filter", to_list);
}

pub(super) fn values(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    edit(map, "args", |node| pairs(node, false));
    edit(map, "labels", |node| pairs(node, true));
    edit(map, "extra_hosts", |node| extra_hosts(&path.key("extra_hosts"), node, notes));
    edit(map, "shm_size", |node| bytes(&path.key("shm_size"), node, notes));
    for key in ["provenance", "sbom"] {
        edit(map, key, |node| {
            if let Some(flag) = node.as_bool() {
                node.value = Value::str(flag.to_string());
            }
        });
    }
}

/// Keys by their names; `default` is the agent of whoever builds.
fn ssh(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    for item in node.items() {
        let name = item.as_str().unwrap_or_default();
        if !["", "default"].contains(&name) && !name.contains('=') {
            notes.error(item.mark, path, format!("`{name}` needs a file: `{name}=PATH`"));
        }
    }
    pairs(node, true);
    if let Value::Map(map) = &mut node.value {
        map.retain(|key, _| !key.is_empty());
    }
}

pub(super) fn develop(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    edit(map, "watch", |list| {
        for_items(list, |item| {
            let mark = item.mark;
            let Some(map) = item.as_map_mut() else { return };
            edit(map, "ignore", to_list);
            edit(map, "include", to_list);
            edit(map, "exec", |exec| hook(path, exec, notes));
            if map.get("path").and_then(Node::as_str) == Some("") {
                notes.error(mark, path.key("watch"), "`path` must not be empty");
            }
        });
    });
}

/// One command around a container's life.
pub(super) fn hook(path: &Trail<'_>, node: &mut Node, notes: &mut Notes) {
    let Some(map) = node.as_map_mut() else { return };
    edit(map, "command", |node| command(&path.key("command"), node, notes));
    edit(map, "environment", |node| pairs(node, false));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    #[test]
    fn a_build_has_a_context_and_its_keys_have_files() {
        let parse = |text: &str| yaml::parse(text, 0).unwrap().remove(0);
        let mut notes = Notes::default();
        let mut node = parse("{ssh: [default, k=/x], args: [A, B=], extra_hosts: {h: 1.1.1.1}}");
        build(&Trail::Start("b"), &mut node, &mut notes);
        values(&Trail::Start("b"), &mut node, &mut notes);
        assert_eq!(
            node.to_json(),
            serde_json::json!({
                "context": ".",
                "ssh": {"default": "", "k": "/x"},
                "args": {"A": null, "B": ""},
                "extra_hosts": ["h=1.1.1.1"],
            })
        );
        build(&Trail::Start("b"), &mut parse("{ssh: [k]}"), &mut notes);
        assert_eq!(
            notes.into_diagnostics().to_string(),
            "error: b.ssh: `k` needs a file: `k=PATH`"
        );
    }
}
