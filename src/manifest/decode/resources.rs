//! What a service may use of its host. It never looks at the host.

use super::{At, flag, pairs, section, text, texts};
use crate::manifest::node::Node;
use crate::manifest::units;
use crate::model::{Blkio, ContainerSpec, Device, DeviceRequest, Limits, Ulimit};
use std::collections::BTreeMap;

/// `spec` with the limits and devices of a service.
pub(crate) fn resources(spec: ContainerSpec, node: &Node, at: &mut At<'_>) -> ContainerSpec {
    let limits = limits(node, at);
    if limits.nano_cpus.is_some() && (limits.cpu_period.is_some() || limits.cpu_quota.is_some()) {
        let key = if limits.cpu_quota.is_some() { "cpu_quota" } else { "cpu_period" };
        let mark = node.get(key).map(Node::place).unwrap_or_default();
        at.fail(mark, key, "excludes `cpus`, which says the same; keep one of them");
    }
    let adjustment = at.number::<i64>(node, "oom_score_adj").unwrap_or(0);
    if !(-1000..=1000).contains(&adjustment) {
        let mark = node.get("oom_score_adj").map(Node::place).unwrap_or_default();
        at.fail(mark, "oom_score_adj", "is a number from -1000 to 1000");
    }
    ContainerSpec {
        limits,
        blkio: node.get("blkio_config").map(|node| blkio(node, at)).unwrap_or_default(),
        cpu_rt_period: microseconds(node, "cpu_rt_period", at),
        cpu_rt_runtime: microseconds(node, "cpu_rt_runtime", at),
        mem_swappiness: swappiness(node, at),
        oom_kill_disable: flag(node, "oom_kill_disable"),
        oom_score_adj: adjustment,
        ulimits: ulimits(node, at),
        devices: devices(node),
        device_requests: device_requests(node, at),
        device_cgroup_rules: texts(node, "device_cgroup_rules"),
        ..spec
    }
}

fn swappiness(node: &Node, at: &mut At<'_>) -> Option<u8> {
    let percent: u8 = at.number(node, "mem_swappiness")?;
    if percent > 100 {
        let mark = node.get("mem_swappiness").map(Node::place).unwrap_or_default();
        at.fail(mark, "mem_swappiness", "is a number from 0 to 100");
    }
    Some(percent)
}

/// Microseconds, as a number or as a duration; 0 says nothing.
fn microseconds(node: &Node, key: &str, at: &mut At<'_>) -> Option<u64> {
    let written = node.get(key)?.as_str();
    if let Some(duration) = written.and_then(|text| units::parse_duration(text).ok()) {
        return u64::try_from(duration.as_micros()).ok().filter(|micros| *micros > 0);
    }
    at.number(node, key).filter(|micros| *micros > 0)
}

fn blkio(node: &Node, at: &mut At<'_>) -> Blkio {
    let weights = node.get("weight_device").map(Node::items).unwrap_or_default();
    Blkio {
        weight: at.number(node, "weight").filter(|weight| *weight > 0),
        weight_device: weights
            .iter()
            .filter_map(|item| Some((text(item, "path")?, at.number(item, "weight")?)))
            .collect(),
        device_read_bps: rates(node, "device_read_bps", at),
        device_write_bps: rates(node, "device_write_bps", at),
        device_read_iops: rates(node, "device_read_iops", at),
        device_write_iops: rates(node, "device_write_iops", at),
    }
}

/// Rates by device; those in bytes may have a unit.
fn rates(node: &Node, key: &str, at: &mut At<'_>) -> BTreeMap<String, u64> {
    let mut rates = BTreeMap::new();
    for item in node.get(key).map(Node::items).unwrap_or_default() {
        let (Some(path), Some(rate)) = (text(item, "path"), item.get("rate")) else { continue };
        let written = rate.text().unwrap_or_default();
        match units::parse_bytes(&written).ok().and_then(|bytes| u64::try_from(bytes).ok()) {
            Some(rate) => drop(rates.insert(path, rate)),
            None => {
                at.fail(
                    rate.mark,
                    &format!("blkio_config.{key}"),
                    format!("`{written}` is no rate"),
                );
            }
        }
    }
    rates
}

/// A device by its kind and name (`vendor.com/class=name`) instead of its path.
fn is_named_by_kind(source: &str) -> bool {
    let named = source.split_once('=').is_some_and(|(kind, _)| kind.contains('/'));
    named && !source.starts_with('/')
}

