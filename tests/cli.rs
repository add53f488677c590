//! The command line without an engine: help, completions, exit codes and forms of output.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::program::{Ended, bowline};
use tempfile::TempDir;

/// Where the example stacks are.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests");
/// The flags that every verb has.
const COMMON: [&str; 5] = ["--engine", "--host", "--state-dir", "--log-level", "--help"];
/// The flags of the verbs that read stacks.
const TARGET: [&str; 7] =
    ["[PATH|URL]", "--ref", "--submodules", "--project-name", "--env-file", "--env ", "--profile"];

fn run(arguments: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    bowline(state.path(), arguments)
}

fn manifest(name: &str) -> String {
    format!("{MANIFESTS}/{name}")
}

fn directory(compose: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let stack = dir.path().join("shop");
    std::fs::create_dir(&stack).unwrap();
    std::fs::write(stack.join("compose.yaml"), compose).unwrap();
    (dir, stack)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn help_of_every_verb_names_its_flags_and_the_exit_codes() {
    let verbs: [(&str, &[&str]); 23] = [
        ("agent", &["--config", "--log-format", "--check"]),
        ("plan", &["--output"]),
        ("apply", &["--parallel", "--wait", "--timeout", "--dry-run"]),
        ("adopt", &["--confirm"]),
        ("remove", &["<STACK>", "--volumes", "--parallel"]),
        ("prune", &["[STACK]", "--confirm", "--socket", "--output"]),
        ("rollback", &["<STACK>", "--to", "--dry-run", "--no-wait", "--timeout", "--socket"]),
        ("retry", &["<STACK>", "--no-wait", "--timeout", "--socket"]),
        ("pause", &["<STACK>", "--socket"]),
        ("resume", &["<STACK>", "--no-wait", "--timeout", "--socket"]),
        ("sync", &["[STACK]", "--source", "--socket"]),
        ("validate", &["--output"]),
        ("template", &["--values", "--set"]),
        ("lint", &["[CHART]", "--values", "--set", "--env "]),
        (
            "config",
            &[
                "--file",
                "--project-directory",
                "--format",
                "--no-interpolate",
                "--no-consistency",
                "--services",
                "--volumes",
                "--networks",
                "--images",
                "--profiles",
                "--variables",
            ],
        ),
        ("history", &["<STACK>", "[ID]", "--number", "--output", "--socket", "--config"]),
        ("explain", &["<STACK>", "<SERVICE>", "--output", "--socket", "--config"]),
        (
            "status",
            &["[STACK]", "--source", "--output", "--watch", "--check", "--socket", "--agent"],
        ),
        ("logs", &["<STACK>", "[SERVICE]", "--tail", "--since", "--follow", "--timestamps"]),
        ("doctor", &["--config", "--socket", "--output"]),
        ("demo", &["--keep"]),
        ("schema", &["<FILE>", "--output"]),
        ("completions", &["<SHELL>"]),
    ];
    let all = run(&["--help"]).expect(0).out;
    assert!(all.contains("Exit codes: 0"), "{all}");
    for (verb, own) in verbs {
        assert!(all.contains(&format!("\n  {verb} ")), "{verb} is not in:\n{all}");
        let help = run(&[verb, "--help"]).expect(0).out;
        let reads_stacks =
            ["plan", "apply", "adopt", "validate", "config", "template"].contains(&verb);
        let target = if reads_stacks { &TARGET[..] } else { &[] };
        for flag in own.iter().chain(target).chain(&COMMON) {
            assert!(help.contains(flag), "`bowline {verb} --help` has no {flag}:\n{help}");
        }
    }
    assert!(!all.contains("serve"), "the hidden verb is shown:\n{all}");
    for code in ["0 done", "1 an error", "2 from `plan`", "2 from `status --check`", "141:"] {
        assert!(all.replace('\n', " ").contains(code), "no `{code}` in:\n{all}");
    }
    let plan = run(&["plan", "--help"]).expect(0).out;
    assert!(plan.contains("2: there are changes"), "{plan}");
}

#[test]
fn a_dry_run_of_apply_is_a_plan_with_the_order_and_changes_nothing() {
    let dry = run(&["apply", &manifest("web"), "--dry-run", "--engine", "sim"]).expect(2).out;
    let plan = run(&["plan", &manifest("web"), "--engine", "sim"]).expect(2).out;
    let waves: Vec<&str> = dry.lines().filter(|line| line.starts_with("  wave ")).collect();
    assert!(waves.len() > 1 && waves[0].starts_with("  wave 1: "), "{dry}");
    let without: String =
        dry.split_inclusive('\n').filter(|it| !it.starts_with("  wave ")).collect();
    assert_eq!(without, plan);
}

#[test]
fn the_version_is_the_package_s() {
    let told = run(&["--version"]).expect(0).out;
    assert_eq!(told.trim(), concat!("bowline ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn shells_get_completions_with_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).expect(0).out;
        for word in ["bowline", "validate", "project-name", "rollback", "no-wait"] {
            assert!(script.contains(word), "{shell}: no {word} in {} bytes", script.len());
        }
    }
}

#[test]
fn wrong_arguments_are_an_error_and_say_what_is_known() {
    let wrong: [(&[&str], &str); 6] = [
        (&[], "Usage"),
        (&["aply"], "apply"),
        (&["plan", "--ouput", "json"], "--output"),
        (&["plan", "--output", "yaml"], "json"),
        (&["plan", "--engine", "podman"], "sim"),
        (&["apply", "--parallel", "0"], "--parallel"),
    ];
    for (arguments, word) in wrong {
        run(arguments).expect(1).says(&[word]);
    }
}

#[test]
fn the_examples_are_valid() {
    let all = run(&["validate", MANIFESTS]).expect(0);
    assert!(all.err.is_empty(), "a warning, or a lint: {}", all.err);
    let all = all.out;
    for (stack, services) in [("hello", 1), ("web", 2), ("db", 2)] {
        let line = format!("stack {stack} is fine: {services} service");
        assert!(all.contains(&line), "no `{line}` in:\n{all}");
    }
}

#[test]
fn what_is_not_valid_is_shown_at_its_line_and_the_rest_is_checked_all_the_same() {
    let (dir, stack) = directory("services:\n  web:\n    imgae: x:1\n");
    let fine = dir.path().join("fine");
    std::fs::create_dir(&fine).unwrap();
    std::fs::write(fine.join("compose.yaml"), "services: { a: { image: x:1 } }\n").unwrap();
    let told = run(&["validate", text(dir.path())]).expect(1);
    assert!(told.out.contains("stack fine is fine"), "{}", told.out);
    assert!(told.err.ends_with('\n'), "{}", told.err);
    told.says(&["imgae", "did you mean `image`?", "shop/compose.yaml:3:5"]);
    run(&["validate", text(&stack)]).expect(1);
    run(&["validate", text(&fine)]).expect(0);
    run(&["config", text(&stack)]).expect(1).says(&["imgae"]);
}

#[test]
fn a_directory_without_stacks_and_one_that_is_not_there_are_said() {
    let dir = tempfile::tempdir().unwrap();
    for verb in ["validate", "plan", "apply", "config"] {
        run(&[verb, text(dir.path())]).expect(1);
        run(&[verb, "/nonexistent/stacks"]).expect(1).says(&["/nonexistent/stacks"]);
    }
    run(&["validate", text(dir.path())]).says(&["no stack", "compose.yaml", text(dir.path())]);
}

/// The files in tests/config are what `docker compose config --format json` 2.40.3 prints.
#[test]
fn config_prints_what_docker_compose_prints() {
    for name in ["hello", "web", "web-nginx", "db"] {
        let golden = format!("{}/tests/config/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let golden = std::fs::read_to_string(golden).unwrap();
        let told = run(&["config", &manifest(name)]).expect(0).out;
        assert_eq!(model(&told.replace(MANIFESTS, "/manifests")), model(&golden), "{name}");
    }
}

/// A model without the difference between a network's empty settings and none.
fn model(text: &str) -> Value {
    let mut model: Value = serde_json::from_str(text).unwrap();
    for service in model["services"].as_object_mut().unwrap().values_mut() {
        for network in service["networks"].as_object_mut().unwrap().values_mut() {
            if network.as_object().is_some_and(serde_json::Map::is_empty) {
                *network = Value::Null;
            }
        }
    }
    model
}

#[test]
fn what_config_prints_is_again_a_compose_file_of_the_same_model() {
    for name in ["hello", "web", "web-nginx", "db"] {
        let first = run(&["config", &manifest(name)]).expect(0).out;
        let (_dir, stack) = directory(&first);
        let second = run(&["config", text(&stack)]).expect(0).out;
        assert_eq!(model(&second), model(&first), "{name}");
    }
}

/// A project in two files, with what `config` can list.
fn project() -> (TempDir, PathBuf) {
    let (dir, stack) = directory(
        "name: shop\nx-own: 1\nservices:\n  web:\n    image: web:${TAG:-1}\n    command: echo $$HOME\n    \
         volumes: ['data:/d', './c:/c']\n    networks: [front]\n    x-note: n\n  \
         debug: {image: busybox, profiles: [debug]}\nvolumes: {data: }\nnetworks: {front: }\n",
    );
    std::fs::write(stack.join("more.yaml"), "services: {web: {labels: [a=b]}}\n").unwrap();
    (dir, stack)
}

#[test]
fn config_lists_names_one_a_line() {
    let (_dir, stack) = project();
    for (list, expected) in [
        ("--services", "web\n"),
        ("--volumes", "data\n"),
        ("--networks", "front\n"),
        ("--images", "web:1\n"),
        ("--profiles", "debug\n"),
        ("--variables", "TAG default=\"1\"\n"),
    ] {
        assert_eq!(run(&["config", text(&stack), list]).expect(0).out, expected, "{list}");
    }
    let both = ["config", text(&stack), "--services", "--profile", "debug"];
    assert_eq!(run(&both).expect(0).out, "debug\nweb\n");
}

#[test]
fn config_lays_files_over_one_another_and_prints_them_as_json_or_yaml() {
    let (dir, stack) = project();
    let (first, second) = (stack.join("compose.yaml"), stack.join("more.yaml"));
    let files = ["config", "-f", text(&first), "-f", text(&second)];
    let told = run(&files).expect(0).out;
    let json: Value = serde_json::from_str(&told).unwrap();
    let web = &json["services"]["web"];
    assert_eq!(web["labels"]["a"], "b");
    assert_eq!(web["command"], serde_json::json!(["echo", "$$HOME"]));
    assert_eq!(web["volumes"][1]["source"], text(&stack.join("c")));
    assert!(web.get("x-note").is_none() && json["x-own"] == 1, "{told}");
    let elsewhere = [&files[..], &["--project-directory", text(dir.path())]].concat();
    let json: Value = serde_json::from_str(&run(&elsewhere).expect(0).out).unwrap();
    let moved = &json["services"]["web"]["volumes"][1]["source"];
    assert_eq!(moved, text(&dir.path().join("c")));
    let yaml = run(&[&files[..], &["--format", "yaml"]].concat()).expect(0).out;
    for line in ["name: shop", "    image: web:1", "    x-note: n", "    - $$HOME", "x-own: 1"] {
        assert!(yaml.lines().any(|one| one.trim_end() == line), "no `{line}` in\n{yaml}");
    }
    std::fs::write(stack.join("again.yaml"), &yaml).unwrap();
    let again = run(&["config", "-f", text(&stack.join("again.yaml"))]).expect(0).out;
    assert_eq!(model(&again), model(&told));
}

#[test]
fn config_can_leave_variables_and_what_does_not_fit() {
    let (_dir, stack) = project();
    let told = run(&["config", text(&stack), "--no-interpolate"]).expect(0).out;
    assert!(told.contains("web:${TAG:-1}") && told.contains("$$HOME"), "{told}");
    let (_dir, stack) = directory("services: {a: {image: i, networks: [nope]}}\n");
    run(&["config", text(&stack)]).expect(1).says(&["undefined network `nope`"]);
    run(&["config", text(&stack), "--no-consistency"]).expect(0);
}

#[test]
fn config_reads_what_is_piped_in() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bowline"))
        .args(["config", "-f", "-", "--images"])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let piped = b"name: p\nservices: {a: {image: piped}, b: {build: .}}\n";
    child.stdin.take().unwrap().write_all(piped).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), "piped\np-b\n");
}

