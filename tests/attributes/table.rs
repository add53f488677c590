//! Every form of every attribute that a container, a network or a volume is made from.

use serde_json::{Value, json};

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
    /// What an engine says whose host cannot do it.
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

/// All forms. `DEVICE` stands for a block device of the host.
pub fn forms() -> Vec<Form> {
    [process(), limits(), devices(), host(), networks(), mounts(), deploy()]
        .into_iter()
        .flatten()
        .collect()
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

fn host() -> Vec<Form> {
    vec![
        form!("cap_add", "cap_add: [NET_ADMIN]", "cap_add: [CAP_NET_RAW]")
            .shows("/HostConfig/CapAdd/0", "NET_ADMIN"),
        form!("cap_drop", "cap_drop: [ALL]", "cap_drop: [CHOWN]")
            .shows("/HostConfig/CapDrop/0", "ALL"),
        form!("cgroup", "cgroup: private", "cgroup: host")
            .shows("/HostConfig/CgroupnsMode", "private"),
        form!("cgroup", "", "cgroup: private"),
        form!("cgroup_parent", "cgroup_parent: /t-att-a", "cgroup_parent: /t-att-b")
            .shows("/HostConfig/CgroupParent", "/t-att-a"),
        form!("ipc", "ipc: host", "ipc: none").shows("/HostConfig/IpcMode", "host"),
        form!("ipc", "ipc: shareable", "").shows("/HostConfig/IpcMode", "shareable"),
        form!("ipc", "ipc: private", "ipc: shareable").shows("/HostConfig/IpcMode", "private"),
        form!("ipc", "", "ipc: shareable"),
        form!("ipc", "ipc: 'service:base'", "ipc: 'container:STACK-other-1'"),
        form!("pid", "pid: host", "").shows("/HostConfig/PidMode", "host"),
        form!("pid", "pid: 'service:base'", "pid: 'service:other'"),
        form!("privileged", "privileged: true", "")
            .shows("/HostConfig/Privileged", true)
            .or_host_says("operation not permitted"),
        form!("read_only", "read_only: true", "").shows("/HostConfig/ReadonlyRootfs", true),
        form!("runtime", "runtime: io.containerd.runc.v2", "runtime: runc")
            .shows("/HostConfig/Runtime", "io.containerd.runc.v2"),
        form!(
            "security_opt",
            "security_opt: ['no-new-privileges:true']",
            "security_opt: ['seccomp=unconfined']"
        )
        .shows("/HostConfig/SecurityOpt/0", "no-new-privileges:true"),
        form!(
            "storage_opt",
            "storage_opt: { size: 1g }",
            "storage_opt: { size: 2g }",
            "storage_opt.size"
        )
        .or_host_says("storage-opt"),
        form!(
            "sysctls",
            "sysctls: { kernel.shm_rmid_forced: 1 }",
            "sysctls: ['kernel.shm_rmid_forced=0']",
            "sysctls.kernel.shm_rmid_forced"
        )
        .shows("/HostConfig/Sysctls/kernel.shm_rmid_forced", "1"),
        form!("userns_mode", "userns_mode: host", "").shows("/HostConfig/UsernsMode", "host"),
        form!("uts", "uts: host", "").shows("/HostConfig/UTSMode", "host"),
    ]
}

fn networks() -> Vec<Form> {
    vec![
        form!("dns", "dns: 127.0.0.1", "dns: [127.0.0.2]").shows("/HostConfig/Dns/0", "127.0.0.1"),
        form!("dns_opt", "dns_opt: ['ndots:2']", "dns_opt: ['ndots:3']")
            .shows("/HostConfig/DnsOptions/0", "ndots:2"),
        form!("dns_search", "dns_search: a.example", "dns_search: b.example")
            .shows("/HostConfig/DnsSearch/0", "a.example"),
        form!(
            "external_links",
            "networks: [n], external_links: ['some:alias']",
            "networks: [n], external_links: ['some:else']"
        )
        .shows("/NetworkSettings/Networks/STACK_n/Links/0", "some:alias"),
        form!(
            "links",
            "networks: [n], links: ['base:alias']",
            "networks: [n], links: ['base:else']"
        )
        .shows("/NetworkSettings/Networks/STACK_n/Links/0", "base:alias"),
        form!(
            "mac_address",
            "networks: [n], mac_address: 02:42:0A:00:00:07",
            "networks: [n], mac_address: 02-42-0a-00-00-08"
        )
        .shows("/NetworkSettings/Networks/STACK_n/MacAddress", "02:42:0a:00:00:07")
        .needs(44),
        form!("network_mode", "network_mode: host", "network_mode: none")
            .shows("/HostConfig/NetworkMode", "host"),
        form!("network_mode", "network_mode: bridge", "network_mode: none")
            .shows("/HostConfig/NetworkMode", "bridge"),
        form!("network_mode", "network_mode: 'service:base'", "network_mode: 'service:other'"),
        form!(
            "network_mode",
            "depends_on: [base], network_mode: 'container:STACK-base-1'",
            "network_mode: 'container:STACK-other-1'"
        ),
        form!(
            "networks",
            "networks: [n]",
            "networks: [m]",
            "networks.m",
            "networks.m.aliases",
            "networks.n",
            "networks.n.aliases"
        ),
        form!(
            "networks.*.aliases",
            "networks: { n: { aliases: [a] } }",
            "networks: { n: { aliases: [b] } }",
            "networks.n.aliases"
        ),
        form!(
            "networks.*.driver_opts",
            "networks: { n: { driver_opts: { o: a } } }",
            "networks: { n: { driver_opts: { o: b } } }",
            "networks.n.driver_opts.o"
        )
        .shows("/NetworkSettings/Networks/STACK_n/DriverOpts/o", "a"),
        form!(
            "networks.*.gw_priority",
            "networks: { n: { gw_priority: 1 } }",
            "networks: { n: { gw_priority: 2 } }",
            "networks.n.gw_priority"
        )
        .needs(48),
        form!(
            "networks.*.interface_name",
            "networks: { n: { interface_name: in0 } }",
            "networks: { n: { interface_name: in1 } }",
            "networks.n.interface_name"
        )
        .needs(49),
        form!(
            "networks.*.ipv4_address",
            "networks: { n: { ipv4_address: 10.213.7.100 } }",
            "networks: { n: { ipv4_address: 10.213.7.101 } }",
            "networks.n.ipv4_address"
        )
        .shows("/NetworkSettings/Networks/STACK_n/IPAddress", "10.213.7.100"),
        form!(
            "networks.*.ipv6_address",
            "networks: { n: { ipv6_address: 'fd07:213::64' } }",
            "networks: { n: { ipv6_address: 'fd07:213::65' } }",
            "networks.n.ipv6_address"
        )
        .shows("/NetworkSettings/Networks/STACK_n/GlobalIPv6Address", "fd07:213::64"),
        form!(
            "networks.*.link_local_ips",
            "networks: { n: { link_local_ips: [169.254.7.1] } }",
            "networks: { n: { link_local_ips: [169.254.7.2] } }",
            "networks.n.link_local_ips"
        )
        .shows("/NetworkSettings/Networks/STACK_n/IPAMConfig/LinkLocalIPs/0", "169.254.7.1"),
        form!(
            "networks.*.mac_address",
            "networks: { n: { mac_address: '02:42:0a:00:00:09' } }",
            "networks: { n: {} }",
            "networks.n.mac_address"
        )
        .needs(44),
        form!(
            "ports",
            "networks: [n], ports: ['127.0.0.1:38411:81']",
            "networks: [n], ports: ['38411:81']",
            "ports.81/tcp"
        )
        .shows("/HostConfig/PortBindings/81~1tcp/0/HostPort", "38411"),
        form!(
            "ports",
            "networks: [n], ports: [{ target: 81, protocol: udp, published: '38412', host_ip: 127.0.0.1 }]",
            "networks: [n], ports: [{ target: 81, protocol: udp, published: '38413', host_ip: 127.0.0.1 }]",
            "ports.81/udp"
        ),
        form!(
            "ports",
            "networks: [n], ports: ['127.0.0.1:38420-38421:81']",
            "networks: [n]",
            "ports.81/tcp"
        ),
    ]
}

fn mounts() -> Vec<Form> {
    vec![
        form!("configs", "configs: [{ source: c, target: /x }]", "configs: [{ source: d, target: /x }]", "contents./x"),
        form!(
            "secrets",
            "secrets: [{ source: s, target: /run/x, mode: 0o400, uid: '7' }]",
            "secrets: [{ source: t, target: /run/x, mode: 0o400, uid: '7' }]",
            "contents./run/x"
        ),
        form!("tmpfs", "tmpfs: '/t:size=1m,mode=1700,noexec'", "tmpfs: ['/t:size=2m,mode=1700,noexec']", "volumes./t"),
        form!("volumes", "volumes: ['/tmp:/t:ro']", "volumes: ['/tmp:/t']", "volumes./t")
            .shows("/HostConfig/Binds/0", "/tmp:/t:ro"),
        form!("volumes", "volumes: ['vol:/t']", "volumes: ['vow:/t']", "volumes./t")
            .shows("/HostConfig/Binds/0", "STACK_vol:/t:rw"),
        form!("volumes", "volumes: ['vol:/t:nocopy']", "volumes: ['vow:/t:nocopy']", "volumes./t"),
        form!("volumes", "volumes: [/t]", "", "volumes./t")
            .shows("/HostConfig/Mounts/0/Type", "volume"),
        form!(
            "volumes.*.bind.propagation",
            "volumes: [{ type: bind, source: /tmp, target: /t, bind: { propagation: private } }]",
            "volumes: [{ type: bind, source: /tmp, target: /t, bind: { propagation: rprivate } }]",
            "volumes./t"
        ),
        form!(
            "volumes.*.bind.create_host_path",
            "volumes: [{ type: bind, source: /tmp, target: /t, bind: { create_host_path: false } }]",
            "volumes: [{ type: bind, source: /bin, target: /t, bind: { create_host_path: false } }]",
            "volumes./t"
        )
        .shows("/HostConfig/Mounts/0/Source", "/tmp"),
        form!(
            "volumes.*.bind.recursive",
            "volumes: [{ type: bind, source: /tmp, target: /t, bind: { create_host_path: false, recursive: disabled } }]",
            "volumes: [{ type: bind, source: /tmp, target: /t, bind: { create_host_path: false, recursive: enabled } }]",
            "volumes./t"
        )
        .shows("/HostConfig/Mounts/0/BindOptions/NonRecursive", true),
        form!(
            "volumes.*.bind.recursive",
            "volumes: [{ type: bind, source: /tmp, target: /t, read_only: true, bind: { recursive: writable } }]",
            "volumes: [{ type: bind, source: /tmp, target: /t, read_only: true, bind: { recursive: disabled } }]",
            "volumes./t"
        )
        .needs(44),
        form!(
            "volumes.*.image.subpath",
            "volumes: [{ type: image, source: IMAGE, target: /t, image: { subpath: bin } }]",
            "volumes: [{ type: image, source: IMAGE, target: /t }]",
            "volumes./t"
        )
        .needs(48),
        form!(
            "volumes.*.tmpfs.size",
            "volumes: [{ type: tmpfs, target: /t, tmpfs: { size: 1m } }]",
            "volumes: [{ type: tmpfs, target: /t, tmpfs: { size: 2m } }]",
            "volumes./t"
        )
        .shows("/HostConfig/Mounts/0/TmpfsOptions/SizeBytes", 1 << 20),
        form!(
            "volumes.*.tmpfs.mode",
            "volumes: [{ type: tmpfs, target: /t, tmpfs: { mode: 0o1770 } }]",
            "volumes: [{ type: tmpfs, target: /t }]",
            "volumes./t"
        ),
        form!(
            "volumes.*.volume.labels",
            "volumes: [{ type: volume, target: /t, volume: { labels: { a: '1' } } }]",
            "volumes: [{ type: volume, target: /t, volume: { labels: [a=2] } }]",
            "volumes./t.volume.labels.a"
        )
        .shows("/HostConfig/Mounts/0/VolumeOptions/Labels/a", "1"),
        form!(
            "volumes.*.volume.subpath",
            "volumes: [{ type: volume, source: vol, target: /t, volume: { subpath: a } }]",
            "volumes: [{ type: volume, source: vol, target: /t }]",
            "volumes./t"
        )
        .needs(45),
        form!("volumes_from", "volumes_from: [base]", "volumes_from: ['base:ro']"),
        form!(
            "volumes_from",
            "depends_on: [base], volumes_from: ['container:STACK-base-1:ro']",
            "volumes_from: ['other:ro']"
        ),
    ]
}

fn deploy() -> Vec<Form> {
    vec![
        form!("deploy.replicas", "deploy: { replicas: 1 }", "deploy: { replicas: 2 }", ""),
        form!(
            "deploy.resources.limits.cpus",
            "deploy: { resources: { limits: { cpus: '0.5' } } }",
            "deploy: { resources: { limits: { cpus: '0.25' } } }"
        ),
        form!(
            "deploy.resources.limits.memory",
            "deploy: { resources: { limits: { memory: 64m } } }",
            "deploy: { resources: { limits: { memory: 65m } } }"
        ),
        form!(
            "deploy.resources.limits.pids",
            "deploy: { resources: { limits: { pids: 50 } } }",
            "deploy: { resources: { limits: { pids: 60 } } }"
        ),
        form!(
            "deploy.resources.reservations.memory",
            "deploy: { resources: { reservations: { memory: 32m } } }",
            "deploy: { resources: { reservations: { memory: 33m } } }"
        ),
        form!(
            "deploy.restart_policy",
            "deploy: { restart_policy: { condition: any } }",
            "deploy: { restart_policy: { condition: on-failure, max_attempts: 3 } }"
        )
        .shows("/HostConfig/RestartPolicy", json!({ "Name": "always", "MaximumRetryCount": 0 })),
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
            "enable_ipv6: true, ipam: { config: [{ subnet: 'fd07:215::/64' }, { subnet: 10.213.9.0/28 }] }",
            "ipam: { config: [{ subnet: 'fd07:215::/64' }, { subnet: 10.213.9.0/28 }] }",
        ),
        network(
            "ipam.config",
            "ipam: { config: [{ subnet: 10.213.8.0/28, ip_range: 10.213.8.8/29, gateway: 10.213.8.2, aux_addresses: { a: 10.213.8.3 } }] }",
            "ipam: { config: [{ subnet: 10.213.8.0/28, ip_range: 10.213.8.8/29, gateway: 10.213.8.2, aux_addresses: { a: 10.213.8.4 } }] }",
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
