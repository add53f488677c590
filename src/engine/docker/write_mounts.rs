//! Mounts, written as Docker Compose writes them: as a bind string where that says everything, so
//! that both see the same container.

use crate::model::{Bind, ImageRef, Mount, MountSource, Recursive, Tmpfs};
use crate::plan::NewContainer;
use bollard::models::{
    self, HostConfig, MountBindOptions, MountBindOptionsPropagationEnum as Propagation,
    MountImageOptions, MountTmpfsOptions, MountType, MountVolumeOptions,
};

/// Adds the mounts of `new` to `config`.
pub(super) fn write(new: &NewContainer, config: &mut HostConfig) {
    let mut binds = Vec::new();
    let mut mounts = Vec::new();
    let mut tmpfs = Vec::new();
    for (target, mount) in &new.spec.mounts {
        match &mount.source {
            MountSource::Bind(bind) if fits_a_string(bind) => {
                binds.push(bind_string(&bind.path, target, &bind_options(bind, mount.read_only)));
            }
            MountSource::Bind(bind) => mounts.push(bind_mount(bind, target, mount)),
            MountSource::Volume { name, nocopy: false, subpath: None }
                if mount.labels.is_empty() =>
            {
                binds.push(bind_string(name, target, access(mount.read_only)));
            }
            MountSource::Volume { name, nocopy, subpath } => {
                let options = MountVolumeOptions {
                    no_copy: nocopy.then_some(true),
                    subpath: subpath.clone(),
                    ..MountVolumeOptions::default()
                };
                mounts.push(volume_mount(Some(name), target, mount, options));
            }
            MountSource::Anonymous => {
                let kept = new.keep_volumes.get(target);
                mounts.push(volume_mount(kept, target, mount, MountVolumeOptions::default()));
            }
            MountSource::Tmpfs(memory) if memory.options.is_empty() => {
                mounts.push(tmpfs_mount(memory, target, mount));
            }
            MountSource::Tmpfs(memory) => {
                tmpfs.push((target.clone(), tmpfs_options(memory, mount.read_only)));
            }
            MountSource::Image { image, subpath } => {
                mounts.push(image_mount(image, subpath.as_ref(), target, mount));
            }
        }
    }
    for (target, name) in &new.keep_volumes {
        if !new.spec.mounts.contains_key(target) {
            binds.push(bind_string(name, target, access(false)));
        }
    }
    config.binds = (!binds.is_empty()).then_some(binds);
    config.mounts = (!mounts.is_empty()).then_some(mounts);
    config.tmpfs = (!tmpfs.is_empty()).then(|| tmpfs.into_iter().collect());
}

/// Whether a bind string can say all of it. Only such a string labels for SELinux; only a mount
/// leaves out the mounts below.
fn fits_a_string(bind: &Bind) -> bool {
    (bind.create_host_path || bind.selinux.is_some()) && bind.recursive.is_none()
}

fn bind_string(source: &str, target: &str, options: &str) -> String {
    format!("{source}:{target}:{options}")
}

fn access(read_only: bool) -> &'static str {
    if read_only { "ro" } else { "rw" }
}

fn bind_options(bind: &Bind, read_only: bool) -> String {
    let mut options = access(read_only).to_owned();
    if let Some(label) = bind.selinux {
        options.push(',');
        options.push(label);
    }
    if let Some(propagation) = &bind.propagation {
        options.push(',');
        options.push_str(propagation);
    }
    options
}

fn bind_mount(bind: &Bind, target: &str, mount: &Mount) -> models::Mount {
    let said = |recursive| (bind.recursive == Some(recursive)).then_some(true);
    let options = MountBindOptions {
        propagation: bind.propagation.as_deref().and_then(propagation),
        non_recursive: said(Recursive::Disabled),
        read_only_non_recursive: said(Recursive::Writable),
        read_only_force_recursive: said(Recursive::ReadOnly),
        create_mountpoint: (bind.recursive.is_some() && bind.create_host_path).then_some(true),
    };
    models::Mount {
        typ: Some(MountType::BIND),
        source: Some(bind.path.clone()),
        bind_options: Some(options).filter(|options| *options != MountBindOptions::default()),
        ..common(target, mount)
    }
}

fn volume_mount(
    name: Option<&String>,
    target: &str,
    mount: &Mount,
    options: MountVolumeOptions,
) -> models::Mount {
    let labels = (!mount.labels.is_empty()).then(|| mount.labels.clone().into_iter().collect());
    let options = MountVolumeOptions { labels, ..options };
    models::Mount {
        typ: Some(MountType::VOLUME),
        source: name.cloned(),
        volume_options: Some(options).filter(|options| *options != MountVolumeOptions::default()),
        ..common(target, mount)
    }
}

fn image_mount(
    image: &ImageRef,
    subpath: Option<&String>,
    target: &str,
    mount: &Mount,
) -> models::Mount {
    models::Mount {
        typ: Some(MountType::IMAGE),
        source: Some(image.to_string()),
        image_options: subpath.map(|subpath| MountImageOptions { subpath: Some(subpath.clone()) }),
        ..common(target, mount)
    }
}

fn tmpfs_mount(tmpfs: &Tmpfs, target: &str, mount: &Mount) -> models::Mount {
    let options = MountTmpfsOptions {
        size_bytes: tmpfs.size.and_then(|size| i64::try_from(size).ok()),
        mode: tmpfs.mode.map(i64::from),
        options: None,
    };
    models::Mount {
        typ: Some(MountType::TMPFS),
        tmpfs_options: Some(options).filter(|options| *options != MountTmpfsOptions::default()),
        ..common(target, mount)
    }
}

fn common(target: &str, mount: &Mount) -> models::Mount {
    models::Mount {
        target: Some(target.to_owned()),
        read_only: Some(mount.read_only),
        ..models::Mount::default()
    }
}

fn tmpfs_options(tmpfs: &Tmpfs, read_only: bool) -> String {
    let mut options: Vec<String> = tmpfs.options.iter().cloned().collect();
    options.extend(tmpfs.size.map(|size| format!("size={size}")));
    options.extend(tmpfs.mode.map(|mode| format!("mode={mode:o}")));
    options.extend(read_only.then(|| "ro".to_owned()));
    options.join(",")
}

fn propagation(name: &str) -> Option<Propagation> {
    Some(match name {
        "private" => Propagation::PRIVATE,
        "rprivate" => Propagation::RPRIVATE,
        "shared" => Propagation::SHARED,
        "rshared" => Propagation::RSHARED,
        "slave" => Propagation::SLAVE,
        "rslave" => Propagation::RSLAVE,
        _ => return None,
    })
}
