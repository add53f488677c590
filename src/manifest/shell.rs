//! Splits a command string into words as Compose does: quotes and backslashes, nothing else of a
//! shell. Unlike Compose it never drops what follows an operator: that is an error.

/// The words of `text`.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
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
                return Err(format!(
                    "`{c}` needs a shell, and a command string is not run by one; \
                     write [\"sh\", \"-c\", \"...\"], or put it in quotes"
                ));
            }
            '(' | ')' if !word.as_deref().is_some_and(|word| word.ends_with('$') || open(word)) => {
                return Err(format!("`{c}` needs a shell; put it in quotes"));
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
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
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused_and_never_cut_off() {
        for text in ["a && b", "a | b", "a; b", "a > f", "(a)", "echo 'x", "echo \"x", "a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
