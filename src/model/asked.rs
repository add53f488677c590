//! What was asked for, as far as the engine does not tell it back: it fills in its own choice where
//! nothing was asked, and drops what its kernel cannot do. Kept on the container as a label.

use super::{Blkio, ContainerSpec, Networking, labels};
use std::collections::BTreeMap;

/// The label that notes what `spec` asks for; none for most containers.
pub fn asked(spec: &ContainerSpec) -> Option<String> {
    let mut notes = BTreeMap::new();
    let mut note = |key: &str, value: Option<String>| {
        notes.extend(value.filter(|value| !value.is_empty()).map(|value| (key.to_owned(), value)));
    };
    note("ipc", spec.ipc.clone());
    note("cgroup", spec.cgroup.clone());
    note("mem_swappiness", spec.mem_swappiness.map(|value| value.to_string()));
    note("runtime", spec.runtime.clone());
    note("shm_size", spec.shm_size.map(|size| size.to_string()));
    for (name, limit) in &spec.ulimits {
        note(&format!("{ULIMIT}{name}"), Some(format!("{}:{}", limit.soft, limit.hard)));
    }
    note("oom_kill_disable", spec.oom_kill_disable.then(|| "true".to_owned()));
    note("blkio_config.weight", spec.blkio.weight.map(|weight| weight.to_string()));
    for (device, weight) in &spec.blkio.weight_device {
        note(&format!("{WEIGHT_DEVICE}{device}"), Some(weight.to_string()));
    }
    if let Networking::Networks(networks) = &spec.networking {
        for (network, endpoint) in networks {
            note(&format!("{MAC_ADDRESS}{network}"), endpoint.mac_address.clone());
        }
    }
    (!notes.is_empty())
        .then(|| serde_json::to_string(&notes).expect("a map of texts is always a JSON object"))
}

/// What a bound of the kernel's is noted under.
const ULIMIT: &str = "ulimits.";
/// What the weight of a device is noted under.
const WEIGHT_DEVICE: &str = "blkio_config.weight_device.";
/// What the hardware address on a network is noted under.
const MAC_ADDRESS: &str = "mac_address.";

/// Brings `spec`, as the engine tells it, to what was asked for: what the engine chose is left out,
/// and what it dropped is there. Its `labels` must be there already.
pub fn recall(spec: &mut ContainerSpec) {
    // A label that cannot be read says the same as none.
    let notes: BTreeMap<String, String> = spec
        .labels
        .get(labels::ASKED)
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let chosen = |key: &str| !notes.contains_key(key);
    spec.ipc.take_if(|mode| chosen("ipc") && ["private", "shareable"].contains(&mode.as_str()));
    spec.cgroup.take_if(|_| chosen("cgroup"));
    // The engine's own settings may give each of these to all containers.
    spec.runtime.take_if(|_| chosen("runtime"));
    spec.shm_size.take_if(|_| chosen("shm_size"));
    spec.ulimits.retain(|name, _| !chosen(&format!("{ULIMIT}{name}")));
    let swappiness = || notes.get("mem_swappiness")?.parse().ok();
    spec.mem_swappiness = spec.mem_swappiness.or_else(swappiness);
    spec.oom_kill_disable |= notes.contains_key("oom_kill_disable");
    recall_weights(&mut spec.blkio, &notes);
    if let Networking::Networks(networks) = &mut spec.networking {
        for (network, endpoint) in networks {
            let noted = notes.get(&format!("{MAC_ADDRESS}{network}"));
            endpoint.mac_address = match (endpoint.mac_address.take(), noted) {
                (_, None) => None,
                (Some(told), Some(_)) => Some(told),
                (None, Some(noted)) => Some(noted.clone()),
            };
        }
    }
}

fn recall_weights(blkio: &mut Blkio, notes: &BTreeMap<String, String>) {
    let weight = |text: &String| text.parse::<u16>().ok();
    blkio.weight = blkio.weight.or_else(|| notes.get("blkio_config.weight").and_then(weight));
    for (key, text) in notes {
        if let Some((device, weight)) = key.strip_prefix(WEIGHT_DEVICE).zip(weight(text)) {
            blkio.weight_device.entry(device.to_owned()).or_insert(weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Endpoint, ImageRef};

    fn spec() -> ContainerSpec {
        ContainerSpec::new(ImageRef::new("app:1").unwrap())
    }

    #[test]
    fn nothing_is_noted_of_what_the_engine_tells_itself() {
        assert_eq!(asked(&spec()), None);
    }

    #[test]
    fn what_the_engine_chose_is_left_out_and_what_was_asked_for_stays() {
        let mut told = spec();
        (told.ipc, told.cgroup) = (Some("private".to_owned()), Some("host".to_owned()));
        let endpoint =
            Endpoint { mac_address: Some("02:00:00:00:00:01".into()), ..Endpoint::default() };
        told.networking = Networking::Networks([("n".to_owned(), Box::new(endpoint))].into());
        let mut chosen = told.clone();
        recall(&mut chosen);
        assert_eq!((chosen.ipc, chosen.cgroup), (None, None));
        assert_eq!(
            chosen.networking,
            Networking::Networks([("n".to_owned(), Box::default())].into())
        );
        told.labels.insert(labels::ASKED.to_owned(), asked(&told).unwrap());
        let before = told.clone();
        recall(&mut told);
        assert_eq!(told, before);
    }

    #[test]
    fn what_the_kernel_cannot_do_counts_as_asked_for() {
        let mut wanted = spec();
        wanted.blkio.weight = Some(300);
        wanted.blkio.weight_device.insert("/dev/sda".to_owned(), 200);
        (wanted.mem_swappiness, wanted.oom_kill_disable) = (Some(0), true);
        let mut told = spec();
        told.labels.insert(labels::ASKED.to_owned(), asked(&wanted).unwrap());
        recall(&mut told);
        assert_eq!(told.blkio, wanted.blkio);
        assert_eq!((told.mem_swappiness, told.oom_kill_disable), (Some(0), true));
    }
}
