//! How lines are printed: each with the slot that wrote it, in a colour of its own on a terminal.

use crate::engine::{LogLine, Output};
use crate::model::{Container, Slot};
use clap::builder::styling::{AnsiColor, Style};
use std::collections::BTreeMap;
use std::io::{self, Write};

const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
];

/// Prints lines to standard output.
pub(super) struct Printer {
    timestamps: bool,
    is_coloured: bool,
    width: usize,
    colours: BTreeMap<Slot, AnsiColor>,
}

impl Printer {
    pub(super) fn new(timestamps: bool) -> Self {
        let choice = anstream::AutoStream::choice(&io::stdout());
        let is_coloured = choice != anstream::ColorChoice::Never;
        Self { timestamps, is_coloured, width: 0, colours: BTreeMap::new() }
    }

    /// Makes room for the names of these.
    pub(super) fn reserve(&mut self, containers: &[Container]) {
        for container in containers {
            self.width = self.width.max(name(&container.slot).chars().count());
            self.colour(&container.slot);
        }
    }

    fn colour(&mut self, slot: &Slot) -> AnsiColor {
        let next = COLOURS[self.colours.len() % COLOURS.len()];
        *self.colours.entry(slot.clone()).or_insert(next)
    }

    /// Prints a line as it was written. Whoever reads may have seen enough.
    pub(super) fn line(&mut self, slot: &Slot, line: &LogLine) -> io::Result<()> {
        let text = self.shown(slot, line);
        let mut out = io::stdout().lock();
        match out.write_all(&text).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            ended => ended,
        }
    }

    /// `web-1 | text`; the bar of what went to standard error is red.
    fn shown(&mut self, slot: &Slot, line: &LogLine) -> Vec<u8> {
        let name = name(slot);
        self.width = self.width.max(name.chars().count());
        let (mut style, mut bar) = (Style::new(), Style::new());
        if self.is_coloured {
            style = self.colour(slot).on_default();
            bar = match line.output {
                Output::Out => style,
                Output::Err => AnsiColor::Red.on_default(),
            };
        }
        let width = self.width;
        let mut text = format!("{style}{name:<width$}{style:#} {bar}|{bar:#} ").into_bytes();
        if let Some(at) = line.at.filter(|_| self.timestamps) {
            text.extend_from_slice(format!("{at} ").as_bytes());
        }
        text.extend_from_slice(&line.text);
        text.push(b'\n');
        text
    }
}

/// `web-1`.
pub(super) fn name(slot: &Slot) -> String {
    format!("{}-{}", slot.service, slot.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceName;

    #[test]
    fn a_line_has_its_slot_and_is_left_as_it_was_written() {
        let slot = |name, number| Slot { service: ServiceName::new(name).unwrap(), number };
        let line = LogLine {
            output: Output::Err,
            at: Some("2026-11-22T08:00:00Z".parse().unwrap()),
            text: b"\x1b[1mbold\xff".to_vec(),
        };
        let mut plain =
            Printer { timestamps: false, is_coloured: false, width: 0, colours: BTreeMap::new() };
        assert_eq!(plain.shown(&slot("worker", 12), &line), b"worker-12 | \x1b[1mbold\xff\n");
        plain.timestamps = true;
        let timed = plain.shown(&slot("web", 1), &line);
        assert_eq!(timed, b"web-1     | 2026-11-22T08:00:00Z \x1b[1mbold\xff\n");
        plain.is_coloured = true;
        let coloured = plain.shown(&slot("web", 1), &line);
        assert!(
            coloured.starts_with(b"\x1b[36mweb-1    \x1b[0m \x1b[31m|\x1b[0m "),
            "{coloured:?}"
        );
    }
}
