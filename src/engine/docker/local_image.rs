//! Images made on the spot from an archive, without a registry.

use super::Docker;
use super::client::Call;
use crate::engine::EngineError;
use crate::model::ImageRef;
use bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptions};
use futures_util::stream::StreamExt;
use std::time::Duration;

/// How long an import may take.
const BOUND: Duration = Duration::from_secs(120);

impl Docker {
    /// Makes the image `name` (`repository:tag`) of a tar `archive` of its root file system, with
    /// `change` as a line of a Dockerfile. An image of that name loses it.
    pub async fn import_image(
        &self,
        name: &ImageRef,
        archive: Vec<u8>,
        change: &str,
    ) -> Result<(), EngineError> {
        let api = self.client.api().await?;
        let object = format!("image {name}");
        let call = Call { operation: "import", object: &object, limit: BOUND };
        let (repository, tag) = name.as_str().split_once(':').unwrap_or((name.as_str(), "latest"));
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .changes(vec![change.to_owned()])
            .build();
        let body = bollard::body_full(archive.into());
        let import = async {
            let mut messages = Box::pin(api.create_image(Some(options), Some(body), None));
            while let Some(message) = messages.next().await {
                message?;
            }
            Ok(())
        };
        self.client.request(call, import).await
    }

    /// Takes the image `name` away; one that is not there is fine.
    pub async fn remove_image(&self, name: &ImageRef) -> Result<(), EngineError> {
        let api = self.client.api().await?;
        let object = format!("image {name}");
        let call = Call::short("remove", &object);
        let removal = api.remove_image(name.as_str(), None::<RemoveImageOptions>, None);
        match self.client.request(call, removal).await {
            Ok(_) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
