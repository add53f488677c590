//! Makes the paths of a project absolute. It never looks whether something is there.

use super::node::{Map, Node, Text, Value};
use super::notes::Notes;
use std::path::{Component, Path, PathBuf};

/// What relative paths are relative to.
pub(crate) struct Base<'a> {
    pub(crate) directory: &'a Path,
    /// What `~` stands for.
    pub(crate) home: Option<&'a str>,
}

/// `path` without `.`, `..` and double slashes.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if cleaned.file_name().is_some() => {
                cleaned.pop();
            }
            Component::ParentDir if cleaned.has_root() => {}
            other => cleaned.push(other),
        }
    }
    if cleaned.as_os_str().is_empty() { PathBuf::from(".") } else { cleaned }
}

/// Makes every path of a whole file absolute; it is in its long form.
pub(crate) fn resolve(root: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    let Some(root) = root.as_map_mut() else { return };
    for (name, service) in section(root, "services") {
        resolve_service(&format!("services.{name}"), service, base, notes);
    }
    for kind in ["configs", "secrets"] {
        for (name, resource) in section(root, kind) {
            let Some(map) = resource.as_map_mut() else { continue };
            absolute(map.get_mut("file"), &format!("{kind}.{name}.file"), base, notes);
        }
    }
    for (name, volume) in section(root, "volumes") {
        let Some(map) = volume.as_map_mut() else { continue };
        if map.get("driver").and_then(Node::as_str) != Some("local") {
            continue;
        }
        let Some(options) = map.get_mut("driver_opts").and_then(Node::as_map_mut) else { continue };
        if options.get("o").and_then(Node::as_str) == Some("bind") {
            let path = format!("volumes.{name}.driver_opts.device");
            absolute(options.get_mut("device"), &path, base, notes);
        }
    }
}

fn section<'a>(root: &'a mut Map, name: &str) -> impl Iterator<Item = (&'a Text, &'a mut Node)> {
    root.get_mut(name).and_then(Node::as_map_mut).into_iter().flatten()
}

/// Makes every path of the service at `path` absolute; it is in its long form.
pub(crate) fn resolve_service(path: &str, service: &mut Node, base: &Base<'_>, notes: &mut Notes) {
    let Some(map) = service.as_map_mut() else { return };
    if let Some(build) = map.get_mut("build").and_then(Node::as_map_mut) {
        context(build.get_mut("context"), &format!("{path}.build.context"), base, notes);
        let field = format!("{path}.build.additional_contexts");
        let contexts = build.get_mut("additional_contexts").and_then(Node::as_map_mut);
        for (_, node) in contexts.into_iter().flatten() {
            context(Some(node), &field, base, notes);
        }
        let field = format!("{path}.build.ssh");
        for (_, node) in build.get_mut("ssh").and_then(Node::as_map_mut).into_iter().flatten() {
            if node.as_str().is_some_and(|text| !text.is_empty()) {
                absolute(Some(node), &field, base, notes);
            }
        }
    }
    if let Some(Value::Seq(items)) = map.get_mut("env_file").map(|node| &mut node.value) {
        for item in items {
            let node = item.as_map_mut().and_then(|map| map.get_mut("path"));
            absolute(node, &format!("{path}.env_file"), base, notes);
        }
    }
    if let Some(Value::Seq(items)) = map.get_mut("label_file").map(|node| &mut node.value) {
        for item in items {
            absolute(Some(item), &format!("{path}.label_file"), base, notes);
        }
    }
    let watch = map.get_mut("develop").and_then(Node::as_map_mut);
    if let Some(Value::Seq(items)) =
        watch.and_then(|map| map.get_mut("watch")).map(|node| &mut node.value)
    {
        for item in items {
            let node = item.as_map_mut().and_then(|map| map.get_mut("path"));
            absolute(node, &format!("{path}.develop.watch"), base, notes);
        }
    }
    if let Some(Value::Seq(items)) = map.get_mut("volumes").map(|node| &mut node.value) {
        for (index, item) in items.iter_mut().enumerate() {
            if item.get("type").and_then(Node::as_str) != Some("bind") {
                continue;
            }
            let field = format!("{path}.volumes.{index}");
            let mark = item.mark;
            let Some(map) = item.as_map_mut() else { continue };
            match map.get_mut("source") {
                Some(source) => absolute(Some(source), &field, base, notes),
                None => notes.error(mark, &field, "a bind mount needs `source`"),
            }
        }
    }
}

