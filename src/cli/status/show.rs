//! How a status is printed. Colours are for terminals; `anstream` takes them away elsewhere.

use super::Form;
use crate::status::{
    Snapshot, StackStatus, Table, detail, not_fetched, sources, table, wide_table,
};
use clap::builder::styling::{AnsiColor, Style};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// All of it.
pub(super) fn all(snapshot: &Snapshot, form: Form) -> anyhow::Result<()> {
    let text = match form {
        Form::Json | Form::Yaml => document(snapshot, form)?,
        Form::Text | Form::Wide => {
            let now = Timestamp::now();
            let stacks = stacks(&snapshot.stacks, snapshot, form, now);
            format!("{}\n{}", painted(&stacks), painted(&sources(&snapshot.sources, now)))
        }
    };
    put(&text)
}

/// One of them.
pub(super) fn one(stack: &StackStatus, snapshot: &Snapshot, form: Form) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let text = match form {
        Form::Json | Form::Yaml => document(stack, form)?,
        Form::Wide => painted(&stacks(std::slice::from_ref(stack), snapshot, form, now)),
        Form::Text => {
            let source = snapshot.sources.iter().find(|it| stack.source.as_ref() == Some(&it.name));
            let failing = source.and_then(|source| not_fetched(source, now));
            detail(stack, now) + &failing.map(|line| line + "\n").unwrap_or_default()
        }
    };
    put(&text)
}

/// The table of `stacks`, which are some of the snapshot's.
pub(super) fn stacks(
    stacks: &[StackStatus],
    snapshot: &Snapshot,
    form: Form,
    now: Timestamp,
) -> Table {
    match form {
        Form::Wide => wide_table(stacks, &snapshot.sources, now),
        Form::Text | Form::Json | Form::Yaml => table(stacks, now),
    }
}

fn document(value: &impl Serialize, form: Form) -> anyhow::Result<String> {
    Ok(match form {
        Form::Yaml => serde_yaml::to_string(value)?,
        Form::Json | Form::Text | Form::Wide => serde_json::to_string_pretty(value)? + "\n",
    })
}

/// Writes to standard output. Whoever reads there may have seen enough.
pub(in crate::cli) fn put(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        ended => Ok(ended?),
    }
}

/// A table with its headings.
pub(super) fn painted(table: &Table) -> String {
    let widths = table.widths();
    let head = line(table.head, table.head, &widths);
    table.rows.iter().fold(head, |text, cells| text + &line(table.head, cells, &widths))
}

/// A line of a table.
pub(super) fn line(head: &[&str], cells: &[impl AsRef<str>], widths: &[usize]) -> String {
    let mut text = String::new();
    for (index, cell) in cells.iter().map(AsRef::as_ref).enumerate() {
        let style = style(head[index], cell);
        let gap = if index + 1 == cells.len() { 0 } else { widths[index] + 2 };
        let gap = " ".repeat(gap.saturating_sub(cell.chars().count()));
        let _ = write!(text, "{style}{cell}{style:#}{gap}");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn style(title: &str, cell: &str) -> Style {
    let plain = Style::new();
    if title == cell {
        return plain.bold();
    }
    match (title, cell) {
        ("SYNC", "Synced") | ("HEALTH", "Healthy") | ("READY", "True") => {
            AnsiColor::Green.on_default()
        }
        ("SYNC", "OutOfSync") | ("HEALTH", "Progressing") => AnsiColor::Yellow.on_default(),
        ("HEALTH", "Degraded") | ("READY", "False") => AnsiColor::Red.on_default(),
        ("SYNC" | "HEALTH", _) => plain.dimmed(),
        ("HOLD", cell) if cell != "-" => AnsiColor::Yellow.on_default(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_count_as_width_and_the_last_cell_has_no_blanks() {
        const HEAD: &[&str] = &["STACK", "SYNC", "MESSAGE"];
        let rows = [["shop", "OutOfSync", ""], ["a", "Synced", "fine"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec()).to_vec();
        let table = Table { head: HEAD, rows };
        let text = painted(&table);
        assert!(text.contains("\u{1b}[32mSynced\u{1b}[0m") && text.contains("\u{1b}[33mOutOfSync"));
        let plain = anstream::adapter::strip_str(&text).to_string();
        let plain: String = plain.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        assert_eq!(plain, table.to_string());
    }
}
