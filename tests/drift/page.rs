//! docs/drift.md, made of the catalogue and of what was measured of Docker Compose.

use super::row::{Row, catalogue};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where the page is.
pub const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/drift.md");
/// What Compose made of each row: the row's title, a tabulator, and the outcome.
pub const MEASURED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/drift-compose.txt");

const HEAD: &str = "# What is changed by hand, and what comes of it

This page is made of `tests/drift/catalogue.yaml` by `tests/drift.rs`, which plays every row on the
simulated engine and on a real one: it makes the change, looks that the plan says what stands here and
nothing else, makes a pass, looks that the pass did that and touched no other container, that all is as
before, and that the next plan is empty. The stack is `tests/drift/stack.yaml`; `…` stands for all that
is as it was, our labels too.

";

/// What came of the rows on one side.
#[derive(Default)]
struct Tally {
    rows: usize,
    repaired: usize,
    in_place: usize,
    left_alone: usize,
}

/// The page as it should be.
pub fn page() -> String {
    let measured = measured();
    let (mut compose, mut nothing, mut gentle) = (Tally::default(), 0, 0);
    let mut tables = String::new();
    for section in catalogue() {
        write!(
            tables,
            "\n## {}\n\n| Done by hand | What Bowline says | What it does | `docker compose up -d` |\n| --- | --- | --- | --- |\n",
            section.title
        )
        .unwrap();
        for row in &section.rows {
            let title = format!("{}: {}", section.title, row.what);
            let outcome = measured.get(&title).map_or("not measured", String::as_str);
            let actions = actions(row);
            let is_repaired = !actions.is_empty() && !is_reported(row);
            if is_repaired {
                compose.rows += 1;
                gentle += usize::from(!row.plan.contains("replace "));
                let repairs = ["repairs", "replaces"].iter().any(|word| outcome.starts_with(word));
                compose.repaired += usize::from(repairs);
                compose.in_place += usize::from(outcome.starts_with("repairs"));
            } else {
                nothing += 1;
                compose.left_alone += usize::from(outcome == "nothing");
            }
            let commands: Vec<String> = row.told().iter().map(|line| code(line)).collect();
            let does = if actions.is_empty() { "nothing".to_owned() } else { actions.join("<br>") };
            writeln!(
                tables,
                "| {}:<br>{} | {} | {does} | {outcome} |",
                row.what,
                commands.join("<br>"),
                says(row)
            )
            .unwrap();
        }
    }
    let Tally { rows, repaired, in_place, left_alone } = compose;
    let all = rows + nothing;
    let mut page = HEAD.to_owned();
    write!(
        page,
        "Of {all} manual changes {rows} ask for an action. **Bowline repairs {rows} of {rows}**, {gentle} of them
without another container in one's place; **Docker Compose 2.40 repairs {repaired} of {rows}** with
`up -d`, {in_place} of them so. The other {nothing} are to be left alone, cannot be repaired without harm,
or are not seen, each with its reason; Compose does nothing about {left_alone} of them.

What Compose does was measured on Docker 20.10 by `bench/drift-compose.sh`: `repairs` is in place,
`replaces` with another container, `fails` ends with an error and leaves the change as it is. Beside
what stands here, each `up -d` runs the one-shot `migrate` again.
"
    )
    .unwrap();
    page + &tables
}

fn measured() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(MEASURED).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(title, outcome)| (title.to_owned(), outcome.to_owned())).collect()
}

/// The first lines of each change in a row's plan.
fn actions(row: &Row) -> Vec<String> {
    let lines = row.plan.lines().filter(|line| !line.starts_with(' '));
    let heads = lines.filter(|line| !line.starts_with("problem:") && !line.starts_with("note:"));
    heads.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Whether a row's plan tells of what it does not mend.
fn is_reported(row: &Row) -> bool {
    row.plan.lines().any(|line| line.starts_with("problem:") || line.starts_with("note:"))
}

/// The reasons, problems and notes of a row's plan, or why there is none.
fn says(row: &Row) -> String {
    let lines = row.plan.lines().filter(|line| {
        line.starts_with(' ') || line.starts_with("problem:") || line.starts_with("note:")
    });
    let said: Vec<String> = lines.map(|line| code(line.trim())).collect();
    let note = row.note.clone().into_iter();
    said.into_iter().chain(note).collect::<Vec<_>>().join("<br>")
}

fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
