//! Bad input, by hand and in the agent: each error names its place and what to do, the other stacks
//! go on, and nothing that runs is removed. The part on the real engine runs with
//! `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use git2::Repository;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::agent::{Agent, Settings};
use support::docker::docker;
use support::packed::Image;
use support::program::{Ended, PROGRAM, Running, bowline, run};
use support::proxy::Proxy;
use support::repository::Git;
use support::stacks::{Stacks, container, is_running, lives, variable};
use support::wait::until;
use tempfile::TempDir;

/// The image of all containers here.
const IMAGE: &str = "e2e-bad-busybox:1";
/// The stack whose input is bad.
const BAD: &str = "e2e-bad";
/// The stack beside it.
const GOOD: &str = "e2e-good";
/// An error that is longer is not read.
const MANY_LINES: usize = 30;
/// Someone who owns nothing here.
const NOBODY: &str = "65534";

/// A service that sleeps until it is killed.
fn sleeper(more: &str) -> String {
    format!("{{ image: {IMAGE}, command: [busybox, sleep, '3600'], stop_signal: SIGKILL, {more} }}")
}

fn stack(name: &str, service: &str) -> String {
    format!("name: {name}\nservices:\n  one: {service}\n")
}

/// A stack of one container without a network.
fn plain(name: &str, version: &str) -> String {
    let more = format!("network_mode: none, environment: {{ V: '{version}' }}");
    stack(name, &sleeper(&more))
}

/// A directory of two stacks on the engine, of which one is going to be spoilt.
struct Site {
    dir: TempDir,
    state: TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() };
        site.write("bad", &plain(BAD, "1"));
        site
    }

    fn write(&self, stack: &str, text: &str) {
        self.write_bytes(stack, text.as_bytes());
    }

    fn write_bytes(&self, stack: &str, text: &[u8]) {
        std::fs::create_dir_all(self.dir.path().join(stack)).unwrap();
        std::fs::write(self.file(stack), text).unwrap();
    }

    fn file(&self, stack: &str) -> PathBuf {
        self.dir.path().join(stack).join("compose.yaml")
    }

    fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        bowline(self.state.path(), arguments)
    }

    /// As if new: nothing is spoilt, and the other stack is not there.
    fn mend(&self) {
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        self.write("bad", &plain(BAD, "1"));
    }
}

