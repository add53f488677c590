//! Hooks and draining where only a real engine can tell: whose user, place, variables and secrets a
//! command has, and what becomes of connections. Runs with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::docker::Docker;
use bowline::engine::{Ended, Engine};
use bowline::model::{Endpoint, Hook, ImageRef, Ipam, IpamPool, NetworkSpec, Networking, State};
use bowline::plan::{ContainerRef, Step};
use bowline::status::PassResult;
use std::sync::Arc;
use std::time::Duration;
use support::docker::{Corner, docker, import_busybox};
use support::passes::{pass, stack};
use support::stacks::Stacks;
use support::wait::until;

const LONG: Duration = Duration::from_secs(30);
/// Ends well if the variables, the place, the user and a secret are as wanted.
const CHECKS: &str = "\
    test \"$$A$$B\" = own-hook || exit 11; \
    test \"$$PWD\" = /bin || exit 12; \
    while read key first rest; do \
        test $$key != Uid: || test $$first = 0 || exit 13; \
    done < /proc/self/status; \
    read word < /run/secrets/pass && test $$word = hunter2 || exit 14";

/// An image of busybox alone, until the end of the test.
struct Image(ImageRef);

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "-f", self.0.as_str()]);
    }
}

fn image(name: &str) -> Image {
    let image = ImageRef::new(name).unwrap();
    import_busybox(&image);
    Image(image)
}

#[tokio::test]
async fn a_hook_has_the_user_the_place_the_variables_and_the_secrets_that_it_asks_for() {
    let Some(engine) = support::engine() else { return };
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let name = "t-hooks-checks";
    let _stacks = Stacks::named(&[name]);
    let image = image("t-hooks-checks-busybox:1");
    let of = |checks: &str| {
        let hook = format!(
            "[{{ command: [sh, -c, {checks:?}], user: '0', working_dir: /bin, environment: {{ B: hook }} }}]"
        );
        stack(&format!(
            "name: {name}\nservices:\n  a:\n    image: {}\n    command: [busybox, sleep, '600']\n    \
             stop_signal: SIGKILL\n    user: '7'\n    environment: {{ A: own-, B: service }}\n    \
             configs: [{{ source: pass, target: /run/secrets/pass }}]\n    pre_start: {hook}\n    post_start: {hook}\n\
             configs: {{ pass: {{ content: \"hunter2\\n\" }} }}\n",
            image.0
        ))
    };
    let report = pass(&engine, &of(CHECKS)).await;
    assert_eq!(report.result, PassResult::Changed, "{}", report.message);
    let wrong = CHECKS.replace("own-hook", "another");
    docker(&["rm", "-f", &format!("{name}-a-1")]);
    let report = pass(&engine, &of(&wrong)).await;
    assert!(report.message.contains("is exited (11)"), "it does check: {}", report.message);
}

/// A network with a subnet of its own, on which a server says a number every tenth of a second.
async fn serve(corner: &Corner) -> (ContainerRef, String) {
    let pool = IpamPool { subnet: Some("10.242.7.0/24".parse().unwrap()), ..IpamPool::default() };
    let ipam = Some(Ipam { pools: vec![pool], ..Ipam::default() });
    let spec = NetworkSpec { name: corner.name("net"), ipam, ..NetworkSpec::default() };
    corner.perform(Step::CreateNetwork { spec, labels: corner.labels() }).await;
    let count = "i=0; while [ $i -lt 60 ]; do i=$((i + 1)); echo $i; busybox sleep 0.1; done";
    let listen = ["busybox", "nc", "-ll", "-p", "80", "-e", "sh", "-c", count];
    (run(corner, "web", &listen).await, corner.name("net"))
}

async fn run(corner: &Corner, name: &str, command: &[&str]) -> ContainerRef {
    let mut spec = corner.sleeper();
    spec.command = Some(command.iter().map(|&word| word.to_owned()).collect());
    let endpoint = Endpoint { aliases: [name.to_owned()].into(), ..Endpoint::default() };
    spec.networking = Networking::Networks([(corner.name("net"), Box::new(endpoint))].into());
    let made = corner.create(name, spec).await;
    corner.perform(Step::Start(made.clone())).await;
    made
}

#[tokio::test]
async fn a_response_under_way_outlasts_the_way_out_of_a_name() {
    let Some(engine) = support::engine() else { return };
    let corner = Corner::new(engine, "t-hooks-drain");
    let (web, network) = serve(&corner).await;
    let other = run(&corner, "other", &["busybox", "sleep", "600"]).await;
    let look_up = Hook {
        command: ["busybox", "nslookup", "web"].map(str::to_owned).to_vec(),
        ..Hook::default()
    };
    let found = async |engine: &Docker| {
        let Ended { code, .. } = engine.exec(&other, &look_up, LONG).await.unwrap();
        code == Some(0)
    };
    assert!(found(&corner.engine).await, "the server is found at first");

    let client = run(&corner, "client", &["busybox", "nc", "web", "80"]).await;
    let said = || docker(&["logs", &client.name]);
    until("the response to begin", || said().contains("3\n").then_some(()));
    assert!(!said().contains("60\n"), "it is still under way");
    corner
        .perform(Step::Withdraw { container: web.clone(), network, endpoint: Box::default() })
        .await;
    assert!(!found(&corner.engine).await, "nobody finds it any more");
    corner.until(&client, |state| matches!(state, State::Exited { .. })).await;
    let numbers: Vec<_> = (1..=60).map(|number| number.to_string()).collect();
    assert_eq!(said().lines().collect::<Vec<_>>(), numbers, "the response is whole");
}
