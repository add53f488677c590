//! The document against the routes and the words of the code: what is not described is as wrong as what is
//! described and not there.

use super::document;
use crate::control::ROUTES;
use crate::model::{Commit, Observed, Revision, ServiceName, SourceName, StackName};
use crate::status::*;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// What `reference`, such as `#/components/schemas/Stack`, leads to.
fn follow(mut schema: &Value) -> &Value {
    while let Some(reference) = schema["$ref"].as_str() {
        schema = document().pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference}"));
    }
    schema
}

fn schema(name: &str) -> &'static Value {
    &document()["components"]["schemas"][name]
}

/// What of `value` the schema does not describe, or wants and does not find.
fn departures(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    let schema = follow(schema);
    let mut found = Vec::new();
    if let Some(either) = schema["anyOf"].as_array() {
        let each = either.iter().map(|one| departures(value, one, at));
        return each.min_by_key(Vec::len).unwrap_or_default();
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        Value::Null => vec![json!(kind)],
        one => vec![one.clone()],
    };
    if !kinds.contains(&json!(kind)) {
        found.push(format!("{at}: is {kind}, not {kinds:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(departures(item, &schema["items"], &format!("{at}[{index}]")));
    }
    let none = Map::new();
    let Some(object) = value.as_object() else { return found };
    let described = schema["properties"].as_object().unwrap_or(&none);
    for (key, value) in object {
        let others = Some(&schema["additionalProperties"]).filter(|others| others.is_object());
        match described.get(key).or(others) {
            None => found.push(format!("{at}.{key}: not described")),
            Some(schema) => found.extend(departures(value, schema, &format!("{at}.{key}"))),
        }
    }
    let wanted = schema["required"].as_array().cloned().unwrap_or_default();
    let missing = wanted.iter().filter_map(Value::as_str).filter(|key| !object.contains_key(*key));
    found.extend(missing.map(|key| format!("{at}.{key}: missing")));
    found
}

/// Fails unless `value` is as described, with every key that is described.
fn is_all_of(value: &impl Serialize, name: &str) {
    let value = serde_json::to_value(value).unwrap();
    assert_eq!(departures(&value, schema(name), name), Vec::<String>::new());
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&value), keys(&schema(name)["properties"]), "{name}");
}

#[test]
fn each_route_is_described_and_nothing_else_is() {
    let mut described = BTreeSet::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
        for method in methods {
            let operation = &item[method];
            let path = path
                .replace("{name}", "NAME")
                .replace("{id}", "ID")
                .replace("{service}", "SERVICE");
            described.insert((method.to_uppercase(), path));
            let needs_token = operation["security"] == json!([{ "token": [] }]);
            assert_eq!(needs_token, method == "post", "{operation}");
            for response in operation["responses"].as_object().unwrap().values() {
                let response = follow(response);
                let schema = follow(&response["content"]["application/json"]["schema"]);
                assert!(schema.is_object(), "{response}");
            }
        }
    }
    let routes = ROUTES.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(described, BTreeSet::from(routes));
    assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
}

fn time() -> Timestamp {
    "2026-01-01T00:00:00.5Z".parse().unwrap()
}

#[allow(clippy::unnecessary_wraps)] // As the fields want it.
fn revision() -> Option<Revision> {
    Some(Revision("0a1b2c3d".to_owned()))
}

fn problem() -> StackProblem {
    StackProblem { field: "a".into(), message: "b".into(), place: Some("c:1:1".into()) }
}

