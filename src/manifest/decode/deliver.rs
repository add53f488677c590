//! Configs and secrets of a service: a file is mounted, all else is copied in, and so is a file that is
//! encrypted, or whose change is told by a signal. It never puts a content anywhere but into a sensitive value.

use super::mounts::{cleaned, permissions};
use super::{At, text};
use crate::manifest::node::Node;
use crate::manifest::{Content, Request};
use crate::model::{
    Bind, ContainerSpec, ContentDigest, CopiedFile, Mount, MountSource, OnContentChange, Sensitive,
};
use std::collections::BTreeMap;

/// Permission bits of what is copied, where none are given.
const DEFAULT_MODE: u32 = 0o444;

/// Adds the configs and secrets of `service` to `spec`.
pub(crate) fn deliver(
    root: &Node,
    service: &Node,
    contents: &BTreeMap<String, Content>,
    request: &Request,
    on_change: &OnContentChange,
    spec: &mut ContainerSpec,
    at: &mut At<'_>,
) {
    // One that is mounted by itself would stay in a running container as it was.
    let must_copy = matches!(on_change, OnContentChange::Signal(_));
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
            let field = format!("{kind}.{target}");
            spec.contents.insert(field, request.digest_key.digest(&content.bytes));
            // A mount would show the encrypted file.
            let is_mounted = !must_copy && !content.sealed;
            if let Some(path) = text(declared, "file").filter(|_| is_mounted) {
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
            at.notes.warning(node.place(), format_args!("{}.{kind}", at.path), message);
        }
    }
    let bind = Bind { path: cleaned(path), is_file: true, ..Bind::default() };
    let mount = Mount { read_only: true, ..Mount::of(MountSource::Bind(bind)) };
    spec.mounts.entry(target).or_insert(mount);
}

fn copy(
    grant: &Node,
    kind: &str,
    content: &Content,
    target: String,
    spec: &mut ContainerSpec,
    at: &mut At<'_>,
) {
    if spec.read_only {
        let message = if content.sealed {
            "an encrypted file is copied in, and cannot be into a container whose root is read-only; \
             give its value by an encrypted `env_file`"
        } else {
            "cannot be copied into a container whose root is read-only; use `file`, without \
             `on_content_change: signal`"
        };
        at.fail(grant.place(), kind, message);
    }
    let mode = grant.get("mode").and_then(|mode| permissions(mode, at)).unwrap_or(DEFAULT_MODE);
    let (uid, gid) = (at.number(grant, "uid").unwrap_or(0), at.number(grant, "gid").unwrap_or(0));
    if let Some(ContentDigest(digest)) = spec.contents.get_mut(&format!("{kind}.{target}"))
        && (uid, gid, mode) != (0, 0, DEFAULT_MODE)
    {
        // The engine does not tell them: like the content, they are noted.
        *digest = format!("{digest} {uid}:{gid} {mode:o}");
    }
    let content = Sensitive::new(content.bytes.clone());
    spec.files.push(CopiedFile { target, content, uid, gid, mode });
}
