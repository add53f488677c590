//! What stands where in a container, read into the model from the engine's four places for it:
//! bind strings, mounts, tmpfs strings, and the mount points that result.

use crate::model::{Bind, ImageRef, Mount, MountSource, Recursive, Tmpfs};
use bollard::models::{self, HostConfig, MountPoint, MountType};
use std::collections::BTreeMap;

/// The engine's choice of a bind's propagation.
const RPRIVATE: &str = "rprivate";
/// Digits in the name that the engine gives to a volume.
const ANONYMOUS_NAME: usize = 64;

/// Mounts by target path.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// All of them.
    pub by_target: BTreeMap<String, Mount>,
    /// The names of the anonymous volumes among them.
    pub anonymous: BTreeMap<String, String>,
}

/// Reads the mounts of a container, or says which cannot be read.
/// `of_image` are the paths that the image, or who made the container, declares volumes for.
pub(super) fn read(
    config: &HostConfig,
    of_image: &[String],
    points: &[MountPoint],
) -> Result<Mounts, String> {
    let mut mounts = Mounts::default();
    for point in points.iter().filter(|point| point.typ.as_deref() == Some("volume")) {
        let target = point.destination.clone().ok_or("a mount point without a path")?;
        let name = point.name.clone().unwrap_or_default();
        if is_anonymous(&name) {
            mounts.anonymous.insert(target.clone(), name.clone());
        }
        let read_only = !point.rw.unwrap_or(true);
        mounts.by_target.insert(target, Mount { read_only, ..Mount::of(volume(name, false)) });
    }
    if config.volumes_from.as_ref().is_some_and(|from| !from.is_empty()) {
        mounts.leave_out_borrowed(config, of_image);
    }
    for (target, options) in config.tmpfs.iter().flatten() {
        mounts.by_target.insert(target.clone(), tmpfs_of_options(options));
    }
    for bind in config.binds.iter().flatten() {
        let (target, mount) = bind_string(bind).ok_or_else(|| format!("the bind `{bind}`"))?;
        mounts.by_target.insert(target, mount);
    }
    for mount in config.mounts.iter().flatten() {
        let target = mount.target.clone().ok_or("a mount without a path")?;
        if let Some(mount) = structured(mount) {
            mounts.by_target.insert(target, mount);
        }
    }
    Ok(mounts)
}

impl Mounts {
    /// Leaves out the volumes that came from another container: that container tells them. One in
    /// the place of a volume that the image declares counts as that volume.
    fn leave_out_borrowed(&mut self, config: &HostConfig, of_image: &[String]) {
        let is_declared =
            |target: &str| of_image.iter().any(|path| path.trim_end_matches('/') == target);
        let structured: Vec<_> =
            config.mounts.iter().flatten().filter_map(|mount| mount.target.as_deref()).collect();
        let bound = |target: &str| {
            let binds = config.binds.iter().flatten();
            binds.filter_map(|bind| bind.split(':').nth(1)).any(|path| path == target)
        };
        let own = |target: &str| structured.contains(&target) || bound(target);
        self.by_target.retain(|target, _| own(target) || is_declared(target));
        for (target, mount) in &mut self.by_target {
            if !own(target) {
                *mount = Mount::of(MountSource::Anonymous);
            }
        }
        self.anonymous.retain(|target, _| own(target));
    }
}

fn volume(name: String, nocopy: bool) -> MountSource {
    if name.is_empty() || is_anonymous(&name) {
        MountSource::Anonymous
    } else {
        MountSource::Volume { name, nocopy, subpath: None }
    }
}

