//! What an engine is too old for: found before anything is changed. The versions are those of the
//! engine's API that brought each option.

use super::{Draft, Problem};
use crate::model::{ContainerSpec, Mount, MountSource, NetworkSpec, Networking, Recursive};
use crate::model::{Service, ServiceName};

impl Draft<'_> {
    /// What of a service the engine does not know.
    pub(super) fn service_needs(&self, name: &ServiceName, service: &Service) -> Option<Problem> {
        let (minor, path) = needs(&service.container)
            .into_iter()
            .find(|(minor, _)| !self.observed.engine.speaks(*minor))?;
        let path = self.written(name, &path);
        Some(self.problem(format!("services.{name}.{path}"), self.too_old(minor)))
    }

    /// The option of a network that the engine does not know, and what to say of it.
    pub(super) fn network_needs(&self, network: &NetworkSpec) -> Option<(&'static str, String)> {
        let asks = network.enable_ipv4 == Some(false) && !self.observed.engine.speaks(48);
        asks.then(|| ("enable_ipv4", self.too_old(48)))
    }

    fn too_old(&self, minor: u16) -> String {
        let api = self.observed.engine.api;
        format!("needs engine API 1.{minor}; this engine has {api}: update it, or take this out")
    }
}

fn needs(spec: &ContainerSpec) -> Vec<(u16, String)> {
    let mut needs = Vec::new();
    if !spec.annotations.is_empty() {
        needs.push((43, "annotations".to_owned()));
    }
    for (target, mount) in &spec.mounts {
        needs.extend(mount_needs(mount).map(|minor| (minor, format!("volumes.{target}"))));
    }
    if let Networking::Networks(networks) = &spec.networking {
        // Before, the engine took the address on the first network alone.
        let first = spec.networking.joined().first().map(|(name, _)| *name);
        for (network, endpoint) in networks {
            let further = first != Some(network.as_str());
            for (minor, key, asks) in [
                (44, "mac_address", further && endpoint.mac_address.is_some()),
                (48, "gw_priority", endpoint.gw_priority != 0),
                (49, "interface_name", endpoint.interface_name.is_some()),
            ] {
                needs.extend(asks.then(|| (minor, format!("networks.{network}.{key}"))));
            }
        }
    }
    needs
}

fn mount_needs(mount: &Mount) -> Option<u16> {
    match &mount.source {
        MountSource::Bind(bind) => {
            matches!(bind.recursive, Some(Recursive::Writable | Recursive::ReadOnly)).then_some(44)
        }
        MountSource::Volume { subpath, .. } => subpath.as_ref().map(|_| 45),
        MountSource::Image { .. } => Some(48),
        MountSource::Anonymous | MountSource::Tmpfs(_) => None,
    }
}
