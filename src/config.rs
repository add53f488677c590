//! The agent's configuration: text to a validated [`Config`]. It starts nothing; only [`load`] and
//! [`Auth::password`] read files.

mod check;
mod error;
mod place;
mod raw;

pub use error::ConfigError;

use crate::log::Format;
use crate::model::{Sensitive, SourceName, StackName};
use crate::source::{Location, Reference, Verify};
use croner::Cron;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
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
    /// Where metrics and health are served; `None` when switched off.
    pub listen: Option<SocketAddr>,
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
    /// Where commands speak with the agent; `None` when switched off.
    pub socket: Option<PathBuf>,
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
#[derive(Debug, Clone)]
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
    /// How to log in.
    pub auth: Option<Auth>,
    /// Who must have signed a revision before it is deployed; `None`: anybody who can push.
    pub verify: Option<Verify>,
    /// Variables for interpolation.
    pub variables: BTreeMap<String, String>,
    /// The Compose profiles that are on.
    pub profiles: BTreeSet<String>,
}

/// A login. The password stays in its file until it is needed, so that it can be exchanged there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The user.
    pub username: String,
    /// The file with the password or token.
    pub password_file: PathBuf,
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

/// Reads and checks the file at `path`, and that each file with a password or keys can be read.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let config = Config::parse(&text, path)?;
    let at = check::At { text: &text, path };
    for (index, source) in config.sources.iter().enumerate() {
        if let Some(Err(fault)) = source.verify.as_ref().map(Verify::check_files) {
            return Err(at.wrong(&format!("sources[{index}].verify"), fault));
        }
        if let Some(Err(error)) = source.auth.as_ref().map(Auth::password) {
            let field = format!("sources[{index}].auth.password_file");
            return Err(at.wrong(&field, format!("{error}; create it or name another file")));
        }
    }
    Ok(config)
}

impl Auth {
    /// Reads the password, without the line end that closes it. The error names the file.
    pub fn password(&self) -> std::io::Result<Sensitive<String>> {
        let text = std::fs::read_to_string(&self.password_file).map_err(|error| {
            let shown = format!("cannot read `{}`: {error}", self.password_file.display());
            std::io::Error::new(error.kind(), shown)
        })?;
        Ok(Sensitive::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

#[cfg(test)]
mod tests;
