//! Which keys Compose has, what may stand under them, and which Bowline does not support yet.
//! Facts of the Compose specification's schema; no code.

use super::shape::Presence::{Optional, Required, Unsupported};
use super::shape::Rule::{
    Bool, Choice, Int, List, Map, Nullable, Number, Object, OneOf, Scalar, Set, Str, Text,
};
use super::shape::{Field, Rule};

const fn some(name: &'static str, rule: Rule) -> Field {
    Field { name, presence: Optional(rule) }
}

const fn must(name: &'static str, rule: Rule) -> Field {
    Field { name, presence: Required(rule) }
}

const fn later(name: &'static str) -> Field {
    Field { name, presence: Unsupported }
}

const STRINGS: Rule = List(&Str);
const STRING_SET: Rule = Set(&Str);
const STRING_OR_LIST: Rule = OneOf(&[Str, STRINGS]);
const COMMAND: Rule = Nullable(&STRING_OR_LIST);
const PAIRS: Rule = OneOf(&[Map(&Scalar), STRINGS]);
const TEXTS: Rule = List(&Text);
const OPTIONS: Rule = Map(&Text);

/// A whole file.
pub(crate) const FILE: Rule = Object(&[
    some("version", Scalar),
    some("name", Str),
    later("include"),
    later("models"),
    some("services", Nullable(&Map(&SERVICE))),
    some("networks", Nullable(&Map(&Nullable(&NETWORK)))),
    some("volumes", Nullable(&Map(&Nullable(&VOLUME)))),
    some("configs", Nullable(&Map(&CONTENT))),
    some("secrets", Nullable(&Map(&SECRET))),
]);

const SERVICE: Rule = Object(&[
    later("annotations"),
    later("attach"),
    later("blkio_config"),
    later("build"),
    some("cap_add", STRING_SET),
    some("cap_drop", STRING_SET),
    later("cgroup"),
    later("cgroup_parent"),
    some("command", COMMAND),
    some("configs", List(&OneOf(&[Str, Object(GRANT)]))),
    some("container_name", Str),
    later("cpu_count"),
    later("cpu_percent"),
    later("cpu_period"),
    later("cpu_quota"),
    later("cpu_rt_period"),
    later("cpu_rt_runtime"),
    some("cpu_shares", Int),
    some("cpus", Number),
    some("cpuset", Str),
    later("credential_spec"),
    some("depends_on", OneOf(&[STRING_SET, Map(&Object(DEPENDENCY))])),
    some("deploy", Nullable(&Object(DEPLOY))),
    later("develop"),
    later("device_cgroup_rules"),
    some("devices", List(&OneOf(&[Str, Object(DEVICE)]))),
    some("dns", STRING_OR_LIST),
    some("dns_opt", STRING_SET),
    some("dns_search", STRING_OR_LIST),
    some("domainname", Str),
    some("entrypoint", COMMAND),
    some("env_file", OneOf(&[Str, List(&OneOf(&[Str, Object(ENV_FILE)]))])),
    some("environment", Nullable(&PAIRS)),
    some("expose", TEXTS),
    later("extends"),
    later("external_links"),
    some("extra_hosts", OneOf(&[Map(&STRING_OR_LIST), STRINGS])),
    later("gpus"),
    some("group_add", TEXTS),
    some("healthcheck", Nullable(&Object(HEALTHCHECK))),
    some("hostname", Str),
    some("image", Str),
    some("init", Bool),
    some("ipc", Str),
    later("isolation"),
    later("label_file"),
    some("labels", Nullable(&PAIRS)),
    later("links"),
    some("logging", Nullable(&Object(LOGGING))),
    later("mac_address"),
    some("mem_limit", Text),
    some("mem_reservation", Text),
    later("mem_swappiness"),
    some("memswap_limit", Text),
    later("models"),
    some("network_mode", Str),
    some("networks", OneOf(&[STRING_SET, Map(&Nullable(&Object(ENDPOINT)))])),
    later("oom_kill_disable"),
    later("oom_score_adj"),
    some("pid", Str),
    some("pids_limit", Int),
    later("platform"),
    some("ports", List(&OneOf(&[Object(PORT), Text]))),
    later("post_start"),
    later("pre_start"),
    later("pre_stop"),
    some("privileged", Bool),
    some("profiles", STRINGS),
    later("provider"),
    some("pull_policy", Str),
    later("pull_refresh_after"),
    some("read_only", Bool),
    some("restart", Str),
    some("runtime", Str),
    some("scale", Int),
    some("secrets", List(&OneOf(&[Str, Object(GRANT)]))),
    some("security_opt", STRING_SET),
    some("shm_size", Text),
    some("stdin_open", Bool),
    some("stop_grace_period", Str),
    some("stop_signal", Str),
    later("storage_opt"),
    some("sysctls", PAIRS),
    some("tmpfs", STRING_OR_LIST),
    some("tty", Bool),
    some("ulimits", Map(&OneOf(&[Object(ULIMIT), Int]))),
    later("use_api_socket"),
    some("user", Str),
    later("userns_mode"),
    later("uts"),
    some("volumes", List(&OneOf(&[Str, Object(MOUNT)]))),
    later("volumes_from"),
    some("working_dir", Str),
]);

