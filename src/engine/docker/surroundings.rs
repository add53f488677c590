//! What the engine says of itself and its host.

use super::client::{Call, Client};
use super::read_container;
use crate::engine::{EngineError, Surroundings};
use std::path::PathBuf;

pub(super) async fn surroundings(client: &Client) -> Result<Surroundings, EngineError> {
    let api = client.api().await?;
    let info = client.request(Call::short("ask", "the engine about itself"), api.info()).await?;
    Ok(Surroundings {
        time: read_container::time(info.system_time.as_deref()),
        root: info.docker_root_dir.map(PathBuf::from).unwrap_or_default(),
        is_here: client.is_here(),
        cgroup_version: info.cgroup_version.map(|it| it.to_string()).unwrap_or_default(),
        cgroup_driver: info.cgroup_driver.map(|it| it.to_string()).unwrap_or_default(),
        storage_driver: info.driver.unwrap_or_default(),
        warnings: info.warnings.unwrap_or_default(),
    })
}
