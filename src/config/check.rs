//! What the values of a configuration mean, and whether they hold together.

use super::http::http;
use super::login::login;
use super::reach::{limits, reach};
use super::schedule::windows;
use super::{Config, ConfigError, Flaw, Flaws, Log, Prune, Source, place, raw};
use crate::model::{SourceName, StackName, cron_of_seconds};
use crate::source::{InvalidLocation, Location, Reference, Verify, VerifyMode};
use crate::store::HistoryBounds;
use croner::Cron;
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
    /// That `field` is wrong.
    pub(super) fn wrong(&self, field: &str, what: impl std::fmt::Display) -> Flaw {
        let (line, column) = place::find(self.text, field);
        let message = format!("{field}: {what}");
        Flaw { path: self.path.to_owned(), line, column, message }
    }
}

/// All that is wrong is told at once: what cannot be used has its default until then.
pub(super) fn config(raw: &raw::Config, at: &At<'_>) -> Result<Config, ConfigError> {
    let mut flaws = Flaws::default();
    let sources = sources(raw, at, &mut flaws);
    let resync = at_least_shortest(raw.resync, RESYNC, "resync", at);
    let shutdown = at_least_shortest(raw.shutdown_timeout, SHUTDOWN, "shutdown_timeout", at);
    let level = level(raw.log.level.as_deref().unwrap_or("info"), at);
    let config = Config {
        sources,
        engine_host: flaws.keep(engine_host(raw.engine.host.as_deref(), at)).flatten(),
        http: flaws.keep(http(&raw.http, at)).unwrap_or_default(),
        state_dir: from_file(at, raw.state_dir.as_deref().unwrap_or(Path::new(STATE_DIR))),
        resync: flaws.keep(resync).unwrap_or(RESYNC),
        monitor: raw.monitor.map_or(MONITOR, |span| span.0),
        parallel: raw.parallel.unwrap_or(PARALLEL),
        passes: raw.passes.unwrap_or(PASSES),
        shutdown_timeout: flaws.keep(shutdown).unwrap_or(SHUTDOWN),
        log: Log {
            format: raw.log.format,
            level: flaws.keep(level).unwrap_or(tracing::Level::INFO),
        },
        prune: prune(raw.prune.as_ref(), at, &mut flaws),
        keep_images: raw.images.keep,
        history: flaws.keep(history(&raw.history, at)).unwrap_or_default(),
        socket: flaws.keep(socket(raw.socket.as_deref(), at)).flatten(),
        age_key_file: raw.sops.age_key_file.as_deref().map(|path| from_file(at, path)),
        windows: windows(raw.schedule.as_ref(), "schedule", at, &mut flaws),
    };
    flaws.none_in(config)
}

fn sources(raw: &raw::Config, at: &At<'_>, flaws: &mut Flaws) -> Vec<Source> {
    let mut wrong = |field: &str, what: &str| {
        flaws.keep::<()>(Err(at.wrong(field, what)));
    };
    if raw.sources.is_empty() {
        wrong("sources", "there are none; name at least one git repository");
    }
    let is_off = raw.http.listen.as_deref() == Some("off");
    for (index, _) in
        raw.sources.iter().enumerate().filter(|(_, it)| is_off && it.webhook.is_some())
    {
        let what = "nothing listens, since `http.listen` is `off`; remove one of the two";
        wrong(&format!("sources[{index}].webhook"), what);
    }
    let mut sources: Vec<Source> = Vec::new();
    for (index, written) in raw.sources.iter().enumerate() {
        let field = format!("sources[{index}]");
        let Some(source) = source(written, &field, at, flaws) else { continue };
        if sources.iter().any(|other| other.name == source.name) {
            let what = format!("`{}` is another source's too; set another `name`", source.name);
            flaws.keep::<()>(Err(at.wrong(&format!("{field}.name"), what)));
        }
        sources.push(source);
    }
    sources
}

fn history(raw: &raw::History, at: &At<'_>) -> Result<HistoryBounds, Flaw> {
    let usual = HistoryBounds::default();
    let keep = raw.keep.unwrap_or(usual.keep);
    let most = HistoryBounds::WIDEST.keep;
    if !(1..=most).contains(&keep) {
        return Err(at.wrong("history.keep", format!("want 1 to {most}")));
    }
    let lasts = at_least_shortest(raw.lasts, usual.lasts, "history.for", at)?;
    Ok(HistoryBounds { keep, lasts })
}

