//! Stacks that leave their source, and images that are not needed any more, on a real engine: a
//! real agent, a real repository, the socket, the command line. Runs with
//! `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use support::agent::{Agent, Settings};
use support::docker::docker;
use support::packed::Image;
use support::program::{Ended, bowline, run};
use support::repository::Git;
use support::stacks::{NETWORKS, Stacks, VOLUMES, container, containers, ids, is_running, lives};
use support::wait::until;

/// A stack of one sleeping service with a volume and a network.
fn stack(image: &str) -> String {
    let command = "command: [busybox, sleep, '3600'], stop_signal: SIGKILL";
    format!(
        "services:\n  one: {{ image: '{image}', {command}, volumes: ['data:/d'] }}\nvolumes: {{ data: }}\n"
    )
}

fn prune(settings: &Settings, arguments: &[&str]) -> Ended {
    let socket = settings.socket();
    let fixed = ["prune", "--socket", socket.to_str().unwrap()];
    bowline(&settings.state_dir(), &[&fixed, arguments].concat())
}

#[test]
fn a_renamed_stack_is_held_over_a_killed_agent_until_it_is_confirmed() {
    if support::engine().is_none() {
        return;
    }
    let names = ["e2e-prune-a", "e2e-prune-b", "e2e-prune-c", "e2e-prune-new"];
    let _stacks = Stacks::named(&names);
    let image = Image::of_busybox("e2e-prune-busybox:1");
    let git = Git::new();
    for name in &names[..3] {
        git.write(&format!("{name}/compose.yaml"), &stack(&image.0));
    }
    git.push("Begin");
    let settings = Settings::new("e2e-prune", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_ready();
    let before = lives("e2e-prune-c");
    git.remove("e2e-prune-c").write("e2e-prune-new/compose.yaml", &stack(&image.0));
    git.push("Rename a directory");
    until("the new one", || container("e2e-prune-new-one-1").filter(is_running));
    let held = agent.until_stack("e2e-prune-c", |stack| stack["departure"]["held"].is_string());
    assert_eq!(held["departure"]["held"], "it seems renamed to e2e-prune-new");
    agent.kill();

    let agent = Agent::start(&settings);
    agent.until_ready();
    agent.until_logged(0, &["not removing e2e-prune-c", "renamed to e2e-prune-new"]);
    assert_eq!(lives("e2e-prune-c"), before, "what is held was touched");
    let status = bowline(&settings.state_dir(), &["status", "--agent", &agent.url()]).expect(0);
    assert!(status.out.contains(": it seems renamed to e2e-prune-new"), "{}", status.out);
    let listed = prune(&settings, &[]).expect(0).out;
    for words in ["e2e-prune-c: left e2e-prune, held for", "stays: volumes e2e-prune-c_data"] {
        assert!(listed.contains(words), "no `{words}` in\n{listed}");
    }
    let told = prune(&settings, &["--confirm", "e2e-prune-c"]).expect(0).out;
    assert_eq!(told, "e2e-prune-c: removed; its volumes stay, with their data: e2e-prune-c_data\n");
    assert!(containers("e2e-prune-c").is_empty());
    assert!(ids("e2e-prune-c", NETWORKS).is_empty());
    assert_eq!(ids("e2e-prune-c", VOLUMES).len(), 1);
    for name in ["e2e-prune-a", "e2e-prune-b", "e2e-prune-new"] {
        assert!(is_running(&container(&format!("{name}-one-1")).unwrap()), "{name}");
    }
    assert!(agent.terminate().success());
    assert!(!settings.socket().exists());
}

fn docker_does(arguments: &[&str]) {
    let told = run(Command::new("docker").args(arguments));
    assert_eq!(told.code, 0, "docker {arguments:?}: {}", told.err);
}

fn there(reference: &str) -> bool {
    !docker(&["images", "-q", reference]).trim().is_empty()
}

/// An image of its own, with a label that makes its id another.
fn version(number: u32) -> Image {
    let name = format!("e2e-clean-busybox:{number}");
    let image = Image::of_busybox(&format!("e2e-clean-base:{number}"));
    let id = run(Command::new("docker").args(["create", &image.0, "true"])).out;
    let label = format!("LABEL number={number}");
    docker_does(&["commit", "--change", &label, id.trim(), &name]);
    docker_does(&["rm", id.trim()]);
    Image(name)
}

#[test]
fn former_images_go_but_for_the_newest_and_those_that_others_use_or_name() {
    if support::engine().is_none() {
        return;
    }
    let _stacks = Stacks::named(&["e2e-clean"]);
    docker(&["rm", "-f", "e2e-clean-foreign"]);
    let images: Vec<Image> = (1..=5).map(version).collect();
    docker_does(&["tag", &images[1].0, "e2e-clean-other:mine"]);
    let _other = Image("e2e-clean-other:mine".to_owned());
    // A stopped container of somebody else uses the third.
    docker_does(&["create", "--name", "e2e-clean-foreign", &images[2].0, "true"]);
    let git = Git::new();
    git.write("e2e-clean/compose.yaml", &stack(&images[0].0)).push("Begin");
    let settings = Settings::new("e2e-clean", &git.url(), "images: { keep: 1 }");
    let agent = Agent::start(&settings);
    agent.until_ready();
    for image in &images[1..] {
        git.write("e2e-clean/compose.yaml", &stack(&image.0)).push("Next");
        until(&image.0, || {
            container("e2e-clean-one-1")
                .filter(|one| is_running(one) && one["Config"]["Image"] == *image.0)
        });
        agent.until_stack("e2e-clean", |stack| {
            stack["sync"] == "Synced" && stack["conditions"][1]["status"] == "False"
        });
    }
    agent.until_logged(0, &["removed the image e2e-clean-busybox:1"]);
    assert!(!there(&images[0].0));
    for kept in [&images[1].0, &images[2].0, &images[3].0, &images[4].0] {
        assert!(there(kept), "{kept}");
    }
    assert!(there("e2e-clean-other:mine"));
    docker_does(&["rm", "e2e-clean-foreign"]);
    git.write("e2e-clean/compose.yaml", &stack(&images[3].0)).push("Back");
    agent.until_logged(0, &["removed the image e2e-clean-busybox:3"]);
    assert!(there(&images[4].0), "it is the newest former one now");
    assert!(agent.terminate().success());
}
