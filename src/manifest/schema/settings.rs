//! What `x-bowline` may say in a compose file.

use super::{
    Bool, Choice, Closed, Field, List, STRING_SET, STRINGS, Str, Time, Whole, WholeText, must, some,
};

/// At the top of a file.
pub(crate) const OF_THE_STACK: &[Field] = &[
    some("adopt", Bool),
    some("allow", STRING_SET),
    some("depends_on", STRING_SET),
    some("drain", Time),
    some("drift", Choice(&["repair", "report"])),
    some("ignore", STRINGS),
    some("on_content_change", Str),
    some("order", Choice(&["start-first", "stop-first"])),
    some("rollback", Choice(&["auto", "off"])),
    some("schedule", Closed(OF_A_SCHEDULE)),
    some("start_timeout", Time),
];

/// In a service.
pub(crate) const OF_A_SERVICE: &[Field] = &[
    some("allow", STRING_SET),
    some("canary", Closed(OF_A_CANARY)),
    some("drain", Time),
    some("ignore", STRINGS),
    some("on_content_change", Str),
    some("start_timeout", Time),
];

/// The first slots of an update.
pub(crate) const OF_A_CANARY: &[Field] = &[
    must("hold", Time),
    some("http", Closed(OF_HTTP)),
    some("interval", Time),
    some("prometheus", Closed(OF_PROMETHEUS)),
    some("slots", Whole),
];

/// A page that a canary must answer.
pub(crate) const OF_HTTP: &[Field] = &[some("path", Str), must("port", WholeText)];

/// What Prometheus is asked about a canary.
pub(crate) const OF_PROMETHEUS: &[Field] = &[must("query", Str), must("url", Str)];

/// When another definition may be begun.
pub(crate) const OF_A_SCHEDULE: &[Field] =
    &[some("allow", List(&Closed(OF_A_WINDOW))), some("deny", List(&Closed(OF_A_WINDOW)))];

/// One window.
pub(crate) const OF_A_WINDOW: &[Field] =
    &[must("cron", Str), must("for", Time), some("timezone", Str)];
