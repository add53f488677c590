//! What a source held before: definitions to go back to, and the files that their containers mount.

use super::World;
use super::load::{Reading, load_former};
use crate::model::{MountSource, Revision, ServiceName, SourceName, Stack, StackName};
use crate::source::{Laid, Layer, Repository, Spec};
use crate::store::{Begun, Good};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl World {
    /// A definition that held before.
    pub(super) async fn former(
        &self,
        name: &StackName,
        source: &SourceName,
        good: &Good,
    ) -> Result<Arc<Stack>, String> {
        let known = self.memory().good.get(name).cloned();
        if let Some((_, stack)) = known.filter(|(definition, _)| *definition == good.definition) {
            return Ok(stack);
        }
        let stack = self.read_at(name, source, good.revision.clone(), &good.file).await?;
        self.memory().good.insert(name.clone(), (good.definition.clone(), Arc::clone(&stack)));
        Ok(stack)
    }

    /// The definition that was begun last.
    pub(super) async fn defined(
        &self,
        name: &StackName,
        source: &SourceName,
        begun: &Begun,
    ) -> Result<Arc<Stack>, String> {
        let known = self.memory().begun.get(name).cloned();
        if let Some((_, stack)) = known.filter(|(definition, _)| *definition == begun.definition) {
            return Ok(stack);
        }
        let stack = self.read_at(name, source, begun.revision.clone(), &begun.file).await?;
        self.memory().begun.insert(name.clone(), (begun.definition.clone(), Arc::clone(&stack)));
        Ok(stack)
    }

    /// A stack as it was in `file` at a commit.
    async fn read_at(
        &self,
        name: &StackName,
        source: &SourceName,
        revision: Option<Revision>,
        file: &str,
    ) -> Result<Arc<Stack>, String> {
        let Some(revision) = revision else {
            return Err("its commit is not known".to_owned());
        };
        let (mut repository, reading) = self.repository_of(source)?;
        let (stack, file) = (name.clone(), file.to_owned());
        let reads = move || {
            let files = repository.files_of(&revision).map_err(|error| error.to_string())?;
            load_former(&reading, &files, &stack, &file)
        };
        blocking(reads).await.map(Arc::new)
    }

    /// Has the checkout show what containers of these services (none: of all) of `stack` mount as it was at
    /// `revision`.
    pub(super) async fn show_former(
        &self,
        name: &StackName,
        source: &SourceName,
        stack: &Stack,
        revision: Option<Revision>,
        is_former: impl Fn(&ServiceName) -> bool,
    ) -> Result<(), String> {
        let Some(revision) = revision else { return Ok(()) };
        let (repository, _) = self.repository_of(source)?;
        let paths = mounted(stack, &repository.root(), is_former);
        self.memory().unlaid.remove(name);
        let layer = (!paths.is_empty()).then_some(Layer { revision, paths });
        lay(repository, name, layer).await
    }

    /// Has the checkout show the newest of all that containers of `name` mount.
    pub(super) async fn show_newest(&self, name: &StackName, source: &SourceName) {
        // Looked up once; from then on it is only laid by this process.
        if !self.memory().unlaid.insert(name.clone()) {
            return;
        }
        let shown = match self.repository_of(source) {
            Ok((repository, _)) => lay(repository, name, None).await,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = shown {
            tracing::warn!(stack = %name, "former files may still be in the checkout: {problem}");
            self.memory().unlaid.remove(name);
        }
    }

    fn repository_of(&self, source: &SourceName) -> Result<(Repository, Reading), String> {
        let config = self.config();
        let found = config.sources.iter().find(|known| known.name == *source);
        let found =
            found.ok_or_else(|| format!("the source {source} is not configured any more"))?;
        let watched = super::watched(found, &config, self);
        let spec = Spec {
            name: found.name.clone(),
            location: found.location.clone(),
            reference: found.reference.clone(),
            // Nothing is fetched, and what ran well was verified when it came.
            credentials: None,
            submodules: found.submodules,
            verify: None,
        };
        Ok((Repository::open(spec, &watched.state_dir), watched.reading))
    }
}

/// Lays `layer` for a stack, unless that is what is laid.
async fn lay(
    mut repository: Repository,
    name: &StackName,
    layer: Option<Layer>,
) -> Result<(), String> {
    let name = name.clone();
    blocking(move || {
        if repository.laid_for(&name) == layer {
            return Ok(());
        }
        let change = |laid: &mut Laid| match layer {
            Some(layer) => drop(laid.insert(name, layer)),
            None => drop(laid.remove(&name)),
        };
        repository.lay(change).map_err(|error| error.to_string())
    })
    .await
}

/// Reading and writing a repository is no work for the threads of the passes.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(format!("a defect of Bowline: {error}")))
}

/// What the containers of services that are as they were can only read of a checkout, relative to it.
fn mounted(
    stack: &Stack,
    checkout: &Path,
    goes: impl Fn(&ServiceName) -> bool,
) -> BTreeSet<PathBuf> {
    let services = stack.services.iter().filter(|(name, _)| goes(name));
    let mounts = services.flat_map(|(_, service)| service.container.mounts.values());
    let read_only = mounts.filter(|mount| mount.read_only);
    let binds = read_only.filter_map(|mount| match &mount.source {
        MountSource::Bind(bind) => Path::new(&bind.path).strip_prefix(checkout).ok(),
        _ => None,
    });
    // The checkout as a whole holds the other stacks' files, too.
    binds.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect()
}
