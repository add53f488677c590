//! Snapshots. Three lists at once, then every container of the stack and every image once: the
//! number of requests grows with the stack, not with the engine.

use super::client::{Call, Client, Host};
use super::error::unreadable;
use super::events::Owners;
use super::{images, networks, ports, read_container, read_networking, volumes};
use crate::engine::{EngineError, Sighting};
use crate::model::{
    Container, ContainerId, Health, Image, ImageRef, Observed, Query, SourceName, StackName, State,
    Stranger, labels,
};
use crate::plan::ContainerRef;
use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    HealthConfig, HealthStatusEnum,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::stream::{self, StreamExt};
use std::collections::{BTreeMap, BTreeSet};

/// Requests under way at once.
const PARALLEL: usize = 8;
/// Characters kept of the last health check's output.
const HEALTH_OUTPUT_CHARS: usize = 400;

/// Images by id.
type Images = BTreeMap<String, Image>;

/// What `query` asks for.
pub(super) async fn observe(
    client: &Client,
    owners: &Owners,
    query: &Query,
) -> Result<Observed, EngineError> {
    let host = client.host().await?;
    if query.adopt {
        owners.adopt(&query.stack);
    }
    let (listed, networks, volumes, images) = tokio::try_join!(
        list(client),
        networks::list(client),
        volumes::list(client),
        images_by_reference(client, &query.images),
    )?;
    owners.learn(listed.iter().filter_map(|it| claimed(it, owners)), &networks, &volumes);

    let mut known: Images =
        images.values().map(|image| (image.id.clone(), image.clone())).collect();
    // Whose a container of another stack is only stands in messages: its labels will do.
    let candidates: Vec<_> = listed.iter().filter(|c| is_candidate(c, query)).collect();
    let ((), inspected) = tokio::try_join!(
        learn_images(client, &candidates, &mut known),
        inspect_all(client, &candidates),
    )?;
    let mine = |container: &ContainerSummary| {
        owner(container, &known).as_deref() == Some(query.stack.as_str())
            || (query.adopt && project(container, &known).as_ref() == Some(&query.stack))
    };
    let (ours, others): (Vec<_>, Vec<_>) = listed.iter().partition(|container| mine(container));
    let all = read_all(&host, &names(&listed), &ours, inspected)?;
    let (hooks, containers) = all.into_iter().partition(|it| labels::is_hook(&it.spec.labels));
    let mut observed = Observed {
        containers,
        hooks,
        networks: networks::select(&networks, &others, query),
        volumes: volumes::select(&volumes, query),
        images,
        strangers: strangers(&others, &known, query),
        engine: host.facts,
    };
    observed.note_nameless(&query.images, |id| known.get(id).cloned());
    Ok(observed)
}

/// The stacks that own a container or a network here. A volume outlives its stack, so it does not
/// count.
pub(super) async fn stacks(
    client: &Client,
    owners: &Owners,
) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError> {
    let (listed, networks, volumes) =
        tokio::try_join!(list(client), networks::list(client), volumes::list(client))?;
    owners.learn(listed.iter().filter_map(|it| claimed(it, owners)), &networks, &volumes);
    let mut known = Images::new();
    let all: Vec<_> = listed.iter().collect();
    learn_images(client, &all, &mut known).await?;
    let of_containers =
        listed.iter().filter(|container| owner(container, &known).is_some()).map(labels_of);
    let of_networks = networks.iter().map(|network| network.spec.labels.clone());
    let mut stacks = BTreeMap::new();
    for labels in of_containers.chain(of_networks) {
        let Some(stack) = labels.get(labels::STACK).and_then(|name| StackName::new(name).ok())
        else {
            continue;
        };
        let source = labels.get(labels::SOURCE).and_then(|name| SourceName::new(name).ok());
        let known = stacks.entry(stack).or_insert(None);
        *known = known.take().or(source);
    }
    Ok(stacks)
}

