//! Windows on a real engine: a commit waits, what was begun is repaired meanwhile, and the commit runs once
//! the window opens. With a clock that the test sets. Runs with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::agent::{self, Clock, Views};
use bowline::config::Config;
use bowline::engine::docker::Docker;
use bowline::model::StackName;
use bowline::status::StackStatus;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Instant;
use support::docker::docker;
use support::packed::Image;
use support::repository::Git;
use support::stacks::{Stacks, containers, id, is_running, variable};
use support::wait::until;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The stack, and the source that it comes from.
const NAME: &str = "e2e-window";
const CONTAINER: &str = "e2e-window-web-1";

struct Host {
    engine: Arc<Docker>,
    git: Git,
    dir: TempDir,
    runtime: Runtime,
}

impl Host {
    fn push(&self, version: u32) -> String {
        let text = format!(
            "name: {NAME}\nservices:\n  web:\n    image: e2e-window-busybox:1\n    \
             command: [busybox, sleep, '3600']\n    stop_signal: SIGKILL\n    network_mode: none\n    \
             environment: {{ V: '{version}' }}\n    volumes: ['./site:/site:ro']\n"
        );
        let index = format!("{version}\n");
        self.git.write("w/compose.yaml", &text).write("w/site/index", &index);
        self.git.push(&version.to_string())
    }

    /// Has an agent run whose clock says `text` when it begins, as long as `watching`.
    fn while_it_is(&self, text: &str, watching: impl FnOnce(&Views)) {
        let file = self.dir.path().join("config.yaml");
        let config = format!(
            "sources: [{{ name: {NAME}, url: {:?}, interval: 1s }}]\nstate_dir: state\nmonitor: 100ms\n\
             schedule: {{ allow: [{{ cron: '0 22 * * *', for: 2h }}] }}\n",
            self.git.url()
        );
        let config = Config::parse(&config, &file).unwrap();
        let (begins, began) = (text.parse::<Timestamp>().unwrap(), Instant::now());
        let now = move || begins + SignedDuration::try_from(began.elapsed()).unwrap();
        let views = Views { clock: Clock::new(now), ..Views::default() };
        let (stop, engine) = (CancellationToken::new(), Arc::clone(&self.engine));
        let agent = agent::run(config, engine, views.clone(), stop.clone());
        let agent = self.runtime.spawn(agent);
        let _ends = stop.clone().drop_guard();
        watching(&views);
        stop.cancel();
        self.runtime.block_on(agent).unwrap().unwrap();
    }
}

/// The version that runs, and in which container.
fn runs() -> Option<(String, String)> {
    let one = containers(NAME).remove(CONTAINER).filter(is_running)?;
    Some((variable(&one, "V")?.to_owned(), id(&one)))
}

/// What its container reads of the file that it mounts.
fn read() -> String {
    docker(&["exec", CONTAINER, "busybox", "cat", "/site/index"])
}

fn status(views: &Views, what: &str, fits: impl Fn(&StackStatus) -> bool) -> StackStatus {
    let name = StackName::new(NAME).unwrap();
    until(what, || views.shared.board().stack(&name).filter(|stack| fits(stack)).cloned())
}

fn applied(views: &Views, commit: &str) {
    let is_at = |it: &StackStatus| it.applied_revision.as_ref().is_some_and(|at| at.0 == commit);
    status(views, "the commit to be applied", is_at);
}

#[test]
fn a_commit_waits_for_its_window_and_what_was_begun_is_repaired_until_it_opens() {
    let Some(engine) = support::engine() else { return };
    let _image = Image::of_busybox("e2e-window-busybox:1");
    let _stacks = Stacks::named(&[NAME]);
    let (dir, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let host = Host { engine: Arc::new(engine), git: Git::new(), dir, runtime };
    let first = host.push(1);
    host.while_it_is("2026-11-21T22:30:00Z", |views| applied(views, &first));

    let second = host.push(2);
    host.while_it_is("2026-11-22T12:00:00Z", |views| {
        let waits = |it: &StackStatus| it.revision.as_ref().is_some_and(|at| at.0 == second);
        let waits = status(views, "the commit to wait", |it| it.window.is_some() && waits(it));
        assert_eq!(waits.message, "waiting for its window, opens 2026-11-22 22:00 +00:00");
        let (version, lost) = runs().unwrap();
        assert_eq!((version.as_str(), read().as_str()), ("1", "1\n"));
        docker(&["rm", "-f", CONTAINER]);
        let (version, _) = until("a repair", || runs().filter(|(_, now)| *now != lost));
        assert_eq!((version.as_str(), read().as_str()), ("1", "1\n"));
    });

    host.while_it_is("2026-11-22T21:59:55Z", |views| {
        applied(views, &second);
        assert_eq!(runs().unwrap().0, "2");
        assert_eq!(read(), "2\n");
        status(views, "nothing to wait", |it| it.window.is_none());
    });
}
