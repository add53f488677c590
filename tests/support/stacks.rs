//! Stacks on a real engine, seen through Docker's own command line; what is left of them goes away
//! with the test.

use super::docker::docker;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The stacks of one test.
pub struct Stacks(Vec<String>);

impl Stacks {
    /// Makes sure that nothing of them is there, now and at the end.
    pub fn named(names: &[&str]) -> Self {
        let stacks = Self(names.iter().map(|&name| name.to_owned()).collect());
        stacks.clear();
        stacks
    }

    pub fn clear(&self) {
        for stack in &self.0 {
            for (list, remove) in [
                (CONTAINERS, &["rm", "-f", "-v"][..]),
                (NETWORKS, &["network", "rm"]),
                (VOLUMES, &["volume", "rm"]),
            ] {
                let found = ids(stack, list);
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                if !found.is_empty() {
                    docker(&[remove, &found].concat());
                }
            }
        }
    }
}

impl Drop for Stacks {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Lists all containers.
pub const CONTAINERS: &[&str] = &["ps", "-aq", "--no-trunc"];
/// Lists all networks.
pub const NETWORKS: &[&str] = &["network", "ls", "-q", "--no-trunc"];
/// Lists all volumes.
pub const VOLUMES: &[&str] = &["volume", "ls", "-q"];

/// What of a stack is in a list.
pub fn ids(stack: &str, list: &[&str]) -> BTreeSet<String> {
    let filter = format!("label=com.docker.compose.project={stack}");
    let found = docker(&[list, &["--filter", &filter]].concat());
    found.split_whitespace().map(str::to_owned).collect()
}

/// What `docker inspect` says of each container of a stack, by name.
pub fn containers(stack: &str) -> BTreeMap<String, Value> {
    let ids = ids(stack, CONTAINERS);
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let told = docker(&[&["inspect", "--type", "container"], &ids[..]].concat());
    // One that went away in between is left out, so the answer may be short, but is a list.
    let told: Vec<Value> = serde_json::from_str(&told).unwrap_or_default();
    told.into_iter().map(|one| (name(&one), one)).collect()
}

/// What `docker inspect` says of one container.
pub fn container(name: &str) -> Option<Value> {
    let told = docker(&["inspect", "--type", "container", name]);
    serde_json::from_str::<Vec<Value>>(&told).ok()?.into_iter().next()
}

pub fn name(container: &Value) -> String {
    container["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned()
}

pub fn id(container: &Value) -> String {
    container["Id"].as_str().unwrap_or_default().to_owned()
}

/// `running`, `paused`, `exited`, ...
pub fn state(container: &Value) -> &str {
    container["State"]["Status"].as_str().unwrap_or_default()
}

pub fn is_running(container: &Value) -> bool {
    state(container) == "running"
}

/// The value of a variable in the container.
pub fn variable<'a>(container: &'a Value, key: &str) -> Option<&'a str> {
    let all = container["Config"]["Env"].as_array()?;
    all.iter().filter_map(Value::as_str).find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

/// The networks that it is attached to.
pub fn networks(container: &Value) -> BTreeSet<String> {
    let all = container["NetworkSettings"]["Networks"].as_object();
    all.into_iter().flat_map(|all| all.keys().cloned()).collect()
}

/// Id and start of each container: what must not change where nothing was to be done.
pub fn lives(stack: &str) -> BTreeSet<(String, String)> {
    let started = |one: &Value| one["State"]["StartedAt"].as_str().unwrap_or_default().to_owned();
    containers(stack).values().map(|one| (id(one), started(one))).collect()
}