#[test]
fn validate_tells_problems_to_programs_and_to_github() {
    let (dir, stack) = directory("services:\n  web:\n    imgae: x:1\n");
    let told = run(&["validate", "--output", "json", text(&stack)]).expect(1).out;
    let told: Value = serde_json::from_str(&told).unwrap();
    let stack_told = &told["stacks"][0];
    assert_eq!(stack_told["valid"], false);
    let problem = &stack_told["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&3.into(), &5.into()));
    assert_eq!(problem["severity"], "error");
    assert_eq!(problem["help"], "did you mean `image`?");
    let told = run(&["validate", "-o", "github", text(dir.path())]).expect(1).out;
    let line = "::error file=shop/compose.yaml,line=3,col=5,title=services.web\
                ::unknown key `imgae`; did you mean `image`?";
    assert!(told.lines().any(|one| one == line), "{told}");
    let (_dir, fine) = directory("version: '3'\nservices: {a: {image: x:1}}\n");
    let told = run(&["validate", "-o", "github", text(&fine)]).expect(0).out;
    assert!(told.starts_with("::warning file=compose.yaml,line=1"), "{told}");
}

#[test]
fn variables_and_a_name_given_by_hand_win() {
    let arguments = [&*manifest("web"), "-p", "shop", "-e", "WEB_PORT=9999"];
    let told = run(&[&["config"], &arguments[..]].concat()).expect(0).out;
    let model: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(model["name"], "shop");
    assert_eq!(model["services"]["balancer"]["ports"][0]["published"], "9999");
}

#[test]
fn a_plan_on_the_simulated_engine_ends_with_2_and_says_why() {
    let told = run(&["plan", "--engine", "sim", &manifest("hello")]).expect(2).out;
    assert!(told.starts_with("hello: "), "{told}");
    assert!(told.contains("create"), "{told}");
    assert!(told.contains("services.web"), "{told}");
    assert!(told.contains("is none"), "{told}");
}

#[test]
fn a_plan_in_json_has_changes_with_reasons_and_places() {
    let told =
        run(&["plan", "--engine", "sim", "--output", "json", &manifest("web")]).expect(2).out;
    let plans: Value = serde_json::from_str(&told).unwrap();
    let plan = &plans["plans"][0];
    assert_eq!(plan["stack"], "web");
    for list in ["problems", "notes"] {
        assert!(plan[list].is_array(), "{list}: {told}");
    }
    let changes = plan["changes"].as_array().unwrap();
    let objects: Vec<_> = changes.iter().map(|change| change["object"].as_str().unwrap()).collect();
    for object in ["network", "page/1", "page/2", "balancer/1"] {
        assert!(objects.iter().any(|told| told.contains(object)), "no {object} in {objects:?}");
    }
    for (index, change) in changes.iter().enumerate() {
        assert!(change["action"].is_string(), "{change}");
        for before in change["after"].as_array().unwrap() {
            assert!(before.as_u64().unwrap() < index as u64, "{change}");
        }
        let reasons = change["reasons"].as_array().unwrap();
        assert!(!reasons.is_empty(), "{change}");
        for reason in reasons {
            for key in ["field", "desired", "actual"] {
                assert!(reason[key].is_string(), "{key} of {reason}");
            }
            let place = reason["place"].as_str().unwrap_or_default();
            assert!(place.starts_with("compose.yaml:"), "{reason}");
        }
    }
}

#[test]
fn two_stacks_of_one_name_are_refused_by_every_verb_that_would_work_on_them() {
    let dir = tempfile::tempdir().unwrap();
    for below in ["one", "two"] {
        std::fs::create_dir(dir.path().join(below)).unwrap();
        let file = dir.path().join(below).join("compose.yaml");
        std::fs::write(file, "name: shop\nservices: { a: { image: x:1 } }\n").unwrap();
    }
    for arguments in [&["validate"][..], &["plan", "--engine", "sim"]] {
        let told = run(&[arguments, &[text(dir.path())]].concat()).expect(1);
        told.says(&["shop", "one/compose.yaml", "two/compose.yaml", "name"]);
    }
}

#[test]
fn without_an_engine_the_error_says_where_it_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix://{}/docker.sock", dir.path().display());
    for arguments in
        [&["plan", &*manifest("hello")][..], &["status", "--agent", "http://127.0.0.1:1"]]
    {
        let told = run(&[arguments, &["--host", &socket]].concat()).expect(1);
        told.says(&["docker.sock", "is it running?"]);
    }
}

