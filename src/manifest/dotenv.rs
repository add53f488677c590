//! Files of variables: `.env` and `env_file` (specification, "`Env_file`"), and the raw form of
//! `docker run --env-file`. It never reads a file or an environment itself.

use super::interpolate::{Lookup, substitute};
use std::collections::BTreeMap;

/// The most bytes that the values of one file may have, all together.
const MAX_VALUES: usize = 16 << 20;

/// The variables of `text`, in the order written; later ones win. A name without a value is taken
/// from `lookup`, or left out.
pub(crate) fn parse(text: &str, lookup: Lookup<'_>) -> Result<Vec<(String, String)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut bytes = 0_usize;
    let mut rest = text.as_str();
    loop {
        rest = skip_blank(rest);
        if rest.is_empty() {
            return Ok(variables);
        }
        let start = text.len() - rest.len();
        let at = |message: String| {
            let line = 1 + text[..start].matches('\n').count();
            format!("line {line}: {message}")
        };
        let (key, after) = read_key(rest).map_err(at)?;
        let key = match key {
            Key::Assigned(key) => key,
            Key::Inherited(name) => {
                if let Some(value) = lookup(&name) {
                    places.insert(name.clone(), variables.len());
                    variables.push((name, value));
                }
                rest = after;
                continue;
            }
        };
        let (value, after) = read_value(after).map_err(at)?;
        let value = match value {
            Quoting::Literal(value) => value,
            Quoting::Template(value) => {
                let known = |name: &str| {
                    let earlier = || places.get(name).map(|place| variables[*place].1.clone());
                    lookup(name).or_else(earlier)
                };
                substitute(&value, &known, &mut vec![]).map_err(|error| at(error.to_string()))?
            }
        };
        bytes += value.len();
        if bytes > MAX_VALUES {
            return Err(at(format!("the values of one file may have {MAX_VALUES} bytes")));
        }
        places.insert(key.clone(), variables.len());
        variables.push((key, value));
        rest = after;
    }
}

/// The variables of `text`, one a line, nothing interpreted.
pub(crate) fn parse_raw(text: &str, lookup: Lookup<'_>) -> Result<Vec<(String, String)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (line, lookup(line)),
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(format!("line {}: does not begin with the name of a variable", index + 1));
        }
        variables.extend(value.map(|value| (key.to_owned(), value)));
    }
    Ok(variables)
}

fn skip_blank(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest.find('\n').map_or("", |end| rest[end..].trim_start());
    }
    rest
}

enum Key {
    Assigned(String),
    Inherited(String),
}

fn read_key(text: &str) -> Result<(Key, &str), String> {
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => text,
    };
    let end = text.find(['=', ':', '\n']).unwrap_or(text.len());
    let name = text[..end].trim();
    if name.contains(char::is_whitespace) {
        return Err("key cannot contain a space".to_owned());
    }
    if let Some(c) = name.chars().find(|c| !c.is_alphanumeric() && !"_.-[]".contains(*c)) {
        return Err(format!("unexpected character `{c}` in the name of a variable"));
    }
    let after = &text[end..];
    match after.strip_prefix(['=', ':']) {
        Some(after) => Ok((Key::Assigned(name.to_owned()), after)),
        None => Ok((Key::Inherited(name.to_owned()), after)),
    }
}

enum Quoting {
    /// Stands as it is.
    Literal(String),
    /// Has variables in it.
    Template(String),
}

fn read_value(text: &str) -> Result<(Quoting, &str), String> {
    let text = text.trim_start_matches([' ', '\t', '\r', '\u{b}', '\u{c}']);
    if let Some(body) = text.strip_prefix('\'') {
        let (value, after) = read_quoted(body, '\'')?;
        return Ok((Quoting::Literal(value.replace("\\'", "'")), after));
    }
    if let Some(body) = text.strip_prefix('"') {
        let (value, after) = read_quoted(body, '"')?;
        return Ok((Quoting::Template(unescape(value)), after));
    }
    let end = text.find('\n').unwrap_or(text.len());
    let line = &text[..end];
    let value = line.find(" #").map_or(line, |comment| &line[..comment]).trim_end();
    Ok((Quoting::Template(value.to_owned()), &text[end..]))
}

