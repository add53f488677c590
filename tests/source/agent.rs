//! An agent that follows a repository behind git's own server, while all goes wrong with it: each fault is
//! told with what to do, what ran goes on as it was (on the real engine, where there is one), no login is
//! shown, and what was pushed meanwhile is taken as soon as the fault is gone.

use super::http::Served;
use super::nginx::{PASSWORD, Server, TOKEN_USER, USER};
use super::proxy::Tunnel;
use super::relay::{Relay, Way};
use super::upstream::git;
use crate::support::agent::{Agent, Settings};
use crate::support::packed::Image;
use crate::support::program::{Ended, bowline};
use crate::support::stacks::{Stacks, lives};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const TOKEN: &str = "t0ken-of-the-agent";
const STACK: &str = "e2e-https";
const IMAGE: &str = "e2e-https-busybox:1";
/// The same name, and nothing to run.
const EMPTY: &str = "name: e2e-https\nservices: {}\n";
const SIM: [&str; 2] = ["--engine", "sim"];
/// More than the configuration below accepts, in bytes.
const TOO_MUCH: usize = 3 << 20;

/// A stack that says in which version it is; `is_real`: with a container for the real engine.
fn stack(version: &str, is_real: bool) -> String {
    let service = format!(
        "one: {{ image: {IMAGE}, command: [busybox, sleep, '3600'], stop_signal: SIGKILL, \
         network_mode: none, environment: {{ V: '{version}' }} }}"
    );
    let service = if is_real { &service } else { "" };
    format!("name: {STACK}\nservices: {{ {service} }}\nx-version: '{version}'\n")
}

/// A configuration of one source with `keys`, and a file beside it.
fn settings(keys: &str, file: (&str, &str)) -> Settings {
    let settings = Settings::new("e2e-https", "/replaced", "");
    let text = fs::read_to_string(settings.file()).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    let source = format!("sources:\n  - {{ name: e2e-https, interval: 1h, {keys} }}\n");
    fs::write(settings.file(), source + rest).unwrap();
    write(&settings, file);
    settings
}

fn write(settings: &Settings, (name, content): (&str, &str)) {
    let path = settings.dir.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// An agent that has the stack in place.
struct Site {
    server: Server,
    served: Served,
    relay: Relay,
    settings: Settings,
    agent: Agent,
    /// What is deployed.
    good: String,
    /// What the test leaves on the real engine, if that is used.
    real: Option<(Stacks, Image)>,
}

impl Site {
    /// On the real engine, if the caller of the tests has one.
    fn start() -> Option<Self> {
        let real = crate::support::engine();
        Self::begin(real.map(|_| (Stacks::named(&[STACK]), Image::of_busybox(IMAGE))))
    }

    fn on_sim() -> Option<Self> {
        Self::begin(None)
    }

    fn begin(real: Option<(Stacks, Image)>) -> Option<Self> {
        let server = Server::start()?;
        server.let_in(TOKEN_USER, TOKEN);
        let served = Served::by(&server, &[("web/compose.yaml", &stack("1", real.is_some()))]);
        let relay = Relay::to(server.tls_port);
        let keys = format!(
            "url: 'https://localhost:{}/closed/a.git', branch: main, auth: {{ token_file: token }}, \
             tls: {{ ca_file: '{}' }}, limits: {{ max_size: 1m, timeout: 8s }}",
            relay.port,
            server.authority().display()
        );
        let settings = settings(&keys, ("token", TOKEN));
        let agent = Agent::start_with(&settings, if real.is_some() { &[] } else { &SIM }, &[]);
        let good = served.work.head();
        agent.until_stack(STACK, |it| it["applied_revision"] == *good && it["sync"] == "Synced");
        Some(Self { server, served, relay, settings, agent, good, real })
    }

    /// The stack's containers, with when they were started.
    fn containers(&self) -> BTreeSet<(String, String)> {
        if self.real.is_some() { lives(STACK) } else { BTreeSet::new() }
    }

    fn sync(&self) -> Ended {
        let socket = self.settings.socket();
        let arguments = ["sync", STACK, "--socket", socket.to_str().unwrap()];
        bowline(&self.settings.state_dir(), &arguments).expect(0)
    }

    /// Spoils something while a new version waits: that is said with all of `words`, the stack stays as it
    /// was; mended, the new version comes.
    fn survives(
        &mut self,
        what: &str,
        spoil: impl FnOnce(&Self),
        words: &[&str],
        mend: impl FnOnce(&Self),
    ) {
        self.served.commit(&[("web/compose.yaml", &stack(what, self.real.is_some()))]);
        let before = self.containers();
        assert_eq!(before.len(), usize::from(self.real.is_some()));
        spoil(self);
        let mark = self.agent.mark();
        self.sync();
        let line = self.agent.until_logged(mark, &["ERROR", "source e2e-https ("]);
        let status = self.agent.status();
        let message = status["sources"][0]["message"].as_str().unwrap().to_owned();
        for word in words {
            assert!(line.contains(word), "{what}: no `{word}` in {line}");
            assert!(message.contains(word), "{what}: no `{word}` in {message}");
        }
        let now = self.agent.stack(STACK).unwrap();
        assert!(now["applied_revision"] == *self.good && now["sync"] == "Synced", "{what}: {now}");
        assert_eq!(self.containers(), before, "{what}");
        let stale = "bowline_source_fetch_total{result=\"error\",source=\"e2e-https\"}";
        assert!(self.agent.metrics().contains(stale), "{what}: {}", self.agent.metrics());
        mend(self);
        self.sync();
        self.good = self.served.work.head();
        let mended = |it: &serde_json::Value| it["applied_revision"] == *self.good;
        self.agent.until_stack(STACK, mended);
    }

    /// Nothing that the agent says or writes holds one of `secrets`.
    fn shows_none(&self, secrets: &[&str]) {
        let said =
            [self.agent.log(), self.agent.status().to_string(), self.agent.metrics()].concat();
        for secret in secrets {
            assert!(!said.contains(secret), "{secret} was shown:\n{said}");
            assert!(!holds(&self.settings.state_dir(), secret), "{secret} was written");
        }
    }
}

/// Whether a file below `directory` holds `text`.
fn holds(directory: &Path, text: &str) -> bool {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// The disk space of all files below `directory`, in bytes.
fn space(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => space(&entry.path()),
            metadata => metadata.blocks() * 512,
        })
        .sum()
}