#[test]
fn every_verb_and_every_lint_stands_in_the_docs() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md"));
    let page = page.unwrap();
    let help = run(&["--help"]).expect(0).out;
    let verbs = help.split("Commands:").nth(1).unwrap().split("Options").next().unwrap();
    let verbs = verbs.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 8, "{help}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        assert!(page.contains(&format!("| `{verb}` |")), "{verb} is missing");
    }
    for lint in bowline::manifest::LINTS {
        assert!(page.contains(&format!("| `{}` | {} |", lint.name, lint.about)), "{}", lint.name);
    }
}

/// A directory with stacks of one service each that depend on others: `web` on `db`.
fn stacks(all: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (stack, others) in all {
        std::fs::create_dir(dir.path().join(stack)).unwrap();
        let text = format!(
            "x-bowline:\n  depends_on: [{others}]\nservices: {{ a: {{ image: 'x:1' }} }}\n"
        );
        std::fs::write(dir.path().join(stack).join("compose.yaml"), text).unwrap();
    }
    dir
}

#[test]
fn stacks_of_a_directory_come_after_those_that_they_depend_on() {
    let dir = stacks(&[("a-web", "db, proxy"), ("db", "net"), ("net", ""), ("proxy", "")]);
    let told = run(&["plan", "--engine", "sim", text(dir.path())]).expect(2).out;
    let order: Vec<&str> =
        told.lines().filter_map(|line| line.strip_suffix(": 3 changes")).collect();
    assert_eq!(order, ["net", "db", "proxy", "a-web"], "{told}");
    // Nothing can be pulled there, so the first fails and all behind it wait.
    let told = run(&["apply", "--engine", "sim", text(dir.path())]).expect(1);
    assert_eq!(told.out, "net: failed\ndb: waiting\nproxy: failed\na-web: waiting\n");
    told.says(&[
        "error: db: waiting for stack net: failed: pull",
        "error: a-web: waiting for stack db: waiting for stack net: failed: pull",
        "error: a-web: waiting for stack proxy: failed: pull",
    ]);
}

