//! How an image is built, and how a developer watches its sources.

use super::{EXTRA_HOSTS, Field, GRANTS, HOOK, PAIRS, STRING_OR_SET, STRINGS, ULIMITS, must, some};
use crate::manifest::shape::Rule::{Bool, Choice, Flag, List, Object, OneOf, Str, WholeText};

pub(super) const BUILD: &[Field] = &[
    some("additional_contexts", PAIRS),
    some("args", PAIRS),
    some("cache_from", STRINGS),
    some("cache_to", STRINGS),
    some("context", Str),
    some("dockerfile", Str),
    some("dockerfile_inline", Str),
    some("entitlements", STRINGS),
    some("extra_hosts", EXTRA_HOSTS),
    some("isolation", Str),
    some("labels", PAIRS),
    some("network", Str),
    some("no_cache", Bool),
    some("no_cache_filter", STRING_OR_SET),
    some("platforms", STRINGS),
    some("privileged", Bool),
    some("provenance", OneOf(&[Str, Flag])),
    some("pull", Bool),
    some("sbom", OneOf(&[Str, Flag])),
    some("secrets", GRANTS),
    some("shm_size", WholeText),
    some("ssh", PAIRS),
    some("tags", STRINGS),
    some("target", Str),
    some("ulimits", ULIMITS),
];

pub(super) const DEVELOP: &[Field] = &[some("watch", List(&Object(WATCH)))];

const WATCH: &[Field] = &[
    must("action", Choice(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"])),
    some("exec", Object(HOOK)),
    some("ignore", STRING_OR_SET),
    some("include", STRING_OR_SET),
    some("initial_sync", Flag),
    must("path", Str),
    some("target", Str),
];
