//! The engine: whether it can be spoken with, what it is, and the disk that it works on.

use super::engine_host;
use super::finding::{Finding, size};
use super::person::{group, is_member, is_root, owner, user_name, whoami};
use super::service;
use super::state::{Space, space};
use crate::cli::{Common, EngineKind, engine};
use crate::config::Config;
use crate::engine::docker::Docker;
use crate::engine::{Engine, EngineError, Surroundings};
use crate::model::EngineFacts;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CHECK: &str = "docker";
/// How long the engine may take to answer a question about itself.
const BOUND: Duration = Duration::from_secs(10);
/// The API below which something that stacks may ask for cannot be had, as a minor number, with what that
/// is and the engine that has it.
const WANTED_API: (u16, &str, &str) = (44, "`start_interval` of health checks", "25.0");

pub(super) async fn check(
    common: &Common,
    config: Option<&Config>,
) -> (Vec<Finding>, Option<Surroundings>) {
    let (host, from) = engine_host(common, config);
    let (looked_at, socket) = match common.engine {
        EngineKind::Sim => ("the simulated engine".to_owned(), None),
        EngineKind::Docker => {
            let socket = Path::new(host.strip_prefix("unix://").unwrap_or(&host));
            let socket = Some(socket).filter(|path| path.is_absolute());
            (format!("{host} (from {from})"), socket)
        }
    };
    let opened: Result<Arc<dyn Engine>, EngineError> = match common.engine {
        EngineKind::Docker => Docker::at(&host).map(|docker| Arc::new(docker) as Arc<dyn Engine>),
        EngineKind::Sim => engine::open(common),
    };
    let engine = match opened {
        Ok(engine) => engine,
        Err(error) => {
            let fix = "bowline doctor --host unix:///var/run/docker.sock";
            return (vec![Finding::error(CHECK, looked_at, error, fix)], None);
        }
    };
    if let Some(finding) = socket.and_then(|path| no_socket(path, &looked_at)) {
        return (vec![finding], None);
    }
    let asked = async { Ok((engine.facts().await?, engine.surroundings().await?)) };
    match tokio::time::timeout(BOUND, asked).await {
        Err(_) => (vec![silent(&looked_at)], None),
        Ok(Err(error)) => (vec![failed(&looked_at, socket, &error)], None),
        Ok(Ok((facts, surroundings))) => {
            let mut findings = vec![version(&looked_at, &facts)];
            findings.extend(cgroups(&facts, &surroundings));
            findings.extend(disk(&surroundings));
            (findings, Some(surroundings))
        }
    }
}

/// What is wrong where the socket is to be, as far as its file tells.
fn no_socket(path: &Path, looked_at: &str) -> Option<Finding> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let told =
                "there is no socket: Docker is not installed, not started, or listens elsewhere";
            Some(Finding::error(CHECK, looked_at, told, service::docker("start")))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let told = format!("its directory is not for you: you are {}", whoami());
            Some(Finding::error(CHECK, looked_at, told, format!("sudo ls -ld {}", parent(path))))
        }
        Ok(found) if !found.file_type().is_socket() => {
            let told = format!("it is no socket ({}), so no engine listens there", owner(&found));
            let (shown, restart) = (path.display(), service::docker("restart"));
            let fix = format!("sudo mv {shown} {shown}.aside && {restart}");
            Some(Finding::error(CHECK, looked_at, told, fix))
        }
        Ok(_) | Err(_) => None,
    }
}

fn parent(path: &Path) -> String {
    path.parent().unwrap_or(path).display().to_string()
}

fn silent(looked_at: &str) -> Finding {
    let told = format!("the engine accepts and does not answer within {} s", BOUND.as_secs());
    let (log, restart) = (service::docker_log(), service::docker("restart"));
    let fix = format!("{log}; {restart}  # ends containers, unless `live-restore` is on");
    Finding::error(CHECK, looked_at, told, fix)
}

fn failed(looked_at: &str, socket: Option<&Path>, error: &EngineError) -> Finding {
    match (error, socket) {
        (EngineError::PermissionDenied { .. }, Some(path)) => denied(looked_at, path),
        (EngineError::TooOld { .. }, _) => Finding::error(
            CHECK,
            looked_at,
            error,
            "install Docker Engine 20.10 or newer: https://docs.docker.com/engine/install/",
        ),
        (EngineError::Unreachable { .. }, Some(_)) => Finding::error(
            CHECK,
            looked_at,
            error,
            format!("{}; {}", service::docker_log(), service::docker("restart")),
        ),
        _ => Finding::error(
            CHECK,
            looked_at,
            error,
            "docker version  # and check --host, DOCKER_HOST and `engine.host`",
        ),
    }
}