/// What one container does now.
pub(super) async fn watch(
    client: &Client,
    container: &ContainerRef,
) -> Result<Sighting, EngineError> {
    let api = client.api().await?;
    let object = format!("container {}", container.name);
    let call = Call::short("look at", &object);
    let request = api.inspect_container(&container.key, None::<InspectContainerOptions>);
    let inspected = client.request(call, request).await?;
    let restarts = inspected.restart_count.and_then(|count| u32::try_from(count).ok());
    let mode = inspected.host_config.and_then(|config| config.network_mode).unwrap_or_default();
    let networks = inspected.network_settings.and_then(|settings| settings.networks);
    let found = inspected.state.unwrap_or_default();
    Ok(Sighting {
        id: ContainerId(inspected.id.ok_or_else(|| unreadable(call, "no id"))?),
        state: state(&found).ok_or_else(|| unreadable(call, "no state"))?,
        started: read_container::time(found.started_at.as_deref()),
        restarts: restarts.unwrap_or_default(),
        health: health(&found, inspected.config.and_then(|config| config.healthcheck)),
        health_output: health_output(&found),
        address: client
            .is_here()
            .then(|| read_networking::reached_at(&mode, &networks.unwrap_or_default()))
            .flatten(),
    })
}

async fn list(client: &Client) -> Result<Vec<ContainerSummary>, EngineError> {
    let api = client.api().await?;
    let options = ListContainersOptionsBuilder::new().all(true).build();
    client.request(Call::short("list", "containers"), api.list_containers(Some(options))).await
}

async fn images_by_reference(
    client: &Client,
    references: &BTreeSet<ImageRef>,
) -> Result<BTreeMap<ImageRef, Image>, EngineError> {
    let mut found = BTreeMap::new();
    let mut answers = stream::iter(references.iter().cloned().map(|reference| async move {
        let image = images::inspect(client, reference.as_str()).await;
        (reference, image)
    }))
    .buffer_unordered(PARALLEL);
    while let Some((reference, image)) = answers.next().await {
        if let Some(image) = image? {
            found.insert(reference, image);
        }
    }
    Ok(found)
}

/// Adds the images that containers with our mark were made from, as far as they are there.
async fn learn_images(
    client: &Client,
    listed: &[&ContainerSummary],
    known: &mut Images,
) -> Result<(), EngineError> {
    let unknown: BTreeSet<String> = listed
        .iter()
        .filter(|container| {
            let marks = [labels::MARK, labels::CONFIG_HASH];
            marks.iter().any(|mark| label(container, mark).is_some())
        })
        .filter_map(|container| container.image_id.clone())
        .filter(|id| !known.contains_key(id))
        .collect();
    let mut answers = stream::iter(unknown.into_iter().map(|id| async move {
        let image = images::inspect(client, &id).await;
        (id, image)
    }))
    .buffer_unordered(PARALLEL);
    while let Some((id, image)) = answers.next().await {
        if let Some(image) = image? {
            known.insert(id, image);
        }
    }
    Ok(())
}

/// Whether a container carries the stack's label, or that of a project which it takes over.
fn is_candidate(container: &ContainerSummary, query: &Query) -> bool {
    let names = |key: &str| label(container, key) == Some(query.stack.as_str());
    names(labels::STACK) || (query.adopt && names(labels::PROJECT))
}

