//! Every form of every attribute that a container, a network or a volume is made from.

mod places;

use serde_json::Value;

/// A form of an attribute, alone in a service.
pub struct Form {
    /// The attribute's path below the service, in the words of `docs/compose.md`.
    pub path: &'static str,
    /// As it is written at first.
    pub before: &'static str,
    /// As it is written then.
    pub after: &'static str,
    /// The fields that the plan then names, below the service.
    pub fields: &'static [&'static str],
    /// Where `docker inspect` shows it at first, and what.
    pub shown: Option<(&'static str, Value)>,
    /// The API version that brought it; an older engine is told of.
    pub needs: u16,
    /// What an engine says whose host cannot do it; one of several texts, with `|` between.
    pub hosts_say: Option<&'static str>,
}

impl Form {
    pub fn shows(self, pointer: &'static str, value: impl Into<Value>) -> Self {
        Self { shown: Some((pointer, value.into())), ..self }
    }

    pub fn needs(self, minor: u16) -> Self {
        Self { needs: minor, ..self }
    }

    pub fn or_host_says(self, text: &'static str) -> Self {
        Self { hosts_say: Some(text), ..self }
    }
}

/// A form of which the plan names another field than its path.
fn named(
    path: &'static str,
    before: &'static str,
    after: &'static str,
    fields: &'static [&'static str],
) -> Form {
    Form { path, before, after, fields, shown: None, needs: 0, hosts_say: None }
}

macro_rules! form {
    ($path:literal, $before:literal, $after:literal) => {
        named($path, $before, $after, &[$path])
    };
    ($path:literal, $before:literal, $after:literal, $($field:literal),+) => {
        named($path, $before, $after, &[$($field),+])
    };
}

use form;

/// All forms. `DEVICE` stands for a block device of the host.
pub fn forms() -> Vec<Form> {
    let here = [process(), limits(), devices()];
    let places = [
        places::host(),
        places::networks(),
        places::endpoints(),
        places::contents(),
        places::mounts(),
        places::deploy(),
    ];
    here.into_iter().chain(places).flatten().collect()
}