fn read_quoted(body: &str, quote: char) -> Result<(&str, &str), String> {
    let mut escaped = false;
    for (index, c) in body.char_indices() {
        if c == quote && !escaped {
            return Ok((&body[..index], &body[index + 1..]));
        }
        escaped = c == '\\' && !escaped;
    }
    Err(format!("a value that begins with {quote} does not end with it"))
}

/// Resolves the escapes of a double-quoted value; an escaped dollar stays one.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('a') => plain.push('\u{7}'),
            Some('b') => plain.push('\u{8}'),
            Some('c') | None => plain.push('\\'),
            Some('f') => plain.push('\u{c}'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('v') => plain.push('\u{b}'),
            Some('$') => plain.push_str("$$"),
            Some(c @ ('"' | '\\')) => plain.push(c),
            Some('0') => plain.push(octal(&mut chars)),
            Some(c) => plain.extend(['\\', c]),
        }
    }
    plain
}

fn octal(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> char {
    let mut code = 0_u8;
    for _ in 0..3 {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
        chars.next();
        code = code.wrapping_mul(8).wrapping_add(u8::try_from(digit).unwrap_or(0));
    }
    char::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "HOSTV").then(|| "hv".to_owned())
    }

    fn last(text: &str) -> Result<String, String> {
        parse(text, &lookup).map(|variables| variables.last().unwrap().1.clone())
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        for (text, expected) in [
            ("A=b # c", "b"),
            ("A=b# c", "b# c"),
            ("A= #c", "#c"),
            ("A=\"b # c\" # d", "b # c"),
            ("A='$HOSTV'", "$HOSTV"),
            ("A=\"$HOSTV\"", "hv"),
            ("A=$HOSTV", "hv"),
            ("A=${NOPE:-d}", "d"),
            ("A=$$HOSTV", "$HOSTV"),
            ("A=\"\\$HOSTV\"", "$HOSTV"),
            ("A='Let\\'s go!'", "Let's go!"),
            ("A=\"a\\nb\"", "a\nb"),
            ("A=a\\nb", "a\\nb"),
            ("A=\"multi\nline\"", "multi\nline"),
            ("export  A=b", "b"),
            ("A : b", "b"),
            (" A = b ", "b"),
            ("A=\"\\x41\\0101\"", "\\x41A"),
            ("A=b\r\nB=c\r\n", "c"),
            ("A=b\nB=$A", "b"),
            ("A=\"$${x}\"", "${x}"),
            ("A=", ""),
            ("\n# c\nHOSTV\n", "hv"),
        ] {
            assert_eq!(last(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, part) in [
            ("\nA B=c", "line 2: key cannot contain a space"),
            ("A+=b", "unexpected character `+`"),
            ("A=\"x", "does not end"),
            ("A=${N?err}", "line 1: required variable N"),
        ] {
            assert!(parse(text, &lookup).unwrap_err().contains(part), "{text:?}");
        }
    }

    #[test]
    fn values_that_grow_and_files_of_many_lines_come_to_an_end() {
        let doubled = |n: usize| format!("A{n}=$A{0}$A{0}\n", n - 1);
        let text = format!("A0=xxxxxxxx\n{}", (1..40).map(doubled).collect::<Vec<_>>().concat());
        assert!(parse(&text, &lookup).unwrap_err().contains("bytes"));
        let long = "x".repeat(1 << 10);
        let text = format!("B={long}\n{}", "A=$B\n".repeat(1 << 15));
        assert!(parse(&text, &lookup).unwrap_err().contains("bytes"));
        let text = (0..100_000).map(|n| format!("A{n}=$A0\n")).collect::<Vec<_>>().concat();
        assert_eq!(parse(&text, &lookup).unwrap().len(), 100_000);
    }

    #[test]
    fn the_raw_form_interprets_nothing() {
        let variables = parse_raw("#c\n A= \"$B\" # c\nHOSTV\nX\n", &lookup).unwrap();
        let expected = [("A", " \"$B\" # c"), ("HOSTV", "hv")];
        assert_eq!(variables, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(parse_raw("A B=c", &lookup).is_err());
    }
}
