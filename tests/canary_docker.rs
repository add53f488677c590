//! A canary on a real engine that runs, but whose page says that it is not well. Runs with
//! `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use support::agent::{Agent, Settings};
use support::packed::Image;
use support::repository::Git;
use support::stacks::{Stacks, containers, is_running, lives, variable};
use support::wait::until;

const STACK: &str = "e2e-canary";
const IMAGE: &str = "e2e-canary-busybox:1";

/// Two web servers whose page answers with `status`.
fn manifest(version: u8, status: &str) -> String {
    format!(
        r"name: {STACK}
services:
  web:
    image: {IMAGE}
    scale: 2
    stop_signal: SIGKILL
    environment: {{ V: '{version}' }}
    command:
      - sh
      - -c
      - |
        busybox mkdir -p /www/cgi-bin
        busybox cat > /www/cgi-bin/healthz <<'END'
        #!/bin/sh
        busybox printf 'HTTP/1.0 {status}\r\n\r\n'
        END
        busybox chmod +x /www/cgi-bin/healthz
        exec busybox httpd -f -p 8080 -h /www
    x-bowline:
      canary: {{ hold: 2s, interval: 1s, http: {{ port: 8080, path: /cgi-bin/healthz }} }}
"
    )
}

/// The version of each container, by its name, and whether it runs.
fn versions() -> BTreeMap<String, (String, bool)> {
    let version = |one: &_| variable(one, "V").unwrap_or_default().to_owned();
    let all = containers(STACK).into_iter();
    all.map(|(name, one)| (name, (version(&one), is_running(&one)))).collect()
}

fn run(version: u8) -> BTreeMap<String, (String, bool)> {
    let names = ["e2e-canary-web-1", "e2e-canary-web-2"];
    names.map(|name| (name.to_owned(), (version.to_string(), true))).into()
}

#[test]
fn a_container_whose_page_says_500_is_gone_back_from_and_the_other_is_never_touched() {
    if support::engine().is_none() {
        return;
    }
    let _image = Image::of_busybox(IMAGE);
    let _stacks = Stacks::named(&[STACK]);
    let git = Git::new();
    let commit =
        |version, status| git.write("web/compose.yaml", &manifest(version, status)).push("Next");
    let first = commit(1, "200 OK");
    let settings = Settings::new(STACK, &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_stack(STACK, |status| status["applied_revision"] == *first);
    let second = commit(2, "204 No Content");
    agent.until_stack(STACK, |status| status["applied_revision"] == *second);
    assert_eq!(versions(), run(2));
    let before = lives(STACK);

    let bad = commit(3, "500 No");
    let status = agent.until_stack(STACK, |status| status["held_back"]["revision"] == *bad);
    let reason = status["held_back"]["reason"].as_str().unwrap();
    let words = ":8080/cgi-bin/healthz answered 500";
    assert!(reason.contains("e2e-canary-web-1") && reason.contains(words), "{reason}");
    until("version 2 to serve", || (versions() == run(2)).then_some(()));
    agent.until_stack(STACK, |status| status["last_pass"]["result"] == "rolled_back");
    let counted = format!("bowline_rollbacks_total{{reason=\"check\",stack=\"{STACK}\"}} 1");
    assert!(agent.metrics().contains(&counted), "{}", agent.metrics());
    assert_eq!(lives(STACK).intersection(&before).count(), 1, "the second was touched");
    assert!(agent.terminate().success());
}