/// What `gpus`, `devices` by kind and `deploy.resources.reservations.devices` ask for.
fn device_requests(node: &Node, at: &mut At<'_>) -> Vec<DeviceRequest> {
    let mut requests = Vec::new();
    if let Some(gpus) = node.get("gpus") {
        let all = gpus.as_str() == Some("all");
        let gpu = |mut request: DeviceRequest| {
            request.capabilities.insert("gpu".to_owned());
            request
        };
        if all {
            requests.push(gpu(DeviceRequest { count: -1, ..DeviceRequest::default() }));
        }
        requests.extend(gpus.items().iter().map(|item| gpu(device_request(item, "gpus", at))));
    }
    let reserved = node
        .get("deploy")
        .and_then(|deploy| deploy.get("resources")?.get("reservations")?.get("devices"));
    for item in reserved.map(Node::items).unwrap_or_default() {
        requests.push(device_request(item, "deploy.resources.reservations.devices", at));
    }
    let by_kind = node.get("devices").map(Node::items).unwrap_or_default().iter();
    let by_kind = by_kind.filter_map(|item| text(item, "source")).filter(|s| is_named_by_kind(s));
    requests.extend(by_kind.map(|name| DeviceRequest {
        driver: Some("cdi".to_owned()),
        device_ids: [name].into(),
        ..DeviceRequest::default()
    }));
    requests
}

fn device_request(node: &Node, key: &str, at: &mut At<'_>) -> DeviceRequest {
    let all = node.get("count").is_some_and(|count| count.as_str() == Some("all"));
    let count = if all { Some(-1) } else { at.number(node, "count") };
    let request = DeviceRequest {
        driver: text(node, "driver"),
        count: count.unwrap_or(0),
        device_ids: texts(node, "device_ids"),
        capabilities: texts(node, "capabilities"),
        options: pairs(node, "options"),
    };
    if count.is_some_and(|count| count != -1 || all) && !request.device_ids.is_empty() {
        at.fail(node.place(), key, "`count` and `device_ids` exclude each other");
    }
    match (request.device_ids.is_empty(), request.count) {
        (true, 0) => DeviceRequest { count: -1, ..request },
        (false, _) => DeviceRequest { count: 0, ..request },
        _ => request,
    }
}

fn limits(node: &Node, at: &mut At<'_>) -> Limits {
    let resources = node.get("deploy").and_then(|deploy| deploy.get("resources"));
    let hard = resources.and_then(|resources| resources.get("limits"));
    let soft = resources.and_then(|resources| resources.get("reservations"));
    let cpus = hard.and_then(|hard| hard.get("cpus")).or_else(|| node.get("cpus"));
    let memory = hard.and_then(|hard| at.number(hard, "memory"));
    let reserved = soft.and_then(|soft| at.number(soft, "memory"));
    let pids: Option<i64> = hard.and_then(|hard| at.number(hard, "pids"));
    Limits {
        nano_cpus: cpus.and_then(|cpus| nano_cpus(cpus, at)),
        cpu_shares: at.number(node, "cpu_shares").filter(|shares| *shares > 0),
        cpuset: text(node, "cpuset"),
        cpu_period: microseconds(node, "cpu_period", at),
        cpu_quota: microseconds(node, "cpu_quota", at),
        memory: memory.or_else(|| at.number(node, "mem_limit")).filter(|bytes| *bytes > 0),
        memory_reservation: reserved
            .or_else(|| at.number(node, "mem_reservation"))
            .filter(|bytes| *bytes > 0),
        memory_swap: at.number(node, "memswap_limit").filter(|bytes| *bytes != 0),
        pids: pids.or_else(|| at.number(node, "pids_limit")).filter(|pids| *pids != 0),
    }
}

fn nano_cpus(node: &Node, at: &mut At<'_>) -> Option<u64> {
    let cpus: f64 = node.text()?.parse().ok()?;
    if !(0.0..1e6).contains(&cpus) {
        at.fail(node.mark, "cpus", format!("`{cpus}` is no number of CPUs"));
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range checked")]
    let nanos = (cpus * 1e9).round() as u64;
    (nanos > 0).then_some(nanos)
}

fn ulimits(node: &Node, at: &mut At<'_>) -> BTreeMap<String, Ulimit> {
    let mut ulimits = BTreeMap::new();
    for (name, value) in section(node, "ulimits") {
        let single = value.as_int().and_then(|number| i64::try_from(number).ok());
        let ulimit = match single {
            Some(both) => Some(Ulimit { soft: both, hard: both }),
            None => at
                .number(value, "soft")
                .zip(at.number(value, "hard"))
                .map(|(soft, hard)| Ulimit { soft, hard }),
        };
        ulimits.extend(ulimit.map(|ulimit| (name.to_string(), ulimit)));
    }
    ulimits
}

fn devices(node: &Node) -> BTreeMap<String, Device> {
    let items = node.get("devices").map(Node::items).unwrap_or_default();
    let device = |item: &Node| {
        let source = text(item, "source").filter(|source| !is_named_by_kind(source))?;
        let target = text(item, "target").unwrap_or_else(|| source.clone());
        let permissions = text(item, "permissions").unwrap_or_else(|| "rwm".to_owned());
        Some((target, Device { source, permissions }))
    };
    items.iter().filter_map(device).collect()
}
