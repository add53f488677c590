//! What the values of a configuration mean, and whether they hold together.

use super::http::http;
use super::login::login;
use super::reach::{limits, reach};
use super::schedule::windows;
use super::{Config, ConfigError, Log, Prune, Source, place, raw};
use crate::model::{SourceName, StackName};
use crate::source::{InvalidLocation, Location, Reference, Verify, VerifyMode};
use crate::store::HistoryBounds;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);
const RESYNC: Duration = Duration::from_secs(300);
const SHUTDOWN: Duration = Duration::from_secs(30);
const STATE_DIR: &str = "/var/lib/bowline";
/// Swarm's.
const MONITOR: Duration = Duration::from_secs(5);
const PARALLEL: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not zero");
const PASSES: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not zero");

/// The file that is being checked.
pub(super) struct At<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl At<'_> {
    /// The error that `field` is wrong.
    pub(super) fn wrong(&self, field: &str, what: impl std::fmt::Display) -> ConfigError {
        let (line, column) = place::find(self.text, field);
        let message = format!("{field}: {what}");
        ConfigError::Wrong { path: self.path.to_owned(), line, column, message }
    }
}

pub(super) fn config(raw: &raw::Config, at: &At<'_>) -> Result<Config, ConfigError> {
    if raw.sources.is_empty() {
        return Err(at.wrong("sources", "there are none; name at least one git repository"));
    }
    let mut sources: Vec<Source> = Vec::new();
    for (index, written) in raw.sources.iter().enumerate() {
        let source = source(written, &format!("sources[{index}]"), at)?;
        if sources.iter().any(|other| other.name == source.name) {
            let what = format!("`{}` is another source's too; set another `name`", source.name);
            return Err(at.wrong(&format!("sources[{index}].name"), what));
        }
        if source.webhook_secret.is_some() && raw.http.listen.as_deref() == Some("off") {
            let what = "nothing listens, since `http.listen` is `off`; remove one of the two";
            return Err(at.wrong(&format!("sources[{index}].webhook"), what));
        }
        sources.push(source);
    }
    Ok(Config {
        sources,
        engine_host: engine_host(raw.engine.host.as_deref(), at)?,
        http: http(&raw.http, at)?,
        state_dir: from_file(at, raw.state_dir.as_deref().unwrap_or(Path::new(STATE_DIR))),
        resync: at_least_shortest(raw.resync, RESYNC, "resync", at)?,
        monitor: raw.monitor.map_or(MONITOR, |span| span.0),
        parallel: raw.parallel.unwrap_or(PARALLEL),
        passes: raw.passes.unwrap_or(PASSES),
        shutdown_timeout: at_least_shortest(
            raw.shutdown_timeout,
            SHUTDOWN,
            "shutdown_timeout",
            at,
        )?,
        log: Log {
            format: raw.log.format,
            level: level(raw.log.level.as_deref().unwrap_or("info"), at)?,
        },
        prune: prune(raw.prune.as_ref(), at)?,
        keep_images: raw.images.keep,
        history: history(&raw.history, at)?,
        socket: socket(raw.socket.as_deref(), at)?,
        age_key_file: raw.sops.age_key_file.as_deref().map(|path| from_file(at, path)),
        windows: windows(raw.schedule.as_ref(), "schedule", at)?,
    })
}

fn history(raw: &raw::History, at: &At<'_>) -> Result<HistoryBounds, ConfigError> {
    let usual = HistoryBounds::default();
    let keep = raw.keep.unwrap_or(usual.keep);
    let most = HistoryBounds::WIDEST.keep;
    if !(1..=most).contains(&keep) {
        return Err(at.wrong("history.keep", format!("want 1 to {most}")));
    }
    let lasts = at_least_shortest(raw.lasts, usual.lasts, "history.for", at)?;
    Ok(HistoryBounds { keep, lasts })
}

