//! Acts of the catalogue on a simulated engine: the same commands, understood as far as the
//! catalogue uses them.

use super::row::{Again, FRONT, Further, Lane, NetworkAgain, Row, WEB_IMAGE};
use bowline::engine::sim::{Behaviour, Sim};
use bowline::engine::{Engine, EngineError};
use bowline::model::{
    Bind, Blkio, Container, ContainerPort, ContainerSpec, Device, Endpoint, Healthcheck, ImageRef,
    Ipam, IpamPool, Limits, Logging, Mount, MountSource, NetworkSpec, Networking, PortBinding,
    Protocol, Query, RestartPolicy, StackName, Tmpfs, Ulimit, VolumeSpec, labels,
};
use bowline::plan::{ContainerRef, NewContainer, Step};
use std::collections::BTreeMap;
use std::time::Duration;

/// A simulated engine and the lane on it.
pub struct Hand<'a> {
    pub sim: &'a Sim,
    pub lane: Lane,
}

type Done = Result<(), EngineError>;

/// Longer than the one-shot runs.
const A_MOMENT: Duration = Duration::from_millis(10);

impl Hand<'_> {
    /// Does what a row says.
    pub async fn act(&self, row: &Row) {
        let front = self.observe().await.networks.into_iter().find(|n| n.spec.name == self.front());
        self.commands(&row.by).await;
        if let Some(again) = &row.again {
            self.make_web_anew(again).unwrap();
            self.commands(&again.then).await;
        }
        if let Some((network, front)) = row.network.as_ref().zip(front) {
            self.make_front_anew(network, front.spec.labels).unwrap();
        }
        if let Some(further) = &row.copy {
            self.add(further).unwrap();
        }
    }

    pub async fn commands(&self, lines: &[String]) {
        let data = self.observe().await.volumes.into_iter().find(|v| v.spec.name == self.data());
        let labels = data.map(|volume| volume.spec.labels).unwrap_or_default();
        for line in lines {
            let words = self.lane.words(line);
            let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            self.command(&words, &labels).await.unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    async fn command(&self, words: &[&str], data: &BTreeMap<String, String>) -> Done {
        let step = |step: Step| self.sim.by_hand(&step);
        match words {
            ["stop", name] => step(Step::Stop { container: named(name), grace: None }),
            ["kill", name] => {
                step(Step::Signal { container: named(name), signal: "SIGKILL".into() })
            }
            ["pause", name] => self.sim.pause(name),
            ["restart", .., name] => {
                step(Step::Stop { container: named(name), grace: None })?;
                step(Step::Start(named(name)))
            }
            ["rename", from, to] => {
                step(Step::Rename { container: named(from), to: (*to).to_owned() })
            }
            ["rm", _, names @ ..] => {
                names.iter().try_for_each(|name| step(Step::Remove(named(name))))
            }
            ["update", rest @ ..] => self.update(rest).await,
            ["network", "connect", rest @ .., network, name] => step(Step::Connect {
                container: named(name),
                network: (*network).to_owned(),
                endpoint: endpoint(&pairs(rest)),
            }),
            ["network", "disconnect", network, name] => {
                step(Step::Disconnect { container: named(name), network: (*network).to_owned() })
            }
            ["network", "rm", name] => self.remove_network(name),
            ["volume", "rm", name] => step(Step::RemoveVolume((*name).to_owned())),
            ["volume", "create", rest @ .., name] => step(create_volume(rest, name, data)),
            // Contents are not simulated, but for the one that lets the one-shot fail.
            ["cp", _, to] => {
                if let Some(name) = to.strip_suffix(":/no") {
                    self.sim.behave(name, ends(1));
                }
                Ok(())
            }
            ["start", _, name] => {
                step(Step::Start(named(name)))?;
                tokio::time::sleep(A_MOMENT).await;
                self.sim.behave(name, ends(0));
                Ok(())
            }
            ["run" | "create", rest @ ..] => self.stranger(rest, words[0] == "run"),
            other => {
                self.cannot_fail(other);
                Ok(())
            }
        }
    }

    fn cannot_fail(&self, words: &[&str]) {
        match words {
            ["exec", name, .., "-USR1", _] => self.sim.crash(name, 0),
            ["exec", name, .., "-USR2", _] => self.sim.crash(name, 1),
            ["exec", name, .., "-HUP", _] => self.sim.run_out_of_memory(name),
            ["tag", image, name] => self.sim.tag(image, name),
            ["rmi", .., name] => self.sim.untag(name),
            other => panic!("not understood: docker {other:?}"),
        }
    }

    fn remove_network(&self, name: &str) -> Done {
        self.sim.by_hand(&Step::RemoveNetwork { name: name.to_owned(), id: name.to_owned() })
    }

    /// Limits that are not named stay.
    async fn update(&self, words: &[&str]) -> Done {
        let begin = words.iter().rposition(|word| !word.contains("-drift-")).unwrap_or(0) + 1;
        let (flags, names) = words.split_at(begin);
        for name in names {
            let found = self.container(name).await;
            let mut spec = ContainerSpec::new(found.spec.image.clone());
            spec.restart = found.spec.restart;
            for (flag, value) in pairs(flags) {
                set(&mut spec, &flag, &value);
            }
            self.sim.edit_limits(name, &spec.limits, spec.restart)?;
        }
        Ok(())
    }

    /// A container of somebody else.
    fn stranger(&self, words: &[&str], start: bool) -> Done {
        let words: Vec<&str> = words.iter().copied().filter(|word| *word != "--detach").collect();
        let count = words.iter().take_while(|word| **word != self.lane.of(WEB_IMAGE)).count();
        let mut spec = ContainerSpec::new(image(&self.lane.of(WEB_IMAGE)));
        spec.command = Some(words[count + 1..].iter().map(|&word| word.to_owned()).collect());
        let mut name = String::new();
        for (flag, value) in pairs(&words[..count]) {
            if flag == "--name" {
                name = value;
            } else {
                set(&mut spec, &flag, &value);
            }
        }
        let new = NewContainer {
            name: name.clone(),
            spec,
            labels: BTreeMap::new(),
            keep_volumes: BTreeMap::new(),
        };
        self.sim.foreign(&new)?;
        if start { self.sim.by_hand(&Step::Start(named(&name))) } else { Ok(()) }
    }

    fn make_web_anew(&self, again: &Again) -> Done {
        let (web, odd) = (self.lane.of("shop-web-1"), self.lane.of("shop-anew"));
        self.sim.copy(&web, &odd, |spec| {
            for (flag, value) in self.lane.options(&again.without) {
                unset(spec, &flag, &value);
            }
            for (flag, value) in self.lane.options(&again.with) {
                set(spec, &flag, &value);
            }
            if let Some(name) = &again.image {
                spec.image = image(&self.lane.of(name));
            }
            if let Some(command) = &again.command {
                spec.command = Some(self.lane.words(command));
            }
        })?;
        self.sim.by_hand(&Step::Remove(named(&web)))?;
        self.sim.by_hand(&Step::Rename { container: named(&odd), to: web.clone() })?;
        if again.start { self.sim.by_hand(&Step::Start(named(&web))) } else { Ok(()) }
    }

    fn make_front_anew(&self, change: &NetworkAgain, labels: BTreeMap<String, String>) -> Done {
        let (name, web) = (self.front(), named(&self.lane.of("shop-web-1")));
        if change.connect {
            let container = web.clone();
            self.sim.by_hand(&Step::Disconnect { container, network: name.clone() })?;
        }
        self.remove_network(&name)?;
        let mut spec = NetworkSpec { name: name.clone(), ..NetworkSpec::default() };
        let mut pool = IpamPool::default();
        let mut labels = if change.labels { labels } else { BTreeMap::new() };
        let mut address = "10.219.0.10".to_owned();
        let options = self.lane.changed(FRONT, &change.without, &change.with);
        for (flag, value) in pairs(&options.iter().map(String::as_str).collect::<Vec<_>>()) {
            match flag.as_str() {
                "--internal" => spec.internal = true,
                "--label" => labels.extend([pair(&value)]),
                "--opt" => spec.driver_opts.extend([pair(&value)]),
                "--subnet" => pool.subnet = Some(value.parse().unwrap()),
                "--gateway" => pool.gateway = Some(value.parse().unwrap()),
                "--ip" => address = value,
                other => panic!("not understood: {other}"),
            }
        }
        spec.ipam = Some(Ipam { pools: vec![pool], ..Ipam::default() });
        self.sim.by_hand(&Step::CreateNetwork { spec, labels })?;
        if !change.connect {
            return Ok(());
        }
        let endpoint = Endpoint {
            aliases: ["web", "site"].map(str::to_owned).into(),
            ipv4_address: Some(self.lane.of(&address).parse().unwrap()),
            ..Endpoint::default()
        };
        self.sim.by_hand(&Step::Connect { container: web, network: name, endpoint })
    }

    fn add(&self, further: &Further) -> Done {
        let (of, name) = (self.lane.of(&further.of), self.lane.of(&further.name));
        self.sim.copy(&of, &name, |spec| {
            spec.labels.insert(labels::SLOT.to_owned(), further.slot.clone());
            spec.labels.insert(labels::NAME.to_owned(), name.clone());
        })?;
        if further.start { self.sim.by_hand(&Step::Start(named(&name))) } else { Ok(()) }
    }

    async fn observe(&self) -> bowline::model::Observed {
        let stack = StackName::new(self.lane.stack()).unwrap();
        self.sim.observe(&Query::owned_by(stack)).await.unwrap()
    }

    async fn container(&self, name: &str) -> Container {
        let containers = self.observe().await.containers;
        containers.into_iter().find(|one| one.name == name).unwrap()
    }

    fn front(&self) -> String {
        self.lane.of("shop_front")
    }

    fn data(&self) -> String {
        self.lane.of("shop_data")
    }
}

fn named(name: &str) -> ContainerRef {
    ContainerRef::named(name)
}

fn image(name: &str) -> ImageRef {
    ImageRef::new(name).unwrap()
}

/// What a one-shot does.
pub fn ends(code: i64) -> Behaviour {
    Behaviour { exits: Some((Duration::from_millis(1), code)), ..Behaviour::default() }
}

fn pairs(words: &[&str]) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for &word in words {
        match pairs.last_mut() {
            Some((_, value)) if !word.starts_with("--") => word.clone_into(value),
            _ => pairs.push((word.to_owned(), String::new())),
        }
    }
    pairs
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').expect("KEY=VALUE");
    (key.to_owned(), value.to_owned())
}

