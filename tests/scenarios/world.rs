//! Where a scenario plays: an engine, real or simulated, and what people do to it by hand.

use super::support::{docker::docker, images, sim};
use bowline::engine::sim::Sim;
use bowline::engine::{Engine, EngineError};
use bowline::model::{
    Container, ContainerSpec, Health, ImageRef, NetworkSpec, Networking, Observed, Query,
    StackName, State, labels,
};
use bowline::plan::{ContainerRef, NewContainer, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a scenario waits for a state.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Acts of people.
pub enum ByHand {
    Docker,
    Sim(Sim),
}

/// One scenario's corner of an engine; all names in it begin with `prefix`.
pub struct World {
    pub engine: Arc<dyn Engine>,
    pub by_hand: ByHand,
    pub prefix: String,
}

impl World {
    pub fn simulated(name: &str) -> Self {
        let sim = sim::engine();
        images::add_all(&sim);
        Self { engine: Arc::new(sim.clone()), by_hand: ByHand::Sim(sim), prefix: prefix(name) }
    }

    pub fn real(engine: impl Engine, name: &str) -> Self {
        let world =
            Self { engine: Arc::new(engine), by_hand: ByHand::Docker, prefix: prefix(name) };
        world.clear();
        world
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn stack(&self) -> StackName {
        StackName::new(self.prefix.clone()).unwrap()
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(labels::STACK.to_owned(), self.prefix.clone())])
    }

    pub fn new_container(&self, name: &str, spec: ContainerSpec) -> NewContainer {
        let mut labels = self.labels();
        labels.insert(labels::SLOT.to_owned(), format!("{name}/1"));
        labels.insert(labels::NAME.to_owned(), self.name(name));
        NewContainer { name: self.name(name), spec, labels, keep_volumes: BTreeMap::new() }
    }

    pub async fn attempt(&self, step: Step) -> Result<(), EngineError> {
        self.engine.perform(&step, &|_| {}).await
    }

    pub async fn perform(&self, step: Step) {
        let text = format!("{step:?}");
        self.attempt(step).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    pub async fn create(&self, name: &str, spec: ContainerSpec) -> ContainerRef {
        self.perform(Step::CreateContainer(Box::new(self.new_container(name, spec)))).await;
        ContainerRef::named(self.name(name))
    }

    pub async fn run(&self, name: &str, spec: ContainerSpec) -> ContainerRef {
        let made = self.create(name, spec).await;
        self.perform(Step::Start(made.clone())).await;
        made
    }

    /// Why a container does not come to run: older engines say so at its start, newer ones (API
    /// 1.44) when it is made already. Nothing stays of it.
    pub async fn refused(&self, name: &str, spec: ContainerSpec) -> EngineError {
        let made = self.new_container(name, spec);
        let container = ContainerRef::named(self.name(name));
        if let Err(error) = self.attempt(Step::CreateContainer(Box::new(made))).await {
            return error;
        }
        let error = self.attempt(Step::Start(container.clone())).await.unwrap_err();
        self.perform(Step::Remove(container)).await;
        error
    }

    pub async fn network(&self, name: &str, spec: NetworkSpec) -> String {
        let spec = NetworkSpec { name: self.name(name), ..spec };
        self.perform(Step::CreateNetwork { spec, labels: self.labels() }).await;
        self.name(name)
    }

    pub async fn observe(&self) -> Observed {
        self.engine.observe(&Query::owned_by(self.stack())).await.unwrap()
    }

    pub async fn only(&self) -> Container {
        let mut containers = self.observe().await.containers;
        assert_eq!(containers.len(), 1, "{containers:#?}");
        containers.remove(0)
    }

    pub async fn state(&self, container: &ContainerRef) -> State {
        self.engine.watch(container).await.unwrap().state
    }

    pub async fn until_state(&self, container: &ContainerRef, wanted: impl Fn(State) -> bool) {
        let mut last = None;
        let reached = tokio::time::timeout(PATIENCE, async {
            loop {
                last = Some(self.state(container).await);
                if last.is_some_and(&wanted) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let reached = reached.await.is_ok();
        assert!(reached, "{} is {last:?}", container.name);
    }

    pub async fn until_health(&self, container: &ContainerRef, wanted: Health) {
        let mut last = None;
        let reached = tokio::time::timeout(PATIENCE, async {
            while last != Some(wanted) {
                last = Some(self.engine.watch(container).await.unwrap().health);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let reached = reached.await.is_ok();
        assert!(reached, "{} is {last:?}", container.name);
    }

    pub fn pause(&self, container: &ContainerRef) {
        match &self.by_hand {
            ByHand::Docker => drop(docker(&["pause", &container.name])),
            ByHand::Sim(sim) => sim.pause(&container.name).unwrap(),
        }
    }

    /// A new image of that name, unlike those before it; its id. One that had the name loses it.
    pub fn image(&self, name: &str, kind: &str) -> String {
        match &self.by_hand {
            ByHand::Docker => images::import_sleeper(name, kind),
            ByHand::Sim(sim) => images::add_sleeper(sim, name, kind),
        }
    }

    /// `docker tag`.
    pub fn tag(&self, image: &str, name: &str) {
        match &self.by_hand {
            ByHand::Docker => drop(docker(&["tag", image, name])),
            ByHand::Sim(sim) => sim.tag(image, name),
        }
    }

    /// A container of somebody else.
    pub fn foreign(&self, name: &str, image: &str) {
        let name = self.name(name);
        match &self.by_hand {
            ByHand::Docker => drop(docker(&["create", "--name", &name, image])),
            ByHand::Sim(sim) => {
                let labels = BTreeMap::new();
                let spec = of(image);
                let new = NewContainer { name, spec, labels, keep_volumes: BTreeMap::new() };
                sim.foreign(&new).unwrap();
            }
        }
    }

    fn clear(&self) {
        // What the stack has is named with `-`, its networks and volumes with `_`.
        let filter = format!("name=^{}[-_]", self.prefix);
        for (list, remove) in [
            (vec!["ps", "-aq"], vec!["rm", "-f", "-v"]),
            (vec!["network", "ls", "-q"], vec!["network", "rm"]),
            (vec!["volume", "ls", "-q"], vec!["volume", "rm"]),
        ] {
            let found = docker(&[&list[..], &["--filter", &filter]].concat());
            let found: Vec<_> = found.split_whitespace().collect();
            if !found.is_empty() {
                docker(&[&remove[..], &found].concat());
            }
        }
        images::remove_sleepers(&self.prefix);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if matches!(self.by_hand, ByHand::Docker) {
            self.clear();
        }
    }
}

/// A container of `image` on the default bridge, with nothing else said.
pub fn of(image: &str) -> ContainerSpec {
    let mut spec = ContainerSpec::new(ImageRef::new(image).unwrap());
    spec.networking = Networking::DefaultBridge;
    spec
}

fn prefix(name: &str) -> String {
    format!("t-scn-{}", name.replace('_', "-"))
}
