//! What a source held before: definitions to go back to, and the files that their containers mount.

use super::World;
use super::desired::Content;
use super::load::{Reading, load, load_former};
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

    /// What a source held when it was fetched last; `None`: it never was.
    pub(super) async fn last_read(&self, source: &SourceName) -> Result<Option<Content>, String> {
        let (mut repository, reading) = self.repository_of(source)?;
        let (former, source) = (self.desired().names_in(source), source.clone());
        let reads = move || {
            let Some(checkout) = repository.last().map_err(|error| error.to_string())? else {
                return Ok(None);
            };
            let files = repository.files_of(&checkout.revision);
            let files = files.map_err(|error| error.to_string())?;
            load(&reading, &source, &files, &former).map(|(content, _)| Some(content))
        };
        blocking(reads).await
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

    /// What containers of these services of `stack` mount, as it was at a commit.
    pub(super) fn layer(
        &self,
        source: &SourceName,
        stack: &Stack,
        revision: Option<Revision>,
        which: impl Fn(&ServiceName) -> bool,
    ) -> Result<Option<Layer>, String> {
        let (repository, _) = self.repository_of(source)?;
        let paths = mounted(stack, &repository.root(), which);
        let revision = revision.filter(|_| !paths.is_empty());
        Ok(revision.map(|revision| Layer { revision, paths }))
    }

    /// Has the checkout show these files for a stack, and the newest of all else. Where two are of one path,
    /// the later prevails.
    pub(super) async fn show(
        &self,
        name: &StackName,
        source: &SourceName,
        layers: Vec<Layer>,
    ) -> Result<(), String> {
        let (repository, _) = self.repository_of(source)?;
        self.memory().unlaid.remove(name);
        lay(repository, name, layers).await
    }

    /// Whether the checkout shows a stack other files than the newest.
    pub(super) fn is_laid(&self, name: &StackName, source: &SourceName) -> Result<bool, String> {
        let (repository, _) = self.repository_of(source)?;
        Ok(repository.laid().contains_key(name))
    }

    /// Forgets what was read of former commits of sources: the configuration that it was read with is another now.
    pub(super) fn forget_former(&self, sources: &BTreeSet<SourceName>) {
        let records = self.inventory.stacks();
        let concerned = records.into_iter().filter(|(_, record)| {
            record.origin.as_ref().is_some_and(|origin| sources.contains(&origin.source))
        });
        let mut memory = self.memory();
        for (name, _) in concerned {
            memory.begun.remove(&name);
            memory.good.remove(&name);
        }
    }

    /// Has the checkout show these files for stacks, beneath what it shows for them already.
    pub(super) async fn show_beneath(
        &self,
        source: &SourceName,
        mut layers: Vec<(StackName, Layer)>,
    ) -> Result<(), String> {
        let (mut repository, _) = self.repository_of(source)?;
        let laid = repository.laid();
        layers.retain(|(name, layer)| !laid.get(name).is_some_and(|laid| laid.contains(layer)));
        if layers.is_empty() {
            return Ok(());
        }
        for (name, _) in &layers {
            self.memory().unlaid.remove(name);
        }
        let change = move |laid: &mut Laid| {
            for (name, layer) in layers {
                laid.entry(name).or_default().insert(0, layer);
            }
        };
        blocking(move || repository.lay(change).map_err(|error| error.to_string())).await
    }

    /// Has the checkout show the newest of all that containers of `name` mount.
    pub(super) async fn show_newest(&self, name: &StackName, source: &SourceName) {
        // Looked up once; from then on it is only laid by this process.
        if !self.memory().unlaid.insert(name.clone()) {
            return;
        }
        let shown = match self.repository_of(source) {
            Ok((repository, _)) => lay(repository, name, Vec::new()).await,
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

/// Lays `layers` for a stack, unless they are what is laid.
async fn lay(
    mut repository: Repository,
    name: &StackName,
    layers: Vec<Layer>,
) -> Result<(), String> {
    let name = name.clone();
    blocking(move || {
        if repository.laid().remove(&name).unwrap_or_default() == layers {
            return Ok(());
        }
        let change = |laid: &mut Laid| {
            if layers.is_empty() {
                laid.remove(&name);
            } else {
                laid.insert(name, layers);
            }
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
