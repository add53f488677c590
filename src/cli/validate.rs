//! `bowline validate`: checks stacks without an engine.

use super::Common;
use super::plan::counted;
use super::target::{Entry, Target};
use crate::manifest::{Diagnostic, Diagnostics, LINTS, Severity};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// A lint to switch off; may be given several times. In a file: `x-bowline: { allow: [LINT] }`.
    #[arg(long, value_name = "LINT", value_parser = lints())]
    allow: Vec<String>,
    /// The form of the output.
    #[arg(long, short = 'o', value_enum, default_value_t = Output::Text)]
    output: Output,
}

fn lints() -> PossibleValuesParser {
    PossibleValuesParser::new(LINTS.map(|lint| PossibleValue::new(lint.name).help(lint.about)))
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// Annotations of a workflow on GitHub.
    Github,
}

pub(super) fn run(common: &Common, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let found = arguments.target.look(common, &arguments.allow)?;
    match arguments.output {
        Output::Text => {
            found.entries.iter().for_each(print_text);
            let wrong = found.entries.iter().filter(|entry| entry.loaded.is_err()).count();
            if found.entries.len() > 1 {
                let all = counted(found.entries.len(), "stack");
                println!("{all}: {wrong} in error");
            }
        }
        Output::Json => {
            let stacks: Vec<Value> = found.entries.iter().map(to_json).collect();
            println!("{}", serde_json::to_string_pretty(&json!({ "stacks": stacks }))?);
        }
        Output::Github => {
            let prefix = arguments.target.prefix();
            for problem in found.entries.iter().flat_map(|entry| diagnostics(entry).0) {
                println!("{}", annotation(&problem, &prefix));
            }
        }
    }
    let failed = found.entries.iter().any(|entry| entry.loaded.is_err());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn diagnostics(entry: &Entry) -> Diagnostics {
    match &entry.loaded {
        Ok(loaded) => Diagnostics([&loaded.warnings.0[..], &loaded.lints.0].concat()),
        Err(problems) => problems.clone(),
    }
}

fn print_text(entry: &Entry) {
    anstream::eprint!("{}", diagnostics(entry).render(colored()));
    if let Ok(loaded) = &entry.loaded {
        let services = counted(loaded.stack.services.len(), "service");
        println!("{}: stack {} is fine: {services}", entry.file, loaded.stack.name);
    }
}

fn to_json(entry: &Entry) -> Value {
    let problem = |problem: &Diagnostic| {
        let place = problem.place.as_ref();
        json!({
            "severity": problem.severity.to_string(),
            "lint": problem.lint,
            "file": place.map(|place| &place.file),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "field": problem.field,
            "message": problem.message,
            "help": problem.help,
        })
    };
    json!({
        "file": entry.file,
        "stack": entry.loaded.as_ref().ok().map(|loaded| loaded.stack.name.to_string()),
        "valid": entry.loaded.is_ok(),
        "problems": diagnostics(entry).0.iter().map(problem).collect::<Vec<_>>(),
    })
}

/// One line that GitHub shows beside the line of the file; its paths begin with `prefix`.
fn annotation(problem: &Diagnostic, prefix: &str) -> String {
    let kind = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut properties = Vec::new();
    if let Some(place) = &problem.place {
        let file = property(&format!("{prefix}{}", place.file));
        properties.push(format!("file={file},line={},col={}", place.line, place.column));
    }
    let lint = problem.lint.map(|name| format!(" [{name}]")).unwrap_or_default();
    if !problem.field.is_empty() {
        properties.push(format!("title={}{lint}", property(&problem.field)));
    }
    let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    let space = if properties.is_empty() { "" } else { " " };
    let message = escaped(&format!("{}{help}", problem.message));
    format!("::{kind}{space}{}::{message}", properties.join(","))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

/// Whether messages may have colour.
pub(super) fn colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    #[test]
    fn an_annotation_has_no_line_break_and_no_separator_in_its_parts() {
        let problem = Diagnostic {
            severity: Severity::Error,
            lint: None,
            place: Some(Place { file: "a,b/compose.yaml".into(), line: 3, column: 5 }),
            field: "services.web".into(),
            message: "100%\nwrong".into(),
            help: Some("do: this".into()),
            source: None,
            may_pass: false,
        };
        assert_eq!(
            annotation(&problem, "stacks/"),
            "::error file=stacks/a%2Cb/compose.yaml,line=3,col=5,title=services.web\
             ::100%25%0Awrong; do: this"
        );
        let nowhere = Diagnostic { place: None, field: String::new(), ..problem };
        assert_eq!(annotation(&nowhere, ""), "::error::100%25%0Awrong; do: this");
    }
}
