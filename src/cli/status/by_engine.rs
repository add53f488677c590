//! What the engine shows of stacks where no agent answers.

use super::{Arguments, Form, show};
use crate::cli::{Common, engine};
use crate::model::{Container, Health, Query, SourceName, StackName, State};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;

/// What the engine shows of a stack.
#[derive(Serialize)]
struct Row {
    name: StackName,
    source: Option<SourceName>,
    running: usize,
    unhealthy: usize,
    containers: usize,
}

pub(super) async fn show(common: &Common, arguments: &Arguments) -> anyhow::Result<()> {
    let mut rows = rows(common).await?;
    let asked = &arguments.source;
    rows.retain(|row| {
        asked.is_empty() || row.source.as_ref().is_some_and(|source| asked.contains(source))
    });
    show::put(&match arguments.output {
        Form::Json => serde_json::to_string_pretty(&json!({ "stacks": rows }))? + "\n",
        Form::Yaml => serde_yaml::to_string(&json!({ "stacks": rows }))?,
        Form::Text | Form::Wide => table(&rows),
    })
}

async fn rows(common: &Common) -> anyhow::Result<Vec<Row>> {
    let engine = engine::open(common)?;
    let mut rows = Vec::new();
    for (name, source) in engine.stacks().await? {
        let observed = engine.observe(&Query::owned_by(name.clone())).await?;
        let count = |is: &dyn Fn(&Container) -> bool| {
            observed.containers.iter().filter(|container| is(container)).count()
        };
        rows.push(Row {
            name,
            source,
            running: count(&|container| container.state == State::Running),
            unhealthy: count(&|container| container.health == Health::Unhealthy),
            containers: observed.containers.len(),
        });
    }
    Ok(rows)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<24} {:<16} {:<8} HEALTH\n", "STACK", "SOURCE", "RUNNING");
    for row in rows {
        let source = row.source.as_ref().map_or("-", SourceName::as_str);
        let running = format!("{}/{}", row.running, row.containers);
        let health = match row.unhealthy {
            0 if row.running == row.containers => "all run".to_owned(),
            0 => format!("{} ended", row.containers - row.running),
            unhealthy => format!("{unhealthy} unhealthy"),
        };
        let _ = writeln!(text, "{:<24} {source:<16} {running:<8} {health}", row.name);
    }
    text
}