/// The socket is there and not for this user.
fn denied(looked_at: &str, path: &Path) -> Finding {
    let found = fs::metadata(path).ok();
    let of = found.as_ref().map(owner).unwrap_or_default();
    let group = found.as_ref().map_or_else(|| "docker".to_owned(), |found| group(found.gid()));
    let user = user_name();
    let told = format!("permission denied: you are {}, the socket is {of}", whoami());
    let fix = if is_member(&user, &group) {
        format!("newgrp {group}  # or log in anew: {user} is a member since, but not this session")
    } else if group == "root" {
        "sudo bowline doctor  # the socket is for root alone".to_owned()
    } else {
        format!(
            "sudo usermod -aG {group} {user} && newgrp {group}  # this is as good as being root"
        )
    };
    Finding::error(CHECK, looked_at, told, fix)
}

fn version(looked_at: &str, facts: &EngineFacts) -> Finding {
    let told = format!("Docker {}, API {}", facts.version, facts.api);
    let (minor, lacks, since) = WANTED_API;
    if facts.api.major > 1 || facts.api.minor >= minor {
        return Finding::ok(CHECK, looked_at, told);
    }
    let told = format!("{told}: it is old, and cannot have {lacks} (API 1.{minor})");
    let fix = format!(
        "upgrade Docker Engine to {since} or newer: https://docs.docker.com/engine/install/"
    );
    Finding::warning(CHECK, looked_at, told, fix)
}

/// The limits that the kernel cannot set: what a stack asks of them is not so.
fn cgroups(facts: &EngineFacts, surroundings: &Surroundings) -> Option<Finding> {
    let Surroundings { cgroup_version, cgroup_driver, warnings, .. } = surroundings;
    if cgroup_version.is_empty() {
        return None;
    }
    let looked_at = format!("cgroup v{cgroup_version}, driver {cgroup_driver}");
    let mut lacks: Vec<&str> =
        warnings.iter().map(|text| text.trim_start_matches("WARNING: ").trim()).collect();
    lacks.retain(|text| text.starts_with("No "));
    if !facts.limits_swap && !lacks.iter().any(|text| text.contains("swap")) {
        lacks.push("No swap limit support");
    }
    if lacks.is_empty() {
        return Some(Finding::ok(
            "limits",
            looked_at,
            "the kernel can set what stacks may ask for",
        ));
    }
    let told = format!("the engine cannot set all limits: {}", lacks.join(", "));
    let fix = if cgroup_version == "1" {
        "boot with `systemd.unified_cgroup_hierarchy=1`, or with `cgroup_enable=memory swapaccount=1`"
    } else {
        "docker info 2>&1 | grep WARNING  # do not use these limits here, or enable them in the kernel"
    };
    Some(Finding::warning("limits", looked_at, told, fix))
}

/// The room for images, volumes and logs.
fn disk(surroundings: &Surroundings) -> Option<Finding> {
    const CHECK: &str = "docker disk";
    let root =
        Some(&surroundings.root).filter(|root| surroundings.is_here && root.is_absolute())?;
    let shown = root.display();
    let space = match space(root) {
        Ok(space) => space,
        // An engine in a namespace of its own has directories that are not here.
        Err(error) if is_root() || error.kind() != ErrorKind::PermissionDenied => {
            return Some(Finding::ok(CHECK, &shown, format!("not seen from here ({error})")));
        }
        Err(_) => return Some(Finding::ok(CHECK, &shown, "not seen by this user")),
    };
    let Space { free, free_inodes, .. } = space;
    let told = format!("{} free", size(free));
    let fix = "docker system df  # then `docker image prune`, or make room there otherwise";
    Some(if free_inodes == Some(0) {
        Finding::error(CHECK, &shown, format!("no inode is free ({told})"), fix)
    } else if free < (256 << 20) {
        Finding::error(CHECK, &shown, format!("only {told}: pulls and containers fail"), fix)
    } else if free < (2 << 30) {
        Finding::warning(CHECK, &shown, format!("only {told}"), fix)
    } else {
        Finding::ok(CHECK, &shown, told)
    })
}
