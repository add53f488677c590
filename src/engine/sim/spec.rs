//! What a container becomes: the request and its image's share in one, as `inspect` tells it.

use super::limits;
use crate::model::{
    Bind, ContainerSpec, Healthcheck, ImageConfig, Limits, Logging, Mount, MountSource, Networking,
    asked, labels,
};
use crate::plan::NewContainer;
use std::collections::BTreeMap;
use std::time::Duration;

/// The engine's choice of `shm_size`, in bytes.
const DEFAULT_SHM_SIZE: u64 = 64 << 20;

/// The observed form of what `new`, marked with `mark`, becomes with its image.
pub(super) fn observed(
    new: &NewContainer,
    image: &ImageConfig,
    mark: &str,
    keeps_start_interval: bool,
) -> ContainerSpec {
    let mut spec = new.spec.clone();
    inherit_process(&mut spec, image);
    spec.labels = all_labels(new, image, mark);
    let published: Vec<_> = spec.ports.iter().map(|port| port.container).collect();
    spec.expose.extend(&image.exposed_ports);
    spec.expose.retain(|port| !published.contains(port));
    spec.healthcheck = healthcheck(spec.healthcheck.as_ref(), image.healthcheck.as_ref());
    if let Some(check) = spec.healthcheck.as_mut().filter(|_| !keeps_start_interval) {
        check.start_interval = None;
    }
    spec.mounts = mounts(new, image);
    spec.limits = limits::observed(&Limits::clone(&spec.limits));
    leave_out_defaults(&mut spec);
    spec.files.clear();
    spec
}

fn inherit_process(spec: &mut ContainerSpec, image: &ImageConfig) {
    let own = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if !own(&spec.entrypoint) {
        if !own(&spec.command) {
            spec.command = some_list(&image.command);
        }
        if spec.entrypoint.is_none() {
            spec.entrypoint = some_list(&image.entrypoint);
        }
    }
    spec.command = spec.command.take().filter(|command| !command.is_empty());
    for (key, value) in &image.environment {
        spec.environment.entry(key.clone()).or_insert_with(|| Some(value.clone()));
    }
    let text = |own: &Option<String>, image: &str| {
        let own = own.clone().filter(|own| !own.is_empty());
        own.or_else(|| Some(image.to_owned()).filter(|image| !image.is_empty()))
    };
    spec.user = text(&spec.user, &image.user);
    spec.working_dir = text(&spec.working_dir, &image.working_dir);
    spec.stop_signal = text(&spec.stop_signal, image.stop_signal.as_deref().unwrap_or_default());
}

fn some_list(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn all_labels(new: &NewContainer, image: &ImageConfig, mark: &str) -> BTreeMap<String, String> {
    let mut all = image.labels.clone();
    all.extend(new.spec.labels.clone());
    all.extend(new.labels.clone());
    all.insert(labels::MARK.to_owned(), mark.to_owned());
    let options: Vec<_> = new
        .spec
        .logging
        .iter()
        .flat_map(|logging| logging.options.keys().map(String::as_str))
        .collect();
    all.insert(labels::LOG_OPTIONS.to_owned(), options.join(","));
    all.extend(asked(&new.spec).map(|asked| (labels::ASKED.to_owned(), asked)));
    if !new.spec.contents.is_empty() {
        let contents = serde_json::to_string(&new.spec.contents)
            .expect("a map of texts is always a JSON object");
        all.insert(labels::CONTENTS.to_owned(), contents);
    }
    all
}

fn healthcheck(own: Option<&Healthcheck>, image: Option<&Healthcheck>) -> Option<Healthcheck> {
    let own = own.cloned().unwrap_or_default();
    let image = image.cloned().unwrap_or_default();
    let some = |value: Option<Duration>| value.filter(|value| !value.is_zero());
    let merged = Healthcheck {
        test: own.test.filter(|test| !test.is_empty()).or(image.test),
        interval: some(own.interval).or(image.interval),
        timeout: some(own.timeout).or(image.timeout),
        retries: own.retries.filter(|&retries| retries > 0).or(image.retries),
        start_period: some(own.start_period).or(image.start_period),
        start_interval: some(own.start_interval).or(image.start_interval),
    };
    (merged != Healthcheck::default()).then_some(merged)
}

fn mounts(new: &NewContainer, image: &ImageConfig) -> BTreeMap<String, Mount> {
    let mut mounts = new.spec.mounts.clone();
    for target in image.volumes.iter().chain(new.keep_volumes.keys()) {
        mounts.entry(target.clone()).or_insert(Mount::of(MountSource::Anonymous));
    }
    for mount in mounts.values_mut() {
        if let MountSource::Bind(Bind { propagation, .. }) = &mut mount.source {
            *propagation = propagation.take().filter(|mode| mode != "rprivate");
        }
    }
    mounts
}

fn leave_out_defaults(spec: &mut ContainerSpec) {
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    spec.hostname =
        said(spec.hostname.take()).filter(|_| !matches!(spec.networking, Networking::Container(_)));
    spec.domainname = said(spec.domainname.take());
    spec.shm_size = spec.shm_size.filter(|&size| size > 0 && size != DEFAULT_SHM_SIZE);
    spec.ipc = said(spec.ipc.take()).or_else(|| Some("private".to_owned()));
    spec.cgroup = said(spec.cgroup.take()).or_else(|| Some("host".to_owned()));
    spec.uts = said(spec.uts.take());
    spec.userns_mode = said(spec.userns_mode.take());
    spec.cgroup_parent = said(spec.cgroup_parent.take());
    spec.platform = None;
    spec.pid = said(spec.pid.take());
    spec.runtime = said(spec.runtime.take()).filter(|runtime| runtime != "runc");
    spec.stop_grace_period = spec
        .stop_grace_period
        .map(|grace| Duration::from_secs(grace.as_secs() + u64::from(grace.subsec_nanos() > 0)));
    spec.logging = spec.logging.take().and_then(|logging| {
        let driver = said(logging.driver).filter(|driver| driver != "json-file");
        let logging = Logging { driver, options: logging.options };
        (logging != Logging::default()).then_some(logging)
    });
}
