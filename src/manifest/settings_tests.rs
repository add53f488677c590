//! What `x-bowline` may say, and what of it is wrong.

use crate::manifest::{DigestKey, Request, load};
use crate::model::{
    CanaryCheck, DriftPolicy, OnContentChange, Order, RollbackPolicy, ServiceName, Stack,
    StackName, Window, Windows,
};
use std::path::PathBuf;

fn loaded(text: &str) -> Result<Stack, String> {
    loaded_with_warnings(text).map(|(stack, _)| stack)
}

fn loaded_with_warnings(text: &str) -> Result<(Stack, String), String> {
    let files = vec![PathBuf::from("/s/compose.yaml")];
    let request = Request::new(files, DigestKey::new([0; 32]));
    let loaded = load(&request, &|path| {
        let known = path.ends_with("compose.yaml");
        known.then(|| text.as_bytes().to_vec()).ok_or(std::io::ErrorKind::NotFound.into())
    });
    loaded
        .map(|loaded| (loaded.stack, loaded.warnings.to_string()))
        .map_err(|problems| problems.to_string())
}

/// A stack with these settings at the top and in its service `a`.
fn stack(top: &str, service: &str) -> Result<Stack, String> {
    loaded(&format!(
        "x-bowline: {top}\nservices:\n  a: {{ image: x:1, x-bowline: {service} }}\n  b: {{ image: x:1 }}\n"
    ))
}

#[test]
fn nothing_said_means_to_repair_to_replace_and_to_leave_others_alone() {
    let stack = stack("{}", "{}").unwrap();
    assert_eq!(stack.policy, crate::model::Policy::default());
    assert_eq!(stack.policy.drift, DriftPolicy::Repair);
    assert!(stack.services.values().all(|s| s.on_content_change == OnContentChange::Replace));
}

#[test]
fn a_service_says_more_than_the_top() {
    let top =
        "{ drift: report, adopt: true, on_content_change: restart, ignore: ['networks.*.labels'] }";
    let stack = stack(top, "{ on_content_change: signal SIGHUP, ignore: [mem_limit] }").unwrap();
    assert_eq!((stack.policy.drift, stack.policy.adopt), (DriftPolicy::Report, true));
    let of = |name| &stack.services[&ServiceName::new(name).unwrap()].on_content_change;
    assert_eq!(*of("a"), OnContentChange::Signal("SIGHUP".to_owned()));
    assert_eq!(*of("b"), OnContentChange::Restart);
    for signal in ["SIGUSR1", "SIGRTMIN", "SIGRTMIN+15", "SIGRTMAX-14"] {
        let settings = format!("{{ on_content_change: signal {signal} }}");
        assert!(
            loaded(&format!("services: {{ a: {{ image: x:1, x-bowline: {settings} }} }}\n"))
                .is_ok()
        );
    }
    assert!(stack.policy.ignores("services.a.mem_limit"));
    assert!(!stack.policy.ignores("services.b.mem_limit"));
    assert!(stack.policy.ignores("networks.front.labels.x"));
}

#[test]
fn updates_of_all_services_have_one_order_but_not_of_one_that_writes_alone() {
    use Order::{StartFirst, StopFirst};
    let text = "x-bowline: { order: start-first, rollback: off, start_timeout: 2m }\nservices:\n  \
                a: { image: x:1, x-bowline: { canary: { hold: 60s }, start_timeout: 5s } }\n  \
                b: { image: x:1, volumes: ['data:/data'] }\n  \
                c: { image: x:1, volumes: ['data:/data'], scale: 2 }\n  \
                d: { image: x:1, volumes: ['data:/data'], deploy: { update_config: { order: start-first } } }\n\
                volumes: { data: {} }\n";
    let stack = loaded(text).unwrap();
    assert_eq!(stack.policy.rollback, RollbackPolicy::Off);
    let of = |name| &stack.services[&ServiceName::new(name).unwrap()].rolling;
    let orders = ["a", "b", "c", "d"].map(|name| of(name).update.order);
    assert_eq!(orders, [StartFirst, StopFirst, StartFirst, StartFirst]);
    assert_eq!(of("d").rollback.order, StopFirst, "it is said of updates alone");
    let seconds = |name| of(name).start_timeout.map(|bound| bound.as_secs());
    assert_eq!((seconds("a"), seconds("b")), (Some(5), Some(120)));
    let canary = of("a").canary.as_ref().map(|canary| (canary.slots, canary.hold.as_secs()));
    assert_eq!((canary, &of("b").canary), (Some((1, 60)), &None));
}