fn process() -> Vec<Form> {
    vec![
        form!("annotations", "annotations: { a: b }", "annotations: { a: c }", "annotations.a")
            .needs(43),
        form!("annotations", "annotations: [a=b]", "", "annotations.a").needs(43),
        form!("command", "command: [busybox, sleep, '601']", "command: [busybox, sleep, '602']")
            .shows("/Config/Cmd/2", "601"),
        form!("command", "command: busybox sleep 601", "command: busybox sleep 602")
            .shows("/Config/Cmd/2", "601"),
        form!("container_name", "container_name: t-att-name-a", "container_name: t-att-name-b")
            .shows("/Name", "/t-att-name-a"),
        form!("domainname", "domainname: a.example", "domainname: b.example")
            .shows("/Config/Domainname", "a.example"),
        form!(
            "entrypoint",
            "entrypoint: [busybox, sleep], command: ['600']",
            "entrypoint: [busybox, env, busybox, sleep], command: ['600']"
        )
        .shows("/Config/Entrypoint/1", "sleep"),
        form!("env_file", "env_file: a.env", "env_file: b.env", "environment.FROM")
            .shows("/Config/Env/0", "FROM=a"),
        form!(
            "env_file",
            "env_file: [{ path: a.env, format: raw, required: false }]",
            "env_file: [{ path: none.env, required: false }]",
            "environment.FROM"
        ),
        form!("environment", "environment: { A: '1' }", "environment: { A: '2' }", "environment.A")
            .shows("/Config/Env/0", "A=1"),
        form!("environment", "environment: [A=1]", "environment: { A: }", "environment.A"),
        form!("expose", "expose: ['81/udp']", "expose: [81]", "expose.81/tcp", "expose.81/udp"),
        form!("extra_hosts", "extra_hosts: ['a=127.0.0.1']", "extra_hosts: { a: 127.0.0.2 }")
            .shows("/HostConfig/ExtraHosts/0", "a:127.0.0.1"),
        form!("group_add", "group_add: ['7']", "group_add: ['8']")
            .shows("/HostConfig/GroupAdd/0", "7"),
        form!(
            "healthcheck.test",
            "healthcheck: { test: [CMD, busybox, 'true'] }",
            "healthcheck: { test: busybox true }"
        )
        .shows("/Config/Healthcheck/Test/0", "CMD"),
        form!(
            "healthcheck.interval",
            "healthcheck: { test: busybox true, interval: 1m }",
            "healthcheck: { test: busybox true, interval: 2m }"
        )
        .shows("/Config/Healthcheck/Interval", 60_000_000_000_u64),
        form!(
            "healthcheck.timeout",
            "healthcheck: { test: busybox true, timeout: 3s }",
            "healthcheck: { test: busybox true }"
        ),
        form!(
            "healthcheck.retries",
            "healthcheck: { test: busybox true, retries: 5 }",
            "healthcheck: { test: busybox true, retries: 6 }"
        ),
        form!(
            "healthcheck.start_period",
            "healthcheck: { test: busybox true, start_period: 5s }",
            "healthcheck: { test: busybox true, start_period: 6s }"
        ),
        form!("healthcheck.disable", "healthcheck: { disable: true }", "", "healthcheck.test")
            .shows("/Config/Healthcheck/Test/0", "NONE"),
        form!("hostname", "hostname: a", "hostname: b").shows("/Config/Hostname", "a"),
        form!("init", "init: true", "init: false").shows("/HostConfig/Init", true),
        form!("label_file", "label_file: a.labels", "label_file: [b.labels]", "labels.a")
            .shows("/Config/Labels/a", "1"),
        form!("labels", "labels: { a: '1' }", "labels: [a=2]", "labels.a")
            .shows("/Config/Labels/a", "1"),
        form!("logging.driver", "logging: { driver: local }", "logging: { driver: none }")
            .shows("/HostConfig/LogConfig/Type", "local"),
        form!(
            "logging.options",
            "logging: { options: { max-size: 1m } }",
            "logging: { options: { max-size: 2m } }",
            "logging.options.max-size"
        )
        .shows("/HostConfig/LogConfig/Config/max-size", "1m"),
        form!("restart", "restart: always", "restart: unless-stopped")
            .shows("/HostConfig/RestartPolicy/Name", "always"),
        form!("restart", "restart: on-failure:3", "restart: on-failure")
            .shows("/HostConfig/RestartPolicy/MaximumRetryCount", 3),
        form!("scale", "scale: 1", "scale: 2", ""),
        form!("stdin_open", "stdin_open: true", "").shows("/Config/OpenStdin", true),
        form!("stop_grace_period", "stop_grace_period: 1s", "stop_grace_period: 2s")
            .shows("/Config/StopTimeout", 1),
        form!("stop_signal", "stop_signal: SIGKILL", "stop_signal: SIGINT")
            .shows("/Config/StopSignal", "SIGKILL"),
        form!("tty", "tty: true", "").shows("/Config/Tty", true),
        form!("user", "user: '7'", "user: '7:8'").shows("/Config/User", "7"),
        form!("working_dir", "working_dir: /bin", "working_dir: /tmp")
            .shows("/Config/WorkingDir", "/bin"),
        form!("platform", "platform: linux", "platform: linux/s390x"),
    ]
}

