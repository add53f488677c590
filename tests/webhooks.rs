//! Webhooks over a real loopback port, to an agent in this process that follows a real git repository and
//! would not look at it for an hour.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod support;

use bowline::agent::{self, AgentError, Views};
use bowline::config::{self, Config};
use bowline::engine::sim::Sim;
use bowline::http;
use bowline::model::StackName;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::Arc;
use support::repository::Git;
use support::site::until;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "a long random text";
const BODY: &str = r#"{"ref":"refs/heads/main"}"#;

struct Site {
    git: Git,
    dir: TempDir,
    views: Views,
    address: SocketAddr,
    stop: CancellationToken,
    run: JoinHandle<Result<(), AgentError>>,
}

impl Site {
    async fn start() -> Self {
        let (git, dir) = (Git::new(), tempfile::tempdir().unwrap());
        git.write("first/compose.yaml", "services: {}\n").push("Begin");
        std::fs::write(dir.path().join("hook"), format!("{SECRET}\n")).unwrap();
        let text = format!(
            "sources:\n\
             - {{ name: infra, url: {:?}, interval: 1h, watch: false, webhook: {{ secret_file: hook }} }}\n\
             - {{ name: quiet, url: {:?}, interval: 1h, watch: false }}\n\
             state_dir: state\nsocket: off\n",
            git.url(),
            git.url()
        );
        let config = Config::parse(&text, &dir.path().join("config.yaml")).unwrap();
        let (views, stop) = (Views::default(), CancellationToken::new());
        let listener = http::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(http::serve(listener, Arc::clone(&views.shared), stop.clone()));
        let run =
            tokio::spawn(agent::run(config, Arc::new(Sim::new()), views.clone(), stop.clone()));
        let site = Self { git, dir, views, address, stop, run };
        site.has("first").await;
        site
    }

    async fn has(&self, stack: &str) {
        let name = StackName::new(stack).unwrap();
        let shared = &self.views.shared;
        until(&format!("a pass over {stack}"), async || {
            shared.board().stack(&name).is_some_and(|status| status.last_pass.is_some())
        })
        .await;
    }

    fn counted(&self, provider: &str, result: &str) -> u64 {
        let family = "bowline_webhook_requests_total";
        let series = format!("{family}{{provider=\"{provider}\",result=\"{result}\"}} ");
        let page = self.views.metrics.render();
        let found = page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok());
        found.unwrap_or(0)
    }

    fn fetches(&self) -> u64 {
        let series = "bowline_source_fetch_total{result=\"success\",source=\"infra\"} ";
        let page = self.views.metrics.render();
        page.lines().find_map(|line| line.strip_prefix(series)?.parse().ok()).unwrap_or(0)
    }

    async fn post(&self, source: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        post(self.address, source, headers, body).await
    }

    async fn end(self) {
        self.stop.cancel();
        self.run.await.unwrap().unwrap();
    }
}