#[test]
fn the_stacks_that_one_depends_on_have_their_places() {
    let stack = loaded(
        "x-bowline:\n  depends_on:\n    - proxy\n    - db\nservices:\n  a: { image: x:1 }\n",
    )
    .unwrap();
    let names: Vec<_> = stack.policy.depends_on.iter().map(StackName::as_str).collect();
    assert_eq!(names, ["db", "proxy"]);
    let place = stack.places.of("x-bowline.depends_on.db").unwrap();
    assert_eq!((place.line, place.column), (4, 7));
}

#[test]
fn what_is_wrong_is_told_with_a_suggestion() {
    for (top, service, words) in [
        ("{ allow: [imagetag] }", "{}", "`imagetag` is no lint; did you mean `image-tag`?"),
        ("{ allow: [what] }", "{}", "there are anonymous-volume"),
        ("{ alow: [] }", "{}", "unknown key `alow`; did you mean `allow`?"),
        ("{ allow: image-tag }", "{}", "must be a list"),
        ("3", "{}", "must be a mapping"),
        ("{ drift: repot }", "{}", "must be repair or report, not `repot`; did you mean `report`?"),
        ("{ adopt: maybe }", "{}", "must be true or false"),
        ("{ rollback: of }", "{}", "must be auto or off, not `of`; did you mean `off`?"),
        ("{ rollback: no }", "{}", "not `no`; did you mean `off`?"),
        ("{ rollback: false }", "{}", "not `false`; did you mean `off`?"),
        ("{ order: start }", "{}", "must be start-first or stop-first"),
        ("{ start_timeout: soon }", "{}", "`soon` is no duration"),
        ("{ start_timeout: 0s }", "{}", "x-bowline.start_timeout: must be at least 1s"),
        ("{}", "{ start_timeout: 999ms }", "x-bowline.start_timeout: must be at least 1s"),
        ("{ canary: { hold: 1s } }", "{}", "`canary` goes into the `x-bowline` of a service"),
        ("{}", "{ canary: 1 }", "must be a mapping"),
        ("{}", "{ canary: { slots: 0, hold: 1s } }", "must be a number from 1"),
        (
            "{}",
            "{ canary: { slots: 1 } }",
            "is missing: it says how long the first slots are watched; write for example `hold: 60s`",
        ),
        (
            "{}",
            "{ canary: { hold: 1s, interval: 5s } }",
            "`prometheus` is asked, and there is neither",
        ),
        ("{}", "{ canary: { hold: 1s, http: 8080 } }", "must be a mapping"),
        ("{}", "{ canary: { hold: 1s, http: { path: /a } } }", "write for example `port: 8080`"),
        ("{}", "{ canary: { hold: 1s, http: { port: 65536 } } }", "must be a port from 1 to 65535"),
        ("{}", "{ canary: { hold: 1s, http: { port: web } } }", "must be a port from 1 to 65535"),
        ("{}", "{ canary: { hold: 1s, http: { port: 80, path: a } } }", "`a` is no path of a page"),
        (
            "{}",
            "{ canary: { hold: 1s, http: { port: 80, path: '/a b' } } }",
            "is no path of a page",
        ),
        ("{}", "{ canary: { hold: 1s, http: { port: 80, paths: /a } } }", "did you mean `path`?"),
        (
            "{}",
            "{ canary: { hold: 1s, interval: 100ms, http: { port: 80 } } }",
            "must be 1s or longer",
        ),
        (
            "{}",
            "{ canary: { hold: 1s, prometheus: { query: up } } }",
            "write for example `url: http://127.0.0.1:9090`",
        ),
        (
            "{}",
            "{ canary: { hold: 1s, prometheus: { url: 'http://p', query: '' } } }",
            "query: is missing: it says what has a sample when the canary fails",
        ),
        (
            "{}",
            "{ canary: { hold: 1s, prometheus: { url: 'ftp://p', query: up } } }",
            "must begin with `http://` or `https://`",
        ),
        (
            "{}",
            "{ canary: { hold: 1s, prometheus: { url: 'http://p/?a', query: up } } }",
            "leave out what follows",
        ),
        (
            "{}",
            "{ canary: { hold: 1s, prometheus: { url: 'p:9090/a b', query: up } } }",
            "must begin with `http://`",
        ),
        ("{}", "{ canary: { hold: 1s, holds: 2 } }", "unknown key `holds`; did you mean `hold`?"),
        ("{}", "{ rollback: off }", "`rollback` goes into the `x-bowline` at the top"),
        ("{ depends_on: db }", "{}", "must be a list of names of stacks"),
        ("{ depends_on: [My DB] }", "{}", "`My DB` is no stack name"),
        ("{}", "{ depends_on: [db] }", "`depends_on` goes into the `x-bowline` at the top"),
        ("{}", "{ drift: report }", "`drift` goes into the `x-bowline` at the top"),
        ("{}", "{ on_content_change: signal HUP }", "`signal` with its name (`signal SIGHUP`)"),
        ("{}", "{ on_content_change: signal SIGHUPP }", "not `signal SIGHUPP`"),
        ("{}", "{ on_content_change: signal SIGKILL }", "not `signal SIGKILL`"),
        ("{}", "{ on_content_change: signal SIGRTMIN+16 }", "not `signal SIGRTMIN+16`"),
        ("{}", "{ on_content_change: reload }", "must be `replace`, `restart` or `signal`"),
        (
            "{}",
            "{ ignore: [mem_limits] }",
            "no field `mem_limits` in services; did you mean `mem_limit`?",
        ),
        (
            "{ ignore: [mem_limit] }",
            "{}",
            "`mem_limit` names no field; write `services.NAME.FIELD`",
        ),
        ("{ ignore: [services.a] }", "{}", "`services.a` names no field"),
    ] {
        let problems = stack(top, service).unwrap_err();
        let told = problems.replace("\n  = help: ", "; ");
        assert!(told.contains(words), "{words}:\n{problems}");
    }
}

