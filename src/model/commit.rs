//! What a commit says of itself, fit to be shown: anybody who can push writes it.

use serde::{Deserialize, Serialize};

/// How much of a text is shown, in characters.
const SHOWN: usize = 100;

/// Who made a commit, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The name of its author, as it says.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
}

impl Commit {
    /// Takes what stands in the commit, in whatever bytes.
    pub fn new(author: &[u8], message: &[u8]) -> Self {
        let subject =
            message.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
        Self { author: shown(author), subject: shown(subject.unwrap_or_default()) }
    }
}

/// A line of foreign text: without what steers a terminal or turns the direction of letters, and cut.
fn shown(text: &[u8]) -> String {
    let bytes = &text[..text.len().min(4 * SHOWN + 4)];
    let text = String::from_utf8_lossy(bytes);
    let plain = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect::<String>();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    line.chars().take(SHOWN - 1).chain(['…']).collect()
}

fn steers(c: char) -> bool {
    let turns = ['\u{200e}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{2029}', '\u{feff}'];
    let embeds = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns.contains(&c) || embeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_one_short_line_without_what_steers_a_terminal() {
        let subject = |message: &[u8]| Commit::new(b"", message).subject;
        assert_eq!(subject(b"Bump web\n\nSince it is new.\n"), "Bump web");
        assert_eq!(subject(b"\n \n  Bump\tweb \r\nmore"), "Bump web");
        assert_eq!(subject(b"\x1b]0;owned\x07\x1b[2Jred\x1b[0m"), "]0;owned [2Jred [0m");
        assert_eq!(subject("a\u{9b}31mb\u{202e}c\u{2066}d".as_bytes()), "a 31mb c d");
        assert_eq!(subject(b"caf\xe9"), "caf\u{fffd}");
        assert_eq!(subject(b""), "");
        let long = subject("x".repeat(100_000).as_bytes());
        assert_eq!((long.chars().count(), long.ends_with('…')), (SHOWN, true));
        assert_eq!(subject("ä".repeat(100).as_bytes()), "ä".repeat(100));
    }

    #[test]
    fn so_is_the_name_of_an_author() {
        assert_eq!(Commit::new(b"Mal\x1b[8mlory\n", b"").author, "Mal [8mlory");
    }
}
