//! What the real engine's room makes of an engine that is absent, old, broken or frozen. The
//! engines here are sockets that answer by rote.

#![allow(clippy::unwrap_used)]

use bowline::engine::docker::Docker;
use bowline::engine::{Engine, EngineError};
use bowline::model::{ApiVersion, Query, StackName};
use bowline::plan::{ContainerRef, Step};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::StreamExt;

/// A status and a body, or nothing: then the connection ends without a word.
type Answer = Option<(u16, &'static str)>;

/// Instead of a status: no answer, and the connection stays.
const FROZEN: u16 = 0;

struct Fake {
    home: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn new(answer: fn(&str) -> Answer) -> Self {
        let home = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(home.path().join("docker.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, Arc::clone(&log)));
            }
        });
        Self { home, asked }
    }

    fn engine(&self) -> Docker {
        Docker::at(&format!("unix://{}", self.home.path().join("docker.sock").display())).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: fn(&str) -> Answer,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
        head.push(std::mem::take(&mut line));
    }
    let Some(request) = head.first().and_then(|first| first.rsplit_once(' ')) else { return };
    log.lock().unwrap().push(request.0.to_owned());
    if let Some((status, body)) = answer(request.0) {
        if status == FROZEN {
            return std::future::pending().await;
        }
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(text.as_bytes()).await;
    }
}

fn nothing_runs() -> Query {
    Query::owned_by(StackName::new("shop").unwrap())
}

