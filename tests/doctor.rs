//! `bowline doctor` on hosts that lack this or that: each is one clear line with what to do, and nothing is
//! changed.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use support::agent::{Agent, Settings, free_port};
use support::program::{Ended, bowline, command, run};
use support::repository::Git;
use tempfile::TempDir;

/// A password that must be seen nowhere.
const PASSWORD: &str = "hunter2-do-not-tell";

/// A host with a configuration that is fine, on the simulated engine.
struct Host {
    dir: TempDir,
    git: Git,
}

impl Host {
    fn new(more: &str) -> Self {
        let (dir, git) = (tempfile::tempdir().unwrap(), Git::new());
        git.write("web/compose.yaml", "services: {}\n").push("Begin");
        let host = Self { dir, git };
        let source = format!("{{ name: infra, url: {:?} }}", host.git.url());
        host.configure(&source, more);
        host
    }

    fn configure(&self, source: &str, more: &str) {
        let text = format!(
            "sources: [{source}]\nstate_dir: state\nsocket: bowline.sock\n\
             http: {{ listen: '127.0.0.1:{}' }}\n{more}\n",
            free_port()
        );
        fs::write(self.path("config.yaml"), text).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn doctor(&self, arguments: &[&str]) -> Ended {
        let mut command = command(Path::new(""), &["doctor"]);
        command
            .env_remove("BOWLINE_STATE_DIR")
            .env_remove("BOWLINE_SOCKET")
            .env_remove("DOCKER_HOST");
        command.arg("--config").arg(self.path("config.yaml")).args(arguments);
        let ended = run(&mut command);
        assert!(!ended.all().contains(PASSWORD), "a secret is told:\n{}", ended.all());
        ended
    }

    /// What was found of `check`: verdict, message and fix.
    fn found(&self, check: &str, arguments: &[&str]) -> Vec<(String, String, String)> {
        let ended = self.doctor(&[&["-o", "json"], arguments].concat());
        let report: Value = serde_json::from_str(&ended.out).unwrap();
        let errors = report["errors"].as_u64().unwrap();
        assert_eq!(ended.code, i32::from(errors > 0), "{}", ended.out);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = report["checks"].as_array().unwrap();
        for one in all {
            assert_eq!(one["verdict"] == "ok", one["fix"].is_null(), "{one}");
        }
        let of_check = all.iter().filter(|it| it["check"] == check);
        of_check.map(|it| (text(&it["verdict"]), text(&it["message"]), text(&it["fix"]))).collect()
    }

    /// The one finding of `check`.
    #[track_caller]
    fn only(&self, check: &str, arguments: &[&str]) -> (String, String, String) {
        let mut found = self.found(check, arguments);
        assert_eq!(found.len(), 1, "{check}: {found:#?}");
        found.remove(0)
    }

    #[track_caller]
    fn finds(&self, check: &str, arguments: &[&str], verdict: &str, told: &str, fix: &str) {
        let found = self.only(check, arguments);
        let fits = found.0 == verdict && found.1.contains(told) && found.2.contains(fix);
        assert!(fits, "want {verdict}, `{told}`, `{fix}`: {found:?}");
    }
}

fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

const SIM: [&str; 2] = ["--engine", "sim"];

#[test]
fn a_host_that_only_lacks_the_agent_has_one_error_and_nothing_is_made() {
    let host = Host::new("");
    let before = fs::read_dir(host.dir.path()).unwrap().count();
    let ended = host.doctor(&SIM).expect(1);
    let errors: Vec<&str> = ended.out.lines().filter(|line| line.starts_with("error ")).collect();
    assert_eq!(errors.len(), 1, "{}", ended.out);
    assert!(errors[0].contains("no agent answers"), "{}", ended.out);
    let by_unit = ended.out.contains("systemctl start bowline");
    assert_eq!(by_unit, has_systemd(), "{}", ended.out);
    let by_hand = format!("bowline agent --config {}", host.path("config.yaml").display());
    assert!(by_unit || ended.out.contains(&by_hand), "{}", ended.out);
    assert!(ended.out.lines().last().unwrap().starts_with("1 error, "), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "colours in a pipe");
    assert_eq!(fs::read_dir(host.dir.path()).unwrap().count(), before);
    assert_eq!(host.only("source", &SIM).0, "ok");
    assert_eq!(host.only("http.listen", &SIM).0, "ok");
    assert_eq!(host.only("state", &SIM).0, "ok");
}

#[test]
fn the_example_in_the_docs_is_what_is_said() {
    let page = include_str!("../docs/commands.md");
    let (_, example) = page.split_once("$ bowline doctor\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let host = Host::new("");
    fs::write(host.path("token"), PASSWORD).unwrap();
    fs::set_permissions(host.path("token"), Permissions::from_mode(0o644)).unwrap();
    let text = fs::read_to_string(host.path("config.yaml")).unwrap();
    let text = text.replace("http: { ", "http: { token_file: token, ");
    fs::write(host.path("config.yaml"), text).unwrap();
    let said = host.doctor(&SIM).expect(1).out;
    // What differs from host to host is left out on both sides, and so are commands.
    let fixed = |line: &str| {
        let line = line.split(" (").next().unwrap_or_default();
        let paths = |word: &str| {
            if word.contains(['/', '.']) { "HERE".to_owned() } else { word.to_owned() }
        };
        line.split_whitespace().map(paths).collect::<Vec<_>>().join(" ")
    };
    let said: Vec<String> = said.lines().map(fixed).collect();
    let of_docker = ["docker", "limits", "clock"];
    let lines = example.lines().filter(|line| {
        let check = line.split_whitespace().nth(1).unwrap_or_default();
        !line.trim_start().starts_with("fix:")
            && !line.starts_with("...")
            && !of_docker.contains(&check)
    });
    for line in lines.filter(|line| line.contains(": ")) {
        assert!(said.contains(&fixed(line)), "`{}` is not in {said:#?}", fixed(line));
    }
}

#[test]
fn a_configuration_in_error_is_named_by_line_and_the_rest_is_looked_at() {
    let host = Host::new("intervall: 1m");
    let below = host.path("config.yaml/state");
    host.finds(
        "configuration",
        &SIM,
        "error",
        "line 5:1: unknown field `intervall`",
        "agent --check",
    );
    assert_eq!(
        host.only("state", &["--engine", "sim", "--state-dir", below.to_str().unwrap()]).0,
        "error"
    );
    fs::remove_file(host.path("config.yaml")).unwrap();
    host.finds("configuration", &SIM, "error", "there is no such file", "--config FILE");
}

#[test]
fn a_configuration_that_everybody_may_change_is_an_error() {
    let host = Host::new("");
    fs::set_permissions(host.path("config.yaml"), Permissions::from_mode(0o666)).unwrap();
    let found = host.found("configuration", &SIM);
    assert!(found[1].0 == "error" && found[1].2.contains("chmod o-w"), "{found:?}");
}

#[test]
fn a_secret_that_others_may_read_is_told_and_not_shown() {
    let host = Host::new("");
    fs::write(host.path("token"), PASSWORD).unwrap();
    fs::set_permissions(host.path("token"), Permissions::from_mode(0o644)).unwrap();
    let url = "http://127.0.0.1:1/x.git";
    host.configure(&format!("{{ name: infra, url: '{url}', auth: {{ token_file: token }} }}"), "");
    host.finds("secret files", &SIM, "warning", "others than its owner may use it", "chmod 600");
    host.finds(
        "source",
        &SIM,
        "error",
        "cannot be reached",
        "git ls-remote http://127.0.0.1:1/x.git",
    );
    fs::set_permissions(host.path("token"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(host.only("secret files", &SIM).0, "ok");
    fs::remove_file(host.path("token")).unwrap();
    host.finds("configuration", &SIM, "error", "token", "agent --check");
}

#[test]
fn an_engine_that_cannot_be_spoken_with_is_told_by_what_is_wrong() {
    let host = Host::new("");
    let at = |path: &Path| format!("unix://{}", path.display());
    let none = at(&host.path("none.sock"));
    host.finds(
        "docker",
        &["--host", &none],
        "error",
        "there is no socket",
        if has_systemd() { "systemctl start docker" } else { "docker" },
    );
    fs::write(host.path("file.sock"), "").unwrap();
    let file = at(&host.path("file.sock"));
    host.finds("docker", &["--host", &file], "error", "it is no socket", "mv ");
    drop(UnixListener::bind(host.path("dead.sock")).unwrap());
    let dead = at(&host.path("dead.sock"));
    host.finds("docker", &["--host", &dead], "error", "cannot reach", "docker");
    let away = ["--host", "tcp://127.0.0.1:1"];
    host.finds("docker", &away, "error", "Connection refused", "DOCKER_HOST");
    host.finds(
        "docker",
        &["--host", "ssh://x"],
        "error",
        "it must be unix:///PATH",
        "--host unix://",
    );
}

#[test]
fn a_frozen_engine_is_waited_for_only_so_long() {
    let host = Host::new("");
    let path = host.path("frozen.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let at = format!("unix://{}", path.display());
    host.finds(
        "docker",
        &["--host", &at],
        "error",
        "does not answer within",
        "ends containers, unless",
    );
}

#[test]
fn a_state_directory_that_is_none_or_open_to_others_is_an_error() {
    let host = Host::new("");
    fs::write(host.path("state"), "").unwrap();
    host.finds("state", &SIM, "error", "it is no directory", "mv ");
    fs::remove_file(host.path("state")).unwrap();
    fs::create_dir(host.path("state")).unwrap();
    fs::set_permissions(host.path("state"), Permissions::from_mode(0o777)).unwrap();
    let found = host.found("state", &SIM);
    assert!(found.iter().any(|it| it.0 == "error" && it.2.contains("chmod go-w")), "{found:?}");
    fs::write(host.path("state/state.redb"), "no database").unwrap();
    host.finds("inventory", &SIM, "error", "damaged", "mv ");
    assert_eq!(fs::read(host.path("state/state.redb")).unwrap(), b"no database");
}

#[test]
fn a_port_in_use_and_a_branch_that_is_not_there_are_told() {
    let host = Host::new("");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let source = format!("{{ name: infra, url: {:?}, ref: nope }}", host.git.url());
    let text = format!(
        "sources: [{source}]\nstate_dir: state\nsocket: bowline.sock\nhttp: {{ listen: '127.0.0.1:{port}' }}\n"
    );
    fs::write(host.path("config.yaml"), text).unwrap();
    host.finds(
        "http.listen",
        &SIM,
        "error",
        "in use by another process",
        &format!("sport = :{port}"),
    );
    host.finds("source", &SIM, "error", "there is no nope", "git ls-remote");
}

#[test]
fn a_name_that_nobody_knows_is_a_matter_of_dns() {
    let host = Host::new("");
    host.configure("{ name: infra, url: 'https://git.invalid/x.git', proxy: off }", "");
    let (verdict, _, fix) = host.only("dns", &SIM);
    assert!(verdict == "error" && fix.contains("getent hosts git.invalid"), "{fix}");
    assert_eq!(host.only("source", &SIM).0, "error");
}

#[test]
fn an_agent_that_runs_is_found_at_its_socket_and_its_pages_with_its_version() {
    let git = Git::new();
    git.write("web/compose.yaml", "services: {}\n").push("Begin");
    let settings = Settings::new("doctor", &git.url(), "");
    let agent = Agent::start_with(&settings, &["--engine", "sim"], &[]);
    agent.until_ready();
    let mut command =
        command(Path::new(""), &["doctor", "--engine", "sim", "-o", "json", "--config"]);
    command.env_remove("BOWLINE_STATE_DIR").arg(settings.file());
    let report: Value = serde_json::from_str(&run(&mut command).expect(0).out).unwrap();
    let all = report["checks"].as_array().unwrap();
    let told = |check: &str| -> Vec<String> {
        let of_check = all.iter().filter(|it| it["check"] == check && it["verdict"] == "ok");
        of_check.map(|it| it["message"].as_str().unwrap().to_owned()).collect()
    };
    let agent_s = told("agent").join("\n");
    for words in ["answers, with 1 stack and 1 source", "alive", "ready", "of this version"] {
        assert!(agent_s.contains(words), "no `{words}` in:\n{agent_s}");
    }
    assert!(told("inventory")[0].contains("in use by the agent"), "{:?}", told("inventory"));
    assert!(told("http.listen").is_empty());
    assert!(agent.terminate().success());
}

#[test]
fn what_the_agent_knows_to_fail_is_told_with_its_reason() {
    let git = Git::new();
    for name in ["a", "b", "c", "d"] {
        git.write(&format!("{name}/compose.yaml"), "services: { x: { image: 'nowhere:1' } }\n");
    }
    git.push("Begin");
    let lost = format!(", {{ name: lost, url: {:?}, path: nope }}]", git.url());
    let settings = Settings::new("failing", &git.url(), "");
    let text = fs::read_to_string(settings.file()).unwrap();
    fs::write(settings.file(), text.replacen(']', &lost, 1)).unwrap();
    let agent = Agent::start_with(&settings, &["--engine", "sim"], &[]);
    agent.until_ready();
    agent.until_logged(0, &["ready, but nothing could be read of lost"]);
    let mut command =
        command(Path::new(""), &["doctor", "--engine", "sim", "-o", "json", "--config"]);
    command.env_remove("BOWLINE_STATE_DIR").arg(settings.file());
    let report: Value = serde_json::from_str(&run(&mut command).expect(1).out).unwrap();
    let all = report["checks"].as_array().unwrap();
    let told = |words: &[&str], fix: &str| {
        let fits = |it: &&Value| {
            let message = it["message"].as_str().unwrap();
            words.iter().all(|word| message.contains(word))
                && it["fix"].as_str().unwrap_or_default().contains(fix)
        };
        assert!(all.iter().any(|it| fits(&it)), "no {words:?} in {all:#?}");
    };
    told(&["not ready: a (", "; b (", "; c (", "nowhere", "; and 1 more"], "bowline status a");
    told(&["reached; ", "the agent: ", "nope"], "bowline status --source lost");
    assert!(agent.terminate().success());
}

#[test]
fn all_that_is_wrong_in_a_configuration_is_found_at_once() {
    let host = Host::new("resync: 0s\nlog: { level: loud }");
    let found = host.found("configuration", &SIM);
    let told: Vec<&str> = found.iter().map(|it| it.1.split(": ").nth(1).unwrap()).collect();
    assert_eq!(told, ["resync", "log.level"], "{found:?}");
    let checked = bowline(
        &host.path("state"),
        &["agent", "--check", "--config", host.path("config.yaml").to_str().unwrap()],
    );
    let lines: Vec<String> = checked.expect(1).err.lines().map(str::to_owned).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("error: /"), "{lines:?}");
    assert!(lines[1].starts_with("       /") && lines[1].contains("log.level"), "{lines:?}");
}

#[test]
fn an_address_that_was_changed_is_told_as_not_in_effect_and_not_as_a_dead_agent() {
    let git = Git::new();
    git.write("web/compose.yaml", "services: {}\n").push("Begin");
    let settings = Settings::new("changed", &git.url(), "");
    let agent = Agent::start_with(&settings, &["--engine", "sim"], &[]);
    agent.until_ready();
    let text = fs::read_to_string(settings.file()).unwrap();
    let (new, now) = (format!("127.0.0.1:{}", free_port()), std::time::SystemTime::now());
    fs::write(settings.file(), text.replace(&settings.address, &new)).unwrap();
    fs::File::open(settings.file()).unwrap().set_modified(now).unwrap();
    let found = |told: &str| -> (Vec<Value>, String) {
        let mut command = command(Path::new(""), &["doctor", "--engine", "sim", "-o", "json"]);
        command.env_remove("BOWLINE_STATE_DIR").arg("--config").arg(settings.file());
        command.arg("--socket").arg(settings.socket());
        let report: Value = serde_json::from_str(&run(&mut command).out).unwrap();
        let all = report["checks"].as_array().unwrap().clone();
        let of = |it: &&Value| it["message"].as_str().unwrap().contains(told);
        let fix = all.iter().find(of).unwrap_or_else(|| panic!("no `{told}` in {all:#?}"));
        let fix = fix["fix"].as_str().unwrap().to_owned();
        (all, fix)
    };
    let (all, fix) = found("the file was written since, and not read");
    assert!(!all.iter().any(|it| it["verdict"] == "error"), "{all:#?}");
    assert!(fix.ends_with(&format!("kill -HUP {}", agent.id())), "{fix}");
    let mark = agent.mark();
    agent.hang_up();
    agent.until_logged(mark, &["a restart is needed for http.listen"]);
    let (all, fix) = found("a restart is needed for http.listen");
    assert!(fix.contains(&format!("kill {}", agent.id())), "{fix}");
    assert!(!all.iter().any(|it| it["verdict"] == "error"), "{all:#?}");
    let port = all.iter().find(|it| it["check"] == "http.listen").unwrap();
    assert_eq!((&port["looked_at"], &port["verdict"]), (&new.into(), &"ok".into()));
    fs::write(settings.file(), "sources: []\n").unwrap();
    let mark = agent.mark();
    agent.hang_up();
    agent.until_logged(mark, &["stays as it was"]);
    found("an older configuration: ");
    assert!(agent.terminate().success());
}

#[test]
fn the_real_engine_is_found_with_its_version_its_limits_its_disk_and_its_clock() {
    if support::engine().is_none() {
        return;
    }
    let host = Host::new("");
    let (verdict, told, _) = host.only("docker", &[]);
    assert!(verdict != "error" && told.contains("API 1."), "{told}");
    for check in ["limits", "docker disk", "clock"] {
        assert!(!host.found(check, &[]).is_empty(), "nothing about {check}");
    }
    assert!(host.found("clock", &[]).iter().any(|it| it.0 == "ok"));
}