#[test]
fn a_stack_of_which_all_is_known_is_as_described() {
    let web = ServiceName::new("web").unwrap();
    let slot = SlotStatus {
        number: 1,
        phase: SlotPhase::Failed,
        since: time(),
        began: Some(time()),
        up: None,
        why: Some("it ended".into()),
    };
    let service = ServiceRollout {
        service: web.clone(),
        verdict: Some(RolloutVerdict::RollBack),
        why: Some("it ended".into()),
        slots: vec![slot],
    };
    let mut conditions = Conditions::default();
    for kind in ConditionKind::ALL {
        let (reason, message) = ("Because".to_owned(), String::new());
        let status = Verdict::Unknown;
        conditions.set(Condition { kind, status, reason, message, since: time() });
    }
    let stack = StackStatus {
        name: StackName::new("shop").unwrap(),
        source: Some(SourceName::new("infra").unwrap()),
        revision: revision(),
        applied_revision: None,
        sync: SyncStatus::OutOfSync,
        health: HealthStatus::Degraded,
        conditions,
        workload: Some(Workload { desired: 4, up: 1, starting: 1, unhealthy: 1 }),
        drift: DriftKind::ALL.map(|kind| (kind, 1)).into(),
        last_pass: Some(LastPass {
            result: PassResult::RolledBack,
            started: time(),
            took_seconds: 0.5,
        }),
        last_success: Some(time()),
        last_change: Some(time()),
        message: "why".into(),
        problems: vec![problem()],
        rollout: Some(RolloutStatus {
            phase: RolloutPhase::RollingBack,
            since: time(),
            services: vec![service],
        }),
        held_back: Some(HeldBackStatus {
            revision: revision(),
            reason: "why".into(),
            since: time(),
            instead: None,
            by_hand: true,
        }),
        paused: Some(PausedStatus {
            reason: "why".into(),
            since: time(),
            services: [web].into(),
            by_hand: false,
        }),
        suspended: Some(SuspendedStatus { since: time(), by: "root".into(), reason: None }),
        window: Some(WindowStatus { opens: Some(time()), instead: None }),
        departure: Some(Departure { since: time(), held: Some("why".into()) }),
    };
    is_all_of(&stack, "Stack");
    let results = PassResult::ALL.map(PassResult::word);
    assert_eq!(schema("Result")["enum"], json!(results));
    let phases = RolloutPhase::ALL.map(RolloutPhase::word);
    assert_eq!(schema("Rollout")["properties"]["phase"]["enum"], json!(phases));
    let kinds = ConditionKind::ALL.map(ConditionKind::word);
    assert_eq!(schema("Condition")["properties"]["kind"]["enum"], json!(kinds));
}

fn deployment() -> Deployment {
    let occasion = Occasion {
        cause: DeploymentCause::ByHand,
        orders: vec![GivenOrder {
            order: "retry".into(),
            by: "anna".into(),
            at: time(),
            did: "trying again".into(),
        }],
        revision: revision(),
        commit: Some(Commit::new(b"Anna", b"Bump web")),
        instead_of: revision(),
        definition: None,
    };
    let report = Report::begun(StackName::new("shop").unwrap(), time());
    let mut deployment = Deployment::of(&report, occasion);
    let reason = DeployedReason { field: "a".into(), desired: "b".into(), actual: "c".into() };
    let web = ServiceName::new("web").unwrap();
    deployment.actions.push(DeployedAction {
        action: "replace".into(),
        object: "container web/1".into(),
        service: Some(web.clone()),
        reasons: vec![reason],
        error: Some("it ended".into()),
        took_seconds: 0.5,
    });
    let image = DeployedImage { id: "sha256:0a".into(), reference: "web:1".into() };
    deployment.images.insert(web, vec![image]);
    deployment
}