#[test]
fn a_circle_of_stacks_is_refused_at_its_places_and_the_others_go_on() {
    let dir = stacks(&[("a", "b"), ("b", "a"), ("c", ""), ("d", "cc")]);
    let told = run(&["validate", text(dir.path())]).expect(1);
    assert!(told.out.contains("4 stacks: 2 in error"), "{}", told.out);
    let told = told.says(&[
        "x-bowline.depends_on: stacks depend on each other in a circle: a -> b -> a",
        "in a circle: b -> a -> b",
        "no directory here has a stack named `cc`",
        "did you mean `c`?",
    ]);
    assert!(told.err.contains("a/compose.yaml:2:16"), "{}", told.err);
    let told = run(&["plan", "--engine", "sim", text(dir.path())]).expect(1);
    assert!(told.out.contains("c: 3 changes") && !told.out.contains("a: 3"), "{}", told.out);
    // Of one stack alone nobody can say what is elsewhere, but on the engine it is not.
    let web = dir.path().join("d");
    run(&["validate", text(&web)]).expect(0);
    let told = run(&["apply", "--engine", "sim", text(&web)]).expect(1);
    told.says(&["error: d: waiting for stack cc: it is neither here nor on the engine"]);
    // With itself a stack is in a circle, too.
    let dir = stacks(&[("a", "a")]);
    run(&["validate", text(dir.path())]).expect(1).says(&["in a circle: a -> a"]);
}