/// What is spoilt, how, and what stderr must hold of it.
type Row = (&'static str, fn(&Site), &'static [&'static str]);

/// Input that is seen to be bad before the engine is asked for anything.
const FILES: &[Row] = &[
    (
        "unknown key",
        |site| site.write("bad", &stack(BAD, "{ imgae: x:1 }")),
        &["bad/compose.yaml:3:10", "imgae", "did you mean `image`?"],
    ),
    (
        "wrong type",
        |site| site.write("bad", &stack(BAD, &sleeper("environment: 5"))),
        &["bad/compose.yaml:3:", "services.one.environment"],
    ),
    (
        "no YAML",
        |site| site.write("bad", "name: x\nservices: {\n  one: [\n"),
        &["bad/compose.yaml:"],
    ),
    (
        "binary",
        |site| site.write_bytes("bad", &[0x7f, b'E', b'L', b'F', 0, 0xff, 0xfe, 0x80]),
        &["bad/compose.yaml", "UTF-8"],
    ),
    ("empty", |site| site.write("bad", ""), &["bad/compose.yaml", "services"]),
    (
        "100 MB",
        |site| site.write_bytes("bad", &vec![b'#'; 100_000_000]),
        &["bad/compose.yaml", "100000000 bytes"],
    ),
    (
        "circle",
        |site| {
            let (a, b) = (sleeper("depends_on: [two]"), sleeper("depends_on: [one]"));
            site.write("bad", &format!("name: {BAD}\nservices:\n  one: {a}\n  two: {b}\n"));
        },
        &["bad/compose.yaml:", "circle", "one -> two -> one"],
    ),
    (
        "one container_name twice",
        |site| {
            let one = sleeper("container_name: e2e-bad-x");
            site.write("bad", &format!("name: {BAD}\nservices:\n  one: {one}\n  two: {one}\n"));
        },
        &["bad/compose.yaml:4:", "container_name", "e2e-bad-x"],
    ),
    (
        "one host port twice",
        |site| {
            let one = sleeper("ports: ['127.0.0.1:18999:80']");
            site.write("bad", &format!("name: {BAD}\nservices:\n  one: {one}\n  two: {one}\n"));
        },
        &["bad/compose.yaml:4:", "port", "18999"],
    ),
    (
        "no image",
        |site| site.write("bad", &stack(BAD, "{ environment: { A: b } }")),
        &["bad/compose.yaml:3:", "services.one", "image"],
    ),
    (
        "a secret's file that is not there",
        |site| {
            let text = stack(BAD, &sleeper("network_mode: none, secrets: [s]"));
            site.write("bad", &format!("{text}secrets: {{ s: {{ file: lost.txt }} }}\n"));
        },
        &["bad/compose.yaml:4:", "lost.txt"],
    ),
    (
        "a variable without a value",
        |site| site.write("bad", &plain(BAD, "${E2E_UNSET:?set it in .env}")),
        &["bad/compose.yaml:3:", "E2E_UNSET", "set it in .env"],
    ),
    (
        "two stacks of one name",
        |site| site.write("bad-too", &plain(BAD, "2")),
        &["bad/compose.yaml", "bad-too/compose.yaml", "two stacks are named e2e-bad"],
    ),
];

/// Input that only the engine shows to be bad. A stranger's container `e2e-stranger` is there, which
/// publishes 127.0.0.1:18998.
const ON_THE_ENGINE: &[Row] = &[
    (
        "an image that nobody has",
        |site| site.write("bad", &plain(BAD, "2").replace(IMAGE, "127.0.0.1:1/e2e-absent:1")),
        &["cannot pull 127.0.0.1:1/e2e-absent:1"],
    ),
    (
        "an external network that is not there",
        |site| {
            let text = stack(BAD, &sleeper("networks: [out]"));
            let net = "networks: { out: { external: true, name: e2e-no-such-network } }";
            site.write("bad", &format!("{text}{net}\n"));
        },
        &["bad/compose.yaml:4:", "e2e-no-such-network does not exist", "create it"],
    ),
    (
        "an external volume that is not there",
        |site| {
            let text = stack(BAD, &sleeper("network_mode: none, volumes: ['out:/d']"));
            let volume = "volumes: { out: { external: true, name: e2e-no-such-volume } }";
            site.write("bad", &format!("{text}{volume}\n"));
        },
        &["bad/compose.yaml:4:", "e2e-no-such-volume does not exist", "create it"],
    ),
    (
        "a host port that a stranger's container has",
        |site| site.write("bad", &stack(BAD, &sleeper("ports: ['127.0.0.1:18998:80']"))),
        &["bad/compose.yaml:3:", "18998", "e2e-stranger", "free it"],
    ),
    (
        "a name that a stranger's container has",
        |site| {
            let named = "network_mode: none, container_name: e2e-stranger";
            site.write("bad", &stack(BAD, &sleeper(named)));
        },
        &["bad/compose.yaml:3:", "e2e-stranger", "remove or rename that container"],
    ),
];

/// Those that rows could harm; other programs of the tests have theirs.
fn all_containers() -> BTreeSet<String> {
    let names = ["--filter", "name=^e2e-bad-one", "--filter", "name=^e2e-stranger"];
    docker(&[&["ps", "-q", "--no-trunc"], &names[..]].concat())
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Tries every row, also after one that failed, on a stack that runs.
fn try_all(rows: &[Row]) {
    let _stacks = Stacks::named(&[BAD]);
    let site = Site::new();
    site.run(&["apply", site.path()]).expect(0);
    let fails = |row: &&Row| catch_unwind(AssertUnwindSafe(|| try_out(&site, row))).is_err();
    let failed: Vec<_> = rows.iter().filter(fails).map(|(what, ..)| what).collect();
    assert!(failed.is_empty(), "not as it should be: {failed:?}");
}

/// Spoils the stack, applies its directory, and looks at what became of all.
fn try_out(site: &Site, (what, spoil, words): &Row) {
    println!("{what}");
    let _good = Stacks::named(&[GOOD]);
    site.mend();
    let (running, before) = (lives(BAD), all_containers());
    assert_eq!(running.len(), 1);
    site.write("good", &plain(GOOD, "1"));
    spoil(site);
    let plan = site.run(&["plan", site.path()]);
    if words[0].starts_with("cannot pull") {
        plan.expect(2); // Only the attempt shows that nobody has it.
    } else {
        let told = plan.expect(1).all();
        assert!(words.iter().all(|word| told.contains(word)), "{words:?} not in the plan:\n{told}");
    }
    let apply = site.run(&["apply", site.path(), "--settle", "0s"]).expect(1);
    assert!(apply.err.lines().count() < MANY_LINES, "{}", apply.err);
    apply.says(words);
    let good = container("e2e-good-one-1");
    assert!(good.as_ref().is_some_and(is_running), "{what}: the other stack was not applied");
    assert_eq!(lives(BAD), running, "{what}: what ran was touched");
    assert!(all_containers().is_superset(&before), "{what}: something is gone");
}

#[test]
fn bad_input_is_an_error_at_its_place_and_harms_nothing() {
    if support::engine().is_none() {
        return;
    }
    let _image = Image::of_busybox(IMAGE);
    try_all(FILES);
    let stranger = Stranger::new("e2e-stranger", "18998");
    try_all(ON_THE_ENGINE);
    drop(stranger);

    a_port_of_another_process_is_said();
    an_unreadable_file_is_said();
    an_engine_that_goes_away_in_the_middle_is_said();
    the_agent_tells_of_all_and_goes_on_with_the_rest();
}

/// A container that Bowline did not make.
struct Stranger(&'static str);

impl Stranger {
    fn new(name: &'static str, port: &str) -> Self {
        docker(&["rm", "-f", name]);
        let publish = format!("127.0.0.1:{port}:80");
        let made = run(Command::new("docker").args([
            "run", "-d", "--name", name, "-p", &publish, IMAGE, "busybox", "sleep", "3600",
        ]));
        assert_eq!(made.code, 0, "{}", made.err);
        Self(name)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        docker(&["rm", "-f", self.0]);
    }
}

/// The engine itself finds out, when the new container starts.
fn a_port_of_another_process_is_said() {
    let _stacks = Stacks::named(&[BAD, GOOD]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let site = Site::new();
    site.write("good", &plain(GOOD, "1"));
    site.write("bad", &stack(BAD, &sleeper(&format!("ports: ['127.0.0.1:{port}:80']"))));
    let ended = site.run(&["apply", site.path()]).expect(1);
    ended.says(&[&format!("{port} is already in use"), "one/1"]);
    assert!(container("e2e-good-one-1").as_ref().is_some_and(is_running));
}

/// Root may read everything, so this is somebody else, who may not speak to the engine either.
fn an_unreadable_file_is_said() {
    let Some(nobody) = Nobody::new() else { return };
    let site = Site::new();
    site.write("good", &plain(GOOD, "1"));
    std::fs::set_permissions(site.dir.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(site.file("bad"), Permissions::from_mode(0o000)).unwrap();
    let ended = nobody.run(&["validate", site.path()]).expect(1);
    assert!(ended.out.contains("stack e2e-good is fine"), "{}", ended.all());
    ended.says(&["bad/compose.yaml", "ermission denied"]);
}

fn an_engine_that_goes_away_in_the_middle_is_said() {
    let _stacks = Stacks::named(&[BAD, GOOD]);
    let site = Site::new();
    site.run(&["apply", site.path()]).expect(0);
    let running = lives(BAD);
    site.write("bad", &plain(BAD, "2"));
    site.write("good", &plain(GOOD, "1"));
    let socket = site.state.path().join("docker.sock");
    let proxy = Proxy::cut_at(&socket, "/containers/create");
    let ended = site.run(&["apply", site.path(), "--host", &proxy.url()]).expect(1);
    ended.says(&["docker.sock", "cannot reach the Docker engine", "e2e-good", "e2e-bad"]);
    assert_eq!(lives(BAD), running, "what ran was touched before its successor could be made");
    site.run(&["apply", site.path()]).expect(0);
    for name in ["e2e-bad-one-1", "e2e-good-one-1"] {
        assert!(container(name).as_ref().is_some_and(is_running), "{name}");
    }
    assert_eq!(variable(&container("e2e-bad-one-1").unwrap(), "V"), Some("2"));
}

/// All at once in one repository: a good stack runs, each other is told of in log, status, metrics.
fn the_agent_tells_of_all_and_goes_on_with_the_rest() {
    let names = ["e2e-bad-key", "e2e-bad-pull", "e2e-bad-net", "e2e-bad-name", BAD, GOOD];
    let _stacks = Stacks::named(&names);
    let _stranger = Stranger::new("e2e-stranger", "18998");
    let git = Git::new();
    let absent_image = plain("e2e-bad-pull", "1").replace(IMAGE, "127.0.0.1:1/e2e-absent:1");
    let missing_net = stack("e2e-bad-net", &sleeper("networks: [out]"))
        + "networks: { out: { external: true, name: e2e-no-such-network } }\n";
    let takes_name = "network_mode: none, container_name: e2e-stranger";
    for (dir, text) in [
        ("e2e-bad-key", &stack("e2e-bad-key", "{ imgae: x:1 }")),
        ("pull", &absent_image),
        ("net", &missing_net),
        ("name", &stack("e2e-bad-name", &sleeper(takes_name))),
        ("one", &plain(BAD, "1")),
        ("two", &plain(BAD, "2")),
        ("good", &plain(GOOD, "1")),
    ] {
        git.write(&format!("{dir}/compose.yaml"), text);
    }
    git.push("Begin");
    let settings = Settings::new("e2e-bad", &git.url(), "");
    let agent = Agent::start(&settings);
    agent.until_ready();
    assert!(container("e2e-good-one-1").as_ref().is_some_and(is_running));
    assert_eq!(agent.stack(GOOD).unwrap()["sync"], "Synced");
    let told: [(&str, &[&str]); 5] = [
        ("e2e-bad-key", &["e2e-bad-key/compose.yaml:3:10", "imgae", "did you mean `image`?"]),
        ("e2e-bad-pull", &["cannot pull 127.0.0.1:1/e2e-absent:1"]),
        ("e2e-bad-net", &["e2e-no-such-network does not exist", "create it"]),
        ("e2e-bad-name", &["e2e-stranger", "remove or rename that container"]),
        (BAD, &["two stacks are named e2e-bad", "one/compose.yaml", "two/compose.yaml"]),
    ];
    let metrics = agent.metrics();
    for (name, words) in told {
        agent.until_logged(0, &[&[name], words].concat());
        let status = agent.stack(name).unwrap();
        for word in words {
            assert!(status.to_string().contains(word), "{name}: no {word} in {status}");
        }
        assert_ne!(status["sync"], "Synced", "{status}");
        let label = format!("stack=\"{name}\"");
        let failed = metrics.lines().any(|line| {
            line.starts_with("bowline_reconcile_total")
                && line.contains(&label)
                && (line.contains("invalid") || line.contains("failed"))
        });
        assert!(failed, "{name} failed in no metric:\n{metrics}");
    }
    assert!(container("e2e-stranger").as_ref().is_some_and(is_running));
    assert!(agent.terminate().success());
}

#[test]
fn a_repository_that_is_missing_broken_or_empty_is_said() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("plain")).unwrap();
    std::fs::write(at("file"), "no repository").unwrap();
    Repository::init_bare(at("empty")).unwrap();
    let broken = Git::new();
    broken.write("a/compose.yaml", &plain(BAD, "1")).push("Begin");
    std::fs::remove_dir_all(broken.bare().join("objects")).unwrap();
    std::fs::create_dir(broken.bare().join("objects")).unwrap();
    let rows: [(PathBuf, &[&str]); 5] = [
        (at("missing"), &["nothing at this address", "/missing", "correct it"]),
        (at("plain"), &["not a git repository", "/plain", "correct the path"]),
        (at("file"), &["not a git repository", "/file", "correct the path"]),
        (at("empty"), &["the repository is empty", "/empty", "push a first commit"]),
        (broken.bare(), &["the repository is damaged", "/bare.git", "git fsck"]),
    ];
    for (path, words) in rows {
        let url = format!("file://{}", path.display());
        for verb in ["validate", "plan", "apply"] {
            let ended = bowline(state.path(), &[verb, &url, "--engine", "sim"]);
            ended.expect(1).says(words);
        }
        let settings = Settings::new("e2e-bad", path.to_str().unwrap(), "");
        let agent = Agent::start_with(&settings, &["--engine", "sim"], &[]);
        agent.until_ready();
        agent.until_logged(0, words);
        let source = &agent.status()["sources"][0];
        let message = source["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        let metrics = agent.metrics();
        let failed = |line: &str| {
            line.starts_with("bowline_source_fetch_total") && line.contains("source=\"e2e-bad\"")
        };
        assert!(metrics.lines().any(failed), "{metrics}");
        assert!(agent.terminate().success());
    }
}

#[test]
fn a_configuration_that_is_wrong_is_said_at_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let rows: [(&str, &[&str]); 4] = [
        ("sources: [{ name: a, url: /x, intervall: 1m }]\n", &["1:", "intervall", "interval"]),
        ("sources:\n  - { name: a, url: /x, interval: 0s }\n", &["2:", "interval", "1s"]),
        ("sources: []\n", &["sources"]),
        ("sources: [{ name: a, url: /x, cron: 'every day' }]\n", &["1:", "cron", "every day"]),
    ];
    for (text, words) in rows {
        std::fs::write(&file, text).unwrap();
        for more in [&["--check"][..], &[]] {
            let arguments = [&["agent", "--config", file.to_str().unwrap()], more].concat();
            bowline(dir.path(), &arguments).expect(1).says(words).says(&["config.yaml"]);
        }
    }
    let absent = ["agent", "--config", "/nonexistent/config.yaml"];
    bowline(dir.path(), &absent).expect(1).says(&["/nonexistent/config.yaml"]);
}

#[test]
fn an_engine_that_is_absent_or_refuses_us_is_said() {
    let site = Site::new();
    let absent = format!("unix://{}/absent.sock", site.path());
    for verb in ["plan", "apply"] {
        let ended = site.run(&[verb, site.path(), "--host", &absent]).expect(1);
        ended.says(&["absent.sock", "is it running?", BAD]);
    }
    let Some(nobody) = Nobody::new() else { return };
    std::fs::set_permissions(site.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let closed = nobody.dir.path().join("closed.sock");
    let _listener = UnixListener::bind(&closed).unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o600)).unwrap();
    let host = format!("unix://{}", closed.display());
    for verb in ["plan", "apply"] {
        let ended = nobody.run(&[verb, site.path(), "--host", &host]).expect(1);
        ended.says(&["permission denied", "closed.sock", "group `docker`"]);
    }
}

/// Runs Bowline as somebody without rights.
struct Nobody {
    dir: TempDir,
}

impl Nobody {
    /// `None`, said in a line, where this process may not become somebody else.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("state")] {
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        }
        // The program may lie where nobody else may look.
        std::fs::copy(PROGRAM, dir.path().join("bowline")).unwrap();
        let nobody = Self { dir };
        let possible = run(&mut nobody.command(Path::new("/bin/true"))).code == 0;
        if !possible {
            println!("not tried as another user: only root can, with setpriv");
        }
        possible.then_some(nobody)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .arg(program)
            .current_dir(self.dir.path())
            .env("BOWLINE_STATE_DIR", self.dir.path().join("state"))
            .env_remove("BOWLINE_LOG");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(&self.dir.path().join("bowline")).args(arguments))
    }
}

