//! Single steps, carried out. Each is idempotent where the engine allows it.

use super::client::{Call, Client, STOP_MARGIN};
use super::credentials::Credentials;
use super::error::unreadable;
use super::write_container::{restart, whole_seconds};
use super::write_resources::signed;
use super::{files, images, networks, pull, volumes, withdraw, write_container, write_networking};
use crate::engine::{EngineError, Progress, Word};
use crate::model::{Endpoint, Limits, Networking, RestartPolicy};
use crate::plan::{ContainerRef, NewContainer, Step};
use bollard::models::{ContainerUpdateBody, NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
    RemoveContainerOptions, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder,
};
use std::time::Duration;

/// How long a container that says nothing of it has to stop; the engine's own choice.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Bytes of chance in a container's mark.
const MARK_BYTES: usize = 8;

/// Carries `step` out.
pub(super) async fn perform(
    client: &Client,
    credentials: &Credentials,
    step: &Step,
    progress: Progress<'_>,
) -> Result<(), EngineError> {
    match step {
        Step::PullImage { image, platform } => {
            pull::pull(client, credentials, image, platform.as_ref(), progress).await
        }
        Step::RemoveImage { name, id } => images::remove(client, name, id).await,
        Step::CreateNetwork { spec, labels } => networks::create(client, spec, labels).await,
        Step::RemoveNetwork { name, id } => networks::remove(client, name, id).await,
        Step::CreateVolume { spec, labels } => volumes::create(client, spec, labels).await,
        Step::RemoveVolume(name) => volumes::remove(client, name).await,
        Step::CreateContainer(new) => create(client, new, progress).await,
        Step::Connect { container, network, endpoint } => {
            connect(client, container, network, endpoint).await
        }
        Step::Disconnect { container, network } => disconnect(client, container, network).await,
        Step::Start(container) => start(client, container).await,
        Step::Unpause(container) => unpause(client, container).await,
        Step::Signal { container, signal: name } => signal(client, container, name).await,
        Step::CopyFiles { container, files } => {
            let object = object(container);
            files::copy(client, Call::long("copy files into", &object), &container.key, files).await
        }
        Step::Stop { container, grace } => stop(client, container, *grace).await,
        Step::Remove(container) => remove(client, container).await,
        Step::Rename { container, to } => rename(client, container, to).await,
        Step::Update { container, limits, restart } => {
            update(client, container, limits, *restart).await
        }
        Step::Discard(container) => discard(client, container).await,
        Step::Withdraw { container, network, endpoint } => {
            withdraw::withdraw(client, container, network, endpoint, progress).await
        }
        Step::Await { .. }
        | Step::Finish { .. }
        | Step::RunHooks { .. }
        | Step::Linger(_)
        | Step::NoteContents { .. }
        | Step::OweHooks(_)
        | Step::HooksDone(_) => Err(refused(
            Call::short("ask the engine for", "what is done beside it"),
            "it cannot do that",
        )),
    }
}

/// Makes a container with all its networks and files. If a later part fails, the half-made one is
/// taken away again, so that trying anew finds the name free.
/// What of it the host cannot do is told as progress.
async fn create(
    client: &Client,
    new: &NewContainer,
    progress: Progress<'_>,
) -> Result<(), EngineError> {
    let facts = client.host().await?.facts;
    let object = format!("container {}", new.name);
    let call = Call::long("create", &object);
    files::check(call, &new.spec)?;
    let mark = mark().map_err(|cause| refused(call, &cause))?;
    let new = &sharing_by_id(client, new).await?;
    let joining = write_networking::write(&new.spec.networking, &facts);
    let body = write_container::write(new, &facts, &mark, joining.at_create, joining.mode);
    let mut options = CreateContainerOptionsBuilder::new().name(&new.name);
    if let Some(platform) = &new.spec.platform {
        options = options.platform(&platform.to_string());
    }
    let api = match new.spec.networking.joined().first() {
        Some((_, Endpoint { mac_address: Some(address), .. })) if !facts.speaks(44) => {
            client.api_with_body(write_container::with_mac_address(&body, address)).await?
        }
        _ => client.api().await?,
    };
    let answer = client.request(call, api.create_container(Some(options.build()), body)).await?;
    answer.warnings.iter().for_each(|warning| progress(Word::Warning(warning)));

    let made = ContainerRef { key: answer.id, name: new.name.clone() };
    let completed = async {
        for (network, endpoint) in joining.after {
            connect(client, &made, network, endpoint).await?;
        }
        files::copy(client, Call::long("copy files into", &object), &made.key, &new.spec.files)
            .await
    }
    .await;
    if let Err(cause) = completed {
        // The first failure says more than one of tidying up.
        let _ = remove(client, &made).await;
        return Err(cause);
    }
    Ok(())
}

