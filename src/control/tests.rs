//! The socket from both sides.

use super::*;
use crate::model::{Observed, SourceName};
use crate::status::{
    Board, Departure, DeploymentCause, GivenOrder, Grounds, Holdings, Occasion, PlannedChange,
    PlannedReason, Report, RevisionPrefix, StackProblem, Suspension,
};
use jiff::Timestamp;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::DropGuard;

struct Clerk;

#[async_trait]
impl Office for Clerk {
    async fn status(&self) -> Snapshot {
        board().snapshot()
    }

    async fn stack(&self, name: &StackName) -> Option<StackStatus> {
        board().stack(name).cloned()
    }

    async fn obey(&self, name: &StackName, order: Order, by: &Caller) -> Result<Done, Refusal> {
        match order {
            Order::Rollback(RollbackTo { to: Some(to) }) => {
                Err(Refusal::Impossible(format!("{name}: {to} is not known")))
            }
            Order::Sync => Err(Refusal::Failed("the disk is full".to_owned())),
            Order::Suspend(_) => Ok(Done {
                stack: name.clone(),
                at: Timestamp::UNIX_EPOCH,
                did: by.to_string(),
                goes_back: false,
            }),
            order => Ok(Done {
                stack: name.clone(),
                at: Timestamp::UNIX_EPOCH,
                did: order.word().to_owned(),
                goes_back: order == Order::Rollback(RollbackTo::default()),
            }),
        }
    }

    async fn fetch(&self, source: &SourceName, _: &Caller) -> Result<SourceDone, Refusal> {
        let (source, did) = (source.clone(), "fetching".to_owned());
        Ok(SourceDone { source, at: Timestamp::UNIX_EPOCH, did })
    }

    async fn preview(&self, name: &StackName) -> Result<Preview, Refusal> {
        let preview = self.preview_rollback(name, RollbackTo::default()).await?;
        Ok(Preview { obstacle: Some("it is suspended".to_owned()), ..preview })
    }

    async fn preview_rollback(&self, name: &StackName, to: RollbackTo) -> Result<Preview, Refusal> {
        Ok(Preview {
            stack: name.clone(),
            revision: None,
            obstacle: None,
            changes: vec![PlannedChange {
                action: "replace".to_owned(),
                object: "container web/1".to_owned(),
                reasons: vec![PlannedReason {
                    field: "services.web.image".to_owned(),
                    desired: "web:2".to_owned(),
                    actual: "web:1".to_owned(),
                    place: Some("compose.yaml:1:1".to_owned()),
                }],
            }],
            problems: vec![problem()],
            plan: format!("to {:?}", to.to.map(String::from)),
            waves: vec![vec!["replace container web/1".to_owned()]],
        })
    }

    async fn departed(&self) -> Vec<Departed> {
        vec![Departed {
            stack: StackName::new("shop").unwrap(),
            source: SourceName::new("infra").unwrap(),
            departure: Departure { since: Timestamp::UNIX_EPOCH, held: Some("why".to_owned()) },
            failures: 0,
            problem: None,
            holdings: Holdings::default(),
        }]
    }

    async fn confirm(&self, wanted: Confirmation, _: &Caller) -> Confirmed {
        Confirmed { removing: wanted.stacks, refused: vec!["no".to_owned()] }
    }

    async fn history(&self, name: &StackName, most: usize) -> Result<History, Refusal> {
        let deployments = (1..=most.min(30)).rev().map(|id| deployment(name, id as u64).entry);
        Ok(History { stack: name.clone(), deployments: deployments.collect() })
    }

    async fn deployment(&self, name: &StackName, id: u64) -> Result<Deployment, Refusal> {
        let missing = || Refusal::Unknown(format!("{name} has no deployment {id}"));
        (id <= 30).then(|| deployment(name, id)).ok_or_else(missing)
    }

    async fn explain(
        &self,
        name: &StackName,
        service: &ServiceName,
    ) -> Result<Explanation, Refusal> {
        let history = [deployment(name, 7)];
        let observed = Observed::default();
        Ok(Explanation::of((name, service), &observed, |_| None, &history))
    }
}

/// A pass by whoever asks.
fn deployment(stack: &StackName, id: u64) -> Deployment {
    let occasion = Occasion {
        cause: DeploymentCause::ByHand,
        orders: vec![GivenOrder {
            order: "retry".to_owned(),
            by: "anna".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            did: String::new(),
        }],
        revision: None,
        commit: None,
        instead_of: None,
        definition: None,
    };
    let report = Report::begun(stack.clone(), Timestamp::UNIX_EPOCH);
    let mut deployment = Deployment::of(&report, occasion);
    deployment.entry.id = id;
    deployment
}

