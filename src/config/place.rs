//! Where in the text a field stands. It finds places only; values come through serde.

use granit_parser::{Event, Parser};

/// An open list or map on the way down.
enum Level {
    List { path: String, next: usize },
    Map { path: String, key: Option<String> },
}

/// The line and column, from 1, of the value at `field`, such as `sources[0].url`. A field that is
/// not there has the place of the nearest one around it.
pub(super) fn find(text: &str, field: &str) -> (usize, usize) {
    let mut levels: Vec<Level> = Vec::new();
    let (mut best, mut depth) = ((1, 1), 0);
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let scalar = match &event {
            Event::Scalar(value, ..) => Some(value.as_ref()),
            Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => None,
            Event::SequenceEnd | Event::MappingEnd => {
                levels.pop();
                continue;
            }
            _ => continue,
        };
        let Some(path) = enter(&mut levels, scalar) else { continue };
        if path.len() >= depth && is_at_or_above(&path, field) {
            depth = path.len();
            best = (span.start.line(), span.start.col() + 1);
        }
        match event {
            Event::SequenceStart(..) => levels.push(Level::List { path, next: 0 }),
            Event::MappingStart(..) => levels.push(Level::Map { path, key: None }),
            _ => {}
        }
    }
    best
}

/// The path of the node that begins here; `None` when it is a key.
fn enter(levels: &mut [Level], scalar: Option<&str>) -> Option<String> {
    match levels.last_mut() {
        None => Some(String::new()),
        Some(Level::List { path, next }) => {
            *next += 1;
            Some(format!("{path}[{}]", *next - 1))
        }
        Some(Level::Map { path, key }) => match key.take() {
            Some(key) if path.is_empty() => Some(key),
            Some(key) => Some(format!("{path}.{key}")),
            None => {
                *key = Some(scalar.unwrap_or_default().to_owned());
                None
            }
        },
    }
}

fn is_at_or_above(path: &str, field: &str) -> bool {
    field
        .strip_prefix(path)
        .is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}
