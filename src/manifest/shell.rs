//! Splits a command string into words as Compose does: quotes and backslashes, nothing else of a
//! shell. It never drops what follows an operator without saying so.

/// What is open at a point of a command.
#[derive(Debug, Default)]
struct Open {
    single: bool,
    double: bool,
    /// A backquote.
    back: bool,
    /// A `$(`; a lone `)` opens it as well, so that it is an error.
    dollar: bool,
}

impl Open {
    fn any(&self) -> bool {
        self.single || self.double || self.back || self.dollar
    }
}

/// The words of `text`, and from the first operator of a shell on what is no part of them.
pub(crate) fn split(text: &str) -> Result<(Vec<String>, Option<String>), String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut open = Open::default();
    let mut escaped = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !open.single => {
                escaped = true;
                continue;
            }
            ' ' | '\t' | '\r' | '\n' if !open.any() => {
                words.extend(word.take());
                continue;
            }
            '`' if !(open.single || open.double || open.dollar) => open.back = !open.back,
            ')' if !(open.single || open.double || open.back) => open.dollar = !open.dollar,
            '(' if !(open.single || open.double || open.back) => {
                if open.dollar || !word.as_deref().is_some_and(|word| word.ends_with('$')) {
                    return Err("`(` needs a shell; put it in quotes".to_owned());
                }
                open.dollar = true;
            }
            '"' if !(open.single || open.dollar) => {
                open.double = !open.double;
                word.get_or_insert_default();
                continue;
            }
            '\'' if !(open.double || open.dollar) => {
                open.single = !open.single;
                word.get_or_insert_default();
                continue;
            }
            ';' | '&' | '|' | '<' | '>' if !open.any() => {
                // The number of a file (`2>`) belongs to the operator.
                let is_file = |word: &String| word.starts_with(|c: char| c.is_ascii_digit());
                words.extend(word.filter(|word| c != '>' || !is_file(word)));
                return Ok((words, Some(format!("{c}{}", chars.as_str()))));
            }
            _ => {}
        }
        word.get_or_insert_default().push(c);
    }
    words.extend(word);
    match open {
        _ if escaped => Err("it ends in a backslash".to_owned()),
        Open { single: true, .. } => Err("a single quote is not closed".to_owned()),
        Open { double: true, .. } => Err("a double quote is not closed".to_owned()),
        Open { back: true, .. } => Err("a backquote is not closed".to_owned()),
        Open { dollar: true, .. } => Err("a parenthesis has no other; put it in quotes".to_owned()),
        Open { .. } => Ok((words, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_and_backslashes_are_taken_off() {
        for (text, expected) in [
            ("echo 'a b' \"c d\"", vec!["echo", "a b", "c d"]),
            ("echo a\\ b", vec!["echo", "a b"]),
            ("echo \"a\\\"b\"", vec!["echo", "a\"b"]),
            ("echo 'a\\'b", vec!["echo", "a\\b"]),
            ("echo $(date) # c", vec!["echo", "$(date)", "#", "c"]),
            ("  ", vec![]),
            ("echo ''", vec!["echo", ""]),
            ("echo \"a\\nb\"", vec!["echo", "anb"]),
            ("echo 'a'\"b\"c *", vec!["echo", "abc", "*"]),
            ("sh -c 'a && b'", vec!["sh", "-c", "a && b"]),
            ("a `b && c` d", vec!["a", "`b && c`", "d"]),
        ] {
            assert_eq!(
                split(text).unwrap(),
                (expected.iter().map(ToString::to_string).collect(), None),
                "{text}"
            );
        }
    }

    #[test]
    fn what_only_a_shell_can_do_is_told_and_no_part_of_the_words() {
        for (text, words, rest) in [
            ("a && b", vec!["a"], "&& b"),
            ("a|b", vec!["a"], "|b"),
            ("a; b", vec!["a"], "; b"),
            ("a > f", vec!["a"], "> f"),
            ("a 2> f", vec!["a"], "> f"),
        ] {
            let words = words.iter().map(ToString::to_string).collect();
            assert_eq!(split(text), Ok((words, Some(rest.to_owned()))), "{text}");
        }
        for text in ["(a)", "a)", "`a", "echo 'x", "echo \"x", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
