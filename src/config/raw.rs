//! The configuration as it is written, each value of the right shape. What values mean is checked
//! elsewhere.

mod reach;

pub(super) use reach::{Limits, ProxyAuth, Size, Tls};

use super::{ConfigError, Format};
use crate::source::VerifyMode;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) sources: Vec<Source>,
    #[serde(default)]
    pub(super) engine: Engine,
    #[serde(default)]
    pub(super) http: Http,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) resync: Option<Span>,
    pub(super) monitor: Option<Span>,
    pub(super) parallel: Option<NonZeroUsize>,
    pub(super) passes: Option<NonZeroUsize>,
    pub(super) shutdown_timeout: Option<Span>,
    #[serde(default)]
    pub(super) log: Log,
    pub(super) prune: Option<Prune>,
    #[serde(default)]
    pub(super) images: Images,
    #[serde(default)]
    pub(super) history: History,
    pub(super) socket: Option<PathBuf>,
    #[serde(default)]
    pub(super) sops: Sops,
    pub(super) schedule: Option<Schedule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    #[serde(default)]
    pub(super) allow: Vec<Window>,
    #[serde(default)]
    pub(super) deny: Vec<Window>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    pub(super) cron: String,
    #[serde(rename = "for")]
    pub(super) lasts: Span,
    pub(super) timezone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sops {
    pub(super) age_key_file: Option<PathBuf>,
}

/// `true`, `false`, or the same with more.
#[derive(Debug)]
pub(super) enum Prune {
    Switch(bool),
    Rules(PruneRules),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PruneRules {
    pub(super) enabled: Option<bool>,
    #[serde(default)]
    pub(super) confirm: Vec<String>,
}

impl<'de> Deserialize<'de> for Prune {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PruneVisitor)
    }
}

struct PruneVisitor;

impl<'de> de::Visitor<'de> for PruneVisitor {
    type Value = Prune;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, `false` or `{ enabled: true, confirm: [STACK] }`")
    }

    fn visit_bool<E: de::Error>(self, enabled: bool) -> Result<Prune, E> {
        Ok(Prune::Switch(enabled))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Prune, A::Error> {
        PruneRules::deserialize(de::value::MapAccessDeserializer::new(map)).map(Prune::Rules)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Images {
    pub(super) keep: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    pub(super) keep: Option<usize>,
    #[serde(rename = "for")]
    pub(super) lasts: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: Option<String>,
    pub(super) url: String,
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) commit: Option<String>,
    pub(super) semver: Option<String>,
    #[serde(default)]
    pub(super) path: PathBuf,
    pub(super) interval: Option<Span>,
    pub(super) cron: Option<String>,
    pub(super) watch: Option<bool>,
    pub(super) auth: Option<Auth>,
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<String>,
    pub(super) proxy_auth: Option<ProxyAuth>,
    pub(super) limits: Option<Limits>,
    pub(super) webhook: Option<Webhook>,
    pub(super) verify: Option<Verify>,
    pub(super) schedule: Option<Schedule>,
    #[serde(default)]
    pub(super) submodules: bool,
    #[serde(default)]
    pub(super) variables: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) profiles: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) username: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) credential: Option<String>,
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) netrc_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) known_hosts_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) secret_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    #[serde(default)]
    pub(super) mode: VerifyMode,
    pub(super) allowed_signers: Option<PathBuf>,
    pub(super) gpg_keyring: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) host: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub(super) listen: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) format: Format,
    pub(super) level: Option<String>,
}

/// A length of time with its unit: `30s`, `1h30m`, `90d`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

struct SpanVisitor;

impl de::Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time with its unit, such as `30s`, `5m` or `1h30m`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        let length = text.parse::<jiff::Span>().ok();
        let length = length
            .and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
        length
            .and_then(|length| Duration::try_from(length).ok())
            .map(Span)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// Reads `text` into its written form.
pub(super) fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    serde_yaml::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let shown = error.to_string();
        let place = format!(" at line {line} column {column}");
        let mut message = shown.replace(&place, "");
        if let Some(near) = near_miss(&message) {
            message = format!("{message}; did you mean `{near}`?");
        }
        ConfigError::Wrong { path: path.to_owned(), line, column, message }
    })
}

/// The known key nearest to the unknown one that serde's message quotes first, if near enough.
fn near_miss(message: &str) -> Option<&str> {
    let (_, quoted) = message.split_once("unknown field ")?;
    let mut words = quoted.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    words
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min()
        .map(|(_, known)| known)
}
