//! Configs and secrets, copied into a container that has not started.

use super::client::{Call, Client};
use crate::engine::EngineError;
use crate::model::{ContainerSpec, CopiedFile};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use std::io;

/// Whether `spec`'s files can be copied at all: the engine does not write below a read-only root,
/// not even before the start.
pub(super) fn check(call: Call<'_>, spec: &ContainerSpec) -> Result<(), EngineError> {
    match spec.files.first() {
        Some(file) if spec.read_only => Err(EngineError::Refused {
            operation: call.operation,
            object: call.object.to_owned(),
            status: 400,
            message: format!(
                "{} must be copied into the container, which `read_only` forbids; give it as a \
                 file, which is mounted instead",
                file.target
            ),
        }),
        _ => Ok(()),
    }
}

/// Copies `files` into the container `id`.
pub(super) async fn copy(
    client: &Client,
    call: Call<'_>,
    id: &str,
    files: &[CopiedFile],
) -> Result<(), EngineError> {
    if files.is_empty() {
        return Ok(());
    }
    let archive = archive(files).map_err(|cause| EngineError::Refused {
        operation: call.operation,
        object: call.object.to_owned(),
        status: 400,
        message: format!("its configs and secrets cannot be packed: {cause}"),
    })?;
    let api = client.api().await?;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let body = bollard::body_full(archive.into());
    client.request(call, api.upload_to_container(id, Some(options), body)).await
}

fn archive(files: &[CopiedFile]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let content = file.content.expose();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        header.set_mode(file.mode);
        archive.append_data(
            &mut header,
            file.target.trim_start_matches('/'),
            content.as_slice(),
        )?;
    }
    archive.into_inner()
}