/// `new` with the containers that it shares something with by their ids: one of the same name that
/// comes later is another one.
async fn sharing_by_id(client: &Client, new: &NewContainer) -> Result<NewContainer, EngineError> {
    let mut new = new.clone();
    if let Networking::Container(other) = &mut new.spec.networking {
        *other = id_of(client, other).await?;
    }
    for from in &mut new.spec.volumes_from {
        from.container = id_of(client, &from.container).await?;
    }
    for mode in [&mut new.spec.pid, &mut new.spec.ipc].into_iter().flatten() {
        if let Some(other) = mode.strip_prefix("container:") {
            *mode = format!("container:{}", id_of(client, other).await?);
        }
    }
    Ok(new)
}

async fn id_of(client: &Client, container: &str) -> Result<String, EngineError> {
    let api = client.api().await?;
    let object = format!("container {container}");
    let call = Call::short("look at", &object);
    let request = api.inspect_container(container, None::<InspectContainerOptions>);
    let found = client.request(call, request).await?;
    found.id.ok_or_else(|| unreadable(call, "no id"))
}

pub(super) async fn connect(
    client: &Client,
    container: &ContainerRef,
    network: &str,
    endpoint: &Endpoint,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("container {} to network {network}", container.name);
    let body = NetworkConnectRequest {
        container: container.key.clone(),
        endpoint_config: Some(write_networking::endpoint(endpoint)),
    };
    let call = Call::long("connect", &object);
    accept(client.request(call, api.connect_network(network, body)).await, |message| {
        message.contains("already exists in network") || message.contains("already attached")
    })
}

pub(super) async fn disconnect(
    client: &Client,
    container: &ContainerRef,
    network: &str,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("container {} from network {network}", container.name);
    let body = NetworkDisconnectRequest { container: container.key.clone(), force: Some(false) };
    let call = Call::long("disconnect", &object);
    accept(client.request(call, api.disconnect_network(network, body)).await, |message| {
        message.contains("is not connected to")
    })
}

async fn start(client: &Client, container: &ContainerRef) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = object(container);
    let request = api.start_container(&container.key, None::<StartContainerOptions>);
    client.request(Call::long("start", &object), request).await
}

async fn unpause(client: &Client, container: &ContainerRef) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = object(container);
    let call = Call::long("unpause", &object);
    accept(client.request(call, api.unpause_container(&container.key)).await, |message| {
        message.contains("is not paused")
    })
}

async fn signal(
    client: &Client,
    container: &ContainerRef,
    signal: &str,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = object(container);
    let options = KillContainerOptionsBuilder::new().signal(signal).build();
    let request = api.kill_container(&container.key, Some(options));
    client.request(Call::long("signal", &object), request).await
}