fn source(raw: &raw::Source, field: &str, at: &At<'_>) -> Result<Source, ConfigError> {
    let location = location(&raw.url, &format!("{field}.url"), at)?;
    let local = matches!(location, Location::Local(_));
    let (auth, ssh) = login(raw.auth.as_ref(), &location, &format!("{field}.auth"), at)?;
    let reach = reach(raw, &location, field, at)?;
    let cron = match &raw.cron {
        Some(text) => Some(cron(text, &format!("{field}.cron"), at)?),
        None => None,
    };
    let interval = match (raw.interval, &cron) {
        (None, Some(_)) => None,
        (written, _) => {
            Some(at_least_shortest(written, INTERVAL, &format!("{field}.interval"), at)?)
        }
    };
    let reference = reference(raw, field, at)?;
    Ok(Source {
        name: name(raw, &location, &format!("{field}.name"), at)?,
        location,
        verify: verify(raw.verify.as_ref(), &reference, &format!("{field}.verify"), at)?,
        reference,
        path: within(&raw.path, &format!("{field}.path"), at)?,
        interval,
        cron,
        watch: local && raw.watch.unwrap_or(true),
        auth,
        ssh,
        reach,
        limits: limits(raw.limits.as_ref(), &format!("{field}.limits"), at)?,
        webhook_secret: raw.webhook.as_ref().map(|webhook| from_file(at, &webhook.secret_file)),
        submodules: raw.submodules,
        windows: windows(raw.schedule.as_ref(), &format!("{field}.schedule"), at)?,
        variables: raw.variables.clone(),
        profiles: raw.profiles.iter().cloned().collect(),
    })
}

fn location(text: &str, field: &str, at: &At<'_>) -> Result<Location, ConfigError> {
    match text.parse() {
        Ok(Location::Local(path)) if !text.contains("://") => {
            Ok(Location::Local(from_file(at, &path)))
        }
        Ok(location) => Ok(location),
        Err(InvalidLocation::Login) => {
            let what = "holds a login, and urls are shown; take it out, and write `auth: { username: USER, \
                        password_file: FILE }` or `auth: { token_file: FILE }`";
            Err(at.wrong(field, what))
        }
        Err(error) => Err(at.wrong(field, error)),
    }
}

fn name(
    raw: &raw::Source,
    location: &Location,
    field: &str,
    at: &At<'_>,
) -> Result<SourceName, ConfigError> {
    let name = raw.name.clone().unwrap_or_else(|| {
        let path = match location {
            Location::Local(path) => path.as_path(),
            Location::Remote(url) => Path::new(url.path()),
            Location::Ssh(address) => Path::new(&address.path),
        };
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        last.strip_suffix(".git").unwrap_or(&last).to_ascii_lowercase()
    });
    SourceName::new(name).map_err(|error| at.wrong(field, format!("{error}; set `name`")))
}

fn reference(raw: &raw::Source, field: &str, at: &At<'_>) -> Result<Reference, ConfigError> {
    let alternatives = [
        raw.reference.clone().map(Reference::Any),
        raw.branch.clone().map(Reference::Branch),
        raw.tag.clone().map(Reference::Tag),
        raw.commit.clone().map(Reference::Commit),
        semver(raw.semver.as_deref(), field, at)?,
    ];
    let mut written = alternatives.into_iter().flatten();
    let reference = written.next().unwrap_or(Reference::Head);
    if written.next().is_some() {
        return Err(
            at.wrong(field, "keep only one of `ref`, `branch`, `tag`, `semver` and `commit`")
        );
    }
    Ok(reference)
}

fn verify(
    raw: Option<&raw::Verify>,
    reference: &Reference,
    field: &str,
    at: &At<'_>,
) -> Result<Option<Verify>, ConfigError> {
    let Some(raw) = raw else { return Ok(None) };
    if raw.allowed_signers.is_none() && raw.gpg_keyring.is_none() {
        let what = "there are no keys; name a file as `allowed_signers`, `gpg_keyring` or both";
        return Err(at.wrong(field, what));
    }
    if raw.mode != VerifyMode::Head
        && !matches!(reference, Reference::Tag(_) | Reference::Semver(_))
    {
        let what =
            "only a tag can be verified so; follow one with `tag` or `semver`, or write `head`";
        return Err(at.wrong(&format!("{field}.mode"), what));
    }
    let file = |path: &Option<PathBuf>| path.as_deref().map(|path| from_file(at, path));
    Ok(Some(Verify {
        mode: raw.mode,
        allowed_signers: file(&raw.allowed_signers),
        gpg_keyring: file(&raw.gpg_keyring),
    }))
}

