//! Where the parts of a rendered text were written. The library does not tell, so signs are put into
//! the templates and looked for in what they put out: characters for private use, which stand for
//! nothing. A sign stands before what is no space, so that what trims spaces does the same with and
//! without signs.

use super::{ENTRY, Templates};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The characters that serve as signs: a whole plane for private use.
pub(super) const SIGNS: Range<u32> = 0xF_0000..0xF_FFFE;

/// A place in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The template's name.
    pub template: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// Where a text's parts were written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Origins {
    spots: Vec<Spot>,
    /// The signs that were found: line and column of the text, and the spot. Sorted.
    found: Vec<(usize, usize, usize)>,
}

/// What a sign stands for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spot {
    origin: Origin,
    /// Whether text follows that is put out as it is written.
    literal: bool,
}

impl Origins {
    /// Where that was written which stands at a line and column of the text, both from 1. Where nothing
    /// is known, the beginning of the template that puts all out.
    pub fn of(&self, line: usize, column: usize) -> Origin {
        let after = self.found.partition_point(|(l, c, _)| (*l, *c) <= (line, column));
        let Some((found_line, found_column, spot)) = after.checked_sub(1).map(|at| self.found[at])
        else {
            return Origin { template: ENTRY.to_owned(), line: 1, column: 1 };
        };
        let Spot { origin, literal } = &self.spots[spot];
        let mut origin = origin.clone();
        if *literal && found_line == line {
            origin.column += column - found_column;
        }
        origin
    }
}

/// The templates with signs in them, and what the signs stand for.
pub(super) fn sign(templates: &Templates) -> (Templates, Vec<Spot>) {
    let mut spots = Vec::new();
    let signed = templates
        .iter()
        .map(|(name, text)| {
            let text = text.as_ref().map(|text| Signer::new(name, &mut spots).sign(text));
            (name.clone(), text)
        })
        .collect();
    (signed, spots)
}

/// The signs in `signed`, if it is `text` but for them.
pub(super) fn read(signed: &str, spots: Vec<Spot>, text: &str) -> Origins {
    let mut found = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut rest = text.chars();
    for c in signed.chars() {
        if SIGNS.contains(&u32::from(c)) {
            let spot = (u32::from(c) - SIGNS.start) as usize;
            if spot < spots.len() {
                found.push((line, column, spot));
                continue;
            }
        }
        if rest.next() != Some(c) {
            return Origins::default();
        }
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    if rest.next().is_some() { Origins::default() } else { Origins { spots, found } }
}

/// Puts signs into one template.
struct Signer<'a> {
    name: &'a str,
    spots: &'a mut Vec<Spot>,
    line: usize,
    column: usize,
    out: String,
}

impl<'a> Signer<'a> {
    fn new(name: &'a str, spots: &'a mut Vec<Spot>) -> Self {
        Self { name, spots, line: 1, column: 1, out: String::new() }
    }

    fn sign(mut self, text: &str) -> String {
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, tag, after) = split(rest);
            self.literal(literal);
            self.tag(tag);
            rest = after;
        }
        self.out
    }

    /// A sign before the first word of each line.
    fn literal(&mut self, text: &str) {
        let mut begins = true;
        for c in text.chars() {
            if begins && !c.is_whitespace() {
                self.put(0, true);
                begins = false;
            }
            begins |= c == '\n';
            self.copy(c);
        }
    }

    /// A sign before what is put out, which stands for the expression's first word.
    fn tag(&mut self, tag: &str) {
        if let Some(inner) = tag.strip_prefix("{{").filter(|inner| !inner.starts_with('-')) {
            let spaces = inner.chars().take_while(|c| c.is_whitespace() && *c != '\n').count();
            self.put(2 + spaces, false);
        }
        tag.chars().for_each(|c| self.copy(c));
    }

    fn put(&mut self, further: usize, literal: bool) {
        let sign = u32::try_from(self.spots.len()).ok().and_then(|at| SIGNS.start.checked_add(at));
        let Some(sign) = sign.filter(|sign| SIGNS.contains(sign)).and_then(char::from_u32) else {
            return;
        };
        let (line, column) = (self.line, self.column + further);
        let origin = Origin { template: self.name.to_owned(), line, column };
        self.spots.push(Spot { origin, literal });
        self.out.push(sign);
    }

    fn copy(&mut self, c: char) {
        self.out.push(c);
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }
}

/// The text before the first tag, the tag with its braces, and the rest.
fn split(text: &str) -> (&str, &str, &str) {
    let opens = |at: &usize| matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#'));
    let start = text.match_indices('{').map(|(at, _)| at).find(opens);
    let Some(start) = start else { return (text, "", "") };
    let (literal, rest) = text.split_at(start);
    let (tag, after) = rest.split_at(end_of(rest));
    (literal, tag, after)
}

/// Where the tag ends with which `text` begins: its closing braces outside of quotes, or the end.
fn end_of(text: &str) -> usize {
    let close = match &text[..2] {
        "{{" => "}}",
        "{%" => "%}",
        _ => return text.find("#}").map_or(text.len(), |at| at + 2),
    };
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(2) {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if text[at..].starts_with(close) => return at + 2,
            Some(_) | None => {}
        }
    }
    text.len()
}
