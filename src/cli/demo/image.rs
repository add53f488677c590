//! The image of the demo: Bowline's own executable with the libraries that it needs, as a tar that
//! the engine imports. No registry is involved.

use super::Stage;
use crate::engine::docker::Docker;
use crate::engine::sim::Behaviour;
use crate::model::{ImageConfig, ImageRef};
use anyhow::Context;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Its name, as manifests/ use it.
const IMAGE: &str = "bowline-demo:1";

/// Makes the image, unless the simulation has it by itself.
pub(super) async fn make(stage: &Stage) -> anyhow::Result<()> {
    match stage {
        Stage::Docker(docker) => make_on(docker).await,
        Stage::Sim(sim) => {
            let config =
                ImageConfig { entrypoint: vec!["/bowline".into()], ..ImageConfig::default() };
            sim.image_add(IMAGE, config, Behaviour::default());
            Ok(())
        }
    }
}

/// Has `containers` of the image never get healthy where the engine is the simulation, in which no
/// program runs that could fail by itself.
pub(super) fn spoil(stage: &Stage, containers: impl Iterator<Item = String>) {
    let Stage::Sim(sim) = stage else { return };
    let sick = Behaviour {
        healthy_after: None,
        health_output: Some("error: cannot reach 127.0.0.1:8080".to_owned()),
        ..Behaviour::default()
    };
    containers.for_each(|container| sim.behave(&container, sick.clone()));
}

/// Takes the image away again.
pub(super) async fn remove(stage: &Stage) -> anyhow::Result<()> {
    match stage {
        Stage::Docker(docker) => Ok(docker.remove_image(&ImageRef::new(IMAGE)?).await?),
        Stage::Sim(_) => Ok(()),
    }
}

async fn make_on(docker: &Docker) -> anyhow::Result<()> {
    super::say(&format!("an image made of this program: {IMAGE}"));
    let archive = tokio::task::spawn_blocking(archive).await??;
    // An image that an earlier demo kept would lose its name and stay without one.
    docker.remove_image(&ImageRef::new(IMAGE)?).await?;
    let change = "ENTRYPOINT [\"/bowline\"]";
    Ok(docker.import_image(&ImageRef::new(IMAGE)?, archive, change).await?)
}

fn archive() -> anyhow::Result<Vec<u8>> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, &program, Path::new("bowline"))?;
    for library in libraries()? {
        let inside = library.strip_prefix("/").unwrap_or(&library).to_owned();
        append(&mut archive, &library, &inside)?;
    }
    Ok(archive.into_inner()?)
}

fn append(archive: &mut tar::Builder<Vec<u8>>, file: &Path, inside: &Path) -> anyhow::Result<()> {
    let mut file =
        std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut header = tar::Header::new_gnu();
    header.set_size(file.metadata()?.len());
    header.set_mode(0o755);
    archive.append_data(&mut header, inside, &mut file)?;
    Ok(())
}

/// The shared libraries that this process runs with, each under every name that it is known by in
/// its directory, and the loader under the name that the program asks for.
fn libraries() -> anyhow::Result<BTreeSet<PathBuf>> {
    let maps = std::fs::read_to_string("/proc/self/maps").context("cannot list own libraries")?;
    let mapped: BTreeSet<PathBuf> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.starts_with('/') && path.contains(".so"))
        .map(PathBuf::from)
        .collect();
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loaders = loaders.map(PathBuf::from).into_iter().filter(|path| path.exists());
    let links = mapped.iter().flat_map(|library| links_to(library));
    Ok(links.chain(mapped.iter().cloned()).chain(loaders).collect())
}

/// The links beside a library that lead to it: `libz.so.1` for `libz.so.1.2.13`.
fn links_to(library: &Path) -> Vec<PathBuf> {
    let beside = library.parent().and_then(|directory| std::fs::read_dir(directory).ok());
    beside
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_symlink() && path.canonicalize().is_ok_and(|to| to == library))
        .collect()
}
