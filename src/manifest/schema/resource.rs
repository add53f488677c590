//! What stands at the top of a file beside the services.

use super::{OPTIONS, PAIRS, STRINGS, must, some};
use crate::manifest::shape::Rule::{self, Bool, List, Map, Object, OneOf, Open, Str, Whole};

const EXTERNAL: Rule = OneOf(&[Object(&[some("name", Str)]), Bool]);

pub(super) const NETWORK: Rule = Object(&[
    some("attachable", Bool),
    some("driver", Str),
    some("driver_opts", OPTIONS),
    some("enable_ipv4", Bool),
    some("enable_ipv6", Bool),
    some("external", EXTERNAL),
    some("internal", Bool),
    some(
        "ipam",
        Object(&[
            some(
                "config",
                List(&Object(&[
                    some("aux_addresses", Map(&Str)),
                    some("gateway", Str),
                    some("ip_range", Str),
                    some("subnet", Str),
                ])),
            ),
            some("driver", Str),
            some("options", Map(&Str)),
        ]),
    ),
    some("labels", PAIRS),
    some("name", Str),
]);

pub(super) const VOLUME: Rule = Object(&[
    some("driver", Str),
    some("driver_opts", OPTIONS),
    some("external", EXTERNAL),
    some("labels", PAIRS),
    some("name", Str),
]);

const OPEN_EXTERNAL: Rule = OneOf(&[Open(&[some("name", Str)]), Bool]);

pub(super) const SECRET: Rule = Object(&[
    some("driver", Str),
    some("driver_opts", OPTIONS),
    some("environment", Str),
    some("external", OPEN_EXTERNAL),
    some("file", Str),
    some("labels", PAIRS),
    some("name", Str),
    some("template_driver", Str),
]);

pub(super) const CONFIG: Rule = Object(&[
    some("content", Str),
    some("environment", Str),
    some("external", OPEN_EXTERNAL),
    some("file", Str),
    some("labels", PAIRS),
    some("name", Str),
    some("template_driver", Str),
]);

pub(super) const MODEL: Rule = Object(&[
    some("context_size", Whole),
    must("model", Str),
    some("name", Str),
    some("runtime_flags", STRINGS),
]);