fn endpoint(options: &[(String, String)]) -> Endpoint {
    let mut endpoint = Endpoint::default();
    for (flag, value) in options {
        match flag.as_str() {
            "--alias" => drop(endpoint.aliases.insert(value.clone())),
            "--ip" => endpoint.ipv4_address = Some(value.parse().unwrap()),
            other => panic!("not understood: {other}"),
        }
    }
    endpoint
}

fn create_volume(words: &[&str], name: &str, data: &BTreeMap<String, String>) -> Step {
    let mut spec = VolumeSpec { name: name.to_owned(), ..VolumeSpec::default() };
    let mut labels = BTreeMap::new();
    if words.contains(&"LABELS") {
        labels.clone_from(data);
    }
    let words: Vec<&str> = words.iter().copied().filter(|word| *word != "LABELS").collect();
    for (flag, value) in pairs(&words) {
        match flag.as_str() {
            "--opt" => spec.driver_opts.extend([pair(&value)]),
            "--label" => labels.extend([pair(&value)]),
            other => panic!("not understood: {other}"),
        }
    }
    Step::CreateVolume { spec, labels }
}

fn bytes(text: &str) -> u64 {
    let mebibytes: u64 = text.strip_suffix('m').and_then(|text| text.parse().ok()).unwrap();
    mebibytes << 20
}

