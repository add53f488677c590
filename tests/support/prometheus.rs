//! Debian's Prometheus and its tools, where they are installed.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A Prometheus of our own, ended when dropped.
pub struct Prometheus {
    process: Child,
    pub address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// One that asks `targets` for their metrics.
    pub fn start(targets: &[SocketAddr]) -> Self {
        Self::start_with_rules(targets, &[])
    }

    /// The same with files of rules, looked at every second.
    pub fn start_with_rules(targets: &[SocketAddr], rules: &[&Path]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = data.path().join("prometheus.yml");
        let targets: Vec<_> = targets.iter().map(|target| format!("'{target}'")).collect();
        let targets = targets.join(", ");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: {rules:?}\n\
             scrape_configs:\n  - job_name: bowline\n    static_configs: [{{ targets: [{targets}] }}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, address, _data: data }
    }

    /// What it answers at `path` of its API; `None` while it does not.
    pub fn ask(&self, path: &str) -> Option<serde_json::Value> {
        ask(self.address, path)
    }

    /// The first value that `query` has, asked for until there is one.
    pub async fn value(&self, query: &str) -> String {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let url = format!("http://{}/api/v1/query?query={query}", self.address);
        loop {
            ticks.tick().await;
            let url = url.clone();
            let answer = tokio::task::spawn_blocking(move || {
                ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()
            });
            let Some(text) = answer.await.unwrap() else { continue };
            let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
            if let Some(value) = answer["data"]["result"][0]["value"][1].as_str() {
                return value.to_owned();
            }
        }
    }
}

/// What a Prometheus answers at `path` of its API; `None` while it does not.
pub fn ask(address: SocketAddr, path: &str) -> Option<serde_json::Value> {
    let url = format!("http://{address}/api/v1/{path}");
    // An error of a query is an answer too.
    let asked = ureq::get(&url).config().http_status_as_error(false).build().call();
    serde_json::from_str(&asked.ok()?.body_mut().read_to_string().ok()?).ok()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a tool is there. Its absence is said in a line, or is a failure where it is required.
pub fn present(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    let required = std::env::var("BOWLINE_TEST_PROMETHEUS").is_ok_and(|v| v == "required");
    assert!(found || !required, "{tool} is not installed and BOWLINE_TEST_PROMETHEUS=required");
    if !found {
        eprintln!("not run: {tool} is not installed");
    }
    found
}
