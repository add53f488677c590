//! The configuration as it is written, each value of the right shape. What values mean is checked
//! elsewhere.

mod reach;

pub(super) use reach::{Limits, ProxyAuth, Size, Tls};

use super::{Flaw, Format};
use crate::source::VerifyMode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The agent's configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The git repositories that are followed; at least one.
    #[serde(default)]
    pub(super) sources: Vec<Source>,
    /// The Docker engine that is worked on.
    #[serde(default)]
    pub(super) engine: Engine,
    /// Metrics, probes, the API and webhooks over HTTP.
    #[serde(default)]
    pub(super) http: Http,
    /// Where clones, the inventory and the key of secrets' digests are kept. Default: `/var/lib/bowline`.
    pub(super) state_dir: Option<PathBuf>,
    /// How often every stack gets a full look without a wake-up. Default: `5m`.
    pub(super) resync: Option<Span>,
    /// How long an updated container is watched where its service does not say; `0s` not at all. Default: `5s`.
    pub(super) monitor: Option<Span>,
    /// How many changes are made at once on the engine; as many pulls and stops. Default: 8.
    pub(super) parallel: Option<NonZeroUsize>,
    /// How many stacks are looked at at once; waiting for containers is not bounded. Default: 4.
    pub(super) passes: Option<NonZeroUsize>,
    /// How long a stop waits for passes under way. Default: `30s`.
    pub(super) shutdown_timeout: Option<Span>,
    /// How and how much is logged.
    #[serde(default)]
    pub(super) log: Log,
    /// What becomes of stacks that left a source. Default: `true`, they are taken away.
    pub(super) prune: Option<Prune>,
    /// Which former images are kept.
    #[serde(default)]
    pub(super) images: Images,
    /// How long and how many deployments are remembered.
    #[serde(default)]
    pub(super) history: History,
    /// Where commands speak with the agent; `off` has none. Default: `/run/bowline/bowline.sock`.
    pub(super) socket: Option<PathBuf>,
    /// What opens files that sops encrypted.
    #[serde(default)]
    pub(super) sops: Sops,
    /// When something new may be begun at all, in any stack. Default: at any time.
    pub(super) schedule: Option<Schedule>,
}

/// When something new may be begun.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    /// It may be begun in these windows; without any, at any time.
    #[serde(default)]
    pub(super) allow: Vec<Window>,
    /// It may not be begun in these.
    #[serde(default)]
    pub(super) deny: Vec<Window>,
}

/// A window that opens again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// When it begins: minute, hour, day, month and weekday, such as `0 22 * * MON-FRI`.
    pub(super) cron: String,
    /// How long it is open after that, from `1m` up to 366 days.
    #[serde(rename = "for")]
    pub(super) lasts: Span,
    /// Whose clocks `cron` goes by, a name such as `Europe/Berlin`. Default: UTC.
    pub(super) timezone: Option<String>,
}

/// What opens files that sops encrypted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sops {
    /// A file of age keys. Default: systemd's credential `sops-age-key`, if there is one.
    pub(super) age_key_file: Option<PathBuf>,
}

/// `true`, `false`, or the same with more.
#[derive(Debug)]
pub(super) enum Prune {
    Switch(bool),
    Rules(PruneRules),
}

/// What becomes of stacks that left a source.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PruneRules {
    /// Whether they are taken away. Default: `true`.
    pub(super) enabled: Option<bool>,
    /// Stacks that are taken away though they would be held.
    #[serde(default)]
    pub(super) confirm: Vec<String>,
}

impl<'de> Deserialize<'de> for Prune {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PruneVisitor)
    }
}

impl JsonSchema for Prune {
    fn schema_name() -> Cow<'static, str> {
        "Prune".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rules = generator.subschema_for::<PruneRules>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, rules] })
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

/// Which former images are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Images {
    /// How many of each service's former images are kept. Default: all.
    pub(super) keep: Option<usize>,
}

/// How long and how many deployments are remembered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// How many of each stack, from 1 to 1000. Default: 100.
    pub(super) keep: Option<usize>,
    /// How long. Default: `90d`.
    #[serde(rename = "for")]
    pub(super) lasts: Option<Span>,
}

