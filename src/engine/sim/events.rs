//! Who hears what happens. Events carry no state.

use super::state::World;
use crate::engine::{EngineError, Event, EventStream, Subject};
use crate::model::{StackName, labels};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// One who listens.
pub(super) type Subscriber = mpsc::UnboundedSender<Result<Event, EngineError>>;

impl World {
    /// Events from now on.
    pub(super) fn subscribe(&mut self) -> EventStream {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribers.push(sender);
        Box::pin(UnboundedReceiverStream::new(receiver))
    }

    /// Tells all who listen.
    pub(super) fn tell(&mut self, action: &str, labels: &BTreeMap<String, String>) {
        let stack = labels.get(labels::STACK).and_then(|name| StackName::new(name).ok());
        self.send(&Event { action: action.to_owned(), subject: Subject::Container, stack });
    }

    /// Tells of an image.
    pub(super) fn tell_of_image(&mut self, names: &[&str], action: &str) {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let subject = Subject::Image(names);
        self.send(&Event { action: action.to_owned(), subject, stack: None });
    }

    fn send(&mut self, event: &Event) {
        self.subscribers.retain(|subscriber| subscriber.send(Ok(event.clone())).is_ok());
    }

    /// Tells of the container `id`.
    pub(super) fn tell_of(&mut self, id: &str, action: &str) {
        if let Some(container) = self.containers.get(id) {
            let labels = container.spec.labels.clone();
            self.tell(action, &labels);
        }
    }

    /// Ends all streams with `error`.
    pub(super) fn hang_up(&mut self, error: &EngineError) {
        for subscriber in self.subscribers.drain(..) {
            // One who no longer listens need not hear it.
            let _ = subscriber.send(Err(error.clone()));
        }
    }
}
