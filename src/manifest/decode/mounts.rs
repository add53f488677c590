//! Volumes and tmpfs of a service as mounts. It never checks that a path exists.

use super::{At, flag, pairs, text};
use crate::manifest::node::Node;
use crate::manifest::paths::clean;
use crate::manifest::units;
use crate::model::{Bind, ImageRef, Mount, MountSource, Recursive, Tmpfs};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn mounts(root: &Node, service: &Node, at: &mut At<'_>) -> BTreeMap<String, Mount> {
    let mut mounts = BTreeMap::new();
    for item in service.get("volumes").map(Node::items).unwrap_or_default() {
        let target = text(item, "target").unwrap_or_default();
        if !target.starts_with('/') {
            let message = format!("`{target}` is no absolute path in the container");
            let sides = [text(item, "source").unwrap_or_default(), target];
            let help = sides.iter().find_map(|side| named_like_a_drive(side));
            at.fail_with_help(item.mark, "volumes", message, help);
            continue;
        }
        let Some(source) = source(root, item, at) else { continue };
        let labels = item.get("volume").map(|volume| pairs(volume, "labels"));
        let read_only = flag(item, "read_only");
        let mount = Mount { source, read_only, labels: labels.unwrap_or_default() };
        if mounts.insert(target.clone(), mount).is_some() {
            at.fail(item.mark, "volumes", format!("{target} is mounted twice"));
        }
    }
    for item in service.get("tmpfs").map(Node::items).unwrap_or_default() {
        let written = item.as_str().unwrap_or_default();
        let (target, options) = written.split_once(':').unwrap_or((written, ""));
        let mount = Mount::of(tmpfs_options(options, item, at));
        if mounts.insert(target.to_owned(), mount).is_some() {
            at.fail(item.mark, "tmpfs", format!("{target} is mounted twice"));
        }
    }
    mounts
}

/// What to do where `d:/data` was to mount the volume `d`.
fn named_like_a_drive(side: &str) -> Option<String> {
    let (letter, path) = side.split_once(':')?;
    let is_drive = letter.len() == 1 && path.starts_with('/');
    is_drive.then(|| {
        format!(
            "a volume's name of one letter cannot be told from a drive; rename it, or write \
             `{{ type: volume, source: {letter}, target: {path} }}`"
        )
    })
}

fn source(root: &Node, item: &Node, at: &mut At<'_>) -> Option<MountSource> {
    let kind = item.get("type").and_then(Node::as_str).unwrap_or("volume");
    Some(match kind {
        "bind" => MountSource::Bind(bind(item, at)),
        "tmpfs" => {
            let Some(tmpfs) = item.get("tmpfs") else {
                return Some(MountSource::Tmpfs(Tmpfs::default()));
            };
            MountSource::Tmpfs(Tmpfs {
                size: at.number(tmpfs, "size"),
                mode: tmpfs.get("mode").and_then(|mode| permissions(mode, at)),
                ..Tmpfs::default()
            })
        }
        "image" => {
            let written = text(item, "source").unwrap_or_default();
            match ImageRef::written(written) {
                Ok(image) => {
                    MountSource::Image { image, subpath: option(item, "image", "subpath") }
                }
                Err(error) => {
                    at.fail(item.mark, "volumes", error.to_string());
                    return None;
                }
            }
        }
        "volume" => match text(item, "source") {
            None if option(item, "volume", "subpath").is_some() => {
                at.fail(item.mark, "volumes", "`subpath` needs a volume with a name");
                return None;
            }
            None => MountSource::Anonymous,
            Some(key) => {
                let declared = root.get("volumes").and_then(|all| all.get(&key));
                MountSource::Volume {
                    name: declared.and_then(|spec| text(spec, "name")).unwrap_or(key),
                    nocopy: item.get("volume").is_some_and(|volume| flag(volume, "nocopy")),
                    subpath: option(item, "volume", "subpath"),
                }
            }
        },
        other => {
            let message = format!("mounts of type `{other}` are not for a plain Docker host");
            at.fail(item.mark, "volumes", message);
            return None;
        }
    })
}

/// The text of an option of a mount (`volume.subpath`).
fn option(item: &Node, kind: &str, key: &str) -> Option<String> {
    item.get(kind).and_then(|options| text(options, key))
}

fn bind(item: &Node, at: &mut At<'_>) -> Bind {
    let create = item.get("bind").and_then(|bind| bind.get("create_host_path"));
    let recursive = option(item, "bind", "recursive").and_then(|mode| match mode.as_str() {
        "enabled" => None,
        "disabled" => Some(Recursive::Disabled),
        "writable" => Some(Recursive::Writable),
        "readonly" => Some(Recursive::ReadOnly),
        other => {
            let message = format!("`{other}` is none of: enabled, disabled, writable, readonly");
            at.fail(item.mark, "volumes", message);
            None
        }
    });
    let selinux = option(item, "bind", "selinux").and_then(|letter| letter.chars().next());
    if let (Some(mode), Some(_)) = (recursive, selinux) {
        let message = format!("`recursive: {mode}` and `selinux` exclude each other");
        at.fail(item.mark, "volumes", message);
    }
    if recursive == Some(Recursive::ReadOnly) && !flag(item, "read_only") {
        at.fail(item.mark, "volumes", "`recursive: readonly` needs `read_only: true`");
    }
    Bind {
        path: cleaned(&text(item, "source").unwrap_or_default()),
        create_host_path: create.and_then(Node::as_bool).unwrap_or(true),
        is_file: false,
        propagation: option(item, "bind", "propagation"),
        selinux,
        recursive,
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
