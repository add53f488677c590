//! Configs and secrets of a service: a file is mounted, all else is copied in. It never puts a
//! content anywhere but into a sensitive value.

use super::mounts::{cleaned, permissions};
use super::{At, text};
use crate::manifest::Request;
use crate::manifest::node::Node;
use crate::model::{Bind, ContainerSpec, CopiedFile, Mount, MountSource, Sensitive};
use std::collections::BTreeMap;

/// Adds the configs and secrets of `service` to `spec`.
pub(crate) fn deliver(
    root: &Node,
    service: &Node,
    contents: &BTreeMap<String, Vec<u8>>,
    request: &Request,
    spec: &mut ContainerSpec,
    at: &mut At<'_>,
) {
    for (kind, directory) in [("configs", "/"), ("secrets", "/run/secrets/")] {
        for grant in service.get(kind).map(Node::items).unwrap_or_default() {
            let key = text(grant, "source").unwrap_or_default();
            let Some(declared) = root.get(kind).and_then(|all| all.get(&key)) else { continue };
            let Some(content) = contents.get(&format!("{kind}.{key}")) else { continue };
            let target = match text(grant, "target") {
                Some(target) if target.starts_with('/') => target,
                Some(target) => format!("{directory}{target}"),
                None => format!("{directory}{key}"),
            };
            spec.contents.insert(target.clone(), request.digest_key.digest(content));
            if let Some(path) = text(declared, "file") {
                mount(grant, kind, &path, target, spec, at);
            } else {
                copy(grant, kind, content, target, spec, at);
            }
        }
    }
}

fn mount(
    grant: &Node,
    kind: &str,
    path: &str,
    target: String,
    spec: &mut ContainerSpec,
    at: &mut At<'_>,
) {
    for key in ["uid", "gid", "mode"] {
        if let Some(node) = grant.get(key) {
            let message = format!("`{key}` has no effect on a file that is mounted");
            at.notes.warning(node.place(), &format!("{}.{kind}", at.path), message);
        }
    }
    let path = cleaned(path);
    let bind = Bind { path, create_host_path: false, propagation: None, selinux: None };
    let mount = Mount { source: MountSource::Bind(bind), read_only: true };
    spec.mounts.entry(target).or_insert(mount);
}

fn copy(
    grant: &Node,
    kind: &str,
    content: &[u8],
    target: String,
    spec: &mut ContainerSpec,
    at: &mut At<'_>,
) {
    if spec.read_only {
        let message = "cannot be copied into a container whose root is read-only; use `file`";
        at.fail(grant.place(), kind, message);
    }
    let mode = grant.get("mode").and_then(|mode| permissions(mode, at));
    spec.files.push(CopiedFile {
        target,
        content: Sensitive::new(content.to_vec()),
        uid: at.number(grant, "uid").unwrap_or(0),
        gid: at.number(grant, "gid").unwrap_or(0),
        mode: mode.unwrap_or(0o444),
    });
}
