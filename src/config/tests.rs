//! What a configuration means and what its errors say.

use super::*;
use crate::model::Window;
use crate::source::VerifyMode;

const LEAST: &str = "sources:\n  - url: https://git.example.org/Infra.git\n";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/bowline/config.yaml")).map_err(|error| error.to_string())
}

/// The error for `text`, without the directory of the file.
fn error(text: &str) -> String {
    parse(text).unwrap_err().replace("/etc/bowline/", "")
}

#[test]
fn one_url_is_a_whole_configuration() {
    let config = parse(LEAST).unwrap();
    let source = &config.sources[0];
    assert_eq!(source.name.as_str(), "infra");
    assert_eq!(source.interval, Some(Duration::from_secs(60)));
    assert_eq!(source.reference, Reference::Head);
    assert!(!source.watch && !source.submodules);
    assert_eq!(config.http.listen.unwrap().to_string(), "127.0.0.1:9184");
    assert_eq!((config.parallel.get(), config.passes.get()), (8, 4));
    assert_eq!(config.state_dir, Path::new("/var/lib/bowline"));
    assert!(config.prune.enabled && config.prune.confirm.is_empty());
    assert_eq!(config.keep_images, None);
    let day = Duration::from_secs(24 * 3600);
    assert_eq!((config.history.keep, config.history.lasts), (100, day * 90));
    assert_eq!(config.socket.unwrap(), Path::new("/run/bowline/bowline.sock"));
}

#[test]
fn every_key_is_read() {
    let config = parse(
        "sources:\n  - { name: a, url: ./repo, branch: main, path: hosts/web1, interval: 1h30m, \
         cron: '*/5 * * * *', watch: true, submodules: true, variables: { REGION: eu }, profiles: [prod] }\n\
         engine: { host: 'unix:///run/docker.sock' }\nhttp: { listen: off }\nstate_dir: /srv/b\n\
         resync: 10m\nparallel: 2\npasses: 1\nshutdown_timeout: 5s\n\
         log: { format: json, level: debug }\nprune: false\nimages: { keep: 2 }\nsocket: off\n\
         sops: { age_key_file: age.key }\nhistory: { keep: 7, for: 1d 12h }\n",
    )
    .unwrap();
    let source = &config.sources[0];
    assert_eq!(source.location, Location::Local("/etc/bowline/./repo".into()));
    assert_eq!(source.reference, Reference::Branch("main".into()));
    assert_eq!(source.interval, Some(Duration::from_secs(5400)));
    assert_eq!(source.cron.as_ref().unwrap().as_str(), "0 */5 * * * *");
    assert!(source.watch && source.submodules && !config.prune.enabled);
    assert_eq!(source.variables["REGION"], "eu");
    assert_eq!((config.http.listen, config.keep_images, config.socket), (None, Some(2), None));
    assert_eq!(config.log, Log { format: Format::Json, level: tracing::Level::DEBUG });
    assert_eq!(config.resync, Duration::from_secs(600));
    assert_eq!(config.age_key_file.unwrap(), Path::new("/etc/bowline/age.key"));
    assert_eq!((config.history.keep, config.history.lasts.as_secs()), (7, 36 * 3600));
}

#[test]
fn windows_are_for_the_agent_and_for_a_source() {
    let window = |cron, hours: u64, zone| {
        Window::new(cron, Duration::from_secs(hours * 3600), zone).unwrap()
    };
    let config = parse(&format!(
        "{LEAST}    schedule: {{ deny: [{{ cron: '0 9 * * MON-FRI', for: 8h }}] }}\n\
         schedule:\n  allow:\n    - {{ cron: 0 22 * * *, for: 2h, timezone: Europe/Berlin }}\n"
    ))
    .unwrap();
    let allow = vec![window("0 22 * * *", 2, Some("Europe/Berlin"))];
    assert_eq!(config.windows, Windows { allow, deny: vec![] });
    let deny = vec![window("0 9 * * MON-FRI", 8, None)];
    assert_eq!(config.sources[0].windows, Windows { allow: vec![], deny });
    assert_eq!(parse(LEAST).unwrap().windows, Windows::default());
}

