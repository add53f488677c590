//! Splits a command string into words as Compose does: quotes and backslashes, nothing else of a
//! shell. It never drops what follows an operator without saying so.

/// The words of `text`, and from the first operator of a shell on what is no part of them.
pub(crate) fn split(text: &str) -> Result<(Vec<String>, Option<String>), String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                }
            }
            '"' => quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("it ends in a backslash".to_owned()),
            },
            ';' | '&' | '|' | '<' | '>' => {
                // The number of a file (`2>`) belongs to the operator.
                let is_file = |word: &String| word.starts_with(|c: char| c.is_ascii_digit());
                words.extend(word.filter(|word| c != '>' || !is_file(word)));
                return Ok((words, Some(format!("{c}{}", chars.as_str()))));
            }
            '(' | ')' if !word.as_deref().is_some_and(|word| word.ends_with('$') || open(word)) => {
                return Err(format!("`{c}` needs a shell; put it in quotes"));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok((words, None))
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    let unclosed = || "a double quote is not closed".to_owned();
    loop {
        match chars.next().ok_or_else(unclosed)? {
            '"' => return Ok(()),
            '\\' => word.push(chars.next().ok_or_else(unclosed)?),
            c => word.push(c),
        }
    }
}

/// Whether a `$(` in `word` waits for its closing parenthesis.
fn open(word: &str) -> bool {
    word.contains("$(") && word.matches('(').count() > word.matches(')').count()
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
        for text in ["(a)", "echo 'x", "echo \"x", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
