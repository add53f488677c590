//! What `plan`, `apply`, `validate` and `config` work on: a compose file, a directory of stacks, or
//! a git repository.

use super::Common;
use crate::chart::CHART_FILE;
use crate::config::keys_by_hand;
use crate::manifest::{
    self, Diagnostic, Diagnostics, DigestKey, FILE_NAMES, Loaded, Request, Severity, stacks,
};
use crate::model::{Place, Revision, SourceName, Stack, StackName};
use crate::plan::Completed;
use crate::source::{self, Location, Reference, Repository};
use crate::store::{self, Adopted, Jobs};
use anyhow::{Context, bail};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

#[derive(Debug, Args)]
pub(super) struct Target {
    /// A compose file, a directory with stacks in it, or the URL of a git repository.
    #[arg(default_value = ".", value_name = "PATH|URL")]
    place: String,
    /// The branch, tag or commit of a git URL [default: the repository's own]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Fetch the submodules of a git URL, too.
    #[arg(long)]
    submodules: bool,
    /// The name of the stack, instead of the one that the file or its directory gives.
    #[arg(long, short = 'p', value_name = "NAME")]
    project_name: Option<String>,
    /// A file of variables for interpolation, instead of `.env`; may be given several times.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// A variable for interpolation: `KEY=VALUE`, or `KEY` to take it from this environment.
    #[arg(long = "env", short = 'e', value_name = "KEY[=VALUE]")]
    variables: Vec<String>,
    /// A profile to switch on; may be given several times.
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
}

/// A stack that was found, and what became of loading it.
pub(super) struct Entry {
    /// Its first file, as people know it.
    pub(super) file: String,
    pub(super) loaded: Result<Loaded, Diagnostics>,
}

/// All that a target holds.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) revision: Option<Revision>,
    /// What is remembered of jobs.
    jobs: (Jobs, DigestKey),
}

impl Found {
    /// The stacks that are without error.
    pub(super) fn stacks(&self) -> impl Iterator<Item = &Stack> {
        self.entries.iter().filter_map(|entry| Some(&entry.loaded.as_ref().ok()?.stack))
    }

    /// The jobs of a stack that ran to their end.
    pub(super) fn completed(&self, stack: &Stack) -> Completed {
        self.jobs.0.completed(stack, &self.jobs.1)
    }

    /// Notes the jobs of a stack that ran to their end.
    pub(super) fn note_completed(&self, stack: &Stack, completed: &Completed) -> io::Result<()> {
        self.jobs.0.note(stack, completed, |_| true, &self.jobs.1)
    }
}

impl Target {
    /// The arguments that say what to work on, for those who may work on something else.
    pub(super) const KEYS: [&str; 7] =
        ["place", "reference", "submodules", "project_name", "env_file", "variables", "profile"];

    /// Finds the stacks and loads them. Errors here are about the target as a whole.
    pub(super) fn load(&self, common: &Common) -> anyhow::Result<Found> {
        let key = DigestKey::new(store::digest_key(&common.state_dir())?);
        self.load_with(common, &[], &key)
    }

    /// The same to look only, with lints switched off: nothing is written.
    pub(super) fn look(&self, common: &Common, allow: &[String]) -> anyhow::Result<Found> {
        let key = DigestKey::new(store::digest_key_to_look(&common.state_dir())?);
        self.load_with(common, allow, &key)
    }

    fn load_with(
        &self,
        common: &Common,
        allow: &[String],
        key: &DigestKey,
    ) -> anyhow::Result<Found> {
        let (root, revision) = self.root(common)?;
        let stacks = stack_files(&root)?;
        if stacks.len() > 1 && self.project_name.is_some() {
            bail!("--project-name fits one stack, but {} holds {}", self.place, stacks.len());
        }
        let adopted = Adopted::of(&common.state_dir());
        let variables = variables(&self.variables)?;
        let entries = stacks
            .into_iter()
            .map(|files| {
                let mut request = self.request(&root, files, variables.clone(), key.clone());
                request.allow = allow.iter().cloned().collect();
                let first = request.files.first().cloned().unwrap_or_default();
                let file = first.strip_prefix(&root).unwrap_or(&first).display().to_string();
                let file = if file.is_empty() { self.place.clone() } else { file };
                let read = |path: &Path| source::read_within(&request.roots, path);
                let mut loaded = manifest::load(&request, &read);
                if let Ok(loaded) = &mut loaded {
                    loaded.stack.policy.adopt |= adopted.has(&loaded.stack.name, None);
                    let unfollowed = source::digest_mounted(&mut loaded.stack, &request.roots, key);
                    let stack = &loaded.stack;
                    let warning = |(field, message): (String, String)| {
                        Diagnostic::of(stack, Severity::Warning, field, &message)
                    };
                    loaded.warnings.0.extend(unfollowed.into_iter().map(warning));
                }
                Entry { file, loaded }
            })
            .collect();
        let jobs = (Jobs::of(&common.state_dir()), key.clone());
        Ok(Found { entries: in_order(refuse_namesakes(entries)), revision, jobs })
    }