#[test]
fn what_the_history_tells_is_as_described() {
    let deployment = deployment();
    is_all_of(&deployment, "Deployment");
    is_all_of(&deployment.entry, "HistoryEntry");
    let causes = [
        DeploymentCause::Commit,
        DeploymentCause::Drift,
        DeploymentCause::Image,
        DeploymentCause::ByHand,
        DeploymentCause::Retry,
        DeploymentCause::Start,
        DeploymentCause::Rollback,
        DeploymentCause::Removal,
    ];
    assert_eq!(schema("HistoryEntry")["properties"]["cause"]["enum"], json!(causes));
    let (stack, web) = (StackName::new("shop").unwrap(), ServiceName::new("web").unwrap());
    let history = History { stack: stack.clone(), deployments: vec![deployment.entry.clone()] };
    is_all_of(&history, "History");
    let observed = Observed::default();
    let mut explanation = Explanation::of((&stack, &web), &observed, |_| None, &[deployment]);
    assert_eq!(explanation.changes.len(), 1);
    explanation.containers.push(ExplainedContainer {
        name: "shop-web-1".into(),
        number: 1,
        image: "web:1".into(),
        image_id: "sha256:0a".into(),
        state: "running".into(),
        health: None,
        created: time(),
        started: Some(time()),
        restarts: Some(0),
    });
    explanation.held_back = Some(HeldBackStatus {
        revision: revision(),
        reason: "why".into(),
        since: time(),
        instead: None,
        by_hand: true,
    });
    let reason = "why".to_owned();
    explanation.paused =
        Some(PausedStatus { reason, since: time(), services: [web].into(), by_hand: false });
    explanation.suspended =
        Some(SuspendedStatus { since: time(), by: "root".into(), reason: None });
    explanation.window = Some(WindowStatus { opens: Some(time()), instead: None });
    explanation.problems.push(problem());
    is_all_of(&explanation, "Explanation");
}

#[test]
fn what_else_is_answered_is_as_described() {
    let (stack, source) = (StackName::new("shop").unwrap(), SourceName::new("infra").unwrap());
    let did = "did it".to_owned();
    let done = Done { stack: stack.clone(), at: time(), did: did.clone(), goes_back: true };
    is_all_of(&done, "Done");
    is_all_of(&SourceDone { source: source.clone(), at: time(), did }, "SourceDone");
    let reason = PlannedReason {
        field: "a".into(),
        desired: "b".into(),
        actual: "c".into(),
        place: Some("d:1:1".into()),
    };
    let change =
        PlannedChange { action: "replace".into(), object: "e".into(), reasons: vec![reason] };
    let preview = Preview {
        stack: stack.clone(),
        revision: revision(),
        obstacle: Some("why".into()),
        changes: vec![change],
        problems: vec![problem()],
        plan: "f".into(),
        waves: vec![vec!["g".into()]],
    };
    is_all_of(&preview, "Preview");
    let holdings = Holdings { containers: ["a".to_owned()].into(), ..Holdings::default() };
    let departure = Departure { since: time(), held: None };
    let departed = Departed {
        stack: stack.clone(),
        source: source.clone(),
        departure,
        failures: 1,
        problem: None,
        holdings,
    };
    is_all_of(&departed, "Departed");
    is_all_of(&Confirmed { removing: vec![stack.clone()], refused: vec!["a".into()] }, "Confirmed");
    is_all_of(&Confirmation { stacks: vec![stack] }, "Confirmation");
    let to = RollbackTo { to: Some(RevisionPrefix::new("0a1b").unwrap()) };
    is_all_of(&to, "RollbackTo");
    is_all_of(&Suspension { reason: Some(Grounds::new("a").unwrap()) }, "Suspension");
    let mut board = Board::default();
    let commit = Commit::new(b"Anna", b"Bump web");
    board.note_source(&SourceReport {
        source,
        started: time(),
        took: Duration::from_millis(1500),
        outcome: Ok(revision().unwrap()),
        verification: Some(Ok("anna@example.org".into())),
        shown: Some((revision().unwrap(), commit)),
        next: Some(time()),
    });
    let snapshot = serde_json::to_value(board.snapshot()).unwrap();
    assert_eq!(departures(&snapshot, schema("Snapshot"), "Snapshot"), Vec::<String>::new());
    is_all_of(&board.snapshot().sources[0], "Source");
}

#[test]
fn the_check_itself_sees_what_is_not_as_described() {
    let wrong = json!({ "field": 1, "place": null, "more": "" });
    assert_eq!(
        departures(&wrong, schema("Problem"), "it"),
        [
            r#"it.field: is integer, not [String("string")]"#,
            "it.more: not described",
            "it.message: missing"
        ]
    );
}
