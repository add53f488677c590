//! Schemathesis makes up requests from the document that is served, and holds the answers against it.

use crate::desk::{Desk, TOKEN, begin};
use crate::support::did_not_run;
use crate::support::site::Site;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Where `tests/api/get-schemathesis.sh` puts it, unless the variable says otherwise.
const USUAL: &str = "/var/tmp/bowline-schemathesis/bin/schemathesis";

/// The tool, where it is installed. Its absence is a failure where it is required.
fn schemathesis() -> Option<PathBuf> {
    let path = std::env::var_os("SCHEMATHESIS").map_or_else(|| PathBuf::from(USUAL), PathBuf::from);
    let required = std::env::var("BOWLINE_TEST_SCHEMATHESIS").is_ok_and(|it| it == "required");
    assert!(
        path.exists() || !required,
        "there is no {} and BOWLINE_TEST_SCHEMATHESIS=required; run tests/api/get-schemathesis.sh",
        path.display()
    );
    if !path.exists() {
        did_not_run("not run: tests/api/get-schemathesis.sh installs schemathesis");
        return None;
    }
    Some(path)
}

/// A run against `desk`; with `name`, all that is asked is asked of the stack and source of this name.
async fn run(tool: PathBuf, desk: &Desk, name: Option<&str>) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let named = name.map(|name| format!("[parameters]\n\"path.name\" = \"{name}\"\n"));
    std::fs::write(dir.path().join("schemathesis.toml"), named.unwrap_or_default()).unwrap();
    let mut command = Command::new(tool);
    command
        .current_dir(dir.path())
        .args(["run", &format!("http://{}/v1/openapi.json", desk.address)]);
    command.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    command.args([
        "--checks",
        "all",
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "10",
    ]);
    if name.is_some() {
        // What it takes for a wrong name is exchanged for this one.
        command.args(["--exclude-checks", "negative_data_rejection"]);
    }
    command.args(["--generation-deterministic", "--no-color"]);
    command.args(["--suppress-health-check", "all", "--request-timeout", "60"]);
    tokio::task::spawn_blocking(move || {
        let output = command.output().unwrap();
        drop(dir);
        output
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_is_what_the_document_says() {
    let Some(tool) = schemathesis() else { return };
    let site = Site::new("");
    // A stack that is called as the source.
    let (agent, desk) = begin(&site, &["infra", "shop", "blog"]).await;
    for name in [None, Some("infra")] {
        let output = run(tool.clone(), &desk, name).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        // All but the address of the document itself.
        let tested = format!("Tested: {}", bowline::control::ROUTES.len() - 1);
        assert!(said.contains(&tested), "{said}");
    }
    assert!(agent.stack("infra").is_some());
    agent.end().await;
}
