//! Volumes and tmpfs of a service as mounts. It never checks that a path exists.

use super::{At, flag, text};
use crate::manifest::node::Node;
use crate::manifest::paths::clean;
use crate::manifest::units;
use crate::model::{Bind, Mount, MountSource, Tmpfs};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn mounts(root: &Node, service: &Node, at: &mut At<'_>) -> BTreeMap<String, Mount> {
    let mut mounts = BTreeMap::new();
    for item in service.get("volumes").map(Node::items).unwrap_or_default() {
        let target = text(item, "target").unwrap_or_default();
        if !target.starts_with('/') {
            let message = format!("`{target}` is no absolute path in the container");
            at.fail(item.mark, "volumes", message);
            continue;
        }
        let mount = Mount { source: source(root, item, at), read_only: flag(item, "read_only") };
        if mounts.insert(target.clone(), mount).is_some() {
            at.fail(item.mark, "volumes", format!("{target} is mounted twice"));
        }
    }
    for item in service.get("tmpfs").map(Node::items).unwrap_or_default() {
        let written = item.as_str().unwrap_or_default();
        let (target, options) = written.split_once(':').unwrap_or((written, ""));
        let mount = Mount { source: tmpfs_options(options, item, at), read_only: false };
        if mounts.insert(target.to_owned(), mount).is_some() {
            at.fail(item.mark, "tmpfs", format!("{target} is mounted twice"));
        }
    }
    mounts
}

fn source(root: &Node, item: &Node, at: &mut At<'_>) -> MountSource {
    match item.get("type").and_then(Node::as_str) {
        Some("bind") => {
            let bind = item.get("bind");
            let option = |key: &str| bind.and_then(|bind| text(bind, key));
            let create = bind.and_then(|bind| bind.get("create_host_path"));
            MountSource::Bind(Bind {
                path: cleaned(&text(item, "source").unwrap_or_default()),
                create_host_path: create.and_then(Node::as_bool).unwrap_or(true),
                propagation: option("propagation"),
                selinux: option("selinux").and_then(|letter| letter.chars().next()),
            })
        }
        Some("tmpfs") => {
            let Some(tmpfs) = item.get("tmpfs") else {
                return MountSource::Tmpfs(Tmpfs::default());
            };
            MountSource::Tmpfs(Tmpfs {
                size: at.number(tmpfs, "size"),
                mode: tmpfs.get("mode").and_then(|mode| permissions(mode, at)),
                ..Tmpfs::default()
            })
        }
        _ => match text(item, "source") {
            None => MountSource::Anonymous,
            Some(key) => {
                let declared = root.get("volumes").and_then(|all| all.get(&key));
                MountSource::Volume {
                    name: declared.and_then(|spec| text(spec, "name")).unwrap_or(key),
                    nocopy: item.get("volume").is_some_and(|volume| flag(volume, "nocopy")),
                }
            }
        },
    }
}

/// A path as the engine tells it.
pub(crate) fn cleaned(path: &str) -> String {
    clean(Path::new(path)).to_string_lossy().into_owned()
}

/// Permission bits: a YAML number as it is, a text as octal.
pub(crate) fn permissions(node: &Node, at: &mut At<'_>) -> Option<u32> {
    let mode = match node.as_str() {
        Some(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8).ok(),
        None => node.as_int().and_then(|number| u32::try_from(number).ok()),
    };
    let mode = mode.filter(|mode| *mode <= 0o7777);
    if mode.is_none() {
        at.fail(node.mark, "mode", "is no file mode, such as 0444");
    }
    mode
}

fn tmpfs_options(options: &str, item: &Node, at: &mut At<'_>) -> MountSource {
    let mut tmpfs = Tmpfs::default();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => match units::parse_bytes(size) {
                Ok(bytes) => tmpfs.size = u64::try_from(bytes).ok(),
                Err(message) => at.fail(item.mark, "tmpfs", message),
            },
            Some(("mode", mode)) => match u32::from_str_radix(mode, 8) {
                Ok(mode) => tmpfs.mode = Some(mode),
                Err(_) => at.fail(item.mark, "tmpfs", format!("`{mode}` is no file mode")),
            },
            _ => drop(tmpfs.options.insert(option.to_owned())),
        }
    }
    MountSource::Tmpfs(tmpfs)
}
