//! Hears webhooks: a source that may have moved is fetched.

use super::World;
use crate::http::{Inbox, Seldom};
use crate::model::{Sensitive, SourceName};
use crate::webhook::{Answer, Provider};
use async_trait::async_trait;
use std::sync::{Arc, Weak};

/// Who hears them.
pub(super) struct Ear {
    /// Weak, since the world holds the pages that hold this.
    world: Weak<World>,
    /// Why whose webhooks were refused.
    said: Seldom<(SourceName, String)>,
}

impl Ear {
    pub(super) fn of(world: &Arc<World>) -> Self {
        Self { world: Arc::downgrade(world), said: Seldom::default() }
    }
}

#[async_trait]
impl Inbox for Ear {
    async fn secret(&self, source: &SourceName) -> Option<Result<Sensitive<String>, String>> {
        let world = self.world.upgrade()?;
        let config = world.config();
        let found = config.sources.iter().find(|known| known.name == *source)?.clone();
        found.webhook_secret.as_ref()?;
        let what = format!("the secret of webhooks of source {source}");
        let missing = || Err("takes no webhooks".to_owned());
        let read = move || found.webhook_secret().unwrap_or_else(missing);
        Some(world.patient.read(what, read).await)
    }

    fn deliver(&self, source: &SourceName, provider: Provider) {
        tracing::info!(source = %source, provider = provider.word(), "a webhook says that it moved");
        if let Some(world) = self.world.upgrade() {
            world.fetch_soon(source);
        }
    }

    fn answered(&self, source: &SourceName, provider: Option<Provider>, answer: Answer, why: &str) {
        if let Some(world) = self.world.upgrade() {
            world.views.metrics.webhook(provider, answer);
        }
        if answer != Answer::Accepted && self.said.is_due((source.clone(), why.to_owned())) {
            let provider = provider.map_or("unknown", Provider::word);
            tracing::warn!(source = %source, provider, "a webhook was refused: {why}");
        }
    }
}