#[test]
fn a_drain_is_a_time_and_a_service_s_own_goes_before_the_stack_s() {
    let drains = |top: &str, service: &str| {
        let stack = stack(top, service).unwrap();
        let of = |name| stack.services[&ServiceName::new(name).unwrap()].drain;
        (of("a"), of("b"))
    };
    let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
    assert_eq!(drains("{}", "{}"), (None, None));
    assert_eq!(drains("{ drain: 5s }", "{}"), (seconds(5), seconds(5)));
    assert_eq!(drains("{ drain: 5s }", "{ drain: 1m30s }"), (seconds(90), seconds(5)));
    assert_eq!(drains("{ drain: 5s }", "{ drain: 0s }"), (seconds(0), seconds(5)));
    let problems = stack("{}", "{ drain: soon }").unwrap_err();
    assert!(problems.contains("services.a.x-bowline.drain"), "{problems}");
}

#[test]
fn a_canary_s_checks_are_read_and_asked_every_five_seconds_where_nothing_is_said() {
    let canary = |service: &str| {
        let stack = stack("{}", service).unwrap();
        stack.services[&ServiceName::new("a").unwrap()].rolling.canary.clone().unwrap()
    };
    assert_eq!(canary("{ canary: { hold: 1s } }").checks, []);
    let http = |port, path: &str| CanaryCheck::Http {
        port: std::num::NonZeroU16::new(port).unwrap(),
        path: path.to_owned(),
    };
    let short = canary("{ canary: { hold: 1s, http: { port: '80' } } }");
    assert_eq!((short.interval.as_secs(), short.checks), (5, vec![http(80, "/")]));
    let long = canary(
        "{ canary: { slots: 2, hold: 1m, interval: 10s, http: { port: 8080, path: '/healthz?deep=1' }, \
         prometheus: { url: 'https://metrics.example/prometheus', query: 'up == 0' } } }",
    );
    let prometheus = CanaryCheck::Prometheus {
        url: "https://metrics.example/prometheus".to_owned(),
        query: "up == 0".to_owned(),
    };
    assert_eq!((long.slots, long.hold.as_secs(), long.interval.as_secs()), (2, 60, 10));
    assert_eq!(long.checks, [http(8080, "/healthz?deep=1"), prometheus]);
}