/// An engine of 20.10 with nothing on it.
#[allow(clippy::unnecessary_wraps)] // It is an answer like the others.
fn empty(request: &str) -> Answer {
    let path = request.split(['?', ' ']).nth(1).unwrap_or_default();
    Some(match path.trim_start_matches("/v1.53").trim_start_matches("/v1.41") {
        "/version" => (200, r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#),
        "/info" => (200, r#"{"LoggingDriver":"json-file","DefaultRuntime":"runc","NCPU":2}"#),
        "/containers/json" | "/networks" => (200, "[]"),
        "/volumes" => (200, r#"{"Volumes":null,"Warnings":null}"#),
        _ => (404, r#"{"message":"page not found"}"#),
    })
}

#[tokio::test]
async fn the_negotiated_version_stands_in_every_path() {
    let fake = Fake::new(empty);
    let engine = fake.engine();
    let observed = engine.observe(&nothing_runs()).await.unwrap();
    assert_eq!(observed.engine.api, ApiVersion { major: 1, minor: 41 });
    assert_eq!(observed.engine.version, "20.10.24");
    let asked = fake.asked();
    assert_eq!(asked[0], "GET /version");
    assert!(asked[1..].iter().all(|request| request.starts_with("GET /v1.41/")), "{asked:?}");
    assert_eq!(asked.len(), 5, "a look at an empty engine takes five requests: {asked:?}");
    engine.observe(&nothing_runs()).await.unwrap();
    assert_eq!(fake.asked().len(), 8, "what the engine is was remembered");
}

#[tokio::test]
async fn every_request_is_told_to_the_observer_with_its_success() {
    let fake = Fake::new(empty);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let engine = fake.engine().with_observer(Arc::new(move |operation, result, _: Duration| {
        log.lock().unwrap().push((operation, result.is_ok()));
    }));
    engine.observe(&nothing_runs()).await.unwrap();
    engine.watch(&ContainerRef::named("web")).await.unwrap_err();
    let mut heard = heard.lock().unwrap().clone();
    heard.sort_unstable();
    let expected = [
        ("info", true),
        ("info", true),
        ("inspect_container", false),
        ("list_containers", true),
        ("list_networks", true),
        ("list_volumes", true),
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_out_of_reach() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("absent.sock");
    let engine = Docker::at(path.to_str().unwrap()).unwrap();
    let error = engine.observe(&nothing_runs()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("absent.sock"), "{error}");

    drop(UnixListener::bind(&path).unwrap());
    let error = engine.observe(&nothing_runs()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_engine_that_hangs_up_is_out_of_reach() {
    let fake = Fake::new(|_| None);
    let error = fake.engine().facts().await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn after_it_was_out_of_reach_an_engine_is_asked_anew_what_it_is() {
    let fake = Fake::new(|request| match request {
        "GET /v1.41/volumes" => None,
        other => empty(other),
    });
    let engine = fake.engine();
    for _ in 0..2 {
        let error = engine.observe(&nothing_runs()).await.unwrap_err();
        assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    }
    assert_eq!(fake.asked().iter().filter(|asked| *asked == "GET /version").count(), 2);
}

#[tokio::test]
async fn an_engine_before_20_10_is_too_old() {
    let fake = Fake::new(|_| Some((200, r#"{"Version":"19.03.0","ApiVersion":"1.40"}"#)));
    let error = fake.engine().facts().await.unwrap_err();
    assert!(matches!(&error, EngineError::TooOld { found, .. } if found == "1.40"), "{error:?}");
}

#[tokio::test]
async fn one_container_in_an_unknown_state_is_never_an_empty_snapshot() {
    let fake = Fake::new(|request| match request {
        listed if listed.starts_with("GET /v1.41/containers/json?all=true") => {
            Some((200, r#"[{"Id":"1","State":"molten"}]"#))
        }
        other => empty(other),
    });
    let error = fake.engine().observe(&nothing_runs()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_container_that_goes_while_it_is_looked_at_is_not_there() {
    let fake = Fake::new(|request| match request {
        listed if listed.starts_with("GET /v1.41/containers/json?all=true") => Some((
            200,
            r#"[{"Id":"1","Names":["/web"],"State":"running","ImageID":"sha256:1",
                "Labels":{"bowline.stack":"shop","bowline.mark":"1","bowline.name":"web"}}]"#,
        )),
        "GET /v1.41/containers/1/json" => Some((404, r#"{"message":"No such container: 1"}"#)),
        "GET /v1.41/images/sha256:1/json" => Some((404, r#"{"message":"No such image: 1"}"#)),
        other => empty(other),
    });
    let observed = fake.engine().observe(&nothing_runs()).await.unwrap();
    assert!(observed.containers.is_empty() && observed.strangers.is_empty());
    assert!(fake.asked().iter().any(|asked| asked == "GET /v1.41/containers/1/json"));
}

#[tokio::test]
async fn the_stream_of_events_ends_with_an_error() {
    let fake = Fake::new(|request| {
        if request.starts_with("GET /v1.41/events") {
            return Some((200, "{\"Type\":\"container\",\"Action\":\"health_status: healthy\"}\n"));
        }
        empty(request)
    });
    let mut events = fake.engine().events().await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().action, "health_status");
    let error = events.next().await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_is_not_waited_for_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("docker.sock");
    let _frozen = UnixListener::bind(&path).unwrap();
    let engine = Docker::at(path.to_str().unwrap()).unwrap();
    let step = Step::Start(ContainerRef::named("web"));
    let error = engine.perform(&step, &|_| {}).await.unwrap_err();
    assert!(matches!(error, EngineError::TimedOut { .. }), "{error:?}");
}

/// Over TCP, where a connection can be dead without a word.
#[tokio::test]
async fn an_engine_that_froze_ends_the_stream_of_events() {
    let (engine, _) = over_tcp(|request| match request.split('?').next().unwrap_or_default() {
        "GET /v1.41/events" | "GET /v1.41/_ping" => Some((FROZEN, "")),
        _ => empty(request),
    })
    .await;
    let mut events = engine.events().await.unwrap();
    tokio::time::pause();
    let error = events.next().await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::TimedOut { operation: "ping", .. }), "{error:?}");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn an_engine_is_also_spoken_with_over_tcp() {
    let (engine, asked) = over_tcp(empty).await;
    assert_eq!(engine.facts().await.unwrap().cpus, 2);
    assert_eq!(*asked.lock().unwrap(), ["GET /version", "GET /v1.41/info"]);
}

async fn over_tcp(answer: fn(&str) -> Answer) -> (Docker, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = Docker::at(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer, Arc::clone(&log)));
        }
    });
    (engine, asked)
}
