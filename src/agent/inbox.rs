//! Hears webhooks: a source that may have moved is fetched.

use super::World;
use crate::http::Inbox;
use crate::model::{Sensitive, SourceName};
use crate::webhook::{Answer, Provider};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How often it is said in the log that webhooks are refused: anybody can send them.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Who hears them.
pub(super) struct Ear {
    /// Weak, since the world holds the pages that hold this.
    world: Weak<World>,
    said: Mutex<Option<Instant>>,
}

impl Ear {
    pub(super) fn of(world: &Arc<World>) -> Self {
        Self { world: Arc::downgrade(world), said: Mutex::default() }
    }

    /// Whether it was not said a moment ago.
    fn is_to_be_said(&self) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_old = said.is_none_or(|last| now.duration_since(last) >= SAID_EVERY);
        if is_old {
            *said = Some(now);
        }
        is_old
    }
}

impl Inbox for Ear {
    fn secret(&self, source: &SourceName) -> Option<Result<Sensitive<String>, String>> {
        let world = self.world.upgrade()?;
        let config = world.config();
        let found = config.sources.iter().find(|known| known.name == *source)?;
        let secret = found.webhook_secret()?;
        Some(secret.map_err(|error| error.to_string()))
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
        if answer != Answer::Accepted && self.is_to_be_said() {
            let provider = provider.map_or("unknown", Provider::word);
            tracing::warn!(source = %source, provider, "a webhook was refused: {why}");
        }
    }
}