#[test]
fn a_reader_that_goes_away_is_no_defect() {
    let dir = tempfile::tempdir().unwrap();
    for verb in [&["schema", "compose"][..], &["completions", "bash"]] {
        let mut program = support::program::command(dir.path(), verb)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(program.stdout.take());
        let ended = program.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*said), (Some(141), ""), "{verb:?}");
    }
}

#[test]
fn looking_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (state, stack) = (dir.path().join("state"), dir.path().join("shop"));
    std::fs::create_dir(&stack).unwrap();
    let text =
        "services: { web: { image: 'web:1', configs: [a] } }\nconfigs: { a: { content: b } }\n";
    std::fs::write(stack.join("compose.yaml"), text).unwrap();
    for verb in [&["validate"][..], &["plan", "--engine", "sim"]] {
        let arguments = [verb, &[stack.to_str().unwrap()]].concat();
        let ended = support::program::command(&state, &arguments).output().unwrap();
        assert!(ended.status.code() != Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
        assert!(!state.exists(), "{verb:?} wrote");
    }
}

#[test]
fn an_address_of_ssh_is_a_repository_unless_it_is_a_file_here() {
    // Nobody listens at that port, or nobody knows us there.
    let away = run(&["plan", "--engine", "sim", "git@127.0.0.1:x.git"]).expect(1);
    assert!(!away.err.contains("cannot open"), "{}", away.err);
    let (dir, stack) = directory("services: {}\n");
    let named = dir.path().join("a:b");
    std::fs::rename(&stack, &named).unwrap();
    run(&["validate", "-p", "shop", text(&named)]).expect(0);
}

#[test]
fn to_adopt_what_compose_never_made_is_told_to_be_making_it() {
    let (_dir, stack) = directory("services: { web: { image: 'web:1' } }\n");
    let told = run(&["adopt", "--engine", "sim", text(&stack)]);
    told.says(&["no container is of a Compose project shop: there is nothing to take over"]);
}