/// Everything about `candidates`, by id. One that went away since it was listed is not there.
async fn inspect_all(
    client: &Client,
    candidates: &[&ContainerSummary],
) -> Result<BTreeMap<String, ContainerInspectResponse>, EngineError> {
    let candidates: Vec<(String, String)> = candidates
        .iter()
        .filter_map(|container| Some((container.id.clone()?, name_of(container))))
        .collect();
    let mut inspected = BTreeMap::new();
    let mut answers = stream::iter(candidates.into_iter().map(|(id, name)| async move {
        let answer = inspect(client, &id, &name).await;
        (id, answer)
    }))
    .buffer_unordered(PARALLEL);
    while let Some((id, answer)) = answers.next().await {
        match answer {
            Ok(container) => drop(inspected.insert(id, container)),
            Err(EngineError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(inspected)
}

async fn inspect(
    client: &Client,
    id: &str,
    name: &str,
) -> Result<ContainerInspectResponse, EngineError> {
    let api = client.api().await?;
    let object = format!("container {name}");
    let request = api.inspect_container(id, None::<InspectContainerOptions>);
    client.request(Call::short("look at", &object), request).await
}

/// The names of all containers by id.
fn names(listed: &[ContainerSummary]) -> BTreeMap<String, String> {
    listed.iter().filter_map(|summary| Some((summary.id.clone()?, name_of(summary)))).collect()
}

fn read_all(
    host: &Host,
    names: &BTreeMap<String, String>,
    ours: &[&ContainerSummary],
    mut inspected: BTreeMap<String, ContainerInspectResponse>,
) -> Result<Vec<Container>, EngineError> {
    let mut containers = Vec::new();
    for summary in ours {
        let id = summary.id.as_deref().unwrap_or_default();
        let Some(container) = inspected.remove(id) else { continue };
        let object = format!("container {}", name_of(summary));
        let call = Call::short("look at", &object);
        containers.push(
            read_container::read(host, names, container)
                .map_err(|message| unreadable(call, message))?,
        );
    }
    containers.sort_by(|a, b| (&a.slot, &a.name).cmp(&(&b.slot, &b.name)));
    Ok(containers)
}

fn strangers(others: &[&ContainerSummary], known: &Images, query: &Query) -> Vec<Stranger> {
    let mut strangers: Vec<_> = others
        .iter()
        .map(|container| Stranger {
            name: name_of(container),
            stack: owner(container, known).and_then(|name| StackName::new(name).ok()),
            project: label(container, labels::PROJECT).map(str::to_owned),
            ports: ports::held(container.ports.as_deref().unwrap_or_default()),
        })
        .filter(|stranger| query.concerns(stranger))
        .collect();
    strangers.sort_by(|a, b| a.name.cmp(&b.name));
    strangers
}

fn owner(container: &ContainerSummary, known: &Images) -> Option<String> {
    let image = container.image_id.as_ref().and_then(|id| known.get(id));
    let of_image = image.map(|image| &image.config.labels);
    labels::owning_stack(&name_of(container), &labels_of(container), of_image).map(str::to_owned)
}

/// The Compose project of a container that Compose made.
fn project(container: &ContainerSummary, known: &Images) -> Option<StackName> {
    let image = container.image_id.as_ref().and_then(|id| known.get(id));
    let of_image = image.map(|image| &image.config.labels);
    let labels = labels_of(container);
    let (project, _) = labels::of_compose(&labels, of_image)?;
    StackName::new(project).ok()
}

/// A container's id, and the stack that its labels name.
fn claimed<'a>(
    container: &'a ContainerSummary,
    owners: &Owners,
) -> Option<(&'a String, Option<StackName>)> {
    let stack = label(container, labels::STACK).and_then(|name| StackName::new(name).ok());
    let stack = stack.or_else(|| owners.adopted(label(container, labels::PROJECT)));
    Some((container.id.as_ref()?, stack))
}

fn labels_of(container: &ContainerSummary) -> BTreeMap<String, String> {
    container.labels.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn label<'a>(container: &'a ContainerSummary, key: &str) -> Option<&'a str> {
    container.labels.as_ref()?.get(key).map(String::as_str)
}

/// A container that others link to has further names, with a slash inside.
pub(super) fn name_of(container: &ContainerSummary) -> String {
    let names = container.names.as_deref().unwrap_or_default();
    names
        .iter()
        .map(|name| name.trim_start_matches('/'))
        .find(|name| !name.contains('/'))
        .or(container.id.as_deref())
        .unwrap_or_default()
        .to_owned()
}

/// What `found` says the container does.
pub(super) fn state(found: &ContainerState) -> Option<State> {
    Some(match found.status? {
        ContainerStateStatusEnum::CREATED => State::Created,
        ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING => State::Running,
        ContainerStateStatusEnum::PAUSED => State::Paused,
        ContainerStateStatusEnum::RESTARTING => State::Restarting,
        ContainerStateStatusEnum::REMOVING => State::Removing,
        ContainerStateStatusEnum::EXITED => State::Exited { code: found.exit_code.unwrap_or(-1) },
        ContainerStateStatusEnum::DEAD => State::Dead,
        ContainerStateStatusEnum::EMPTY => return None,
    })
}

/// What `found` says of the health `check`.
pub(super) fn health(found: &ContainerState, check: Option<HealthConfig>) -> Health {
    let told = found.health.as_ref();
    let health = match told.and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => Health::Unchecked,
    };
    let failures = told.and_then(|health| u32::try_from(health.failing_streak?).ok());
    let tries = check.and_then(read_container::healthcheck).unwrap_or_default().tries();
    match (state(found), failures) {
        (Some(state), Some(failures)) => health.judged(state, failures, tries),
        _ => health,
    }
}

fn health_output(found: &ContainerState) -> Option<String> {
    let output = found.health.as_ref()?.log.as_ref()?.last()?.output.as_deref()?.trim();
    let skipped = output.chars().count().saturating_sub(HEALTH_OUTPUT_CHARS);
    (!output.is_empty()).then(|| output.chars().skip(skipped).collect())
}