async fn stop(
    client: &Client,
    container: &ContainerRef,
    grace: Option<Duration>,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = object(container);
    let grace = match grace {
        Some(grace) => grace,
        None => match own_grace(client, container).await {
            Err(EngineError::NotFound { .. }) => return Ok(()),
            other => other?,
        },
    };
    let seconds = i32::try_from(whole_seconds(grace)).unwrap_or(i32::MAX);
    let options = StopContainerOptionsBuilder::new().t(seconds).build();
    let call =
        Call { operation: "stop", object: &object, limit: grace.saturating_add(STOP_MARGIN) };
    gone_is_fine(client.request(call, api.stop_container(&container.key, Some(options))).await)
}

/// What the container was made with: the call must wait as long.
async fn own_grace(client: &Client, container: &ContainerRef) -> Result<Duration, EngineError> {
    let api = client.api().await?;
    let object = object(container);
    let request = api.inspect_container(&container.key, None::<InspectContainerOptions>);
    let inspected = client.request(Call::short("look at", &object), request).await?;
    let seconds = inspected.config.and_then(|config| config.stop_timeout);
    Ok(seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(DEFAULT_GRACE, Duration::from_secs))
}

async fn remove(client: &Client, container: &ContainerRef) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(false);
    remove_with(client, container, options.build()).await
}

async fn discard(client: &Client, container: &ContainerRef) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
    remove_with(client, container, options.build()).await
}

async fn remove_with(
    client: &Client,
    container: &ContainerRef,
    options: RemoveContainerOptions,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = object(container);
    let request = api.remove_container(&container.key, Some(options));
    let result = client.request(Call::long("remove", &object), request).await;
    accept(gone_is_fine(result), |message| message.contains("is already in progress"))
}

async fn rename(client: &Client, container: &ContainerRef, to: &str) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = format!("container {} to {to}", container.name);
    let options = RenameContainerOptionsBuilder::new().name(to).build();
    let request = api.rename_container(&container.key, options);
    accept(client.request(Call::long("rename", &object), request).await, |message| {
        message.contains("same name")
    })
}

async fn update(
    client: &Client,
    container: &ContainerRef,
    limits: &Limits,
    policy: RestartPolicy,
) -> Result<(), EngineError> {
    let api = client.api().await?;
    let object = object(container);
    let request = api.update_container(&container.key, update_body(limits, policy));
    client.request(Call::long("update", &object), request).await
}

/// More memory than the old bound of memory and swap is refused, so that bound goes along: as
/// asked, else twice the memory, as when a container is made.
fn update_body(limits: &Limits, policy: RestartPolicy) -> ContainerUpdateBody {
    let twice = limits.memory.map(|memory| signed(memory.saturating_mul(2)));
    ContainerUpdateBody {
        nano_cpus: limits.nano_cpus.map(signed),
        cpu_shares: limits.cpu_shares.map(signed),
        cpuset_cpus: limits.cpuset.clone(),
        cpu_period: limits.cpu_period.map(signed),
        cpu_quota: limits.cpu_quota.map(signed),
        memory: limits.memory.map(signed),
        memory_reservation: limits.memory_reservation.map(signed),
        memory_swap: limits.memory_swap.or(twice),
        pids_limit: limits.pids,
        restart_policy: Some(restart(policy)),
        ..ContainerUpdateBody::default()
    }
}

fn object(container: &ContainerRef) -> String {
    format!("container {}", container.name)
}

fn mark() -> Result<String, String> {
    let mut mark = [0; MARK_BYTES];
    getrandom::fill(&mut mark).map_err(|cause| format!("no randomness: {cause}"))?;
    Ok(hex::encode(mark))
}

fn gone_is_fine(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

/// Takes a refusal that says that all is as it should be for success.
fn accept(
    result: Result<(), EngineError>,
    is_as_wanted: impl Fn(&str) -> bool,
) -> Result<(), EngineError> {
    match result {
        Err(EngineError::Refused { message, .. }) if is_as_wanted(&message) => Ok(()),
        other => other,
    }
}

fn refused(call: Call<'_>, message: &str) -> EngineError {
    EngineError::Refused {
        operation: call.operation,
        object: call.object.to_owned(),
        status: 400,
        message: message.to_owned(),
    }
}
