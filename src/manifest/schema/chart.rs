//! What a chart and a stack that is made of one may say.

use super::{
    Any, Choice, Field, Like, Map, Object, Pattern, Rule, STRING_OR_LIST, Str, must, some,
};

/// A `Chart.yaml`.
pub(crate) const CHART: Rule = Object(&[
    must("apiVersion", Choice(&["bowline/v1"])),
    must("name", Str),
    must("version", Like(&VERSION)),
    some("description", Str),
]);

const VERSION: Pattern =
    Pattern { what: "a version such as 1.0.2", fits: |text| semver::Version::parse(text).is_ok() };

/// What of a `stack.yaml` concerns its chart; all else is a compose file's.
pub(crate) const ORDER: Rule = Object(ORDER_KEYS);

/// The keys of [`ORDER`].
pub(crate) const ORDER_KEYS: &[Field] =
    &[must("chart", Str), some("values", STRING_OR_LIST), some("set", Map(&Any))];