/// Bytes that no pack makes smaller.
pub(crate) fn noise(length: usize) -> String {
    let mut bytes = vec![0; length / 2];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes.iter().map(|byte| char::from(b'0' + byte % 64)).chain(['\n']).collect()
}

#[test]
fn whatever_goes_wrong_with_a_server_is_told_and_harms_nothing() {
    let Some(mut site) = Site::start() else { return };
    let port = site.server.tls_port;
    let mend = move |site: &Site| site.relay.set(Way::To(port));
    site.survives(
        "a token that was exchanged",
        |site| site.server.let_in(TOKEN_USER, "another-t0ken"),
        &["does not accept the login (HTTP 401)", "correct"],
        |site| write(&site.settings, ("token", "another-t0ken\n")),
    );
    site.survives(
        "a token file that is gone",
        |site| fs::remove_file(site.settings.dir.path().join("token")).unwrap(),
        &["cannot read `", "/token`"],
        |site| write(&site.settings, ("token", "another-t0ken")),
    );
    site.survives(
        "a token without the right",
        |site| site.server.forbid(true),
        &["does not accept the login (HTTP 403)", "what it may read"],
        |site| site.server.forbid(false),
    );
    let hidden = site.server.place("hidden");
    site.survives(
        "a repository that is hidden",
        |site| fs::rename(&site.served.bare, &hidden).unwrap(),
        &["no such repository (HTTP 404)", "what it may read"],
        |site| fs::rename(&hidden, &site.served.bare).unwrap(),
    );
    site.survives(
        "a branch that is gone",
        |site| drop(git(&site.served.bare, &["branch", "-m", "main", "trunk"])),
        &["there is no branch main; its branches are trunk"],
        |site| drop(git(&site.served.bare, &["branch", "-m", "trunk", "main"])),
    );
    let expired = site.server.expired_port;
    site.survives(
        "an expired certificate",
        |site| site.relay.set(Way::To(expired)),
        &["ended on 2025-02-01T00:00:00Z; have it renewed"],
        mend,
    );
    let (ca, kept) = (site.server.authority(), site.server.place("kept.pem"));
    fs::copy(&ca, &kept).unwrap();
    let other = site.server.place("own.pem");
    site.survives(
        "an unknown authority",
        |_| assert!(fs::copy(&other, &ca).unwrap() > 0),
        &["authority that is not among the trusted ones", "/ca.pem", "tls.ca_file"],
        |_| assert!(fs::copy(&kept, &ca).unwrap() > 0),
    );
    site.survives(
        "a file of authorities that is none",
        |_| fs::write(&ca, "nonsense").unwrap(),
        &["cannot trust the authorities in", "/ca.pem: it holds no certificate"],
        |_| assert!(fs::copy(&kept, &ca).unwrap() > 0),
    );
    site.survives(
        "garbage",
        |site| site.relay.set(Way::Garbage),
        &["does not speak TLS on this port; correct the URL"],
        mend,
    );
    site.survives(
        "silence",
        |site| site.relay.set(Way::Silence),
        &["gave up after 8 s of fetching; it is tried again"],
        mend,
    );
    site.survives(
        "an answer that breaks off",
        |site| {
            site.served.commit(&[("noise", &noise(500_000))]);
            site.relay.set(Way::Cut(port, 30_000));
        },
        &["cannot be reached: the server ended the connection in the middle; it is tried again"],
        mend,
    );
    site.shows_none(&[TOKEN, "another-t0ken"]);
    assert!(site.agent.terminate().success());
}