#[test]
fn a_source_is_verified_with_keys_beside_the_configuration() {
    let verify = |text: &str| {
        let more = format!("    tag: v1\n    verify: {text}\n");
        parse(&format!("{LEAST}{more}")).unwrap().sources.remove(0).verify.unwrap()
    };
    let head = verify("{ allowed_signers: signers }");
    assert_eq!((head.mode, head.gpg_keyring), (VerifyMode::Head, None));
    assert_eq!(head.allowed_signers.unwrap(), Path::new("/etc/bowline/signers"));
    let both = verify("{ mode: tag-and-head, allowed_signers: a, gpg_keyring: /k }");
    assert_eq!((both.mode, both.gpg_keyring), (VerifyMode::TagAndHead, Some("/k".into())));
    assert_eq!(parse(LEAST).unwrap().sources[0].verify, None);
}

#[test]
fn pruning_is_switched_on_or_off_or_told_more() {
    let rules = |text: &str| parse(&format!("{LEAST}prune: {text}\n")).unwrap().prune;
    assert_eq!(rules("true"), Prune { enabled: true, confirm: BTreeSet::new() });
    assert!(!rules("{ enabled: false }").enabled);
    let confirm = [StackName::new("web").unwrap()].into();
    assert_eq!(rules("{ confirm: [web] }"), Prune { enabled: true, confirm });
}

#[test]
fn a_history_of_nothing_and_for_no_time_is_refused() {
    for (text, field) in [("keep: 0", "keep"), ("keep: 1001", "keep"), ("for: 0s", "for")] {
        let shown = error(&format!("{LEAST}history: {{ {text} }}\n"));
        assert!(shown.contains(&format!("history.{field}: ")), "{shown}");
        assert!(shown.starts_with("config.yaml:3:"), "{shown}");
    }
}

#[test]
fn an_unknown_key_is_an_error_with_its_place_and_the_key_that_was_meant() {
    let shown = error(&format!("{LEAST}    intervall: 5m\n"));
    assert!(shown.starts_with("config.yaml:3:5: sources[0]"), "{shown}");
    assert!(shown.ends_with("did you mean `interval`?"), "{shown}");
}

#[test]
fn a_length_of_time_needs_its_unit() {
    for bad in ["60", "-5m", "soon"] {
        let shown = error(&format!("{LEAST}    interval: {bad}\n"));
        assert!(shown.starts_with("config.yaml:3:15: sources[0].interval: "), "{shown}");
        assert!(shown.contains("such as `30s`"), "{shown}");
    }
}

