//! Under which key of the file a field was written.

use super::Draft;
use super::fields::DEVICE_REQUESTS;
use crate::model::ServiceName;

/// Fields with the keys that they may be written under too.
const SYNONYMS: [(&str, &[&str]); 6] = [
    ("cpus", &["deploy.resources.limits.cpus"]),
    ("mem_limit", &["deploy.resources.limits.memory"]),
    ("pids_limit", &["deploy.resources.limits.pids"]),
    ("mem_reservation", &["deploy.resources.reservations.memory"]),
    ("restart", &["deploy.restart_policy"]),
    (DEVICE_REQUESTS, &["deploy.resources.reservations.devices", "devices"]),
];

/// Parts of a network's endpoint with the keys of the service that they may come from.
const OF_THE_SERVICE: [(&str, &[&str]); 2] =
    [(".mac_address", &["mac_address"]), (".links", &["links", "external_links"])];

impl Draft<'_> {
    /// The path below the service `name` that a field has in the file. Networks are known by their
    /// key there, not by their name on the engine.
    pub(super) fn written(&self, name: &ServiceName, path: &str) -> String {
        let is_written = |path: &str| self.desired.places.has(&format!("services.{name}.{path}"));
        let path = self.by_key(path);
        if is_written(&path) {
            return path;
        }
        if let Some((kind, target)) = path.split_once('.') {
            let kinds: &[&str] = match kind {
                "volumes" => &["volumes", "tmpfs"],
                _ => &[],
            };
            if let Some(kind) = kinds.iter().find(|kind| is_written(kind)) {
                return format!("{kind}.{target}");
            }
        }
        if path.starts_with("networks.") && is_written("network_mode") {
            return "network_mode".to_owned();
        }
        let first = |keys: &[&'static str]| keys.iter().copied().find(|key| is_written(key));
        let synonym = SYNONYMS.iter().find_map(|(field, keys)| {
            let rest = path.strip_prefix(field)?;
            let is_whole = rest.is_empty() || rest.starts_with('.');
            Some(first(keys).filter(|_| is_whole && !is_written(field))?.to_owned() + rest)
        });
        let of_service = || {
            OF_THE_SERVICE
                .iter()
                .find(|(part, _)| path.starts_with("networks.") && path.ends_with(part))
                .and_then(|(_, keys)| Some(first(keys)?.to_owned()))
        };
        synonym.or_else(of_service).unwrap_or(path)
    }

    /// The path `networks.NAME...` with the network's key in the file in place of its name on the
    /// engine; any other path as it is.
    fn by_key(&self, path: &str) -> String {
        let keyed = self.desired.networks.iter().find_map(|(key, network)| {
            let rest = path.strip_prefix("networks.")?.strip_prefix(network.name.as_str())?;
            (rest.is_empty() || rest.starts_with('.')).then(|| format!("networks.{key}{rest}"))
        });
        keyed.unwrap_or_else(|| path.to_owned())
    }
}