const GRANT: &[Field] = &[
    some("source", Str),
    some("target", Str),
    some("uid", Str),
    some("gid", Str),
    some("mode", Text),
];

const DEPENDENCY: &[Field] = &[
    must(
        "condition",
        Choice(&["service_started", "service_healthy", "service_completed_successfully"]),
    ),
    some("restart", Bool),
    some("required", Bool),
];

const DEPLOY: &[Field] = &[
    later("endpoint_mode"),
    some("labels", PAIRS),
    some("mode", Choice(&["replicated", "global", "replicated-job", "global-job"])),
    some("placement", Object(PLACEMENT)),
    some("replicas", Int),
    some("resources", Object(RESOURCES)),
    some("restart_policy", Object(RESTART)),
    some("rollback_config", Object(UPDATE)),
    some("update_config", Object(UPDATE)),
];

/// Compose prints it even where nothing is in it.
const PLACEMENT: &[Field] =
    &[later("constraints"), later("max_replicas_per_node"), later("preferences")];

const RESOURCES: &[Field] =
    &[some("limits", Object(LIMITS)), some("reservations", Object(RESERVATIONS))];

const LIMITS: &[Field] = &[some("cpus", Text), some("memory", Text), some("pids", Int)];

const RESERVATIONS: &[Field] =
    &[later("cpus"), later("devices"), later("generic_resources"), some("memory", Text)];

const RESTART: &[Field] = &[
    some("condition", Choice(&["none", "on-failure", "any"])),
    some("delay", Str),
    some("max_attempts", Int),
    some("window", Str),
];

const UPDATE: &[Field] = &[
    some("delay", Str),
    some("failure_action", Choice(&["pause", "continue", "rollback"])),
    some("max_failure_ratio", Number),
    some("monitor", Str),
    some("order", Choice(&["start-first", "stop-first"])),
    some("parallelism", Int),
];

const DEVICE: &[Field] = &[must("source", Str), must("target", Str), some("permissions", Str)];

const ENV_FILE: &[Field] =
    &[must("path", Str), some("required", Bool), some("format", Choice(&["raw"]))];

const HEALTHCHECK: &[Field] = &[
    some("disable", Bool),
    some("interval", Str),
    some("retries", Int),
    some("start_interval", Str),
    some("start_period", Str),
    some("test", STRING_OR_LIST),
    some("timeout", Str),
];

const LOGGING: &[Field] = &[some("driver", Str), some("options", Map(&Nullable(&Text)))];

const ENDPOINT: &[Field] = &[
    some("aliases", STRING_SET),
    some("driver_opts", OPTIONS),
    later("gw_priority"),
    later("interface_name"),
    some("ipv4_address", Str),
    some("ipv6_address", Str),
    later("link_local_ips"),
    later("mac_address"),
    some("priority", Int),
];

const PORT: &[Field] = &[
    some("app_protocol", Str),
    some("host_ip", Str),
    some("mode", Str),
    some("name", Str),
    some("protocol", Str),
    some("published", Text),
    must("target", Int),
];

const ULIMIT: &[Field] = &[must("hard", Int), must("soft", Int)];

const MOUNT: &[Field] = &[
    some(
        "bind",
        Object(&[
            some("create_host_path", Bool),
            some("propagation", Str),
            later("recursive"),
            some("selinux", Choice(&["z", "Z"])),
        ]),
    ),
    some("consistency", Str),
    later("image"),
    some("read_only", Bool),
    some("source", Str),
    must("target", Str),
    some("tmpfs", Object(&[some("mode", Text), some("size", Text)])),
    must("type", Choice(&["bind", "volume", "tmpfs"])),
    some("volume", Object(&[later("labels"), some("nocopy", Bool), later("subpath")])),
];

const EXTERNAL: Rule = OneOf(&[Object(&[some("name", Str)]), Bool]);

const NETWORK: Rule = Object(&[
    some("attachable", Bool),
    some("driver", Str),
    some("driver_opts", OPTIONS),
    later("enable_ipv4"),
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

const VOLUME: Rule = Object(&[
    some("driver", Str),
    some("driver_opts", OPTIONS),
    some("external", EXTERNAL),
    some("labels", PAIRS),
    some("name", Str),
]);

const SECRET: Rule = Object(&[
    later("driver"),
    later("driver_opts"),
    some("environment", Str),
    some("external", EXTERNAL),
    some("file", Str),
    some("labels", PAIRS),
    some("name", Str),
    later("template_driver"),
]);

const CONTENT: Rule = Object(&[
    some("content", Str),
    later("driver"),
    later("driver_opts"),
    some("environment", Str),
    some("external", EXTERNAL),
    some("file", Str),
    some("labels", PAIRS),
    some("name", Str),
    later("template_driver"),
]);
