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

/// The shared libraries that this process runs with, the loader among them, each under the path
/// that it was found by and under the one where the program looks for the loader.
fn libraries() -> anyhow::Result<BTreeSet<PathBuf>> {
    let maps = std::fs::read_to_string("/proc/self/maps").context("cannot list own libraries")?;
    let mapped = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.starts_with('/') && path.contains(".so"))
        .map(PathBuf::from);
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let loaders = loaders.map(PathBuf::from).into_iter().filter(|path| path.exists());
    Ok(mapped.chain(loaders).collect())
}
