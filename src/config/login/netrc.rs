//! A login in a file of the form of `.netrc`, as curl and git read it. No IO.

use crate::model::Sensitive;
use crate::source::Credentials;
use std::iter::Peekable;
use std::str::Chars;

/// The login for `host`: of the first `machine` of that name, or of `default` after them.
pub(super) fn find(text: &str, host: &str) -> Result<Credentials, String> {
    let mut words = Words { rest: text.chars().peekable() };
    while let Some(word) = words.keyword() {
        let fits = match word.as_str() {
            "machine" => words.next().is_some_and(|name| name.eq_ignore_ascii_case(host)),
            "default" => true,
            "macdef" => {
                words.skip_macro();
                false
            }
            // What belongs to a machine that was passed over.
            "login" | "password" | "account" => {
                words.next();
                false
            }
            _ => return Err("a word stands where `machine` or `default` should".into()),
        };
        if fits {
            return entry(&mut words, host);
        }
    }
    Err(format!("it has no `machine {host}`"))
}

/// What follows up to the next machine.
fn entry(words: &mut Words<'_>, host: &str) -> Result<Credentials, String> {
    let (mut login, mut password) = (None, None);
    while let Some(word) = words.keyword() {
        match word.as_str() {
            "login" => login = words.next(),
            "password" => password = words.next(),
            "account" => drop(words.next()),
            "macdef" => words.skip_macro(),
            _ => break,
        }
    }
    match (login, password) {
        (Some(username), Some(password)) => {
            Ok(Credentials { username, password: Sensitive::new(password) })
        }
        _ => Err(format!("what it has for {host} lacks `login` or `password`")),
    }
}

/// The words of a file; one may stand in double quotes, with backslashes before what is meant as it is.
struct Words<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Words<'_> {
    /// The next word that is no comment; what stands after a keyword may begin with `#`.
    fn keyword(&mut self) -> Option<String> {
        loop {
            let word = self.next()?;
            if !word.starts_with('#') {
                return Some(word);
            }
            while self.rest.next_if(|c| *c != '\n').is_some() {}
        }
    }

    /// A macro ends at an empty line.
    fn skip_macro(&mut self) {
        let mut last = None;
        for c in self.rest.by_ref().filter(|c| *c != '\r') {
            if c == '\n' && last == Some('\n') {
                return;
            }
            last = Some(c);
        }
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        let mut word = String::new();
        if self.rest.next_if_eq(&'"').is_none() {
            while let Some(c) = self.rest.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
            return Some(word).filter(|word| !word.is_empty());
        }
        while let Some(c) = self.rest.next() {
            match c {
                '"' => break,
                '\\' => word.push(match self.rest.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                }),
                _ => word.push(c),
            }
        }
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str) -> Result<(String, String), String> {
        find(text, "git.example.org").map(|login| (login.username, login.password.expose().clone()))
    }

    #[test]
    fn the_first_machine_of_the_host_counts_and_a_default_after_them() {
        let found = |text, user: &str, password: &str| {
            assert_eq!(login(text), Ok((user.into(), password.into())), "{text}");
        };
        found("machine git.example.org login ann password s3", "ann", "s3");
        found("# ours\nmachine Git.Example.org\n\tpassword #1\n\tlogin ann # me\n", "ann", "#1");
        found("machine a login b password c\nmachine git.example.org login d password e", "d", "e");
        found("machine a login b password c\ndefault login d password e", "d", "e");
        found(
            "machine git.example.org account x login \"a b\" password \"q\\\"\\\\\"",
            "a b",
            "q\"\\",
        );
        let macro_first =
            "macdef init\nmachine git.example.org\n\nmachine git.example.org login a password b";
        found(macro_first, "a", "b");
    }

    #[test]
    fn what_is_not_there_is_said_without_showing_what_is() {
        for (text, expected) in [
            ("", "it has no `machine git.example.org`"),
            ("machine other login a password s3", "it has no `machine git.example.org`"),
            ("machine git.example.org login s3", "what it has for git.example.org lacks"),
            ("https://a:s3@git.example.org", "a word stands where `machine`"),
        ] {
            let error = login(text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("s3"), "{error}");
        }
    }
}
