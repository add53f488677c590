//! What `x-bowline` may say, and what of it is wrong.

use crate::manifest::{DigestKey, Request, load};
use crate::model::{DriftPolicy, OnContentChange, ServiceName, Stack};
use std::path::PathBuf;

fn loaded(text: &str) -> Result<Stack, String> {
    let files = vec![PathBuf::from("/s/compose.yaml")];
    let request = Request::new(files, DigestKey::new([0; 32]));
    let loaded = load(&request, &|path| {
        let known = path.ends_with("compose.yaml");
        known.then(|| text.as_bytes().to_vec()).ok_or(std::io::ErrorKind::NotFound.into())
    });
    loaded.map(|loaded| loaded.stack).map_err(|problems| problems.to_string())
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
fn what_is_wrong_is_told_with_a_suggestion() {
    for (top, service, words) in [
        ("{ allow: [imagetag] }", "{}", "`imagetag` is no lint; did you mean `image-tag`?"),
        ("{ allow: [what] }", "{}", "there are anonymous-volume"),
        ("{ alow: [] }", "{}", "unknown key `alow`; did you mean `allow`?"),
        ("{ allow: image-tag }", "{}", "must be a list"),
        ("3", "{}", "must be a mapping"),
        ("{ drift: repot }", "{}", "must be repair or report, not `repot`; did you mean `report`?"),
        ("{ adopt: maybe }", "{}", "must be true or false"),
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