fn semver(range: Option<&str>, field: &str, at: &At<'_>) -> Result<Option<Reference>, ConfigError> {
    let Some(text) = range else { return Ok(None) };
    let wrong = |error| {
        let what =
            format!("`{text}` is no range of versions: {error}; write for example `>=1.2, <2`");
        at.wrong(&format!("{field}.semver"), what)
    };
    text.parse().map(|range| Some(Reference::Semver(range))).map_err(wrong)
}

fn within(path: &Path, field: &str, at: &At<'_>) -> Result<PathBuf, ConfigError> {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.components().all(inside) {
        return Ok(path.to_owned());
    }
    let what = format!("`{}` leaves the repository", path.display());
    Err(at.wrong(field, format!("{what}; write it relative to its top, without `..`")))
}

fn cron(text: &str, field: &str, at: &At<'_>) -> Result<Cron, ConfigError> {
    let seconds = if text.split_whitespace().count() == 5 { "0 " } else { "" };
    let wrong = |error: croner::errors::CronError| {
        let what = format!("`{text}` is no schedule: {error}");
        at.wrong(field, format!("{what}; write 5 or 6 fields, such as `0 */5 * * * *`"))
    };
    let parser = CronParser::builder().seconds(Seconds::Required).build();
    let cron = parser.parse(&format!("{seconds}{text}")).map_err(wrong)?;
    // From a fixed time: whether it ever comes due does not hang on the day it is asked.
    cron.find_next_occurrence(&chrono::DateTime::UNIX_EPOCH, true).map_err(wrong)?;
    Ok(cron)
}

fn at_least_shortest(
    written: Option<raw::Span>,
    default: Duration,
    field: &str,
    at: &At<'_>,
) -> Result<Duration, ConfigError> {
    let length = written.map_or(default, |span| span.0);
    if length < SHORTEST {
        let shown = jiff::SignedDuration::try_from(length).unwrap_or_default();
        return Err(at.wrong(field, format!("{shown:#} is too short; write `1s` or more")));
    }
    Ok(length)
}

fn engine_host(host: Option<&str>, at: &At<'_>) -> Result<Option<String>, ConfigError> {
    let Some(host) = host else { return Ok(None) };
    let known = ["unix:///", "tcp://", "http://"];
    if known.iter().any(|start| host.starts_with(start) && host.len() > start.len()) {
        return Ok(Some(host.to_owned()));
    }
    let what = format!("`{host}` is no address; write unix:///PATH or tcp://HOST:PORT");
    Err(at.wrong("engine.host", what))
}

fn level(text: &str, at: &At<'_>) -> Result<tracing::Level, ConfigError> {
    let what = format!("`{text}` is no level; write error, warn, info, debug or trace");
    text.parse().map_err(|_| at.wrong("log.level", what))
}

fn prune(raw: Option<&raw::Prune>, at: &At<'_>) -> Result<Prune, ConfigError> {
    let rules = match raw {
        None => return Ok(Prune { enabled: true, ..Prune::default() }),
        Some(raw::Prune::Switch(enabled)) => {
            return Ok(Prune { enabled: *enabled, ..Prune::default() });
        }
        Some(raw::Prune::Rules(rules)) => rules,
    };
    let mut confirm = BTreeSet::new();
    for (index, name) in rules.confirm.iter().enumerate() {
        let wrong = |error| at.wrong(&format!("prune.confirm[{index}]"), error);
        confirm.insert(StackName::new(name).map_err(wrong)?);
    }
    Ok(Prune { enabled: rules.enabled.unwrap_or(true), confirm })
}

fn socket(path: Option<&Path>, at: &At<'_>) -> Result<Option<PathBuf>, ConfigError> {
    let Some(path) = path else { return Ok(Some(PathBuf::from(crate::control::SOCKET))) };
    match path.to_str() {
        Some("off") => Ok(None),
        Some(word @ ("true" | "false" | "on" | "yes" | "no" | "")) => {
            Err(at.wrong("socket", format!("`{word}` is no path; write one, or `off`")))
        }
        _ => Ok(Some(from_file(at, path))),
    }
}

/// `path` as it is meant in the file: relative to the file's directory.
pub(super) fn from_file(at: &At<'_>, path: &Path) -> PathBuf {
    at.path.parent().unwrap_or(Path::new("")).join(path)
}
