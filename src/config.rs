//! The agent's configuration: text to a validated [`Config`]. It starts nothing; only [`load`],
//! [`Auth::credentials`], [`Reach::proxy`], [`Source::webhook_secret`], [`Http::read_token`] and what reads
//! keys read files.

mod check;
mod error;
mod http;
mod keys;
mod login;
mod place;
mod raw;
mod reach;
mod reference;
mod schedule;

pub use error::{ConfigError, Flaw, Flaws};
pub use http::Http;
pub use keys::{keys_by_hand, keys_in};
pub use login::{Auth, Secret};
pub use reach::{Reach, Through};
pub use reference::{reference, schema};

use crate::log::Format;
use crate::model::{Sensitive, SourceName, StackName, Windows};
use crate::source::{Limits, Location, Reference, Ssh, Verify};
use crate::store::HistoryBounds;
use croner::Cron;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that an operator sets, with the defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The git repositories; at least one, no two of one name.
    pub sources: Vec<Source>,
    /// The engine's address, such as `unix:///var/run/docker.sock`; `None` for the default.
    pub engine_host: Option<String>,
    /// Where metrics, health and the API are served, and to whom.
    pub http: Http,
    /// Where checkouts and state live.
    pub state_dir: PathBuf,
    /// How often every stack gets a full look.
    pub resync: Duration,
    /// How long a container that is up is watched where its service does not say.
    pub monitor: Duration,
    /// Engine calls at once in a pass.
    pub parallel: NonZeroUsize,
    /// Stacks worked on at once.
    pub passes: NonZeroUsize,
    /// How long a shutdown waits for passes that run.
    pub shutdown_timeout: Duration,
    /// How to log.
    pub log: Log,
    /// What becomes of stacks that left a source.
    pub prune: Prune,
    /// How many images that a service ran before its present one are kept; `None`: all.
    pub keep_images: Option<usize>,
    /// How much of the history of deployments is kept.
    pub history: HistoryBounds,
    /// Where commands speak with the agent; `None` when switched off.
    pub socket: Option<PathBuf>,
    /// The age keys that open files that sops encrypted; `None`: there are none.
    pub age_key_file: Option<PathBuf>,
    /// When something new may be begun, in any stack.
    pub windows: Windows,
}

/// What becomes of stacks that left a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prune {
    /// Whether they are removed.
    pub enabled: bool,
    /// Those that are removed though they would be held.
    pub confirm: BTreeSet<StackName>,
}

/// One git repository of stacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name; by default the last part of the url.
    pub name: SourceName,
    /// Where it is.
    pub location: Location,
    /// What of it is followed.
    pub reference: Reference,
    /// The directory that holds the stacks, relative to the repository; empty for all of it.
    pub path: PathBuf,
    /// How often it is fetched, before jitter. `None` where a cron expression was set instead.
    pub interval: Option<Duration>,
    /// When it is fetched, in UTC, with a seconds field.
    pub cron: Option<Cron>,
    /// Whether a local repository's changes wake the agent; false for remote ones.
    pub watch: bool,
    /// How to log in over http(s).
    pub auth: Option<Auth>,
    /// How to log in over ssh.
    pub ssh: Ssh,
    /// How its server is reached over http(s).
    pub reach: Reach,
    /// How much it may hold, and how long a fetch may take.
    pub limits: Limits,
    /// The file with the secret that webhooks are signed with; `None` where none are taken.
    pub webhook_secret: Option<PathBuf>,
    /// Whether the files of submodules belong to those of a revision.
    pub submodules: bool,
    /// Who must have signed a revision before it is deployed; `None`: anybody who can push.
    pub verify: Option<Verify>,
    /// When something new may be begun, in its stacks.
    pub windows: Windows,
    /// Variables for interpolation.
    pub variables: BTreeMap<String, String>,
    /// The Compose profiles that are on.
    pub profiles: BTreeSet<String>,
}

impl Source {
    /// Where its stacks are sought, for people: what left between two places left by no commit. Submodules
    /// bring files.
    pub fn place(&self) -> String {
        let Self { location, reference, path, submodules, .. } = self;
        let submodules = if *submodules { " with submodules" } else { "" };
        format!("{location}, {reference}{submodules}, /{}", path.display())
    }
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// In which form.
    pub format: Format,
    /// From which level on.
    pub level: tracing::Level,
}

impl Config {
    /// Checks `text`; `path` stands in errors, and relative paths begin at its directory.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        check::config(&raw::parse(text, path)?, &check::At { text, path })
    }
}

/// Reads and checks the file at `path`, and that the files of passwords and keys can be read. Without a
/// file of age keys systemd's credential is taken, if there is one.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let mut config = Config::parse(&text, path)?;
    let at = check::At { text: &text, path };
    let mut flaws = Flaws::default();
    let mut wrong = |field: &str, what: &dyn fmt::Display| {
        flaws.keep::<()>(Err(at.wrong(field, what)));
    };
    for (index, source) in config.sources.iter().enumerate() {
        let of = |key: &str| format!("sources[{index}].{key}");
        if let Some(Err(fault)) = source.verify.as_ref().map(Verify::check_files) {
            wrong(&of("verify"), &fault);
        }
        if let (Some(auth), Location::Remote(url)) = (&source.auth, &source.location)
            && let Err(error) = auth.credentials(url)
        {
            wrong(&of(&format!("auth.{}", auth.key())), &error);
        }
        if let Err((key, error)) = source.reach.check_files() {
            wrong(&of(key), &error);
        }
        if let Some((key, error)) = login::unreadable(&source.ssh) {
            let what = format!("{error}; create it or name another file");
            wrong(&of(&format!("auth.{key}")), &what);
        }
        if let Some(Err(error)) = source.webhook_secret() {
            let what = format!("{error}; write a long random text into it");
            wrong(&of("webhook.secret_file"), &what);
        }
    }
    if let Some(Err(error)) = config.http.read_token() {
        wrong(config.http.key(), &error);
    }
    config.age_key_file = config.age_key_file.or_else(keys::credential);
    if let Some(Err(error)) = config.age_key_file.as_deref().map(keys::read) {
        wrong("sops.age_key_file", &error);
    }
    flaws.none_in(config)
}

impl Config {
    /// The files with a login or token that others than their owner may use, as warnings.
    pub fn exposed_files(&self) -> Vec<String> {
        let sources = self.sources.iter().flat_map(Source::exposed_files);
        sources.chain(self.http.exposed_file()).collect()
    }
}

impl Source {
    /// The files with a login that others than their owner may use, as warnings.
    fn exposed_files(&self) -> Vec<String> {
        let of_proxy = match &self.reach.proxy {
            Through::Proxy { login: Some((_, password)), .. } => password.file(),
            _ => None,
        };
        let files = self.auth.as_ref().and_then(Auth::file).into_iter().chain(of_proxy);
        files.filter_map(login::exposed).collect()
    }

    /// Reads the secret of webhooks, which must not be empty: anybody could sign with that. `None` where
    /// none are taken. The error names the file.
    pub fn webhook_secret(&self) -> Option<Result<Sensitive<String>, String>> {
        let path = self.webhook_secret.as_ref()?;
        Some(login::text_of(path).and_then(
            |text| match text.expose().trim_end_matches(['\r', '\n']) {
                "" => Err(format!("`{}` is empty", path.display())),
                secret => Ok(Sensitive::new(secret.to_owned())),
            },
        ))
    }
}

#[cfg(test)]
mod tests;