/// The answer to a webhook, whole.
async fn post(at: SocketAddr, source: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /v1/webhooks/{source} HTTP/1.1\r\nHost: bowline\r\n{}Content-Length: {}\r\n\
         Connection: close\r\n\r\n",
        headers.concat(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // One that is refused early is not read to its end.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn signature(body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_each_provider_tells_of_is_deployed_at_once() {
    let site = Site::start().await;
    let plain = signature(BODY.as_bytes());
    let prefixed = format!("sha256={plain}");
    for (provider, headers) in [
        ("github", vec![("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &*prefixed)]),
        ("gitlab", vec![("X-Gitlab-Event", "Push Hook"), ("X-Gitlab-Token", SECRET)]),
        ("gitea", vec![("X-Hub-Signature-256", &*prefixed), ("X-Gitea-Signature", &*plain)]),
        (
            "forgejo",
            vec![
                ("X-Hub-Signature-256", &*prefixed),
                ("X-Gitea-Signature", &*plain),
                ("X-Forgejo-Signature", &*plain),
            ],
        ),
        ("gogs", vec![("X-Gogs-Signature", &*plain)]),
        ("bitbucket", vec![("X-Event-Key", "repo:push"), ("X-Hub-Signature", &*prefixed)]),
        ("generic", vec![("X-Signature", &*prefixed)]),
    ] {
        site.git.write(&format!("of-{provider}/compose.yaml"), "services: {}\n").push(provider);
        let answer = site.post("infra", &headers, BODY.as_bytes()).await;
        assert_eq!(status(&answer), 202, "{provider}: {answer}");
        site.has(&format!("of-{provider}")).await;
        assert_eq!(site.counted(provider, "accepted"), 1, "{provider}");
    }
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_with_the_secret_does_nothing() {
    let site = Site::start().await;
    let before = site.fetches();
    let body = BODY.as_bytes();
    let (right, wrong) = (format!("sha256={}", signature(body)), signature(b"another"));
    let header = "X-Hub-Signature-256";
    let prefixed = format!("sha256={wrong}");
    for (source, headers, expected, words) in [
        ("infra", vec![], 401, "X-Forgejo-Signature"),
        ("infra", vec![("X-GitHub-Event", "push")], 401, "it is not signed"),
        ("infra", vec![(header, prefixed.as_str())], 401, "another secret"),
        ("infra", vec![("X-Gitlab-Token", "guess")], 401, "another secret"),
        // The specific header counts, though its look-alike would hold.
        ("infra", vec![(header, right.as_str()), ("X-Gitea-Signature", &wrong)], 401, "another"),
        ("quiet", vec![(header, right.as_str())], 404, "no source of this name"),
        ("nowhere", vec![(header, right.as_str())], 404, "no source of this name"),
        ("..%2f..%2fetc", vec![(header, right.as_str())], 404, "no source of this name"),
    ] {
        let answer = site.post(source, &headers, body).await;
        assert_eq!(status(&answer), expected, "{source} {headers:?}: {answer}");
        assert!(answer.contains(words), "{source} {headers:?}: {answer}");
    }
    assert_eq!(site.counted("other", "unauthorized"), 2);
    assert_eq!(site.counted("github", "unauthorized"), 1);
    assert_eq!(site.counted("gitea", "unauthorized"), 1);

    // A file that lost its secret lets nobody in, and the answer does not name it.
    std::fs::write(site.dir.path().join("hook"), "").unwrap();
    let answer = site.post("infra", &[("X-Gitlab-Token", "")], body).await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("retry-after: 1") && !answer.contains("hook"), "{answer}");
    assert_eq!(site.fetches(), before);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_ten_megabytes_is_not_taken() {
    let site = Site::start().await;
    let body = vec![b' '; 10 * 1024 * 1024];
    let signed = format!("sha256={}", signature(&body));
    let answer = site.post("infra", &[("X-Hub-Signature-256", &signed)], &body).await;
    // The connection may be reset before the answer is read; what counts is what was counted.
    assert!(answer.is_empty() || status(&answer) == 413, "{answer}");
    assert_eq!(site.counted("github", "unread"), 1);
    assert_eq!(site.counted("github", "accepted"), 0);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_replays_are_answered_and_make_few_fetches() {
    let site = Site::start().await;
    let before = site.fetches();
    let signed = Arc::new(format!("sha256={}", signature(BODY.as_bytes())));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (at, signed) = (site.address, Arc::clone(&signed));
        senders.spawn(async move {
            let headers = [("X-Hub-Signature-256", signed.as_str())];
            let mut answers = Vec::new();
            for _ in 0..20 {
                answers.push(status(&post(at, "infra", &headers, BODY.as_bytes()).await));
            }
            answers
        });
    }
    let answers = senders.join_all().await.concat();
    assert!(answers.iter().all(|status| [202, 503].contains(status)), "{answers:?}");
    let accepted = site.counted("github", "accepted");
    let taken = answers.iter().filter(|status| **status == 202).count();
    assert_eq!(usize::try_from(accepted).unwrap(), taken);
    assert!(accepted > 0);
    site.git.write("after/compose.yaml", "services: {}\n").push("After the flood");
    let headers = [("X-Hub-Signature-256", signed.as_str())];
    until("a webhook to be accepted", async || {
        status(&site.post("infra", &headers, BODY.as_bytes()).await) == 202
    })
    .await;
    site.has("after").await;
    // However many came, there is no second fetch within a second after the beginning of one.
    assert!(site.fetches() - before < 100, "{} fetches", site.fetches() - before);
    site.end().await;
}

#[test]
fn a_webhook_without_a_secret_or_without_a_listener_is_an_error_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let load = |webhook: &str, more: &str| {
        let text = format!("sources:\n  - url: /r\n    webhook: {webhook}\n{more}");
        std::fs::write(&file, text).unwrap();
        config::load(&file).unwrap_err().to_string()
    };
    let error = load("{ secret_file: none }", "");
    assert!(error.contains("config.yaml:3:"), "{error}");
    assert!(error.contains("sources[0].webhook.secret_file: cannot read `"), "{error}");
    std::fs::write(dir.path().join("empty"), "\n").unwrap();
    let error = load("{ secret_file: empty }", "");
    assert!(error.contains("is empty; write a long random text into it"), "{error}");
    let error = load("{ secret_file: empty }", "http: { listen: off }\n");
    assert!(error.contains("sources[0].webhook: nothing listens"), "{error}");
    let error = load("{ secret: x }", "");
    assert!(error.contains("unknown field `secret`"), "{error}");
}