fn problem() -> StackProblem {
    let (field, message) = ("services.web.image".to_owned(), "is missing".to_owned());
    StackProblem { field, message, place: Some("compose.yaml:1:1".to_owned()) }
}

/// One stack, of which a pass is under way.
fn board() -> Board {
    let mut board = Board::default();
    board.begin(&shop(), None, Timestamp::UNIX_EPOCH);
    board
}

fn shop() -> StackName {
    StackName::new("shop").unwrap()
}

/// A clerk who answers at a socket, and who asks there.
struct Counter {
    path: PathBuf,
    _dir: tempfile::TempDir,
    _stop: DropGuard,
}

impl Counter {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bowline.sock");
        let (door, stop) = (listen(&path).unwrap(), CancellationToken::new());
        tokio::spawn(serve(door, Arc::new(Clerk), stop.clone()));
        Self { path, _dir: dir, _stop: stop.drop_guard() }
    }

    fn agent(&self) -> Asker {
        asker(&self.path).unwrap()
    }

    /// Status and body of an answer, as any client of HTTP sees them.
    async fn ask(&self, method: &str, address: &str, body: &str) -> (u16, Value) {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        let length = body.len();
        let head = format!(
            "{method} {address} HTTP/1.1\r\nHost: bowline\r\nConnection: close\r\n\
             Content-Type: application/json; charset=utf-8\r\n"
        );
        let request = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }
}

#[tokio::test]
async fn status_and_orders_go_over_the_socket_as_they_are() {
    let counter = Counter::open();
    let agent = counter.agent();
    assert_eq!(agent.status().await.unwrap(), board().snapshot());
    assert_eq!(&agent.stack(&shop()).await.unwrap(), board().stack(&shop()).unwrap());
    for order in [Order::Retry, Order::Pause, Order::Resume, Order::Rollback(RollbackTo::default())]
    {
        let done = agent.order(&shop(), &order).await.unwrap();
        assert_eq!((done.did.as_str(), done.stack), (order.word(), shop()));
        assert_eq!(done.goes_back, order.word() == "rollback");
    }
    let to = RollbackTo { to: Some(RevisionPrefix::new("0a1b").unwrap()) };
    let preview = agent.preview_rollback(&shop(), &to).await.unwrap();
    assert_eq!(preview.plan, r#"to Some("0a1b")"#);
    assert_eq!(preview.waves, [["replace container web/1"]]);
    let preview = agent.preview(&shop()).await.unwrap();
    assert_eq!(preview.obstacle.as_deref(), Some("it is suspended"));
    assert_eq!(preview.changes[0].reasons[0].desired, "web:2");
    let infra = SourceName::new("infra").unwrap();
    assert_eq!(agent.fetch(&infra).await.unwrap().source, infra);
    let suspension = Suspension { reason: Some(Grounds::new("the disk is moved").unwrap()) };
    let by = agent.order(&shop(), &Order::Suspend(suspension)).await.unwrap().did;
    assert_eq!(by, user(rustix::process::geteuid().as_raw()).0, "the kernel tells who asks");
    let refused = agent.order(&shop(), &Order::Rollback(to)).await.unwrap_err();
    assert_eq!(refused.to_string(), "shop: 0a1b is not known");
    let blog = StackName::new("blog").unwrap();
    let unknown = agent.stack(&blog).await.unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "there is no stack blog; `GET /v1/status` lists those there are"
    );
}

