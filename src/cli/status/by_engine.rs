//! What the engine shows of stacks where no agent answers.

use super::{Arguments, Form, show};
use crate::cli::{Common, engine};
use crate::model::{Container, Health, SourceName, StackName, State};
use crate::status::{Table, near_misses};
use crate::store::Adopted;
use anyhow::bail;
use serde::Serialize;
use serde_json::json;

const HEAD: [&str; 4] = ["STACK", "SOURCE", "RUNNING", "HEALTH"];

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
    for name in &arguments.stacks {
        if !rows.iter().any(|row| row.name == *name) {
            let near = near_misses(name.as_str(), rows.iter().map(|row| row.name.as_str()));
            bail!("the engine has nothing that Bowline made of a stack {name}{near}");
        }
    }
    rows.retain(|row| arguments.stacks.is_empty() || arguments.stacks.contains(&row.name));
    show::put(&match arguments.output {
        Form::Json => serde_json::to_string_pretty(&json!({ "stacks": rows }))? + "\n",
        Form::Yaml => serde_yaml::to_string(&json!({ "stacks": rows }))?,
        Form::Text | Form::Wide => show::painted(&table(&rows)),
    })
}

async fn rows(common: &Common) -> anyhow::Result<Vec<Row>> {
    let engine = engine::open(common)?;
    let adopted = Adopted::of(&common.state_dir());
    let mut rows = Vec::new();
    for (name, source) in engine.stacks().await? {
        let observed = engine.observe(&adopted.owned_by(&name, source.as_ref())).await?;
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

fn table(rows: &[Row]) -> Table {
    let cells = |row: &Row| {
        let source = row.source.as_ref().map_or("-", SourceName::as_str).to_owned();
        let running = format!("{}/{}", row.running, row.containers);
        vec![row.name.to_string(), source, running, health(row)]
    };
    Table { head: &HEAD, rows: rows.iter().map(cells).collect() }
}

fn health(row: &Row) -> String {
    match (row.unhealthy, row.containers - row.running) {
        _ if row.containers == 0 => "no containers".to_owned(),
        (0, 0) => "all run".to_owned(),
        (0, others) => format!("{others} not running"),
        (unhealthy, _) => format!("{unhealthy} unhealthy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them_and_a_stack_without_containers_is_told_so() {
        let row = |name: &str, source: Option<&str>, (running, unhealthy, containers)| Row {
            name: StackName::new(name).unwrap(),
            source: source.map(|source| SourceName::new(source).unwrap()),
            running,
            unhealthy,
            containers,
        };
        let long = "a-stack-of-a-name-that-is-longer-than-others";
        let rows = [
            row(long, Some("infra"), (2, 0, 2)),
            row("b", None, (0, 0, 0)),
            row("c", None, (1, 0, 3)),
            row("d", None, (1, 1, 3)),
        ];
        assert_eq!(
            table(&rows).to_string(),
            "STACK                                         SOURCE  RUNNING  HEALTH\n\
             a-stack-of-a-name-that-is-longer-than-others  infra   2/2      all run\n\
             b                                             -       0/0      no containers\n\
             c                                             -       1/3      2 not running\n\
             d                                             -       1/3      1 unhealthy\n"
        );
    }
}