#[test]
fn a_password_in_a_server_s_address_is_refused_and_told_nowhere() {
    for url in ["http://anna:hunter2@p:9090", "http://hunter2@p", "http://anna:hunter2@p:port"] {
        let settings =
            format!("{{ canary: {{ hold: 1s, prometheus: {{ url: '{url}', query: up }} }} }}");
        let problems = stack("{}", &settings).unwrap_err();
        assert!(problems.contains("services.a.x-bowline.canary.prometheus.url"), "{problems}");
        assert!(problems.contains("compose.yaml:3:"), "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_page_is_asked_of_a_container_that_has_an_address() {
    let settings = "x-bowline: { canary: { hold: 1s, http: { port: 80 } } }";
    for (mode, fits) in [("none", false), ("service:b", false), ("host", true), ("bridge", true)] {
        let text = format!(
            "services:\n  a:\n    image: x:1\n    network_mode: {mode}\n    {settings}\n  b: {{ image: x:1 }}\n"
        );
        match loaded(&text) {
            Ok(_) => assert!(fits, "{mode}"),
            Err(problems) => {
                assert!(!fits, "{mode}: {problems}");
                assert!(problems.contains("compose.yaml:4:"), "{problems}");
                assert!(problems.contains("services.a.x-bowline.canary.http"), "{problems}");
            }
        }
    }
}

#[test]
fn a_key_that_was_nearly_ours_is_a_warning_at_its_place() {
    for (key, is_near) in [
        ("x-bowlin", true),
        ("x-bowlines", true),
        ("x-blowine", true),
        ("x-bowl", false),
        ("x-common", false),
    ] {
        let top = format!("{key}: {{ drift: report }}\nservices:\n  a: {{ image: x:1 }}\n");
        let service = format!("services:\n  a:\n    image: x:1\n    {key}: {{}}\n");
        for (text, place) in [
            (top, format!("compose.yaml:1:1: {key}: has no effect")),
            (service, format!("compose.yaml:4:5: services.a.{key}: has no effect")),
        ] {
            let (_, warnings) = loaded_with_warnings(&text).unwrap();
            assert_eq!(warnings.contains(&place), is_near, "{place}:\n{warnings}");
            assert_eq!(warnings.contains("did you mean `x-bowline`?"), is_near, "{warnings}");
        }
    }
}

#[test]
fn an_interval_above_the_hold_is_a_warning() {
    for (interval, is_told) in [("61s", true), ("60s", false)] {
        let text = format!(
            "services:\n  a:\n    image: x:1\n    x-bowline:\n      canary:\n        hold: 1m\n        \
             interval: {interval}\n        http: {{ port: 80 }}\n"
        );
        let (_, warnings) = loaded_with_warnings(&text).unwrap();
        let told = "compose.yaml:7:19: services.a.x-bowline.canary.interval: is longer than `hold`";
        assert_eq!(warnings.contains(told), is_told, "{warnings}");
    }
}

#[test]
fn windows_are_read_where_they_stand() {
    let window = |cron: &str, hours: u64, zone| {
        Window::new(cron, std::time::Duration::from_secs(hours * 3600), zone).unwrap()
    };
    let top = "{ schedule: { allow: [{ cron: '0 22 * * *', for: 2h, timezone: Europe/Berlin }], \
               deny: [{ cron: '0 0 24 12 *', for: 3d }] } }";
    let windows = stack(top, "{}").unwrap().windows;
    assert_eq!(windows.allow, [window("0 22 * * *", 2, Some("Europe/Berlin"))]);
    assert_eq!(windows.deny, [window("0 0 24 12 *", 72, None)]);
    assert_eq!(stack("{}", "{}").unwrap().windows, Windows::default());
}

#[test]
fn a_window_that_cannot_be_is_an_error_at_its_place() {
    for (schedule, expected) in [
        (
            "{ allow: [{ cron: often, for: 2h }] }",
            "1:42: x-bowline.schedule.allow[0].cron: `often` is no schedule: it has 1 field,",
        ),
        (
            "{ allow: [{ cron: '0 22 * * *', for: 0 }] }",
            "1:61: x-bowline.schedule.allow[0].for: must be from 1m",
        ),
        (
            "{ allow: [{ cron: '0 22 * * *', for: 20 }] }",
            "1:61: x-bowline.schedule.allow[0].for: `20` is no duration",
        ),
        (
            "{ deny: [{ cron: '0 22 * * *', for: 2h, timezone: Berlin }] }",
            "1:74: x-bowline.schedule.deny[0].timezone: `Berlin` is no time zone",
        ),
        (
            "{ deny: [{ cron: '0 22 * * *' }] }",
            "x-bowline.schedule.deny[0].for: is missing: it says how long it is open",
        ),
        (
            "{ deny: [{ for: 2h }] }",
            "x-bowline.schedule.deny[0].cron: is missing: it says when it begins",
        ),
        (
            "{ deny: [{ cron: '0 22 * * *', for: 2h, zone: UTC }] }",
            "x-bowline.schedule.deny[0]: unknown key `zone`",
        ),
        ("{ deny: [soon] }", "x-bowline.schedule.deny[0]: must be a mapping"),
        ("{ alow: [] }", "x-bowline.schedule: unknown key `alow`"),
        ("soon", "x-bowline.schedule: must be a mapping"),
        ("{ allow: soon }", "x-bowline.schedule.allow: must be a list of windows"),
    ] {
        let problems = stack(&format!("{{ schedule: {schedule} }}"), "{}").unwrap_err();
        assert!(problems.contains(expected), "{expected}:\n{problems}");
    }
    let problems = stack("{}", "{ schedule: { allow: [] } }").unwrap_err();
    assert!(problems.contains("`schedule` goes into the `x-bowline` at the top"), "{problems}");
}