#[test]
fn what_does_not_hold_together_is_an_error_at_its_place() {
    let cases = [
        ("    interval: 0s", "3:15: sources[0].interval: 0s is too short"),
        ("    path: ../up", "3:11: sources[0].path: `../up` leaves"),
        ("    path: /abs", "3:11: sources[0].path: `/abs` leaves"),
        ("    cron: often", "3:11: sources[0].cron: `often` is no schedule"),
        ("    cron: 0 0 31 2 *", "3:11: sources[0].cron: `0 0 31 2 *` is no schedule"),
        ("  - url: http://other/infra", "3:5: sources[1].name: `infra` is another"),
        (
            "  - url: 'git@host:'",
            "3:10: sources[1].url: not an address of ssh; write USER@HOST:PATH",
        ),
        ("  - url: ssh://me:pw@host/a", "3:10: sources[1].url: holds a login"),
        ("    semver: 1 to 2", "3:13: sources[0].semver: `1 to 2` is no range of versions: "),
        ("    semver: ''", "3:13: sources[0].semver: `` is no range of versions: "),
        (
            "    semver: 1.x\n    tag: v1",
            "2:5: sources[0]: keep only one of `ref`, `branch`, `tag`",
        ),
        ("  - url: https://me:pw@host/a", "3:10: sources[1].url: holds a login"),
        ("http: { listen: here }", "3:17: http.listen: `here` is no address"),
        ("http: { read: token }", "3:15: http.read: there is no token"),
        ("http: { read: never }", "3:15: http.read: `never` is neither `open` nor `token`"),
        ("http: { listen: off, token_file: a }", "3:7: http: a token opens nothing"),
        (
            "http: { token_file: a, credential: b }",
            "3:36: http.credential: keep it or `token_file`",
        ),
        ("    verify: {}", "3:13: sources[0].verify: there are no keys; name a file as"),
        (
            "    branch: b\n    verify: { mode: tag, gpg_keyring: k }",
            "4:21: sources[0].verify.mode: only a tag can be verified so; follow one with `tag`",
        ),
        (
            "    verify: { mode: all, gpg_keyring: k }",
            "3:21: sources[0].verify.mode: unknown variant",
        ),
        ("resync: 0s", "3:9: resync: 0s is too short"),
        ("resync: 20ms", "3:9: resync: 20ms is too short"),
        ("socket: true", "3:9: socket: `true` is no path; write one, or `off`"),
        ("engine: { host: docker }", "3:17: engine.host: `docker` is no address"),
        ("prune: { confirm: [Web] }", "3:20: prune.confirm[0]: `Web` is no stack name"),
        ("prune: { sure: true }", "3:10: prune: unknown field `sure`"),
        ("    auth: pw", "3:11: sources[0].auth: invalid type: a text, expected"),
        ("    webhook: pw", "3:14: sources[0].webhook: invalid type: a text, expected"),
        ("http: pw", "3:7: http: invalid type: a text, expected a mapping"),
        ("parallel: 0", "3:11: parallel: invalid value: integer `0`, expected a number from 1"),
        ("prune: 3", "3:8: prune: invalid type"),
        ("images: { keep: -1 }", "3:17: images.keep: invalid type"),
        (
            "schedule: { allow: [{ cron: '0 22 * *', for: 2h }] }",
            "3:29: schedule.allow[0].cron: `0 22 * *` is no schedule: it has 4 fields",
        ),
        (
            "    schedule:\n      deny:\n        - { cron: '0 22 * * *', for: 30s }",
            "5:38: sources[0].schedule.deny[0].for: must be from 1m up to 366 days",
        ),
        (
            "schedule: { deny: [{ cron: '0 22 * * *', for: 2h, timezone: Europe/Berln }] }",
            "3:61: schedule.deny[0].timezone: `Europe/Berln` is no time zone; did you mean",
        ),
        (
            "schedule: { allow: [{ cron: '0 22 * * *' }] }",
            "3:21: schedule.allow[0]: missing field `for`",
        ),
        (
            "schedule: { allow: [{ cron: '0 2 * * *', for: 2 }] }",
            "3:47: schedule.allow[0].for: invalid",
        ),
        ("schedule: { alow: [] }", "3:13: schedule: unknown field `alow`"),
        ("log: { level: loud }", "3:15: log.level: `loud` is no level"),
    ];
    for (line, expected) in cases {
        let shown = error(&format!("{LEAST}{line}\n"));
        assert!(shown.starts_with(&format!("config.yaml:{expected}")), "{shown}");
        assert!(!shown.contains("pw"), "{shown}");
    }
    assert!(error("sources: []\n").starts_with("config.yaml:1:10: sources: there are none"));
}

#[test]
fn all_that_does_not_hold_together_is_told_at_once_in_the_order_of_the_file() {
    let shown = error(
        "sources:\n  - { url: /a/one, cron: often, path: ../up, auth: { username: u } }\n  \
         - { name: Two, url: 'git@host:', interval: 0s }\n  - { name: one, url: /b }\n\
         http: { listen: here }\nresync: 0s\nlog: { level: loud }\n\
         schedule: { allow: [{ cron: '61 * * * *', for: 1h }], deny: [{ cron: '* * * * *', for: 1s }] }\n",
    );
    let fields = shown.lines().map(|line| line.split(':').nth(3).unwrap().trim());
    assert_eq!(
        fields.collect::<Vec<_>>(),
        [
            "sources[0].cron",
            "sources[0].path",
            "sources[0].auth",
            "sources[1].url",
            "sources[1].interval",
            "sources[2].name",
            "http.listen",
            "resync",
            "log.level",
            "schedule.allow[0].cron",
            "schedule.deny[0].for",
        ],
        "{shown}"
    );
    assert!(shown.lines().all(|line| line.starts_with("config.yaml:")), "{shown}");
}

#[test]
fn files_of_keys_must_be_there_and_hold_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let verify = "    verify: { allowed_signers: signers }\n";
    std::fs::write(&path, format!("{LEAST}{verify}")).unwrap();
    let error = || load(&path).unwrap_err().to_string();
    assert!(error().contains("config.yaml:3:13: sources[0].verify: cannot verify"), "{}", error());
    std::fs::write(dir.path().join("signers"), "a@example.org ssh-ed25519\n").unwrap();
    assert!(error().contains("signers: line 1: write PRINCIPALS"), "{}", error());
}

#[test]
fn a_range_of_versions_is_a_reference() {
    let config = parse(&format!("{LEAST}    semver: '>=1.2, <2'\n")).unwrap();
    assert_eq!(config.sources[0].reference, Reference::Semver(">=1.2, <2".parse().unwrap()));
}