fn is_anonymous(name: &str) -> bool {
    name.len() == ANONYMOUS_NAME && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `source:target[:options]`.
fn bind_string(text: &str) -> Option<(String, Mount)> {
    let mut parts = text.splitn(3, ':');
    let (source, target) = (parts.next()?, parts.next()?);
    let options: Vec<&str> = parts.next().unwrap_or_default().split(',').collect();
    let read_only = options.contains(&"ro");
    let source = if source.starts_with('/') {
        let propagation = options
            .iter()
            .find(|option| option.ends_with("shared") || option.ends_with("slave"))
            .or_else(|| options.iter().find(|option| **option == "private"));
        MountSource::Bind(Bind {
            path: source.to_owned(),
            create_host_path: true,
            is_file: false,
            propagation: propagation.map(|&propagation| propagation.to_owned()),
            selinux: options.iter().find_map(|option| match *option {
                "z" => Some('z'),
                "Z" => Some('Z'),
                _ => None,
            }),
            recursive: None,
        })
    } else {
        volume(source.to_owned(), options.contains(&"nocopy"))
    };
    Some((target.to_owned(), Mount { read_only, ..Mount::of(source) }))
}

/// A mount of a kind that the model knows.
fn structured(mount: &models::Mount) -> Option<Mount> {
    let source = mount.source.clone().unwrap_or_default();
    let mut labels = BTreeMap::new();
    let source = match mount.typ? {
        MountType::BIND => {
            let options = mount.bind_options.clone().unwrap_or_default();
            MountSource::Bind(Bind {
                path: source,
                create_host_path: options.create_mountpoint.unwrap_or_default(),
                is_file: false,
                propagation: options
                    .propagation
                    .map(|propagation| propagation.to_string())
                    .filter(|propagation| !propagation.is_empty() && propagation != RPRIVATE),
                selinux: None,
                recursive: if options.non_recursive == Some(true) {
                    Some(Recursive::Disabled)
                } else if options.read_only_non_recursive == Some(true) {
                    Some(Recursive::Writable)
                } else if options.read_only_force_recursive == Some(true) {
                    Some(Recursive::ReadOnly)
                } else {
                    None
                },
            })
        }
        MountType::VOLUME => {
            let options = mount.volume_options.clone().unwrap_or_default();
            labels.extend(options.labels.unwrap_or_default());
            match volume(source, options.no_copy.unwrap_or_default()) {
                MountSource::Volume { name, nocopy, .. } => {
                    let subpath = options.subpath.filter(|path| !path.is_empty());
                    MountSource::Volume { name, nocopy, subpath }
                }
                other => other,
            }
        }
        MountType::TMPFS => {
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            MountSource::Tmpfs(Tmpfs {
                size: options.size_bytes.and_then(|size| u64::try_from(size).ok()),
                mode: options.mode.and_then(|mode| u32::try_from(mode).ok()),
                options: options
                    .options
                    .unwrap_or_default()
                    .into_iter()
                    .map(|pair| pair.join("="))
                    .collect(),
            })
        }
        MountType::IMAGE => {
            let options = mount.image_options.clone().unwrap_or_default();
            let subpath = options.subpath.filter(|path| !path.is_empty());
            MountSource::Image { image: ImageRef::new(source).ok()?, subpath }
        }
        MountType::CLUSTER | MountType::NPIPE => return None,
    };
    Some(Mount { source, read_only: mount.read_only.unwrap_or_default(), labels })
}

/// `size=64m,mode=1777,noexec`.
fn tmpfs_of_options(text: &str) -> Mount {
    let mut tmpfs = Tmpfs::default();
    let mut read_only = false;
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let known = match option.split_once('=') {
            Some(("size", size)) => bytes(size).map(|size| tmpfs.size = Some(size)),
            Some(("mode", mode)) => {
                u32::from_str_radix(mode, 8).ok().map(|mode| tmpfs.mode = Some(mode))
            }
            Some(_) => None,
            None => (option == "ro").then(|| read_only = true),
        };
        if known.is_none() {
            tmpfs.options.insert(option.to_owned());
        }
    }
    Mount { read_only, ..Mount::of(MountSource::Tmpfs(tmpfs)) }
}

/// The kernel's sizes: `65536`, `64k`, `64m`, `1g`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 10),
        b'm' => (&text[..text.len() - 1], 20),
        b'g' => (&text[..text.len() - 1], 30),
        _ => (text.as_str(), 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_string_is_read_with_all_its_options() {
        let (target, mount) = bind_string("/srv/www:/www:ro,z,rshared").unwrap();
        let bind = Bind {
            path: "/srv/www".to_owned(),
            create_host_path: true,
            is_file: false,
            propagation: Some("rshared".to_owned()),
            selinux: Some('z'),
            recursive: None,
        };
        assert_eq!(target, "/www");
        assert_eq!(mount, Mount { read_only: true, ..Mount::of(MountSource::Bind(bind)) });
    }

    #[test]
    fn propagation_that_the_engine_chooses_is_not_told() {
        let (_, mount) = bind_string("/a:/b:rw,rprivate").unwrap();
        let MountSource::Bind(bind) = mount.source else { panic!("{mount:?}") };
        assert_eq!(bind.propagation, None);
    }

    #[test]
    fn a_tmpfs_string_is_read_into_size_mode_and_the_rest() {
        let mount = tmpfs_of_options("rw,size=64m,mode=1777,noexec");
        let tmpfs = Tmpfs {
            size: Some(64 << 20),
            mode: Some(0o1777),
            options: ["noexec".to_owned(), "rw".to_owned()].into(),
        };
        assert_eq!(mount, Mount::of(MountSource::Tmpfs(tmpfs)));
    }

    #[test]
    fn a_volume_that_the_engine_named_is_anonymous() {
        let (_, mount) = bind_string(&format!("{}:/data", "0a".repeat(32))).unwrap();
        assert_eq!(mount.source, MountSource::Anonymous);
    }

    #[test]
    fn volumes_of_another_container_are_told_by_that_container() {
        let point = |target: &str, name: &str| MountPoint {
            typ: Some("volume".to_owned()),
            name: Some(name.to_owned()),
            destination: Some(target.to_owned()),
            ..MountPoint::default()
        };
        let anonymous = "0a".repeat(32);
        let points = [
            point("/own", "s_own"),
            point("/theirs", "s_theirs"),
            point("/both", "s_theirs"),
            point("/new", &anonymous),
        ];
        let structured = models::Mount {
            typ: Some(MountType::VOLUME),
            target: Some("/new".to_owned()),
            ..models::Mount::default()
        };
        let config = HostConfig {
            binds: Some(vec!["s_own:/own:rw".to_owned()]),
            mounts: Some(vec![structured]),
            volumes_from: Some(vec!["c0ffee:rw".to_owned()]),
            ..HostConfig::default()
        };
        let found = read(&config, &["/both".to_owned()], &points).unwrap();
        let targets: Vec<_> = found.by_target.keys().map(String::as_str).collect();
        assert_eq!(targets, ["/both", "/new", "/own"]);
        assert_eq!(found.by_target["/both"].source, MountSource::Anonymous);
        assert_eq!(found.anonymous.keys().collect::<Vec<_>>(), ["/new"]);
    }
}
