//! Volumes: listed into the model, made and removed.

use super::client::{Call, Client};
use crate::engine::EngineError;
use crate::model::{ObservedVolume, Query, StackName, VolumeSpec, labels};
use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};
use std::collections::BTreeMap;

/// All volumes.
pub(super) async fn list(client: &Client) -> Result<Vec<ObservedVolume>, EngineError> {
    let api = client.api().await?;
    let call = Call::short("list", "volumes");
    let listed = client.request(call, api.list_volumes(None::<ListVolumesOptions>)).await?;
    Ok(listed.volumes.unwrap_or_default().into_iter().map(read).collect())
}

/// The stack's volumes and those that `query` names.
pub(super) fn select(all: &[ObservedVolume], query: &Query) -> Vec<ObservedVolume> {
    let mut selected = all.to_vec();
    for volume in &mut selected {
        volume.stack = query.owner(volume.stack.as_ref(), &volume.spec.labels);
    }
    selected.retain(|volume| {
        volume.stack.as_ref() == Some(&query.stack) || query.volumes.contains(&volume.spec.name)
    });
    selected.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    selected
}

/// Makes a volume; the engine leaves one of that name as it is.
pub(super) async fn create(
    client: &Client,
    spec: &VolumeSpec,
    labels: &BTreeMap<String, String>,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("volume {}", spec.name);
    let body = VolumeCreateRequest {
        name: Some(spec.name.clone()),
        driver: spec.driver.clone(),
        driver_opts: Some(spec.driver_opts.clone().into_iter().collect()),
        labels: Some(labels.clone().into_iter().collect()),
        ..VolumeCreateRequest::default()
    };
    client.request(Call::long("create", &object), api.create_volume(body)).await.map(drop)
}

/// Removes a volume with its data; one that is gone is removed.
pub(super) async fn remove(client: &Client, name: &str) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("volume {name}");
    let request = api.remove_volume(name, None::<RemoveVolumeOptions>);
    match client.request(Call::long("remove", &object), request).await {
        Err(EngineError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

fn read(volume: Volume) -> ObservedVolume {
    let labels: BTreeMap<_, _> = volume.labels.into_iter().collect();
    ObservedVolume {
        stack: labels.get(labels::STACK).and_then(|name| StackName::new(name).ok()),
        spec: VolumeSpec {
            name: volume.name,
            external: false,
            driver: Some(volume.driver),
            driver_opts: volume.options.into_iter().collect(),
            labels,
        },
    }
}
