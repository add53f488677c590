//! `deploy`: how many containers, how much of the host, and how they are replaced.

use super::{Field, PAIRS, STRING_SET, STRINGS, must, some};
use crate::manifest::shape::Rule::{
    Between, Choice, Int, List, Number, Object, Str, Text, Time, Whole, WholeText,
};

pub(super) const DEPLOY: &[Field] = &[
    some("endpoint_mode", Str),
    some("labels", PAIRS),
    some("mode", Str),
    some("placement", Object(PLACEMENT)),
    some("replicas", Between(0, i64::MAX)),
    some("resources", Object(RESOURCES)),
    some("restart_policy", Object(RESTART)),
    some("rollback_config", Object(UPDATE)),
    some("update_config", Object(UPDATE)),
];

const PLACEMENT: &[Field] = &[
    some("constraints", STRINGS),
    some("max_replicas_per_node", Between(0, i64::MAX)),
    some("preferences", List(&Object(&[some("spread", Str)]))),
];

const RESOURCES: &[Field] =
    &[some("limits", Object(LIMITS)), some("reservations", Object(RESERVATIONS))];

const LIMITS: &[Field] = &[some("cpus", Text), some("memory", Str), some("pids", Whole)];

const RESERVATIONS: &[Field] = &[
    some("cpus", Text),
    some("devices", List(&Object(DEVICE_REQUEST))),
    some("generic_resources", List(&Object(GENERIC))),
    some("memory", Str),
];

const GENERIC: &[Field] =
    &[some("discrete_resource_spec", Object(&[some("kind", Str), some("value", Int)]))];

const DEVICE_REQUEST: &[Field] = &[
    must("capabilities", STRING_SET),
    some("count", WholeText),
    some("device_ids", STRING_SET),
    some("driver", Str),
    some("options", PAIRS),
];

const RESTART: &[Field] = &[
    some("condition", Str),
    some("delay", Time),
    some("max_attempts", Between(0, i64::MAX)),
    some("window", Time),
];

const UPDATE: &[Field] = &[
    some("delay", Time),
    some("failure_action", Str),
    some("max_failure_ratio", Number),
    some("monitor", Time),
    some("order", Choice(&["start-first", "stop-first"])),
    some("parallelism", Between(0, i64::MAX)),
];