    /// The directory of what is loaded, as seen from here, with a slash; nothing for here.
    pub(super) fn prefix(&self) -> String {
        let path = Path::new(&self.place);
        if self.is_url() || path.is_absolute() {
            return String::new();
        }
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let directory = directory.to_string_lossy();
        match directory.trim_start_matches("./").trim_end_matches('/') {
            "" | "." => String::new(),
            directory => format!("{directory}/"),
        }
    }

    /// What to load for the one stack there is, for `config`.
    pub(super) fn only_request(&self, common: &Common) -> anyhow::Result<Request> {
        let (root, _) = self.root(common)?;
        self.only_request_in(&root)
    }

    /// The same, or the chart that is there, for `template`.
    pub(super) fn chart_request(&self, common: &Common) -> anyhow::Result<Request> {
        let (root, _) = self.root(common)?;
        let chart = root.join(CHART_FILE);
        if !chart.is_file() {
            return self.only_request_in(&root);
        }
        Ok(self.request(&root, vec![chart], variables(&self.variables)?, no_key()))
    }

    fn only_request_in(&self, root: &Path) -> anyhow::Result<Request> {
        let mut stacks = stack_files(root)?;
        match (stacks.pop(), stacks.len()) {
            (Some(files), 0) => {
                Ok(self.request(root, files, variables(&self.variables)?, no_key()))
            }
            (_, others) => {
                bail!("there are {} stacks here; name the directory of one", others + 1)
            }
        }
    }

    /// What to load for these files, relative to `here`.
    pub(super) fn request_for(&self, here: &Path, files: &[PathBuf]) -> anyhow::Result<Request> {
        let files = files.iter().map(|file| here.join(file)).collect();
        Ok(self.request(here, files, variables(&self.variables)?, no_key()))
    }

    fn request(
        &self,
        root: &Path,
        files: Vec<PathBuf>,
        variables: BTreeMap<String, String>,
        digest_key: DigestKey,
    ) -> Request {
        let env_files = (!self.env_file.is_empty()).then(|| self.env_file.clone());
        let display_root = if root.is_dir() { Some(root) } else { root.parent() };
        // What others wrote stays within its repository; who has files here may read here.
        let is_remote = self.is_url();
        Request {
            roots: if is_remote { vec![root.to_owned()] } else { vec![] },
            project_name: self.project_name.clone(),
            variables,
            env_files,
            profiles: self.profile.iter().cloned().collect::<BTreeSet<_>>(),
            keys: keys_by_hand(),
            display_root: display_root.map(Path::to_owned),
            render: crate::renderer::render,
            ..Request::new(files, digest_key)
        }
    }

    /// Whether a repository elsewhere is meant, as `ssh://HOST/PATH` or `USER@HOST:PATH`. What is here is
    /// a path, whatever its name.
    fn is_url(&self) -> bool {
        let is_ssh = || matches!(self.place.parse(), Ok(Location::Ssh(_)));
        self.place.contains("://") || (is_ssh() && !Path::new(&self.place).exists())
    }

    fn root(&self, common: &Common) -> anyhow::Result<(PathBuf, Option<Revision>)> {
        if self.is_url() {
            return self.clone_into_state(common);
        }
        let path = Path::new(&self.place);
        let root = path.canonicalize().with_context(|| format!("cannot open {}", self.place))?;
        let dir = if root.is_dir() { root.as_path() } else { root.parent().unwrap_or(&root) };
        let revision = source::revision_of(dir);
        Ok((root, revision))
    }

    fn clone_into_state(&self, common: &Common) -> anyhow::Result<(PathBuf, Option<Revision>)> {
        let location: Location = self.place.parse()?;
        let spec = source::Spec {
            name: source_name(&self.place)?,
            location,
            reference: self.reference.clone().map_or(Reference::Head, Reference::Any),
            credentials: None,
            submodules: self.submodules,
            verify: None,
        };
        let state = common.state_dir().join("sources");
        let mut repository = Repository::open(spec, &state);
        let checkout = repository.sync(&AtomicBool::new(false))?;
        // A loss of power leaves files that only look as they were written.
        repository.last()?;
        Ok((checkout.root, Some(checkout.revision)))
    }
}