fn limits() -> Vec<Form> {
    vec![
        form!(
            "blkio_config.weight",
            "blkio_config: { weight: 300 }",
            "blkio_config: { weight: 400 }"
        ),
        form!(
            "blkio_config.weight_device",
            "blkio_config: { weight_device: [{ path: DEVICE, weight: 300 }] }",
            "blkio_config: { weight_device: [{ path: DEVICE, weight: 400 }] }",
            "blkio_config.weight_device.DEVICE"
        ),
        form!(
            "blkio_config.device_read_bps",
            "blkio_config: { device_read_bps: [{ path: DEVICE, rate: 1mb }] }",
            "blkio_config: { device_read_bps: [{ path: DEVICE, rate: 2mb }] }",
            "blkio_config.device_read_bps.DEVICE"
        )
        .shows("/HostConfig/BlkioDeviceReadBps/0/Rate", 1 << 20),
        form!(
            "blkio_config.device_write_bps",
            "blkio_config: { device_write_bps: [{ path: DEVICE, rate: 1024 }] }",
            "",
            "blkio_config.device_write_bps.DEVICE"
        )
        .shows("/HostConfig/BlkioDeviceWriteBps/0/Rate", 1024),
        form!(
            "blkio_config.device_read_iops",
            "blkio_config: { device_read_iops: [{ path: DEVICE, rate: 100 }] }",
            "blkio_config: { device_read_iops: [{ path: DEVICE, rate: 200 }] }",
            "blkio_config.device_read_iops.DEVICE"
        )
        .shows("/HostConfig/BlkioDeviceReadIOps/0/Rate", 100),
        form!(
            "blkio_config.device_write_iops",
            "blkio_config: { device_write_iops: [{ path: DEVICE, rate: 100 }] }",
            "blkio_config: { device_write_iops: [{ path: DEVICE, rate: 200 }] }",
            "blkio_config.device_write_iops.DEVICE"
        )
        .shows("/HostConfig/BlkioDeviceWriteIOps/0/Rate", 100),
        form!("cpu_period", "cpu_period: 50000", "cpu_period: 60000")
            .shows("/HostConfig/CpuPeriod", 50000),
        form!("cpu_quota", "cpu_quota: 25000", "cpu_quota: 26000")
            .shows("/HostConfig/CpuQuota", 25000),
        form!("cpu_quota", "cpu_quota: 25000", ""),
        named("cpus", "cpus: 0.25", "cpu_quota: 25000", &["cpu_quota", "cpus"]),
        form!("cpu_rt_period", "cpu_rt_period: 11000", "cpu_rt_period: 12000").or_host_says("cpu"),
        form!("cpu_rt_runtime", "cpu_rt_runtime: 11000", "cpu_rt_runtime: 12000")
            .or_host_says("cpu"),
        form!("cpu_shares", "cpu_shares: 512", "cpu_shares: 256")
            .shows("/HostConfig/CpuShares", 512),
        form!("cpus", "cpus: 0.5", "cpus: 0.25").shows("/HostConfig/NanoCpus", 500_000_000),
        form!("cpuset", "cpuset: '0'", "").shows("/HostConfig/CpusetCpus", "0"),
        form!("mem_limit", "mem_limit: 64m", "mem_limit: 65m")
            .shows("/HostConfig/Memory", 64 << 20),
        form!("mem_limit", "mem_limit: 64m", ""),
        form!("mem_reservation", "mem_reservation: 32m", "mem_reservation: 33m")
            .shows("/HostConfig/MemoryReservation", 32 << 20),
        form!("mem_swappiness", "mem_swappiness: 0", "").shows("/HostConfig/MemorySwappiness", 0),
        form!("mem_swappiness", "mem_swappiness: 10", "mem_swappiness: 0"),
        form!("memswap_limit", "mem_limit: 64m, memswap_limit: -1", "mem_limit: 64m")
            .shows("/HostConfig/MemorySwap", -1),
        form!("memswap_limit", "mem_limit: 64m", "mem_limit: 64m, memswap_limit: -1")
            .shows("/HostConfig/MemorySwap", 128 << 20),
        form!(
            "memswap_limit",
            "mem_limit: 64m, memswap_limit: 96m",
            "mem_limit: 64m, memswap_limit: 97m"
        )
        .shows("/HostConfig/MemorySwap", 96 << 20),
        form!("oom_kill_disable", "mem_limit: 64m, oom_kill_disable: true", "mem_limit: 64m"),
        form!("oom_score_adj", "oom_score_adj: 100", "oom_score_adj: 200")
            .shows("/HostConfig/OomScoreAdj", 100),
        form!("pids_limit", "pids_limit: 50", "pids_limit: 60").shows("/HostConfig/PidsLimit", 50),
        form!("pids_limit", "pids_limit: 50", "pids_limit: -1"),
        form!("shm_size", "shm_size: 32m", "shm_size: 33m").shows("/HostConfig/ShmSize", 32 << 20),
        form!(
            "ulimits",
            "ulimits: { nofile: { soft: 100, hard: 200 } }",
            "ulimits: { nofile: 200 }",
            "ulimits.nofile"
        )
        .shows("/HostConfig/Ulimits/0/Soft", 100),
    ]
}

