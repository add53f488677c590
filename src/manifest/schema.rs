//! Which keys Compose has and what may stand under them: facts of the Compose specification's
//! schema, no code. What of it Bowline can run is in [`support`](super::support).

mod build;
mod chart;
mod deploy;
mod resource;
mod settings;

use super::shape::Presence::{Optional, Required};
use super::shape::Rule::{
    Any, Between, Bool, Choice, Closed, Count, Flag, Int, Like, List, Map, Named, Nullable, Number,
    Numeric, Object, OneOf, Open, Scalar, Set, Str, Text, Time, Whole, WholeText,
};
use super::shape::{Field, Pattern, Rule};
use build::{BUILD, DEVELOP};
use deploy::DEPLOY;
use resource::{CONFIG, MODEL, NETWORK, SECRET, VOLUME};

pub(crate) use chart::{CHART, ORDER, ORDER_KEYS};
pub(crate) use settings::{
    OF_A_CANARY, OF_A_SCHEDULE, OF_A_SERVICE, OF_A_WINDOW, OF_HTTP, OF_PROMETHEUS, OF_THE_STACK,
};

const fn some(name: &'static str, rule: Rule) -> Field {
    Field { name, presence: Optional(rule) }
}

const fn must(name: &'static str, rule: Rule) -> Field {
    Field { name, presence: Required(rule) }
}

const STRINGS: Rule = List(&Str);
const STRING_SET: Rule = Set(&Str);
const STRING_OR_SET: Rule = OneOf(&[Str, STRING_SET]);
const STRING_OR_LIST: Rule = OneOf(&[Str, STRINGS]);
const COMMAND: Rule = Nullable(&STRING_OR_LIST);
const PAIRS: Rule = OneOf(&[Map(&Scalar), STRING_SET]);
const OPTIONS: Rule = Map(&Text);
const EXTRA_HOSTS: Rule = OneOf(&[Map(&STRING_OR_LIST), STRING_SET]);
const ULIMITS: Rule = Map(&OneOf(&[Object(ULIMIT), Whole]));
const GRANTS: Rule = List(&OneOf(&[Str, Object(GRANT)]));

/// A whole file.
pub(crate) const FILE: Rule = Object(&[
    some("version", Str),
    some("name", Str),
    some("include", INCLUDES),
    some("services", Named(&SERVICE)),
    some("models", Map(&MODEL)),
    some("networks", Map(&Nullable(&NETWORK))),
    some("volumes", Named(&Nullable(&VOLUME))),
    some("secrets", Named(&SECRET)),
    some("configs", Named(&CONFIG)),
]);

/// The keys of each of the `kind` (`services`, `networks`, ...).
pub(crate) fn keys_of(kind: &str) -> Vec<&'static str> {
    let Object(sections) = FILE else { return vec![] };
    let section = sections.iter().find(|section| section.name == kind);
    let fields = section.and_then(|section| match section.rule() {
        Map(rule) | Named(rule) => Some(rule),
        _ => None,
    });
    match fields {
        Some(Object(fields) | Nullable(Object(fields))) => {
            fields.iter().map(|field| field.name).collect()
        }
        _ => vec![],
    }
}

/// What `include` may hold.
pub(crate) const INCLUDES: Rule = List(&OneOf(&[Str, Open(INCLUDE)]));

const INCLUDE: &[Field] =
    &[some("path", STRING_OR_SET), some("env_file", STRING_OR_SET), some("project_directory", Str)];