/// An agent on the simulated engine that follows a repository without stacks.
fn settings(more: &str) -> (Settings, Git) {
    let git = Git::new();
    git.write("README", "nothing").push("Begin");
    (Settings::new("bad-state", &git.url(), more), git)
}

const SIM: [&str; 2] = ["--engine", "sim"];

#[test]
fn a_damaged_inventory_is_said_once_and_put_aside() {
    let (settings, _git) = settings("");
    std::fs::create_dir(settings.state_dir()).unwrap();
    std::fs::write(settings.state_dir().join("state.redb"), "no database").unwrap();
    let agent = Agent::start_with(&settings, &SIM, &[]);
    agent.until_ready();
    agent.until_logged(0, &["state.redb is damaged", "state.redb.damaged-1", "a new one begins"]);
    assert_eq!(agent.log().matches("is damaged").count(), 1);
    assert!(agent.metrics().contains("bowline_inventory_up 1"));
    assert!(agent.terminate().success());
    let again = Agent::start_with(&settings, &SIM, &[]);
    again.until_ready();
    assert!(!again.log().contains("damaged"), "{}", again.log());
    assert!(again.terminate().success());
}

#[test]
fn a_socket_that_is_in_use_is_named() {
    let (settings, _git) = settings("");
    let _other = UnixListener::bind(settings.socket()).unwrap();
    let file = settings.file();
    let arguments = ["agent", "--engine", "sim", "--config", file.to_str().unwrap()];
    let ended = bowline(&settings.state_dir(), &arguments).expect(1);
    ended.says(&["bowline.sock: another process answers there", "another `socket`"]);
}

