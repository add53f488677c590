//! What happens on the engine, as wake-ups.

use super::client::{Call, Client, PING};
use crate::engine::{EngineError, Event, EventStream, Subject};
use crate::model::{ObservedNetwork, ObservedVolume, StackName, labels};
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the engine may be silent before it is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(30);
/// What happened so shortly before the call is told as well, so that nothing is lost between the
/// call and the engine's taking it.
const OVERLAP_SECS: u64 = 2;

const TYPES: [&str; 4] = ["container", "image", "network", "volume"];
/// Every run of a health check makes three events of kind `exec_*`: what is wanted is named.
const ACTIONS: [&str; 20] = [
    "create",
    "start",
    "die",
    "oom",
    "kill",
    "stop",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
    "connect",
    "disconnect",
    "tag",
    "untag",
    "pull",
    "load",
    "import",
    "delete",
];

/// Who owns networks and volumes, whose events carry a name and no labels, and containers, whose
/// coming to and leaving networks of others is told with their id alone.
#[derive(Debug, Default)]
pub(super) struct Owners {
    containers: Mutex<BTreeMap<String, StackName>>,
    networks: Mutex<BTreeMap<String, StackName>>,
    volumes: Mutex<BTreeMap<String, StackName>>,
    /// Compose projects that stacks have taken over.
    adopted: Mutex<BTreeSet<StackName>>,
}

impl Owners {
    /// Remembers the owners of all `containers`, by id, `networks` and `volumes`. One that is gone
    /// is remembered until its name is seen again: its `destroy` comes after.
    pub(super) fn learn<'a>(
        &self,
        containers: impl Iterator<Item = (&'a String, Option<StackName>)>,
        networks: &'a [ObservedNetwork],
        volumes: &'a [ObservedVolume],
    ) {
        note(&self.containers, containers);
        let networks = networks.iter().map(|found| (&found.spec, found.stack.clone()));
        let networks = networks.map(|(spec, stack)| (&spec.name, stack, &spec.labels));
        let volumes = volumes.iter().map(|found| (&found.spec, found.stack.clone()));
        let volumes = volumes.map(|(spec, stack)| (&spec.name, stack, &spec.labels));
        let owned = |(name, stack, labels): (&'a String, Option<StackName>, &BTreeMap<_, _>)| {
            let project = || self.adopted(labels.get(labels::PROJECT).map(String::as_str));
            (name, stack.or_else(project))
        };
        note(&self.networks, networks.map(owned));
        note(&self.volumes, volumes.map(owned));
    }

    /// Remembers that `stack` has taken over the Compose project of its name.
    pub(super) fn adopt(&self, stack: &StackName) {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner).insert(stack.clone());
    }

    /// The stack that has taken over `project`.
    pub(super) fn adopted(&self, project: Option<&str>) -> Option<StackName> {
        let adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        adopted.iter().find(|stack| Some(stack.as_str()) == project).cloned()
    }

    fn of(owners: &Mutex<BTreeMap<String, StackName>>, name: &str) -> Option<StackName> {
        owners.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// Forgets the gone ones once they outnumber those that are there.
fn note<'a>(
    owners: &Mutex<BTreeMap<String, StackName>>,
    seen: impl Iterator<Item = (&'a String, Option<StackName>)>,
) {
    let seen: Vec<_> = seen.collect();
    let mut owners = owners.lock().unwrap_or_else(PoisonError::into_inner);
    if owners.len() > 2 * seen.len() + 64 {
        owners.clear();
    }
    for (name, stack) in seen {
        match stack {
            Some(stack) => drop(owners.insert(name.clone(), stack)),
            None => drop(owners.remove(name)),
        }
    }
}

struct Listening {
    client: Arc<Client>,
    owners: Arc<Owners>,
    messages: BoxStream<'static, Result<EventMessage, bollard::errors::Error>>,
    begun: Instant,
    ended: bool,
}

/// The engine's events from now on. The last item is an error.
pub(super) async fn listen(
    client: Arc<Client>,
    owners: Arc<Owners>,
) -> Result<EventStream, EngineError> {
    let api = client.api().await?;
    let filters = HashMap::from([
        ("type", TYPES.map(str::to_owned).to_vec()),
        ("event", ACTIONS.map(str::to_owned).to_vec()),
    ]);
    let options = EventsOptionsBuilder::new().since(&since()).filters(&filters).build();
    let messages = api.events(Some(options)).boxed();
    let listening = Listening { client, owners, messages, begun: Instant::now(), ended: false };
    Ok(Box::pin(stream::unfold(listening, |mut listening| async move {
        let item = listening.next().await?;
        listening.ended = item.is_err();
        Some((item, listening))
    })))
}

impl Listening {
    async fn next(&mut self) -> Option<Result<Event, EngineError>> {
        if self.ended {
            return None;
        }
        loop {
            let Ok(message) = tokio::time::timeout(SILENCE, self.messages.next()).await else {
                if self.client.may_fall_silent()
                    && let Err(error) = ping(&self.client).await
                {
                    return Some(Err(error));
                }
                continue;
            };
            let result = match message {
                Some(Ok(message)) => return Some(Ok(self.read(&message))),
                Some(Err(cause)) => self.client.failure(call(), cause),
                None => self.client.unreachable("it ended the stream of events"),
            };
            let result = Err(result);
            self.client.count(call(), &result, self.begun.elapsed());
            return Some(result);
        }
    }

    fn read(&self, message: &EventMessage) -> Event {
        let action = message.action.as_deref().unwrap_or_default();
        // `health_status: healthy` carries its result behind the word.
        let action = action.split(':').next().unwrap_or_default().trim().to_owned();
        let subject = match message.typ {
            Some(EventMessageTypeEnum::IMAGE) => Subject::Image(names(message)),
            Some(EventMessageTypeEnum::NETWORK | EventMessageTypeEnum::VOLUME) => {
                Subject::Resource(names(message).pop().unwrap_or_default())
            }
            _ => Subject::Container,
        };
        Event { action, subject, stack: self.stack(message) }
    }

    fn stack(&self, message: &EventMessage) -> Option<StackName> {
        let actor = message.actor.as_ref()?;
        let attribute = |key| actor.attributes.as_ref().and_then(|map| map.get(key));
        if let Some(stack) = attribute(labels::STACK) {
            return StackName::new(stack).ok();
        }
        match message.typ {
            Some(EventMessageTypeEnum::NETWORK) => attribute("container")
                .and_then(|id| Owners::of(&self.owners.containers, id))
                .or_else(|| Owners::of(&self.owners.networks, attribute("name")?)),
            Some(EventMessageTypeEnum::VOLUME) => {
                Owners::of(&self.owners.volumes, actor.id.as_deref()?)
            }
            Some(EventMessageTypeEnum::CONTAINER) => {
                self.owners.adopted(attribute(labels::PROJECT).map(String::as_str))
            }
            _ => None,
        }
    }
}

/// The id of what an event is about, and its name where it has another.
fn names(message: &EventMessage) -> Vec<String> {
    let Some(actor) = &message.actor else { return Vec::new() };
    let name = actor.attributes.as_ref().and_then(|all| all.get("name"));
    actor.id.iter().chain(name).cloned().collect()
}

async fn ping(client: &Client) -> Result<(), EngineError> {
    let api = client.api().await?;
    let call = Call { operation: "ping", object: "the engine", limit: PING };
    client.request(call, api.ping()).await.map(drop)
}

fn call() -> Call<'static> {
    Call::short("listen for", "events")
}

fn since() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().saturating_sub(OVERLAP_SECS).to_string()
}