/// The variables that are given as `KEY=VALUE`, or `KEY` for one of this environment.
pub(super) fn variables(given: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    given
        .iter()
        .map(|given| match given.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => std::env::var(given)
                .map(|value| (given.clone(), value))
                .with_context(|| format!("--env {given} takes it from the environment")),
        })
        .collect()
}

/// A key for what is not digested.
pub(super) fn no_key() -> DigestKey {
    DigestKey::new([0; 32])
}

/// The files of each stack at `root`: itself, if it is a file or holds a compose file, or every
/// directory below that holds one.
fn stack_files(root: &Path) -> anyhow::Result<Vec<Vec<PathBuf>>> {
    if !root.is_dir() {
        return Ok(vec![vec![root.to_owned()]]);
    }
    let discovery = source::discover(root, &FILE_NAMES);
    if let Some(own) = discovery.stacks.iter().find(|found| found.dir == root) {
        return Ok(vec![own.files.clone()]);
    }
    if let Some(problem) = discovery.problems.first() {
        bail!("{problem}");
    }
    if discovery.stacks.is_empty() {
        bail!("{} holds no stack: no directory in it has a {}", root.display(), FILE_NAMES[0]);
    }
    Ok(discovery.stacks.into_iter().map(|found| found.files).collect())
}

/// Of several stacks with one name each would undo the others' work: none of them is used.
fn refuse_namesakes(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut files: BTreeMap<StackName, Vec<String>> = BTreeMap::new();
    for entry in &entries {
        if let Ok(loaded) = &entry.loaded {
            files.entry(loaded.stack.name.clone()).or_default().push(entry.file.clone());
        }
    }
    files.retain(|_, files| files.len() > 1);
    for entry in &mut entries {
        let Ok(loaded) = &entry.loaded else { continue };
        let name = &loaded.stack.name;
        if let Some(files) = files.get(name) {
            let place = Place { file: entry.file.clone(), line: 1, column: 1 };
            let place = loaded.stack.places.of("name").unwrap_or(place);
            entry.loaded = Err(Diagnostics(vec![Diagnostic {
                severity: Severity::Error,
                lint: None,
                place: Some(place),
                field: "name".to_owned(),
                message: format!("two stacks are named {name}: {}", files.join(" and ")),
                help: Some("give one of them another `name`".to_owned()),
                source: None,
                may_pass: false,
            }]));
        }
    }
    entries
}

/// The stacks, each after those that it depends on. Those in a circle are refused, and what is not
/// here is told: it may be elsewhere.
fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    let loaded = entries.iter().filter_map(|entry| entry.loaded.as_ref().ok());
    let all: BTreeMap<StackName, BTreeSet<StackName>> = loaded
        .map(|loaded| (loaded.stack.name.clone(), loaded.stack.policy.depends_on.clone()))
        .collect();
    let several = entries.len() > 1;
    for entry in &mut entries {
        let Ok(loaded) = &mut entry.loaded else { continue };
        let stack = &loaded.stack;
        let circle = stacks::circle(&stack.name, |of| all.get(of).cloned().unwrap_or_default());
        if let Some(circle) = circle {
            entry.loaded = Err(Diagnostics(vec![stacks::in_a_circle(stack, &circle)]));
            continue;
        }
        let absent = stack.policy.depends_on.iter().filter(|name| !all.contains_key(*name));
        let absent: Vec<Diagnostic> = absent
            .filter(|_| several)
            .map(|name| {
                stacks::unknown(Severity::Warning, stack, name, "no directory here", all.keys())
            })
            .collect();
        loaded.warnings.0.extend(absent);
    }
    let known = |entry: &Entry| {
        let stack = &entry.loaded.as_ref().ok()?.stack;
        Some((stack.name.clone(), stack.policy.depends_on.clone()))
    };
    let known: Vec<_> = entries.iter().map(known).collect();
    let known: Vec<_> = known.iter().map(|known| known.as_ref().map(|(a, b)| (a, b))).collect();
    let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    stacks::in_order(&known).into_iter().filter_map(|at| entries[at].take()).collect()
}

/// A name for the clone of a URL: its last part, and a digest of the whole.
fn source_name(url: &str) -> anyhow::Result<SourceName> {
    use sha2::{Digest, Sha256};
    let digest = hex::encode(Sha256::digest(url));
    let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_lowercase();
    let last = last.strip_suffix(".git").unwrap_or(&last);
    let kept: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
    Ok(SourceName::new(format!(
        "{kept}{}{}",
        if kept.is_empty() { "" } else { "-" },
        &digest[..8]
    ))?)
}