/// `[ADDRESS:[HOST]:]PORT`.
fn port(text: &str) -> PortBinding {
    let (address, port) = text.rsplit_once("::").map_or((None, text), |(a, b)| (Some(a), b));
    PortBinding {
        container: ContainerPort { port: port.parse().unwrap(), protocol: Protocol::Tcp },
        host_ip: address.map(|address| address.parse().unwrap()),
        host: None,
    }
}

fn mount(text: &str) -> (String, Mount) {
    let parts: Vec<&str> = text.split(':').collect();
    let source = if parts[0].starts_with('/') {
        MountSource::Bind(Bind {
            path: parts[0].to_owned(),
            create_host_path: true,
            is_file: false,
            propagation: None,
            selinux: None,
            recursive: None,
        })
    } else {
        MountSource::Volume { name: parts[0].to_owned(), nocopy: false, subpath: None }
    };
    let read_only = parts.get(2) == Some(&"ro");
    (parts[1].to_owned(), Mount { read_only, ..Mount::of(source) })
}

fn restart(text: &str) -> RestartPolicy {
    match text.split_once(':').unwrap_or((text, "0")) {
        ("no", _) => RestartPolicy::No,
        ("always", _) => RestartPolicy::Always,
        ("unless-stopped", _) => RestartPolicy::UnlessStopped,
        (_, count) => RestartPolicy::OnFailure { max_retries: count.parse().unwrap() },
    }
}

