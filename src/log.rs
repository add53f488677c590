//! Where log lines go and how they look. Writes to stderr or the journal, never to stdout.

mod joined;

use joined::Joined;
use std::io::IsTerminal;
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The variable with the filter where none is given.
pub const FILTER_VARIABLE: &str = "BOWLINE_LOG";
const DEFAULT_FILTER: &str = "info";
/// Below the given level these print bodies and headers of requests: environment variables,
/// secrets, credentials of registries and git servers. No filter can ask for that.
const TELLTALES: [&str; 6] = ["bollard", "hyper", "hyper_util", "h2", "ureq", "ureq_proto"];
const TELLTALE_LEVEL: Level = Level::INFO;

/// How log lines look.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// To the journal where stderr is the journal, else lines for people.
    #[default]
    Auto,
    /// Lines for people, with colours on a terminal.
    Human,
    /// The messages alone, for a show.
    Brief,
    /// One JSON object a line.
    Json,
    /// To the journal, each field as a field of its own.
    Journald,
}

/// Logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "`{filter}` is no log filter; write a level (error, warn, info, debug, trace) or \
         directives such as `info,bowline::plan=debug`"
    )]
    Filter {
        /// The text given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The filter names no level.
    #[error(
        "`{filter}` is no log level; write error, warn, info, debug, trace or off, or directives \
         such as `info,bowline::plan=debug`"
    )]
    Level {
        /// The text given.
        filter: String,
    },
    /// There is no journal here.
    #[error("cannot reach journald's socket; choose another log format")]
    Journal(#[source] std::io::Error),
    /// Somebody was first.
    #[error("logging has begun already")]
    Twice(#[source] TryInitError),
}

/// Begins logging for the whole process. `filter` wins over the variable `BOWLINE_LOG`; without
/// both it is `info`.
pub fn init(format: Format, filter: Option<&str>) -> Result<(), LogError> {
    let variable = std::env::var(FILTER_VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let filter = filter.or(variable.as_deref()).unwrap_or(DEFAULT_FILTER);
    tracing_subscriber::registry()
        .with(lines(format)?)
        .with(asked_for(filter)?)
        .with(without_bodies())
        .try_init()
        .map_err(LogError::Twice)
}

type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

fn lines<S>(format: Format) -> Result<Lines<S>, LogError>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        Format::Human => Ok(human(!stderr_is_journal())),
        Format::Brief => Ok(brief()),
        Format::Json => Ok(json()),
        Format::Journald => journal().map_err(LogError::Journal),
        Format::Auto if stderr_is_journal() => Ok(journal().unwrap_or_else(|_| human(false))),
        Format::Auto => Ok(human(true)),
    }
}

/// What lines for people show beside the message, which says the rest.
const SHOWN_FIELDS: [&str; 2] = ["stack", "source"];

/// The journal has the time already.
fn human<S>(with_time: bool) -> Lines<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        name if SHOWN_FIELDS.contains(&name) => write!(writer, " {name}={value:?}"),
        _ => Ok(()),
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .fmt_fields(fields);
    if with_time { Joined(layer).boxed() } else { Joined(layer.without_time()).boxed() }
}

fn journal<S>() -> std::io::Result<Lines<S>>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_journald::layer().map(|layer| Joined(layer).boxed())
}

fn brief<S>() -> Lines<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let is_terminal = std::io::stderr().is_terminal();
    // A line of the show that goes on in place may be longer than the message that takes its place.
    let clear = if is_terminal { "\x1b[K" } else { "" };
    let message_only = debug_fn(move |writer, field, value| {
        if field.name() == "message" { write!(writer, "{value:?}{clear}") } else { Ok(()) }
    });
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .without_time()
        .with_target(false)
        .fmt_fields(message_only)
        .boxed()
}

fn json<S>() -> Lines<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed()
}

fn asked_for(filter: &str) -> Result<EnvFilter, LogError> {
    // A word that is no level would be taken for the name of a part of the program, and silence all.
    let is_known = |word: &str| word.contains(['=', ':', '[']) || word.starts_with("bowline");
    let words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut unknown = words.filter(|word| !is_known(word) && word.parse::<LevelFilter>().is_err());
    if unknown.next().is_some() {
        return Err(LogError::Level { filter: filter.to_owned() });
    }
    EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })
}

/// A filter of its own, since in one `EnvFilter` a longer directive of the user's would win over
/// `bollard=info`.
fn without_bodies<S: tracing::Subscriber>() -> impl Layer<S> {
    filter_fn(|line| *line.level() <= TELLTALE_LEVEL || !tells_tales(line.target()))
}

fn tells_tales(target: &str) -> bool {
    let room = target.split("::").next().unwrap_or(target);
    TELLTALES.contains(&room)
}

/// systemd names device and inode of the journal's stream; ours may have been redirected since
/// (systemd.exec, `$JOURNAL_STREAM`).
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stderr| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, speak: impl Fn()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::registry()
            .with(tracing_subscriber::fmt::layer().with_writer(move || writer.clone()))
            .with(asked_for(filter).unwrap())
            .with(without_bodies());
        tracing::subscriber::with_default(subscriber, speak);
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_filter_makes_a_client_print_what_it_sends() {
        for filter in ["trace", "bollard=trace", "info,bollard::docker=debug", "hyper=trace"] {
            let text = logged(filter, || {
                tracing::trace!(target: "bollard::docker", "request: hunter2");
                tracing::debug!(target: "bollard", "hunter2");
                tracing::debug!(target: "hyper::proto", "hunter2");
                tracing::warn!(target: "bollard::docker", "a warning");
            });
            assert!(!text.contains("hunter2"), "{filter}: {text}");
            assert!(filter == "hyper=trace" || text.contains("a warning"), "{filter}: {text}");
        }
    }

    #[test]
    fn our_own_lines_follow_the_filter() {
        let speak = || tracing::debug!(target: "bowline::plan", field = "mem_limit", "differs");
        assert!(logged("info,bowline=debug", speak).contains("mem_limit"));
        assert_eq!(logged("info", speak), "");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = asked_for("bowline=loud").unwrap_err();
        assert!(error.to_string().starts_with("`bowline=loud` is no log filter"), "{error}");
    }
}
