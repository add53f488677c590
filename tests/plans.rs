//! Plans as texts: for each directory in tests/plans, `before.yaml` is applied to a simulated engine
//! and `desired.yaml` planned; the plan must read as `plan.txt` says. `UPDATE_PLANS=1` writes it.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::ImageConfig;
use bowline::pass::preview;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use support::passes::{pass, stack};

async fn plan_of(directory: &Path) -> String {
    let sim = Sim::with_api(41);
    for image in ["app:1", "app:2"] {
        sim.image_add(image, ImageConfig::default(), Behaviour::default());
    }
    let engine: Arc<dyn Engine> = Arc::new(sim);
    if let Ok(before) = fs::read_to_string(directory.join("before.yaml")) {
        let report = pass(&engine, &stack(&before)).await;
        assert!(report.result.is_success(), "{}: {}", directory.display(), report.message);
    }
    let desired = stack(&fs::read_to_string(directory.join("desired.yaml")).unwrap());
    preview(&*engine, &desired, None).await.unwrap().to_string()
}

#[tokio::test(start_paused = true)]
async fn every_plan_reads_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(root).unwrap() {
        let directory = entry.unwrap().path();
        let plan = plan_of(&directory).await;
        count += 1;
        let file = directory.join("plan.txt");
        if std::env::var_os("UPDATE_PLANS").is_some() {
            fs::write(&file, &plan).unwrap();
        } else if fs::read_to_string(&file).unwrap() != plan {
            wrong.push(format!("{}:\n{plan}", directory.display()));
        }
    }
    assert!(count >= 10, "only {count} plans");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
