//! A simulated host with many stacks on it, each as it should be.

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::execute::Bounds;
use bowline::manifest::{DigestKey, Request, load};
use bowline::model::{ImageConfig, Stack, StackName};
use bowline::pass::{Means, Moment, Subject};
use bowline::status::{PassResult, Report};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const IMAGE: &str = "app:1";

/// An engine and what runs on it.
pub(crate) struct Host {
    pub(crate) sim: Sim,
    pub(crate) stacks: BTreeMap<StackName, Stack>,
    means: Means,
}

impl Host {
    /// An engine that has its image and nothing else.
    pub(crate) fn empty() -> Self {
        let sim = Sim::new();
        let config = ImageConfig {
            command: vec!["serve".into()],
            environment: [("PATH".to_owned(), "/usr/bin".to_owned())].into(),
            ..ImageConfig::default()
        };
        sim.image_add(IMAGE, config, Behaviour::default());
        let engine: Arc<dyn Engine> = Arc::new(sim.clone());
        let parallel = NonZeroUsize::new(8).unwrap();
        let means = Means {
            engine,
            bounds: Bounds::new(parallel, parallel),
            onlooker: Arc::new(|_| {}),
            snapshots: Arc::default(),
            stop: CancellationToken::new(),
            brake: CancellationToken::new(),
        };
        Self { sim, stacks: BTreeMap::new(), means }
    }

    /// So many stacks of `services` services, all of them up.
    pub(crate) async fn with(stacks: usize, services: usize) -> Self {
        let host = Self::defining(stacks, services);
        host.start().await;
        host
    }

    /// So many stacks that do not run yet.
    pub(crate) fn defining(stacks: usize, services: usize) -> Self {
        let stacks = (0..stacks).map(|number| stack(&manifest(number, services, "one")));
        let stacks = stacks.map(|stack| (stack.name.clone(), stack)).collect();
        Self { stacks, ..Self::empty() }
    }

    /// Brings all stacks up.
    pub(crate) async fn start(&self) {
        for stack in self.stacks.values() {
            assert_eq!(self.pass(stack).await.result, PassResult::Changed);
        }
    }

    /// One pass over `stack`.
    pub(crate) async fn pass(&self, stack: &Stack) -> Report {
        let subject = Subject { stack, source: None, revision: None };
        self.means.reconcile(&subject, &Moment::by_hand(Duration::ZERO)).await
    }
}

/// The stack number `number`: services with variables, limits and a label, in rows of ten that come
/// after each other; each row has a network, and its first two services a volume and a host port.
pub(crate) fn manifest(number: usize, services: usize, release: &str) -> String {
    let mut text = format!("name: stack-{number:04}\nservices:\n");
    let rows = services.div_ceil(10);
    for service in 0..services {
        let (row, place) = (service / 10, service % 10);
        writeln!(
            text,
            "  s{service:04}:\n    image: {IMAGE}\n    environment: {{ RELEASE: {release}, HOME: /srv, LEVEL: info }}\n    mem_limit: 64m\n    restart: unless-stopped\n    labels: {{ team: x }}\n    networks: [n{row}]"
        )
        .unwrap();
        match place {
            0 => writeln!(text, "    volumes: [\"v{row}:/data\"]").unwrap(),
            1 => writeln!(text, "    ports: [\"{}:80\"]", 2_000 + number * rows + row).unwrap(),
            _ => writeln!(text, "    depends_on: [s{:04}]", service - 2).unwrap(),
        }
    }
    text += "networks:\n";
    for row in 0..rows {
        let net = number * rows + row;
        let subnet = format!("10.{}.{}.0/24", net / 256, net % 256);
        writeln!(text, "  n{row}: {{ ipam: {{ config: [{{ subnet: {subnet} }}] }} }}").unwrap();
    }
    text += "volumes:\n";
    for row in 0..rows {
        writeln!(text, "  v{row}: {{}}").unwrap();
    }
    text
}

/// The stack in a manifest.
pub(crate) fn stack(text: &str) -> Stack {
    let entry = PathBuf::from("/stack/compose.yaml");
    let request = Request::new(vec![entry.clone()], DigestKey::new([7; 32]));
    let read = |path: &Path| {
        let is_entry = path == entry;
        is_entry.then(|| text.as_bytes().to_vec()).ok_or(std::io::ErrorKind::NotFound.into())
    };
    load(&request, &read).unwrap_or_else(|problems| panic!("{problems}")).stack
}