fn devices() -> Vec<Form> {
    vec![
        form!(
            "device_cgroup_rules",
            "device_cgroup_rules: ['c 1:3 mr']",
            "device_cgroup_rules: ['c 1:3 rw']"
        )
        .shows("/HostConfig/DeviceCgroupRules/0", "c 1:3 mr"),
        form!(
            "devices",
            "devices: ['/dev/null:/dev/x:r']",
            "devices: [{ source: /dev/null, target: /dev/x }]",
            "devices./dev/x"
        )
        .shows("/HostConfig/Devices/0/CgroupPermissions", "r"),
        form!(
            "devices",
            "devices: ['vendor.example/kind=one']",
            "devices: ['vendor.example/kind=two']"
        )
            .or_host_says("could not select device driver|unresolvable CDI devices"),
        form!(
            "devices",
            "devices: [{ source: /dev/null, target: /dev/y, permissions: r }]",
            "devices: [{ source: /dev/zero, target: /dev/y, permissions: r }]",
            "devices./dev/y"
        )
        .shows("/HostConfig/Devices/0/PathOnHost", "/dev/null"),
        form!(
            "deploy.resources.reservations.devices",
            "deploy: { resources: { reservations: { devices: [{ driver: d, capabilities: [tpu], device_ids: [a], options: { o: v } }] } } }",
            "deploy: { resources: { reservations: { devices: [{ driver: d, capabilities: [tpu], device_ids: [a], options: { o: w } }] } } }",
            "deploy.resources.reservations.devices.0.options.o"
        )
        .or_host_says("could not select device driver"),
        form!("gpus", "gpus: all", "gpus: [{ count: 1 }]")
            .or_host_says("could not select device driver"),
        form!(
            "gpus",
            "gpus: [{ driver: d, device_ids: [a], capabilities: [video], options: { o: v } }]",
            "gpus: [{ driver: d, device_ids: [b], capabilities: [video], options: { o: v } }]"
        )
        .or_host_says("could not select device driver"),
        form!(
            "deploy.resources.reservations.devices",
            "deploy: { resources: { reservations: { devices: [{ capabilities: [gpu], count: 1 }] } } }",
            "deploy: { resources: { reservations: { devices: [{ capabilities: [gpu], count: 2 }] } } }"
        )
        .or_host_says("could not select device driver"),
    ]
}

/// A form of an attribute of a network or volume.
pub struct Resource {
    /// `networks` or `volumes`.
    pub kind: &'static str,
    /// The attribute's path below it.
    pub path: &'static str,
    pub before: &'static str,
    pub after: &'static str,
    pub needs: u16,
}

/// All forms of networks and volumes.
pub fn resources() -> Vec<Resource> {
    let network =
        |path, before, after| Resource { kind: "networks", path, before, after, needs: 0 };
    let volume = |path, before, after| Resource { kind: "volumes", path, before, after, needs: 0 };
    vec![
        network("internal", "internal: true", ""),
        network("attachable", "attachable: true", ""),
        network(
            "driver_opts.com.docker.network.driver.mtu",
            "driver_opts: { com.docker.network.driver.mtu: 1400 }",
            "driver_opts: { com.docker.network.driver.mtu: '1300' }",
        ),
        network("driver", "driver: bridge", "driver: macvlan"),
        Resource {
            needs: 48,
            ..network(
                "enable_ipv4",
                "enable_ipv4: false, enable_ipv6: true, ipam: { config: [{ subnet: 'fd07:214::/64' }] }",
                "enable_ipv4: true, enable_ipv6: true, ipam: { config: [{ subnet: 'fd07:214::/64' }] }",
            )
        },
        network(
            "enable_ipv6",
            "enable_ipv6: true, ipam: { config: [{ subnet: 'fd07:215::/64' }, { subnet: 10.217.9.0/28 }] }",
            "ipam: { config: [{ subnet: 'fd07:215::/64' }, { subnet: 10.217.9.0/28 }] }",
        ),
        network(
            "ipam.config",
            "ipam: { config: [{ subnet: 10.217.8.0/28, ip_range: 10.217.8.8/29, gateway: 10.217.8.2, aux_addresses: { a: 10.217.8.3 } }] }",
            "ipam: { config: [{ subnet: 10.217.8.0/28, ip_range: 10.217.8.8/29, gateway: 10.217.8.2, aux_addresses: { a: 10.217.8.4 } }] }",
        ),
        network("labels.a", "labels: { a: '1' }", "labels: [a=2]"),
        volume(
            "driver_opts.o",
            "driver_opts: { type: tmpfs, device: tmpfs, o: size=1m }",
            "driver_opts: { type: tmpfs, device: tmpfs, o: size=2m }",
        ),
        volume("labels.a", "labels: { a: '1' }", "labels: [a=2]"),
        volume("driver", "driver: local", "driver: other"),
    ]
}