#[test]
fn a_repository_beyond_the_bounds_is_given_up_early_and_leaves_nothing() {
    let Some(mut site) = Site::on_sim() else { return };
    let state = site.settings.state_dir();
    let before = space(&state);
    for (what, content) in [
        ("more than is sent", noise(TOO_MUCH * 2)),
        // It comes as a few kilobytes.
        ("more than is written", "0".repeat(TOO_MUCH)),
    ] {
        site.survives(
            what,
            |site| drop(site.served.commit(&[("large", &content)])),
            &["larger than the 1048576 bytes that are accepted", "raise `limits.max_size`"],
            |site| {
                let grown = space(&state).saturating_sub(before);
                assert!(grown < 200_000, "{what} left {grown} bytes");
                site.served.work.git(&["rm", "--quiet", "large"]);
                site.served.work.git(&[
                    "commit",
                    "--quiet",
                    "--amend",
                    "--allow-empty",
                    "--message=small",
                ]);
                site.served.push();
            },
        );
    }
    assert!(!state.join("sources/e2e-https/git.new").exists());
}

#[test]
fn each_way_to_log_in_opens_a_repository() {
    let Some(server) = Server::start() else { return };
    server.let_in(TOKEN_USER, TOKEN);
    let served = Served::by(&server, &[("web/compose.yaml", EMPTY)]);
    let url = server.url("closed/a.git");
    let store = format!("http://{USER}:s3cret%3Aword@127.0.0.1:{}\n", server.port);
    let netrc = format!("machine 127.0.0.1\n  login {USER}\n  password {PASSWORD}\n");
    for (auth, content) in [
        (format!("username: {USER}, password_file: login"), PASSWORD),
        ("token_file: login".into(), TOKEN),
        ("credential: login".into(), TOKEN),
        (format!("username: {USER}, credential: login"), PASSWORD),
        ("credentials_file: login".into(), &store),
        ("netrc_file: login".into(), &netrc),
    ] {
        let keys = format!("url: {url:?}, auth: {{ {auth} }}");
        let settings = settings(&keys, ("login", content));
        let credentials = [("CREDENTIALS_DIRECTORY", settings.dir.path())];
        let agent = Agent::start_with(&settings, &SIM, &credentials);
        agent.until_stack(STACK, |it| it["applied_revision"] == *served.work.head());
        assert!(!agent.log().contains(content) && !holds(&settings.state_dir(), content));
        assert!(agent.terminate().success());
    }
}

#[test]
fn the_environment_names_a_proxy_unless_the_source_says_otherwise() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("web/compose.yaml", EMPTY)]);
    let url = server.tls_url("open/a.git");
    for (more, no_proxy, is_used) in
        [("", "example.org", true), ("", "localhost", false), (", proxy: off", "", false)]
    {
        let tunnel = Tunnel::start(|_| None);
        let proxy = tunnel.url();
        let keys =
            format!("url: {url:?}, tls: {{ ca_file: '{}' }}{more}", server.authority().display());
        let settings = settings(&keys, ("unused", ""));
        let variables = [("HTTPS_PROXY", Path::new(&proxy)), ("NO_PROXY", Path::new(no_proxy))];
        let agent = Agent::start_with(&settings, &SIM, &variables);
        agent.until_stack(STACK, |it| it["applied_revision"] == *served.work.head());
        assert_eq!(!tunnel.asked().is_empty(), is_used, "{more} {no_proxy}");
        assert!(agent.terminate().success());
    }
}