#[test]
fn a_repository_behind_ssh_is_opened_with_a_key() {
    let source = |text: &str| parse(&format!("sources:\n{text}\n")).unwrap().sources.remove(0);
    let plain = source("  - url: git@git.example.org:team/Infra.git");
    assert_eq!((plain.name.as_str(), plain.ssh), ("infra", Ssh::default()));
    assert!(matches!(plain.location, Location::Ssh(_)) && !plain.watch);
    let told = source(
        "  - url: ssh://git@git.example.org:2222/infra\n    auth: { key_file: keys/infra, \
         known_hosts_file: /etc/bowline/known_hosts }",
    );
    let (key_file, known_hosts_file) =
        (Some("/etc/bowline/keys/infra".into()), Some("/etc/bowline/known_hosts".into()));
    assert_eq!(told.ssh, Ssh { key_file, known_hosts_file });
    assert_eq!(told.auth, None);
}

#[test]
fn a_login_fits_where_the_repository_is() {
    let cases = [
        ("/srv/a", "{ key_file: k }", "11: sources[0].auth: a local repository has no login"),
        ("git://h/a", "{ username: u }", "11: sources[0].auth: git:// knows no login"),
        ("https://h/a", "{ key_file: k }", "23: sources[0].auth.key_file: is for ssh; write"),
        (
            "https://h/a",
            "{ username: u, password_file: p, known_hosts_file: k }",
            "62: sources[0].auth.known_hosts_file: is for ssh; write",
        ),
        ("https://h/a", "{ username: u }", "11: sources[0].auth: missing field `password_file`"),
        ("https://h/a", "{ password_file: p }", "11: sources[0].auth: missing field `username`"),
        ("git@h:a", "{ username: u }", "23: sources[0].auth.username: over ssh the user stands"),
        ("git@h:a", "{ password_file: p }", "28: sources[0].auth.password_file: over ssh a key"),
        ("git@h:a", "{ key: k }", "13: sources[0].auth: unknown field `key`"),
    ];
    for (url, auth, expected) in cases {
        let shown = error(&format!("sources:\n  - url: {url}\n    auth: {auth}\n"));
        assert!(shown.starts_with(&format!("config.yaml:3:{expected}")), "{shown}");
    }
}

#[test]
fn the_files_of_ssh_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let auth = "{ key_file: key, known_hosts_file: known }";
    std::fs::write(&path, format!("sources:\n  - url: git@h:a\n    auth: {auth}\n")).unwrap();
    let refused = || load(&path).unwrap_err().to_string();
    let place = "config.yaml:3:23: sources[0].auth.key_file: cannot read `";
    assert!(refused().contains(place), "{}", refused());
    assert!(refused().ends_with("create it or name another file"), "{}", refused());
    std::fs::write(dir.path().join("key"), "s3cret").unwrap();
    let place = "config.yaml:3:46: sources[0].auth.known_hosts_file: cannot read `";
    assert!(refused().contains(place), "{}", refused());
    std::fs::write(dir.path().join("known"), "").unwrap();
    assert!(!format!("{:?}", load(&path).unwrap()).contains("s3cret"));
}

#[test]
fn a_file_of_age_keys_must_be_there_for_few_and_hold_keys_and_is_never_shown() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (path, key) = (dir.path().join("config.yaml"), dir.path().join("age.key"));
    std::fs::write(&path, format!("{LEAST}sops: {{ age_key_file: age.key }}\n")).unwrap();
    let refused = || load(&path).unwrap_err().to_string();
    assert!(
        refused().contains("config.yaml:3:23: sops.age_key_file: cannot read"),
        "{}",
        refused()
    );
    std::fs::write(&key, "AGE-SECRET-KEY-1HUNTER2\n").unwrap();
    let allow =
        |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(0o604);
    assert!(refused().contains("every user may read"), "{}", refused());
    allow(0o600);
    let shown = refused();
    assert!(shown.contains("line 1 of `") && shown.contains("is no age key"), "{shown}");
    assert!(!shown.contains("HUNTER2"), "{shown}");
    std::fs::write(&key, include_str!("../../tests/sops/host.key")).unwrap();
    let config = load(&path).unwrap();
    let keys = keys_in(config.age_key_file.as_deref());
    assert!(format!("{keys:?}").starts_with("Keys(1 not shown, `/"), "{keys:?}");
    let none = format!("{:?}", keys_in(None));
    assert!(none.contains("under `sops.age_key_file`"), "{none}");
}
