//! From a push to the pass begun: an agent in this process on the simulated engine.

use crate::nginx::Server;
use crate::table::{Table, median, millis};
use crate::upstream::Upstream;
use crate::{RUNS, push};
use bowline::agent::{self, Views};
use bowline::config::Config;
use bowline::engine::sim::Sim;
use bowline::http;
use bowline::model::StackName;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "a long random text";
const BOUND: Duration = Duration::from_millis(50);
/// A remote source is looked at once a second at most.
const PAUSE: Duration = Duration::from_millis(1200);
const STACKS: usize = 20;

pub(crate) fn wake(table: &mut Table) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let upstream = Upstream::empty();
        begin(&upstream);
        let bare = upstream.directory.path().join("bare.git");
        upstream.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        let site = Site::start(&upstream, bare.to_str().unwrap(), true).await;
        let (pushed, whole) = site.measure(&bare, false).await;
        let text =
            format!("{} after the push ended, {} after it began", millis(pushed), millis(whole));
        table.add(
            "push to a watched local repository, to the pass begun",
            text,
            "at most 50 ms",
            pushed <= BOUND,
        );
        site.stop.cancel();

        let site = Site::start(&upstream, bare.to_str().unwrap(), false).await;
        let (told, _) = site.measure(&bare, true).await;
        table.add(
            "webhook of a local repository, to the pass begun",
            millis(told),
            "at most 50 ms",
            told <= BOUND,
        );
        site.stop.cancel();

        let Some(server) = Server::start() else { return };
        let served = server.repository("a.git");
        push(&upstream, &served);
        let url = server.url("open/a.git");
        let site = Site::start(&upstream, &url, false).await;
        let (told, _) = site.measure(&served, true).await;
        let mut theirs = Vec::new();
        for _ in 0..RUNS {
            let began = Instant::now();
            upstream.git(&["ls-remote", "--quiet", &url]);
            theirs.push(began.elapsed());
        }
        let text = format!("{} (`git ls-remote` alone {})", millis(told), millis(median(theirs)));
        table.add(
            "webhook of a repository behind nginx, to the pass begun",
            text,
            "at most 50 ms",
            told <= BOUND,
        );
        site.stop.cancel();
    });
}

fn begin(upstream: &Upstream) {
    for number in 0..STACKS {
        change(upstream, number, "0");
    }
    upstream.commit(&[]);
}

fn change(upstream: &Upstream, number: usize, value: &str) {
    let text = format!(
        "x-value: '{value}'\nservices: {{}}\nnetworks: {{}}\nvolumes: {{ v{value}: {{}} }}\n"
    );
    crate::write(&upstream.path().join(format!("stack{number}/compose.yaml")), &text);
}

struct Site<'a> {
    upstream: &'a Upstream,
    views: Views,
    address: SocketAddr,
    stop: CancellationToken,
}

impl<'a> Site<'a> {
    async fn start(upstream: &'a Upstream, url: &str, watch: bool) -> Self {
        let dir = tempfile::tempdir_in(upstream.directory.path()).unwrap().keep();
        std::fs::write(dir.join("hook"), SECRET).unwrap();
        let text = format!(
            "sources: [{{ name: bench, url: {url:?}, interval: 1h, watch: {watch}, \
             webhook: {{ secret_file: hook }} }}]\nstate_dir: state\nsocket: off\nresync: 1h\n"
        );
        let config = Config::parse(&text, &dir.join("config.yaml")).unwrap();
        let (views, stop) = (Views::default(), CancellationToken::new());
        let listener = http::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(http::serve(listener, Arc::clone(&views.shared), stop.clone()));
        tokio::spawn(agent::run(config, Arc::new(Sim::new()), views.clone(), stop.clone()));
        let site = Self { upstream, views, address, stop };
        site.passes_at(&upstream.head()).await;
        site
    }

    /// From the end of a push, or from the hook after it, to the pass over the stack that it changed; and
    /// from its beginning.
    async fn measure(&self, bare: &Path, by_hook: bool) -> (Duration, Duration) {
        let (mut times, mut whole) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            tokio::time::sleep(PAUSE).await;
            change(self.upstream, 0, &format!("{}{run}", u8::from(by_hook)));
            let commit = self.upstream.commit(&[]);
            let began = Instant::now();
            push(self.upstream, bare);
            let pushed = Instant::now();
            if by_hook {
                self.hook().await;
            }
            self.passes_at(&commit).await;
            times.push(pushed.elapsed());
            whole.push(began.elapsed());
        }
        (median(times), median(whole))
    }

    /// Waits until a pass over the first stack has begun that knows the commit.
    async fn passes_at(&self, commit: &str) {
        let name = StackName::new("stack0").unwrap();
        let knows = || {
            let board = self.views.shared.board();
            let revision = board.stack(&name).and_then(|status| status.revision.clone());
            revision.is_some_and(|revision| revision.0 == commit)
        };
        while !knows() {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    async fn hook(&self) {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(b"{}");
        let signature = hex::encode(mac.finalize().into_bytes());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "POST /v1/webhooks/bench HTTP/1.1\r\nHost: a\r\nX-Signature: sha256={signature}\r\n\
             Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
}