fn place(spec: &mut ContainerSpec) -> Option<&mut Endpoint> {
    let Networking::Networks(networks) = &mut spec.networking else { return None };
    networks.values_mut().next().map(AsMut::as_mut)
}

/// Takes an option of `docker run` away.
fn unset(spec: &mut ContainerSpec, flag: &str, value: &str) {
    match flag {
        "--env" => drop(spec.environment.remove(&pair(value).0)),
        "--label" => drop(spec.labels.remove(&pair(value).0)),
        "--volume" => drop(spec.mounts.remove(&mount(value).0)),
        "--publish" => drop(spec.ports.remove(&port(value))),
        "--hostname" => spec.hostname = None,
        "--stop-signal" => spec.stop_signal = None,
        "--memory" => spec.limits.memory = None,
        "--restart" => spec.restart = RestartPolicy::No,
        "--network" => spec.networking = Networking::Networks(BTreeMap::new()),
        "--log-driver" => spec.logging = None,
        "--log-opt" => {
            if let Some(logging) = &mut spec.logging {
                logging.options.remove(&pair(value).0);
            }
        }
        "--network-alias" | "--ip" => {}
        other => panic!("not understood: without {other}"),
    }
}

/// Sets an option of `docker run`.
fn set(spec: &mut ContainerSpec, flag: &str, value: &str) {
    if set_limit(&mut spec.limits, flag, value) {
        return;
    }
    let text = || value.to_owned();
    match flag {
        "--restart" => spec.restart = restart(value),
        "--env" => spec.environment.extend([pair(value)].map(|(key, value)| (key, Some(value)))),
        "--label" => spec.labels.extend([pair(value)]),
        "--entrypoint" => spec.entrypoint = Some(vec![text()]),
        "--user" => spec.user = Some(text()),
        "--workdir" => spec.working_dir = Some(text()),
        "--hostname" => spec.hostname = Some(text()),
        "--domainname" => spec.domainname = Some(text()),
        "--volume" => spec.mounts.extend([mount(value)]),
        "--tmpfs" => {
            let (at, size) = value.split_once(":size=").unwrap();
            let tmpfs = Tmpfs { size: Some(bytes(size)), ..Tmpfs::default() };
            spec.mounts.insert(at.to_owned(), Mount::of(MountSource::Tmpfs(tmpfs)));
        }
        "--publish" => drop(spec.ports.insert(port(value))),
        "--expose" => drop(spec.expose.insert(port(value).container)),
        "--health-cmd" => {
            let test = Some(vec!["CMD-SHELL".to_owned(), text()]);
            spec.healthcheck = Some(Healthcheck { test, ..Healthcheck::default() });
        }
        "--health-interval" => {
            let check = spec.healthcheck.get_or_insert_default();
            check.interval = Some(Duration::from_secs(3600));
        }
        "--cap-add" => drop(spec.cap_add.insert(text())),
        "--cap-drop" => drop(spec.cap_drop.insert(text())),
        "--sysctl" => spec.sysctls.extend([pair(value)]),
        "--ulimit" => {
            let (name, values) = pair(value);
            let (soft, hard) = values.split_once(':').unwrap();
            let limit = Ulimit { soft: soft.parse().unwrap(), hard: hard.parse().unwrap() };
            spec.ulimits.insert(name, limit);
        }
        "--dns" => spec.dns.push(text()),
        "--dns-search" => spec.dns_search.push(text()),
        "--dns-option" => spec.dns_opt.push(text()),
        "--add-host" => drop(spec.extra_hosts.insert(text())),
        "--log-opt" => {
            let logging = spec.logging.get_or_insert_default();
            logging.options.extend([pair(value)]);
        }
        "--log-driver" => {
            spec.logging = Some(Logging { driver: Some(text()), ..Logging::default() });
        }
        "--read-only" => spec.read_only = true,
        "--privileged" => spec.privileged = true,
        "--init" => spec.init = Some(true),
        "--tty" => spec.tty = true,
        "--interactive" => spec.stdin_open = true,
        "--stop-signal" => spec.stop_signal = Some(text()),
        "--stop-timeout" => {
            spec.stop_grace_period = Some(Duration::from_secs(value.parse().unwrap()));
        }
        "--shm-size" => spec.shm_size = Some(bytes(value)),
        "--device" => {
            let (source, at) = value.split_once(':').unwrap();
            let device = Device { source: source.to_owned(), permissions: "rwm".to_owned() };
            spec.devices.insert(at.to_owned(), device);
        }
        "--device-cgroup-rule" => drop(spec.device_cgroup_rules.insert(text())),
        "--security-opt" => drop(spec.security_opt.insert(text())),
        "--group-add" => drop(spec.group_add.insert(text())),
        "--oom-score-adj" => spec.oom_score_adj = value.parse().unwrap(),
        "--blkio-weight" => {
            spec.blkio = Blkio { weight: value.parse().ok(), ..Blkio::default() };
        }
        "--pid" => spec.pid = Some(text()),
        "--ipc" => spec.ipc = Some(text()),
        "--uts" => spec.uts = Some(text()),
        "--network" if value == "none" => spec.networking = Networking::None,
        "--network" => {
            let networks = BTreeMap::from([(text(), Box::new(Endpoint::default()))]);
            spec.networking = Networking::Networks(networks);
        }
        "--network-alias" => {
            if let Some(place) = place(spec) {
                place.aliases.insert(text());
            }
        }
        other => panic!("not understood: {other}"),
    }
}

fn set_limit(limits: &mut Limits, flag: &str, value: &str) -> bool {
    match flag {
        "--memory" => limits.memory = Some(bytes(value)),
        "--memory-swap" => limits.memory_swap = i64::try_from(bytes(value)).ok(),
        "--memory-reservation" => limits.memory_reservation = Some(bytes(value)),
        "--cpus" => limits.nano_cpus = Some(value.parse::<u64>().unwrap() * 1_000_000_000),
        "--cpu-shares" => limits.cpu_shares = value.parse().ok(),
        "--cpuset-cpus" => limits.cpuset = Some(value.to_owned()),
        "--pids-limit" => limits.pids = value.parse().ok(),
        "--cpu-quota" => limits.cpu_quota = value.parse().ok(),
        "--cpu-period" => limits.cpu_period = value.parse().ok(),
        _ => return false,
    }
    true
}