/// One git repository of stacks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// Its name. Default: the last part of `url`.
    pub(super) name: Option<String>,
    /// Where it is: a path, `file://`, `http(s)://`, `git://`, `ssh://` or `USER@HOST:PATH`.
    pub(super) url: String,
    /// A branch, tag or commit. Default: the repository's own branch.
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    /// The branch that is followed; instead of `ref`.
    pub(super) branch: Option<String>,
    /// The tag that is followed; instead of `ref`.
    pub(super) tag: Option<String>,
    /// The commit that is shown; instead of `ref`.
    pub(super) commit: Option<String>,
    /// A range of versions: the tag with the highest one in it is followed, such as `>=1.2, <2`.
    pub(super) semver: Option<String>,
    /// The directory that holds the stacks. Default: all of the repository.
    #[serde(default)]
    pub(super) path: PathBuf,
    /// How often it is fetched, at least `1s`; up to a tenth longer by chance. Default: `1m`, and none with `cron`.
    pub(super) interval: Option<Span>,
    /// When it is fetched: 5 or 6 fields, in UTC.
    pub(super) cron: Option<String>,
    /// Of a local repository: whether a push is seen at once. Default: `true`.
    pub(super) watch: Option<bool>,
    /// How to log in.
    pub(super) auth: Option<Auth>,
    /// How the server's certificate is checked.
    pub(super) tls: Option<Tls>,
    /// The proxy that is asked, `http://HOST:PORT`; `off`: none. Default: what the environment says.
    pub(super) proxy: Option<String>,
    /// A login for `proxy`.
    pub(super) proxy_auth: Option<ProxyAuth>,
    /// How much it may hold, and how long a fetch may take.
    pub(super) limits: Option<Limits>,
    /// A push there has it fetched at once.
    pub(super) webhook: Option<Webhook>,
    /// Only signed revisions are deployed.
    pub(super) verify: Option<Verify>,
    /// When something new of this source may be begun. Default: at any time.
    pub(super) schedule: Option<Schedule>,
    /// Whether the files of submodules belong to it. Default: `false`.
    #[serde(default)]
    pub(super) submodules: bool,
    /// For `${NAME}` in compose files; they win over `.env`.
    #[serde(default)]
    pub(super) variables: BTreeMap<String, String>,
    /// Compose profiles that are on.
    #[serde(default)]
    pub(super) profiles: Vec<String>,
}

/// How to log in to a git server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    /// The user, with `password_file` or `credential`.
    pub(super) username: Option<String>,
    /// A file that holds a password.
    pub(super) password_file: Option<PathBuf>,
    /// A file that holds a token.
    pub(super) token_file: Option<PathBuf>,
    /// The name of a credential of systemd that holds a token, or with `username` a password.
    pub(super) credential: Option<String>,
    /// A file as `git credential-store` writes it.
    pub(super) credentials_file: Option<PathBuf>,
    /// A file like `.netrc`.
    pub(super) netrc_file: Option<PathBuf>,
    /// Over ssh: the private key. Default: what `ssh` takes.
    pub(super) key_file: Option<PathBuf>,
    /// Over ssh: the keys of hosts that are known. Default: what `ssh` takes.
    pub(super) known_hosts_file: Option<PathBuf>,
}

/// A push to `/v1/webhooks/SOURCE`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// A file that holds the secret that webhooks are signed with.
    pub(super) secret_file: PathBuf,
}

/// Who must have signed a revision.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    /// What must be signed. Default: `head`.
    #[serde(default)]
    pub(super) mode: VerifyMode,
    /// A file of SSH keys, as of ssh-keygen(1), ALLOWED SIGNERS.
    pub(super) allowed_signers: Option<PathBuf>,
    /// A file of OpenPGP keys.
    pub(super) gpg_keyring: Option<PathBuf>,
}

/// The Docker engine that is worked on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Engine {
    /// Where it listens: `unix:///PATH` or `tcp://HOST:PORT`. Default: `unix:///var/run/docker.sock`.
    pub(super) host: Option<String>,
}

/// What is served over HTTP.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    /// The address and port; `off` serves nothing. Default: `127.0.0.1:9184`.
    pub(super) listen: Option<String>,
    /// A file that holds the token that who changes something must send. Default: nothing can be changed.
    pub(super) token_file: Option<PathBuf>,
    /// The name of a credential of systemd that holds the token; instead of `token_file`.
    pub(super) credential: Option<String>,
    /// Who may look: `open`, anybody; `token`, only who sends it. Default: `open`.
    pub(super) read: Option<String>,
}

/// How and how much is logged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    /// How lines look. Default: `auto`.
    #[serde(default)]
    pub(super) format: Format,
    /// `error`, `warn`, `info`, `debug`, or a tracing filter. Default: `info`.
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

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["30s", "5m", "1h30m"], "x-type": "length of time" })
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
pub(super) fn parse(text: &str, path: &Path) -> Result<Config, Flaw> {
    serde_yaml::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        let shown = error.to_string();
        let place = format!(" at line {line} column {column}");
        let mut message = in_words(&without_text(&shown.replace(&place, "")));
        if let Some(near) = near_miss(&message) {
            message = format!("{message}; did you mean `{near}`?");
        }
        Flaw { path: path.to_owned(), line, column, message }
    })
}

/// A message of serde's without a text that is of the wrong type: it may be a token, written where the name of
/// its file belongs.
fn without_text(message: &str) -> String {
    const TEXT: &str = "invalid type: string \"";
    match message.split_once(TEXT).zip(message.rsplit_once("\", expected ")) {
        Some(((field, _), (_, expected))) => {
            format!("{field}invalid type: a text, expected {expected}")
        }
        None => message.to_owned(),
    }
}

/// What serde expected, without Rust's names for it.
fn in_words(message: &str) -> String {
    let Some((before, expected)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    let words = match expected {
        "a nonzero usize" | "a nonzero u64" | "a nonzero u32" => "a number from 1",
        "usize" | "u64" | "u32" | "u16" => "a whole number, not below 0",
        _ if expected.starts_with("struct ") => "a mapping",
        other => other,
    };
    format!("{before}expected {words}")
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
