//! One service. It never looks at another one.

use super::{
    At, Whole, deliver, duration, flag, hooks, mounts, network, pairs, resources, rolling, section,
    text, texts,
};
use crate::manifest::node::{Node, Text};
use crate::manifest::{Content, Request};
use crate::model::{
    Condition, ContainerPort, ContainerSpec, Dependency, Healthcheck, HostPorts, ImageRef, Logging,
    Platform, PortBinding, Protocol, PullPolicy, RestartPolicy, Service, ServiceName, VolumesFrom,
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn service(
    whole: &Whole<'_>,
    key: &str,
    node: &Node,
    contents: &BTreeMap<String, Content>,
    request: &Request,
    at: &mut At<'_>,
) -> Option<Service> {
    let mut container = container(whole, key, node, at)?;
    let on_content_change = whole.settings.on_content_change(key);
    deliver::deliver(whole.root, node, contents, request, &on_content_change, &mut container, at);
    let deploy = node.get("deploy");
    let scale = at.number(node, "scale");
    let replicas = deploy.and_then(|deploy| at.number(deploy, "replicas"));
    let mode = deploy.and_then(|deploy| text(deploy, "mode")).unwrap_or_default();
    let replicas = if mode.starts_with("global") { 1 } else { replicas.or(scale).unwrap_or(1) };
    let settings = whole.settings.rolling(key);
    let rolling = rolling::rolling(node, &settings, &container, replicas, at);
    Some(Service {
        container: Box::new(container),
        container_name: text(node, "container_name"),
        replicas,
        depends_on: depends_on(node),
        hooks: hooks::hooks(node, at),
        drain: whole.settings.drain(key),
        pull_policy: pull_policy(node, at),
        on_content_change,
        rolling,
        one_shot: mode.ends_with("-job") || says_not_to_restart(node),
    })
}

/// Whether "no restart" is spelled out, rather than the default.
fn says_not_to_restart(node: &Node) -> bool {
    let policy = node.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
    match policy.and_then(|policy| text(policy, "condition")) {
        Some(condition) => condition == "none",
        None => text(node, "restart").as_deref() == Some("no"),
    }
}

fn container(whole: &Whole<'_>, key: &str, node: &Node, at: &mut At<'_>) -> Option<ContainerSpec> {
    let image = node.get("image")?;
    let image_ref = match ImageRef::written(image.as_str().unwrap_or_default()) {
        Ok(image_ref) => image_ref,
        Err(error) => {
            at.fail(image.mark, "image", error.to_string());
            return None;
        }
    };
    let words = |key: &str| node.get(key).map(|_| texts(node, key));
    Some(ContainerSpec {
        entrypoint: words("entrypoint"),
        command: words("command"),
        environment: section(node, "environment")
            .map(|(key, value)| (key.to_string(), value.text()))
            .collect(),
        labels: pairs(node, "labels"),
        annotations: pairs(node, "annotations"),
        platform: platform(node, at),
        user: text(node, "user"),
        working_dir: text(node, "working_dir"),
        hostname: text(node, "hostname"),
        domainname: text(node, "domainname"),
        ports: ports(node, at),
        expose: expose(node, at),
        mounts: mounts::mounts(whole.root, node, at),
        networking: network::networking(whole, key, node, at),
        restart: restart(node, at),
        healthcheck: node.get("healthcheck").and_then(|node| healthcheck(node, at)),
        volumes_from: volumes_from(whole, node, at),
        shm_size: at.number(node, "shm_size").filter(|size| *size > 0),
        cap_add: capabilities(node, "cap_add"),
        cap_drop: capabilities(node, "cap_drop"),
        privileged: flag(node, "privileged"),
        read_only: flag(node, "read_only"),
        init: node.get("init").and_then(Node::as_bool),
        tty: flag(node, "tty"),
        stdin_open: flag(node, "stdin_open"),
        security_opt: texts(node, "security_opt"),
        sysctls: pairs(node, "sysctls"),
        group_add: texts(node, "group_add"),
        dns: texts(node, "dns"),
        dns_search: texts(node, "dns_search"),
        dns_opt: texts(node, "dns_opt"),
        extra_hosts: texts::<Vec<_>>(node, "extra_hosts")
            .iter()
            .map(|entry| entry.replacen('=', ":", 1))
            .collect(),
        stop_signal: text(node, "stop_signal"),
        stop_grace_period: duration(node, "stop_grace_period"),
        logging: node
            .get("logging")
            .map(|node| Logging { driver: text(node, "driver"), options: pairs(node, "options") }),
        pid: namespace(whole, node, "pid", at),
        ipc: namespace(whole, node, "ipc", at),
        uts: namespace(whole, node, "uts", at),
        userns_mode: namespace(whole, node, "userns_mode", at),
        cgroup: text(node, "cgroup"),
        cgroup_parent: text(node, "cgroup_parent"),
        storage_opt: pairs(node, "storage_opt"),
        runtime: text(node, "runtime"),
        ..resources::resources(ContainerSpec::new(image_ref), node, at)
    })
}

/// A namespace; one of another container by that container's name.
fn namespace(whole: &Whole<'_>, node: &Node, key: &str, at: &mut At<'_>) -> Option<String> {
    let mode = text(node, key)?;
    let mark = node.get(key).map(Node::place).unwrap_or_default();
    let shared = whole.shared_container(&mode);
    let allowed: &[&str] = match key {
        "ipc" => &["none", "private", "shareable", "host"],
        "pid" => &["host", "private"],
        _ => &["host"],
    };
    match shared {
        Some(container) if ["ipc", "pid"].contains(&key) && !container.is_empty() => {
            Some(format!("container:{container}"))
        }
        None if mode == "private" && key == "pid" => None,
        None if allowed.contains(&mode.as_str()) => Some(mode),
        _ => {
            let more =
                if ["ipc", "pid"].contains(&key) { ", service:NAME, container:NAME" } else { "" };
            let message = format!("`{mode}` is none of: {}{more}", allowed.join(", "));
            at.fail(mark, key, message);
            None
        }
    }
}

fn platform(node: &Node, at: &mut At<'_>) -> Option<Platform> {
    let written = node.get("platform")?;
    match written.as_str().unwrap_or_default().parse() {
        Ok(platform) => Some(platform),
        Err(message) => {
            at.fail(written.mark, "platform", message);
            None
        }
    }
}

/// `SERVICE[:ro]` and `container:NAME[:ro]`.
fn volumes_from(whole: &Whole<'_>, node: &Node, at: &mut At<'_>) -> Vec<VolumesFrom> {
    let mut all = Vec::new();
    for item in node.get("volumes_from").map(Node::items).unwrap_or_default() {
        let written = item.as_str().unwrap_or_default();
        let (foreign, rest) = match written.strip_prefix("container:") {
            Some(rest) => (true, rest),
            None => (false, written),
        };
        let (name, mode) = rest.split_once(':').unwrap_or((rest, "rw"));
        if name.is_empty() || !["ro", "rw"].contains(&mode) {
            let message = format!("`{written}` is no SERVICE[:ro] or container:NAME[:ro]");
            at.fail(item.mark, "volumes_from", message);
            continue;
        }
        let container = if foreign { name.to_owned() } else { whole.first_container(name) };
        all.push(VolumesFrom { container, read_only: mode == "ro" });
    }
    all
}

fn capabilities(node: &Node, key: &str) -> BTreeSet<String> {
    let plain = |name: &String| {
        let upper = name.to_ascii_uppercase();
        upper.strip_prefix("CAP_").map(str::to_owned).unwrap_or(upper)
    };
    texts::<Vec<_>>(node, key).iter().map(plain).collect()
}

fn protocol(text: &str) -> Protocol {
    match text {
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

fn ports(node: &Node, at: &mut At<'_>) -> BTreeSet<PortBinding> {
    let mut bindings = BTreeSet::new();
    for item in node.get("ports").map(Node::items).unwrap_or_default() {
        let Some(port) = at.number(item, "target") else { continue };
        let published = text(item, "published").filter(|text| text != "0");
        let host = published.as_deref().map(host_ports);
        if host == Some(None) {
            at.fail(item.mark, "ports", "`published` is a port or a range of ports");
        }
        bindings.insert(PortBinding {
            container: ContainerPort {
                port,
                protocol: protocol(&text(item, "protocol").unwrap_or_default()),
            },
            host_ip: at.parsed(item, "host_ip", "IP address"),
            host: host.flatten(),
        });
    }
    bindings
}

fn host_ports(text: &str) -> Option<HostPorts> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(HostPorts { first, last })
}

fn expose(node: &Node, at: &mut At<'_>) -> BTreeSet<ContainerPort> {
    let mut exposed = BTreeSet::new();
    for item in node.get("expose").map(Node::items).unwrap_or_default() {
        let written = item.as_str().unwrap_or_default();
        let (range, name) = written.split_once('/').unwrap_or((written, "tcp"));
        match host_ports(range).filter(|ports| ports.first > 0) {
            Some(ports) => exposed.extend(
                (ports.first..=ports.last)
                    .map(|port| ContainerPort { port, protocol: protocol(name) }),
            ),
            None => at.fail(item.mark, "expose", format!("`{written}` is no port")),
        }
    }
    exposed
}

fn restart(node: &Node, at: &mut At<'_>) -> RestartPolicy {
    if let Some(policy) = node.get("deploy").and_then(|deploy| deploy.get("restart_policy")) {
        let max_retries = at.number(policy, "max_attempts").unwrap_or(0);
        return match text(policy, "condition").as_deref() {
            Some("none") => RestartPolicy::No,
            Some("on-failure") => RestartPolicy::OnFailure { max_retries },
            _ => RestartPolicy::Always,
        };
    }
    let Some(written) = node.get("restart") else { return RestartPolicy::No };
    let text = written.as_str().unwrap_or_default();
    match text {
        "" | "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        "on-failure" => RestartPolicy::OnFailure { max_retries: 0 },
        _ => {
            if let Some(max_retries) =
                text.strip_prefix("on-failure:").and_then(|count| count.parse().ok())
            {
                RestartPolicy::OnFailure { max_retries }
            } else {
                let message = format!(
                    "`{text}` is none of: no, always, on-failure, on-failure:N, unless-stopped"
                );
                at.fail(written.mark, "restart", message);
                RestartPolicy::No
            }
        }
    }
}

fn healthcheck(node: &Node, at: &mut At<'_>) -> Option<Healthcheck> {
    if flag(node, "disable") {
        return Some(Healthcheck { test: Some(vec!["NONE".to_owned()]), ..Healthcheck::default() });
    }
    let test: Vec<String> = texts(node, "test");
    let check = Healthcheck {
        test: (!test.is_empty()).then_some(test),
        interval: duration(node, "interval"),
        timeout: duration(node, "timeout"),
        retries: at.number(node, "retries"),
        start_period: duration(node, "start_period"),
        start_interval: duration(node, "start_interval"),
    };
    (check != Healthcheck::default()).then_some(check)
}

fn depends_on(node: &Node) -> BTreeMap<ServiceName, Dependency> {
    let dependency = |(name, value): (&Text, &Node)| {
        let condition = match text(value, "condition").as_deref() {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            _ => Condition::Started,
        };
        let required = value.get("required").and_then(Node::as_bool).unwrap_or(true);
        let dependency = Dependency { condition, restart: flag(value, "restart"), required };
        Some((ServiceName::new(name.as_str()).ok()?, dependency))
    };
    section(node, "depends_on").filter_map(dependency).collect()
}

fn pull_policy(node: &Node, at: &mut At<'_>) -> PullPolicy {
    let Some(written) = node.get("pull_policy") else { return PullPolicy::Missing };
    let text = written.as_str().unwrap_or_default();
    let every = match text {
        "daily" => Some("1d"),
        "weekly" => Some("1w"),
        _ => text.strip_prefix("every_"),
    };
    match (text, every.map(crate::manifest::units::parse_duration)) {
        ("missing", _) => PullPolicy::Missing,
        ("always", _) => PullPolicy::Always,
        ("never", _) => PullPolicy::Never,
        (_, Some(Ok(period))) => PullPolicy::Every(period),
        _ => {
            let message = format!(
                "`{text}` is none of: missing, always, never, daily, weekly, every_<duration>"
            );
            at.fail(written.mark, "pull_policy", message);
            PullPolicy::Missing
        }
    }
}
