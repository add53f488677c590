//! Forms of what ties a container to its host, to networks, to volumes and to its stack.

use super::{Form, form, named};
use serde_json::json;

pub fn host() -> Vec<Form> {
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

pub fn networks() -> Vec<Form> {
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
        .shows("/NetworkSettings/Networks/STACK_n/MacAddress", "02:42:0a:00:00:07"),
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

pub fn endpoints() -> Vec<Form> {
    vec![
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
            "networks: { n: { ipv4_address: 10.217.7.100 } }",
            "networks: { n: { ipv4_address: 10.217.7.101 } }",
            "networks.n.ipv4_address"
        )
        .shows("/NetworkSettings/Networks/STACK_n/IPAddress", "10.217.7.100"),
        form!(
            "networks.*.ipv6_address",
            "networks: { n: { ipv6_address: 'fd07:217::64' } }",
            "networks: { n: { ipv6_address: 'fd07:217::65' } }",
            "networks.n.ipv6_address"
        )
        .shows("/NetworkSettings/Networks/STACK_n/GlobalIPv6Address", "fd07:217::64"),
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
        .shows("/NetworkSettings/Networks/STACK_n/MacAddress", "02:42:0a:00:00:09"),
        form!(
            "networks.*.mac_address",
            "networks: { m: {}, n: { mac_address: '02:42:0a:00:00:0a' } }",
            "networks: { m: {}, n: {} }",
            "networks.n.mac_address"
        )
        .needs(44),
    ]
}

pub fn contents() -> Vec<Form> {
    vec![
        form!(
            "configs",
            "configs: [{ source: c, target: /x }]",
            "configs: [{ source: d, target: /x }]",
            "configs./x"
        ),
        form!(
            "configs",
            "configs: [{ source: c, target: /x, uid: '7', gid: '8', mode: 0o400 }]",
            "configs: [{ source: c, target: /x, uid: '7', gid: '8', mode: 0o440 }]",
            "configs./x"
        ),
        form!(
            "secrets",
            "secrets: [s]",
            "secrets: [{ source: t, target: s }]",
            "secrets./run/secrets/s"
        ),
        form!(
            "secrets",
            "secrets: [{ source: s, target: /x, mode: 0o400, uid: '7' }]",
            "secrets: [{ source: s, target: /x, mode: 0o400, gid: '7' }]",
            "secrets./x"
        ),
        form!(
            "tmpfs",
            "tmpfs: '/t:size=1m,mode=1700,noexec'",
            "tmpfs: ['/t:size=2m,mode=1700,noexec']",
            "tmpfs./t"
        ),
        form!("volumes", "volumes: ['/tmp:/t:ro']", "volumes: ['/tmp:/t']", "volumes./t")
            .shows("/HostConfig/Binds/0", "/tmp:/t:ro"),
        form!("volumes", "volumes: ['vol:/t']", "volumes: ['vow:/t']", "volumes./t")
            .shows("/HostConfig/Binds/0", "STACK_vol:/t:rw"),
        form!("volumes", "volumes: ['vol:/t:nocopy']", "volumes: ['vow:/t:nocopy']", "volumes./t"),
        form!(
            "volumes.*.volume.nocopy",
            "volumes: [{ type: volume, source: vol, target: /t, volume: { nocopy: true } }]",
            "volumes: [{ type: volume, source: vow, target: /t, volume: { nocopy: true } }]",
            "volumes./t"
        )
        .shows("/HostConfig/Mounts/0/VolumeOptions/NoCopy", true),
        form!(
            "volumes.*.bind.selinux",
            "volumes: [{ type: bind, source: /tmp/t-att-z, target: /t, bind: { selinux: z } }]",
            "volumes: [{ type: bind, source: /tmp/t-att-z, target: /t, bind: { selinux: Z } }]",
            "volumes./t"
        )
        .shows("/HostConfig/Binds/0", "/tmp/t-att-z:/t:rw,z"),
        form!("volumes", "volumes: [/t]", "", "volumes./t")
            .shows("/HostConfig/Mounts/0/Type", "volume"),
    ]
}

pub fn mounts() -> Vec<Form> {
    vec![
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
            "volumes.*.image",
            "volumes: [{ type: image, source: IMAGE, target: /t }]",
            "",
            "volumes./t"
        )
        .needs(48),
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
        .needs(45)
        .or_host_says("no such file or directory"),
        form!("volumes_from", "volumes_from: [base]", "volumes_from: ['base:ro']"),
        form!(
            "volumes_from",
            "depends_on: [base], volumes_from: ['container:STACK-base-1:ro']",
            "volumes_from: ['other:ro']"
        ),
    ]
}

pub fn deploy() -> Vec<Form> {
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