const SERVICE: Rule = Object(&[
    some("annotations", PAIRS),
    some("attach", Bool),
    some("blkio_config", Closed(BLKIO)),
    some("build", OneOf(&[Str, Object(BUILD)])),
    some("cap_add", STRING_SET),
    some("cap_drop", STRING_SET),
    some("cgroup", Choice(&["host", "private"])),
    some("cgroup_parent", Str),
    some("command", COMMAND),
    some("configs", GRANTS),
    some("container_name", Like(&CONTAINER_NAME)),
    some("cpu_count", Between(0, i64::MAX)),
    some("cpu_percent", Between(0, 100)),
    some("cpu_period", Int),
    some("cpu_quota", Int),
    some("cpu_rt_period", Int),
    some("cpu_rt_runtime", Int),
    some("cpu_shares", Int),
    some("cpus", Number),
    some("cpuset", Str),
    some(
        "credential_spec",
        Object(&[some("config", Str), some("file", Str), some("registry", Str)]),
    ),
    some("depends_on", OneOf(&[STRING_SET, Named(&Object(DEPENDENCY))])),
    some("deploy", Nullable(&Object(DEPLOY))),
    some("develop", Nullable(&Object(DEVELOP))),
    some("device_cgroup_rules", STRING_SET),
    some("devices", List(&OneOf(&[Str, Object(DEVICE)]))),
    some("dns", STRING_OR_SET),
    some("dns_opt", STRING_SET),
    some("dns_search", STRING_OR_SET),
    some("domainname", Str),
    some("entrypoint", COMMAND),
    some("env_file", OneOf(&[Str, List(&OneOf(&[Str, Closed(ENV_FILE)]))])),
    some("environment", PAIRS),
    some("expose", Set(&WholeText)),
    some("extends", OneOf(&[Str, Closed(&[must("service", Str), some("file", Str)])])),
    some("external_links", STRING_SET),
    some("extra_hosts", EXTRA_HOSTS),
    some("gpus", OneOf(&[Choice(&["all"]), List(&Open(GPU))])),
    some("group_add", Set(&Text)),
    some("healthcheck", Object(HEALTHCHECK)),
    some("hostname", Str),
    some("image", Str),
    some("init", Bool),
    some("ipc", Str),
    some("isolation", Str),
    some("label_file", STRING_OR_LIST),
    some("labels", PAIRS),
    some("links", STRING_SET),
    some("logging", Object(LOGGING)),
    some("mac_address", Str),
    some("mem_limit", Text),
    some("mem_reservation", WholeText),
    some("mem_swappiness", Whole),
    some("memswap_limit", Text),
    some("models", OneOf(&[STRING_SET, Map(&Nullable(&Object(MODEL_GRANT)))])),
    some("network_mode", Str),
    some("networks", OneOf(&[STRING_SET, Named(&Nullable(&Object(ENDPOINT)))])),
    some("oom_kill_disable", Bool),
    some("oom_score_adj", Between(-1000, 1000)),
    some("pid", Nullable(&Str)),
    some("pids_limit", Int),
    some("platform", Str),
    some("ports", Set(&OneOf(&[Object(PORT), Text]))),
    some("post_start", List(&Object(HOOK))),
    some("pre_start", List(&Object(PRE_START))),
    some("pre_stop", List(&Object(HOOK))),
    some("privileged", Bool),
    some("profiles", STRING_SET),
    some("provider", Object(PROVIDER)),
    some("pull_policy", Like(&PULL_POLICY)),
    some("pull_refresh_after", Time),
    some("read_only", Bool),
    some("restart", Str),
    some("runtime", Str),
    some("scale", Between(0, i64::MAX)),
    some("secrets", GRANTS),
    some("security_opt", STRING_SET),
    some("shm_size", Text),
    some("stdin_open", Bool),
    some("stop_grace_period", Time),
    some("stop_signal", Str),
    some("storage_opt", Map(&Any)),
    some("sysctls", PAIRS),
    some("tmpfs", STRING_OR_SET),
    some("tty", Bool),
    some("ulimits", ULIMITS),
    some("use_api_socket", Flag),
    some("user", Str),
    some("userns_mode", Str),
    some("uts", Str),
    some("volumes", Set(&OneOf(&[Str, Object(MOUNT)]))),
    some("volumes_from", STRING_SET),
    some("working_dir", Str),
]);

/// The schema's patterns are not anchored: one fitting piece is enough.
const CONTAINER_NAME: Pattern = Pattern {
    what: "a name of letters, digits, `_`, `.` and `-`",
    fits: |text| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        text.as_bytes().windows(2).any(|two| two[0].is_ascii_alphanumeric() && good(two[1]))
    },
};

