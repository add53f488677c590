//! Images, read into the model.

use super::client::{Call, Client};
use super::ports::container_port;
use super::read_container::{environment, healthcheck};
use crate::engine::EngineError;
use crate::model::{Image, ImageConfig, Platform};
use bollard::models;
use bollard::query_parameters::RemoveImageOptionsBuilder;

/// The image that `reference` (a name or an id) stands for, if it is there.
pub(super) async fn inspect(
    client: &Client,
    reference: &str,
) -> Result<Option<Image>, EngineError> {
    let api = client.api().await?;
    let object = format!("image {reference}");
    let call = Call::short("look at", &object);
    match client.request(call, api.inspect_image(reference)).await {
        Ok(image) => {
            let id = image.id.ok_or_else(|| super::error::unreadable(call, "no id"))?;
            let platform = Platform {
                os: image.os.unwrap_or_default(),
                architecture: image.architecture.unwrap_or_default(),
                variant: image.variant.unwrap_or_default(),
            };
            Ok(Some(Image {
                id,
                platform,
                config: config(image.config.unwrap_or_default()),
                tags: image.repo_tags.unwrap_or_default().into_iter().collect(),
                digests: image.repo_digests.unwrap_or_default().into_iter().collect(),
                nameless: false,
            }))
        }
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes an image with its tags, but none of the images that it was built on. One that a
/// container uses, or that has tags of several repositories, the engine refuses.
pub(super) async fn remove(client: &Client, name: &str, id: &str) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("image {name}");
    let options = RemoveImageOptionsBuilder::new().force(false).noprune(true).build();
    let request = api.remove_image(id, Some(options), None);
    match client.request(Call::long("remove", &object), request).await {
        Err(EngineError::NotFound { .. }) => Ok(()),
        other => other.map(drop),
    }
}

fn config(config: models::ImageConfig) -> ImageConfig {
    ImageConfig {
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        environment: environment(&config.env.unwrap_or_default())
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        user: config.user.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        volumes: config.volumes.unwrap_or_default().into_iter().collect(),
        exposed_ports: config
            .exposed_ports
            .unwrap_or_default()
            .iter()
            .filter_map(|port| container_port(port))
            .collect(),
        healthcheck: config.healthcheck.and_then(healthcheck),
        stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
    }
}