/// What an agent does whose state directory has become another file system: a command for `sh`
/// makes it so, in a mount namespace of the agent's own.
fn with_mount(settings: &Settings, mount: &str) -> Option<Running> {
    let (dir, file) = (settings.state_dir(), settings.file());
    let script = format!("cd '{}' && {mount} && exec \"$@\"", dir.display());
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh", PROGRAM, "agent", "--engine", "sim"]);
    command.args(["--log-format", "human", "--config", file.to_str().unwrap()]);
    command.env("BOWLINE_STATE_DIR", &dir).env_remove("BOWLINE_LOG");
    let possible = run(Command::new("unshare").args(["-m", "true"])).code == 0;
    if !possible {
        println!("not tried with another file system: only root can");
    }
    possible.then(|| Running::start(&mut command))
}

#[test]
fn with_a_state_directory_that_is_read_only_or_full_the_agent_goes_on_and_says_so() {
    let full = "mount -t tmpfs none /mnt && cp -a . /mnt/ && mount -t tmpfs -o size=4m none $PWD \
                && cd $PWD && cp -a /mnt/. . && rm state.redb history.redb && ! cp /dev/zero filler 2> /dev/null";
    let read_only = "mount --bind $PWD $PWD && mount -o remount,ro,bind $PWD";
    for (mount, why) in [(read_only, "Read-only file system"), (full, "No space left")] {
        let (settings, _git) = settings("");
        let agent = Agent::start_with(&settings, &SIM, &[]);
        agent.until_ready();
        assert!(agent.terminate().success());
        let Some(agent) = with_mount(&settings, mount) else { return };
        let page = |path: &str| support::agent::get(&settings.address, path);
        until(&format!("an agent that goes on: {why}"), || {
            let (_, metrics) = page("/metrics")?;
            let down = ["inventory", "history"].map(|it| format!("bowline_{it}_up 0"));
            let are_down = down.iter().all(|line| metrics.contains(line));
            (are_down && page("/readyz")?.0 == 200).then_some(())
        });
        support::program::signal(&agent.child, rustix::process::Signal::TERM);
        let ended = agent.end().expect(0);
        assert!(ended.err.contains("cannot use the inventory"), "{}", ended.err);
        assert!(ended.err.contains("cannot use the history"), "{}", ended.err);
        assert!(ended.err.contains(why), "{}", ended.err);
    }
}
