//! What the engine says of a lane, without what is another at every look: a judge who knows
//! nothing of Bowline's own comparison.

use super::row::Lane;
use super::support::api::{get, of_stack};
use super::support::stacks::name;
use bowline::model::labels::is_bookkeeping;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Values by object and field; what says nothing is left out.
pub type Snapshot = BTreeMap<String, String>;

/// Id and start of each container, by service and number.
pub type Lives = BTreeMap<String, BTreeSet<(String, String)>>;

/// What a look at all of a lane finds.
#[derive(Debug, Clone, Default)]
pub struct Look {
    pub fields: Snapshot,
    pub lives: Lives,
}

/// Looks at all of a lane.
pub fn look(lane: Lane) -> Look {
    let mut look = Look::default();
    let networks = list("/networks", lane);
    let current: BTreeSet<&str> =
        networks.iter().filter_map(|network| network["Id"].as_str()).collect();
    for listed in list("/containers/json?all=true", lane) {
        let one = get(&format!("/containers/{}/json", text(&listed["Id"])));
        // One that goes away in between is left out.
        if !one.is_null() {
            let life = (text(&one["Id"]), text(&one["State"]["StartedAt"]));
            look.lives.entry(slot(&one)).or_default().insert(life);
            container(&mut look.fields, &one, &current);
        }
    }
    for one in &networks {
        let at = format!("network {}", text(&one["Name"]));
        for key in ["Driver", "Internal", "Options", "IPAM", "Labels"] {
            put(&mut look.fields, &format!("{at} {key}"), &one[key]);
        }
    }
    for one in list("/volumes", lane) {
        let at = format!("volume {}", text(&one["Name"]));
        for key in ["Driver", "Options", "Labels"] {
            put(&mut look.fields, &format!("{at} {key}"), &one[key]);
        }
    }
    look
}

/// The fields that an act changed and that are not as before, after something was done about it.
/// What differs between a container made by hand and one made by a program anyway does not count.
pub fn unrepaired(
    before: &Snapshot,
    changed: &Snapshot,
    after: &Snapshot,
    noise: &BTreeSet<String>,
) -> BTreeSet<String> {
    let fields = differing(before, changed);
    fields
        .into_iter()
        .filter(|field| !noise.contains(field) && before.get(field) != after.get(field))
        .collect()
}

/// The fields that two snapshots do not agree on.
pub fn differing(one: &Snapshot, other: &Snapshot) -> BTreeSet<String> {
    let fields = one.keys().chain(other.keys());
    fields.filter(|field| one.get(*field) != other.get(*field)).cloned().collect()
}

fn list(kind: &str, lane: Lane) -> Vec<Value> {
    let told = of_stack(kind, &lane.stack());
    let told = if told.is_object() { told["Volumes"].clone() } else { told };
    serde_json::from_value(told).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn slot(one: &Value) -> String {
    let label = |key: &str| one["Config"]["Labels"][key].as_str().unwrap_or_default();
    let number = label("com.docker.compose.container-number");
    format!("{}/{number}", label("com.docker.compose.service"))
}

fn container(all: &mut Snapshot, one: &Value, current: &BTreeSet<&str>) {
    let id = one["Id"].as_str().unwrap_or_default();
    let mut at = format!("container {}", slot(one));
    while all.contains_key(&format!("{at} Name")) {
        at += " again";
    }
    put(all, &format!("{at} Name"), &Value::String(name(one)));
    let state = format!("{} {}", text(&one["State"]["Status"]), one["State"]["ExitCode"]);
    put(all, &format!("{at} State"), &Value::String(state));
    put(all, &format!("{at} Image"), &one["Image"]);
    for (key, value) in one["Config"].as_object().into_iter().flatten() {
        let is_own_choice = key == "Hostname" && value.as_str().is_some_and(is_short_id);
        // Who was attached when it was made.
        if !is_own_choice && !key.starts_with("Attach") {
            put(all, &format!("{at} Config.{key}"), value);
        }
    }
    for (key, value) in one["HostConfig"].as_object().into_iter().flatten() {
        // Told by `Mounts` and `Networks`, where it has one form; or the command line's own.
        let elsewhere = ["Binds", "Mounts", "NetworkMode", "ContainerIDFile", "ConsoleSize"];
        if !elsewhere.contains(&key.as_str()) {
            put(all, &format!("{at} HostConfig.{key}"), value);
        }
    }
    let mode = text(&one["HostConfig"]["NetworkMode"]);
    if let Some(id) = mode.strip_prefix("container:") {
        let other = get(&format!("/containers/{id}/json"));
        let other = if other.is_null() { "one that is gone".to_owned() } else { name(&other) };
        all.insert(format!("{at} lives in the network of"), other);
    }
    for mount in one["Mounts"].as_array().into_iter().flatten() {
        let target = mount["Destination"].as_str().unwrap_or_default();
        for key in ["Type", "Name", "Source", "RW", "Propagation"] {
            put(all, &format!("{at} mount {target} {key}"), &mount[key]);
        }
    }
    for (network, place) in one["NetworkSettings"]["Networks"].as_object().into_iter().flatten() {
        let at = format!("{at} network {network}");
        let is_current = place["NetworkID"].as_str().is_some_and(|id| current.contains(id));
        all.insert(at.clone(), if is_current { "joined" } else { "not of the stack" }.to_owned());
        put(all, &format!("{at} IPAMConfig"), &place["IPAMConfig"]);
        let aliases = place["Aliases"].as_array().into_iter().flatten();
        let aliases = aliases.filter_map(Value::as_str);
        let chosen = aliases.filter(|alias| !id.starts_with(alias) && *alias != name(one));
        let chosen: BTreeSet<&str> = chosen.collect();
        put(all, &format!("{at} Aliases"), &serde_json::to_value(chosen).unwrap());
    }
}

fn is_short_id(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn put(all: &mut Snapshot, at: &str, value: &Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(key, _)| !is_bookkeeping(key)) {
                put(all, &format!("{at}.{key}"), value);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let mut items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            if !at.ends_with("Cmd") && !at.ends_with("Entrypoint") {
                items.sort_unstable();
            }
            if !items.is_empty() {
                all.insert(at.to_owned(), format!("{items:?}"));
            }
        }
        Value::Null | Value::Bool(false) => {}
        Value::String(text) if text.is_empty() => {}
        Value::Number(number) if number.as_i64() == Some(0) => {}
        other => drop(all.insert(at.to_owned(), other.to_string())),
    }
}