#[tokio::test]
async fn what_is_not_answered_is_told_in_json_with_a_fitting_status() {
    let counter = Counter::open();
    for (method, address, body, status, words) in [
        ("GET", "/v1/stacks/blog", "", 404, "no stack blog"),
        ("GET", "/v1/stacks/Not%20a%20name", "", 404, "is no stack name"),
        ("GET", "/v2", "", 404, "POST /v1/stacks/NAME/rollback"),
        ("GET", "/v1/stacks/shop/retry", "", 405, "GET /v1/status"),
        ("POST", "/v1/status", "", 405, "GET /v1/status"),
        ("POST", "/v1/stacks/shop/retry", r#"{"now": 1}"#, 400, "unknown field `now`"),
        ("POST", "/v1/stacks/shop/rollback", r#"{"too": "0a1b"}"#, 400, "unknown field `too`"),
        ("POST", "/v1/stacks/shop/rollback", r#"{"to": "main"}"#, 400, "`main` is no commit"),
        ("POST", "/v1/stacks/shop/rollback", r#"{"to": "0a1b"}"#, 409, "0a1b is not known"),
        ("POST", "/v1/stacks/shop/sync", "{}", 503, "the disk is full"),
        ("POST", "/v1/prune", r#"{"stacks": 1}"#, 400, "the body cannot be read"),
        ("POST", "/v1/stacks/shop/suspend", r#"{"reason": "a\nb"}"#, 400, "a reason is one line"),
        ("POST", "/v1/stacks/shop/suspend", r#"{"because": "a"}"#, 400, "unknown field `because`"),
        ("POST", "/v1/stacks/%ff/sync", "", 404, "nothing of this name"),
        ("POST", "/v1/sources/No/sync", "", 404, "is no source name"),
        ("GET", "/v1/stacks/shop/plan?rollback=2", "", 400, "rollback"),
        ("GET", "/v1/stacks/shop/plan?rollback=true&too=0a1b", "", 400, "unknown field `too`"),
    ] {
        let (said, answer) = counter.ask(method, address, body).await;
        assert_eq!(said, status, "{method} {address} {body}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(words), "{method} {address} {body}: {error}");
    }
    let (said, answer) = counter.ask("POST", "/v1/stacks/shop/pause", "").await;
    assert_eq!((said, answer["did"].as_str()), (200, Some("pause")));
}

fn asker(path: &Path) -> Option<Asker> {
    Asker::at(path).unwrap()
}

#[tokio::test]
async fn what_is_asked_at_the_socket_is_answered_by_the_office_until_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/bowline.sock");
    assert!(asker(&path).is_none());
    let door = listen(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(door, Arc::new(Clerk), stop.clone()));
    let agent = asker(&path).unwrap();
    assert_eq!(agent.departed().await.unwrap(), Clerk.departed().await);
    let wanted = Confirmation { stacks: vec![StackName::new("shop").unwrap()] };
    let confirmed = agent.confirm(&wanted).await.unwrap();
    assert_eq!((confirmed.removing, confirmed.refused.len()), (wanted.stacks, 1));
    drop(agent);
    stop.cancel();
    served.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_one_that_is_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bowline.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let door = listen(&path).unwrap();
    let error = listen(&path).unwrap_err().to_string();
    assert!(error.contains("bowline.sock: another process answers there"), "{error}");
    drop(door);
    std::fs::write(&path, "a file").unwrap();
    let error = listen(&path).unwrap_err().to_string();
    assert!(error.contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
}

#[tokio::test]
async fn the_history_is_told_in_short_and_in_full_and_a_service_explained() {
    let counter = Counter::open();
    let agent = counter.agent();
    let history = agent.history(&shop(), 3).await.unwrap();
    assert_eq!(history.deployments.iter().map(|it| it.id).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(agent.deployment(&shop(), 2).await.unwrap().entry, history.deployments[1]);
    let told = agent.deployment(&shop(), 31).await.unwrap_err().to_string();
    assert_eq!(told, "shop has no deployment 31");
    let web = ServiceName::new("web").unwrap();
    let explanation = agent.explain(&shop(), &web).await.unwrap();
    assert_eq!((explanation.stack, explanation.service), (shop(), web));

    let of = |more: &str| format!("/v1/stacks/shop/{more}");
    let (status, body) = counter.ask("GET", &of("history"), "").await;
    assert_eq!((status, body["deployments"].as_array().unwrap().len()), (200, 20));
    let (status, body) = counter.ask("GET", &of("history/7"), "").await;
    assert_eq!((status, &body["id"], &body["order"]), (200, &7.into(), &"retry".into()));
    for (address, expected, words) in [
        ("history/31", 404, "no deployment 31"),
        ("history/last", 404, "want a number"),
        ("history?limit=-1", 400, "limit"),
        ("history?last=1", 400, "unknown field"),
        ("services/a%20b", 404, "a b"),
    ] {
        let (status, body) = counter.ask("GET", &of(address), "").await;
        let error = body["error"].as_str().unwrap();
        assert!(status == expected && error.contains(words), "{address}: {status} {error}");
    }
    let (status, _) = counter.ask("POST", &of("history"), "").await;
    assert_eq!(status, 405);
}