fn absolute(node: Option<&mut Node>, field: &str, base: &Base<'_>, notes: &mut Notes) {
    let Some(node) = node else { return };
    let Some(text) = node.as_str().filter(|text| !text.is_empty()) else { return };
    // What is absolute stays as it is written.
    if is_windows(text) || text.starts_with('/') {
        return;
    }
    let path = match text.strip_prefix('~') {
        None => base.directory.join(text),
        Some(rest) => {
            let Some(home) = base.home else {
                let message = "`~` stands for the variable HOME, which is not set";
                let help = Some("write an absolute path".to_owned());
                return notes.error_with_help(node.mark, field, message, help);
            };
            Path::new(home).join(rest.trim_start_matches('/'))
        }
    };
    node.value = Value::str(clean(&path).to_string_lossy().into_owned());
}

/// A build context, which may also be an address or another service.
fn context(node: Option<&mut Node>, field: &str, base: &Base<'_>, notes: &mut Notes) {
    let Some(node) = node else { return };
    let text = node.as_str().unwrap_or_default();
    let elsewhere = text.contains("://")
        || ["service:", "github.com/", "git@"].iter().any(|start| text.starts_with(start));
    if !elsewhere {
        absolute(Some(node), field, base, notes);
    }
}

/// Whether it begins with a drive or a host, as on Windows.
fn is_windows(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.starts_with("\\\\")
        || (bytes.len() > 2
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && [b'/', b'\\'].contains(&bytes[2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;

    fn resolved(text: &str, home: Option<&str>) -> Result<serde_json::Value, String> {
        let mut root = yaml::parse(text, 0).unwrap().remove(0);
        let mut notes = Notes::default();
        resolve(&mut root, &Base { directory: Path::new("/p/q"), home }, &mut notes);
        if notes.has_errors() {
            Err(notes.into_diagnostics().to_string())
        } else {
            Ok(root.to_json())
        }
    }

    #[test]
    fn a_path_loses_its_detours() {
        for (path, cleaned) in [
            ("/a/./b/../c", "/a/c"),
            ("/../a//b/", "/a/b"),
            ("a/../../b", "../b"),
            ("/", "/"),
            ("a/..", "."),
        ] {
            assert_eq!(clean(Path::new(path)), Path::new(cleaned), "{path}");
        }
    }

    #[test]
    fn every_path_is_relative_to_the_directory() {
        let text = "
services:
  a:
    build: {context: ., additional_contexts: {x: ../x, y: 'https://y', z: 'service:b'}, ssh: {k: ./k}}
    env_file: [{path: a.env}]
    label_file: [l]
    develop: {watch: [{path: src}]}
    volumes: [{type: bind, source: ./d}, {type: volume, source: d}, {type: bind, source: 'C:\\d'}]
configs: {c: {file: ../c}}
secrets: {s: {file: /abs/}}
volumes: {v: {driver: local, driver_opts: {o: bind, device: dev}}, w: {driver_opts: {o: bind, device: dev}}}
";
        let json = resolved(text, None).unwrap();
        let a = &json["services"]["a"];
        for (have, want) in [
            (&a["build"]["context"], "/p/q"),
            (&a["build"]["additional_contexts"]["x"], "/p/x"),
            (&a["build"]["additional_contexts"]["y"], "https://y"),
            (&a["build"]["additional_contexts"]["z"], "service:b"),
            (&a["build"]["ssh"]["k"], "/p/q/k"),
            (&a["env_file"][0]["path"], "/p/q/a.env"),
            (&a["label_file"][0], "/p/q/l"),
            (&a["develop"]["watch"][0]["path"], "/p/q/src"),
            (&a["volumes"][0]["source"], "/p/q/d"),
            (&a["volumes"][1]["source"], "d"),
            (&a["volumes"][2]["source"], "C:\\d"),
            (&json["configs"]["c"]["file"], "/p/c"),
            (&json["secrets"]["s"]["file"], "/abs/"),
            (&json["volumes"]["v"]["driver_opts"]["device"], "/p/q/dev"),
            (&json["volumes"]["w"]["driver_opts"]["device"], "dev"),
        ] {
            assert_eq!(have, want);
        }
    }

    #[test]
    fn the_home_directory_is_a_variable_like_others() {
        let text = "configs: {c: {file: ~/c}}";
        assert_eq!(resolved(text, Some("/h")).unwrap()["configs"]["c"]["file"], "/h/c");
        assert!(resolved(text, None).unwrap_err().contains("HOME"));
        let text = "services: {a: {volumes: [{type: bind, target: /d}]}}";
        assert!(resolved(text, None).unwrap_err().contains("needs `source`"));
    }
}