const PULL_POLICY: Pattern = Pattern {
    what: "one of always, never, missing, build, refresh, daily, weekly, every_<duration>",
    fits: |text| {
        let words =
            ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];
        let is_period = |after: &str| {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            rest.len() < after.len() && rest.starts_with(['w', 'd', 'h', 'm', 's'])
        };
        words.iter().any(|word| text.contains(word)) || text.split("every_").skip(1).any(is_period)
    },
};

const BLKIO: &[Field] = &[
    some("device_read_bps", List(&Closed(BLKIO_LIMIT))),
    some("device_read_iops", List(&Closed(BLKIO_LIMIT))),
    some("device_write_bps", List(&Closed(BLKIO_LIMIT))),
    some("device_write_iops", List(&Closed(BLKIO_LIMIT))),
    some("weight", Whole),
    some("weight_device", List(&Closed(&[some("path", Str), some("weight", Whole)]))),
];

const BLKIO_LIMIT: &[Field] = &[some("path", Str), some("rate", WholeText)];

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
    some("required", Flag),
];

const DEVICE: &[Field] = &[must("source", Str), some("target", Str), some("permissions", Str)];

const GPU: &[Field] = &[
    some("capabilities", STRING_SET),
    some("count", WholeText),
    some("device_ids", STRING_SET),
    some("driver", Str),
    some("options", PAIRS),
];

const ENV_FILE: &[Field] = &[must("path", Str), some("required", Bool), some("format", Str)];

const HEALTHCHECK: &[Field] = &[
    some("disable", Bool),
    some("interval", Time),
    some("retries", Count),
    some("start_interval", Time),
    some("start_period", Time),
    some("test", STRING_OR_LIST),
    some("timeout", Time),
];

const LOGGING: &[Field] = &[some("driver", Str), some("options", Map(&Nullable(&Text)))];

const MODEL_GRANT: &[Field] = &[some("endpoint_var", Str), some("model_var", Str)];

const ENDPOINT: &[Field] = &[
    some("aliases", STRING_SET),
    some("driver_opts", OPTIONS),
    some("gw_priority", Numeric),
    some("interface_name", Str),
    some("ipv4_address", Str),
    some("ipv6_address", Str),
    some("link_local_ips", STRING_SET),
    some("mac_address", Str),
    some("priority", Numeric),
];

const PORT: &[Field] = &[
    some("app_protocol", Str),
    some("host_ip", Str),
    some("mode", Str),
    some("name", Str),
    some("protocol", Str),
    some("published", WholeText),
    some("target", Whole),
];

const HOOK: &[Field] = &[
    must("command", COMMAND),
    some("environment", PAIRS),
    some("privileged", Bool),
    some("user", Str),
    some("working_dir", Str),
];

const PRE_START: &[Field] = &[
    some("command", COMMAND),
    some("environment", PAIRS),
    some("image", Str),
    some("per_replica", Bool),
    some("privileged", Bool),
    some("user", Str),
    some("working_dir", Str),
];

const PROVIDER: &[Field] =
    &[some("options", Map(&OneOf(&[Scalar, List(&Scalar)]))), must("type", Str)];

const ULIMIT: &[Field] = &[must("hard", Whole), must("soft", Whole)];

const MOUNT: &[Field] = &[
    some(
        "bind",
        Object(&[
            some("create_host_path", Bool),
            some("propagation", Str),
            some("recursive", Choice(&["enabled", "disabled", "writable", "readonly"])),
            some("selinux", Choice(&["z", "Z"])),
        ]),
    ),
    some("consistency", Str),
    some("image", Object(&[some("subpath", Str)])),
    some("read_only", Bool),
    some("source", Str),
    some("target", Str),
    some("tmpfs", Object(&[some("mode", Text), some("size", WholeText)])),
    must("type", Choice(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"])),
    some("volume", Object(&[some("labels", PAIRS), some("nocopy", Bool), some("subpath", Str)])),
];