/// `None` where it cannot be known which source it is; the flaw is kept then.
fn source(raw: &raw::Source, field: &str, at: &At<'_>, flaws: &mut Flaws) -> Option<Source> {
    let key = |key: &str| format!("{field}.{key}");
    let cron = raw.cron.as_ref().map(|text| cron(text, &key("cron"), at));
    let cron = cron.and_then(|cron| flaws.keep(cron));
    let interval = match raw.interval {
        None if raw.cron.is_some() => None,
        written => flaws.keep(at_least_shortest(written, INTERVAL, &key("interval"), at)),
    };
    let reference = flaws.keep(reference(raw, field, at));
    let verify = reference.as_ref().and_then(|reference| {
        flaws.keep(verify(raw.verify.as_ref(), reference, &key("verify"), at))
    });
    let path = flaws.keep(within(&raw.path, &key("path"), at));
    let limits = flaws.keep(limits(raw.limits.as_ref(), &key("limits"), at));
    let windows = windows(raw.schedule.as_ref(), &key("schedule"), at, flaws);
    let location = flaws.keep(location(&raw.url, &key("url"), at))?;
    let login = flaws.keep(login(raw.auth.as_ref(), &location, &key("auth"), at));
    let (auth, ssh) = login.unwrap_or_default();
    let reach = flaws.keep(reach(raw, &location, field, at));
    Some(Source {
        name: flaws.keep(name(raw, &location, &key("name"), at))?,
        watch: matches!(location, Location::Local(_)) && raw.watch.unwrap_or(true),
        location,
        reference: reference.unwrap_or(Reference::Head),
        verify: verify.flatten(),
        path: path.unwrap_or_default(),
        interval,
        cron,
        auth,
        ssh,
        reach: reach.unwrap_or_default(),
        limits: limits.unwrap_or_default(),
        webhook_secret: raw.webhook.as_ref().map(|webhook| from_file(at, &webhook.secret_file)),
        submodules: raw.submodules,
        windows,
        variables: raw.variables.clone(),
        profiles: raw.profiles.iter().cloned().collect(),
    })
}

fn location(text: &str, field: &str, at: &At<'_>) -> Result<Location, Flaw> {
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
) -> Result<SourceName, Flaw> {
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

fn reference(raw: &raw::Source, field: &str, at: &At<'_>) -> Result<Reference, Flaw> {
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
) -> Result<Option<Verify>, Flaw> {
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

fn semver(range: Option<&str>, field: &str, at: &At<'_>) -> Result<Option<Reference>, Flaw> {
    let Some(text) = range else { return Ok(None) };
    let wrong = |error| {
        let what =
            format!("`{text}` is no range of versions: {error}; write for example `>=1.2, <2`");
        at.wrong(&format!("{field}.semver"), what)
    };
    text.parse().map(|range| Some(Reference::Semver(range))).map_err(wrong)
}

fn within(path: &Path, field: &str, at: &At<'_>) -> Result<PathBuf, Flaw> {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.components().all(inside) {
        return Ok(path.to_owned());
    }
    let what = format!("`{}` leaves the repository", path.display());
    Err(at.wrong(field, format!("{what}; write it relative to its top, without `..`")))
}

fn cron(text: &str, field: &str, at: &At<'_>) -> Result<Cron, Flaw> {
    cron_of_seconds(text).map_err(|why| {
        let what = format!("`{text}` is no schedule: {why}");
        at.wrong(field, format!("{what}; write 5 or 6 fields, such as `*/5 * * * *`"))
    })
}

fn at_least_shortest(
    written: Option<raw::Span>,
    default: Duration,
    field: &str,
    at: &At<'_>,
) -> Result<Duration, Flaw> {
    let length = written.map_or(default, |span| span.0);
    if length < SHORTEST {
        let shown = jiff::SignedDuration::try_from(length).unwrap_or_default();
        return Err(at.wrong(field, format!("{shown:#} is too short; write `1s` or more")));
    }
    Ok(length)
}

fn engine_host(host: Option<&str>, at: &At<'_>) -> Result<Option<String>, Flaw> {
    let Some(host) = host else { return Ok(None) };
    let known = ["unix:///", "tcp://", "http://"];
    if known.iter().any(|start| host.starts_with(start) && host.len() > start.len()) {
        return Ok(Some(host.to_owned()));
    }
    let what = format!("`{host}` is no address; write unix:///PATH or tcp://HOST:PORT");
    Err(at.wrong("engine.host", what))
}

fn level(text: &str, at: &At<'_>) -> Result<tracing::Level, Flaw> {
    let what = format!("`{text}` is no level; write error, warn, info, debug or trace");
    text.parse().map_err(|_| at.wrong("log.level", what))
}

fn prune(raw: Option<&raw::Prune>, at: &At<'_>, flaws: &mut Flaws) -> Prune {
    let rules = match raw {
        None => return Prune { enabled: true, ..Prune::default() },
        Some(raw::Prune::Switch(enabled)) => {
            return Prune { enabled: *enabled, ..Prune::default() };
        }
        Some(raw::Prune::Rules(rules)) => rules,
    };
    let names = rules.confirm.iter().enumerate().filter_map(|(index, name)| {
        let wrong = |error| at.wrong(&format!("prune.confirm[{index}]"), error);
        flaws.keep(StackName::new(name).map_err(wrong))
    });
    Prune { confirm: names.collect(), enabled: rules.enabled.unwrap_or(true) }
}

fn socket(path: Option<&Path>, at: &At<'_>) -> Result<Option<PathBuf>, Flaw> {
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
