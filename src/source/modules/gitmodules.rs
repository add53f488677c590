//! Reads a file `.gitmodules` (git's Documentation/git-config, "Syntax") with the lines that things stand
//! at. It follows no `include`, and says nothing of what the values mean.

use std::iter::Peekable;
use std::str::Chars;

/// A section `[submodule "NAME"]`. Sections of one name are one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    /// Where it begins, from 1.
    pub(super) line: usize,
    pub(super) path: Option<String>,
    pub(super) url: Option<String>,
    pub(super) update: Option<String>,
}

/// What is wrong at a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) what: String,
}

/// The sections of submodules, in the order of the file.
pub(super) fn parse(text: &str) -> Result<Vec<Section>, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut reader = Reader { chars: text.chars().peekable(), line: 1 };
    let mut sections: Vec<Section> = Vec::new();
    // The section that is being read, if it is of a submodule.
    let mut at = None;
    while let Some(c) = reader.next() {
        match c {
            c if c.is_whitespace() => {}
            '#' | ';' => reader.skip_line(),
            '[' => {
                let line = reader.line;
                at = reader.header()?.map(|name| {
                    let known = sections.iter().position(|section| section.name == name);
                    known.unwrap_or_else(|| {
                        sections.push(Section { name, line, ..Section::default() });
                        sections.len() - 1
                    })
                });
            }
            c if c.is_ascii_alphabetic() => {
                let line = reader.line;
                let (key, value) = reader.variable(c)?;
                let Some(section) = at.and_then(|at: usize| sections.get_mut(at)) else { continue };
                let slot = match key.as_str() {
                    "path" => &mut section.path,
                    "url" => &mut section.url,
                    "update" => &mut section.update,
                    _ => continue,
                };
                // Git takes the first with a warning.
                if slot.replace(value).is_some() {
                    let what = format!("`{key}` is written twice; keep one");
                    return Err(Broken { line, what });
                }
            }
            _ => return Err(reader.broken("this is no section, no variable and no comment")),
        }
    }
    Ok(sections)
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn broken(&self, what: &str) -> Broken {
        Broken { line: self.line, what: what.to_owned() }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// What follows a `[`: the name of a submodule, `None` for other sections.
    fn header(&mut self) -> Result<Option<String>, Broken> {
        let unended = |reader: &Self| reader.broken("the section's head does not end with `]`");
        let mut kind = String::new();
        loop {
            match self.next() {
                Some(']') => return Ok(None),
                Some(' ' | '\t') => break,
                Some('\n') | None => return Err(unended(self)),
                Some(c) => kind.push(c.to_ascii_lowercase()),
            }
        }
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        if self.next() != Some('"') {
            return Err(self.broken("the section's name does not stand in double quotes"));
        }
        let mut name = String::new();
        loop {
            match self.next() {
                Some('"') => break,
                Some('\\') => name.extend(self.next()),
                Some('\n') | None => return Err(unended(self)),
                Some(c) => name.push(c),
            }
        }
        if self.next() != Some(']') {
            return Err(unended(self));
        }
        Ok((kind == "submodule").then_some(name))
    }

    /// A variable whose name begins with `first`. One without a value is `true`.
    fn variable(&mut self, first: char) -> Result<(String, String), Broken> {
        let mut key = first.to_ascii_lowercase().to_string();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '-') {
            key.push(c.to_ascii_lowercase());
        }
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match self.next() {
            Some('=') => Ok((key, self.value()?)),
            Some('\n') | None => Ok((key, "true".to_owned())),
            Some(_) => Err(self.broken("there is no `=` after the variable's name")),
        }
    }

    /// What follows a `=`, to the end of its line.
    fn value(&mut self) -> Result<String, Broken> {
        let (mut value, mut quoted) = (String::new(), false);
        // What counts of the value if nothing but spaces follows.
        let mut kept = 0;
        loop {
            match self.next() {
                Some('\n') | None if quoted => {
                    return Err(self.broken("the value's double quotes do not end"));
                }
                Some('\n') | None => break,
                Some('#' | ';') if !quoted => {
                    self.skip_line();
                    break;
                }
                Some(c) if !quoted && c.is_whitespace() => {
                    if !value.is_empty() {
                        value.push(c);
                    }
                    continue;
                }
                Some('"') => quoted = !quoted,
                Some('\\') => match self.next() {
                    Some('\n') => continue,
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some('b') => value.push('\u{8}'),
                    Some(c @ ('"' | '\\')) => value.push(c),
                    _ => return Err(self.broken("`\\` stands before something that needs none")),
                },
                Some(c) => value.push(c),
            }
            kept = value.len();
        }
        value.truncate(kept);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ODD: &str = "\u{feff}# who knows\r\n[core]\n\tpath = not-ours\n[Submodule \"a \\\"b\\\\c\"] path = x/y ; at the end\n\
        \t url=\"../a#b.git\" \n  branch = main\n\n[submodule \"two\"]\nURL = https://h/\\\nlong.git   # far\n\
        path = \"with  space \" \nshallow\n[submodule \"two\"]\n\tupdate = none\n";

    #[test]
    fn sections_are_read_with_their_lines() {
        let sections = parse(ODD).unwrap();
        let told: Vec<_> = sections
            .iter()
            .map(|it| (it.line, &*it.name, it.path.as_deref(), it.url.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (4, "a \"b\\c", Some("x/y"), Some("../a#b.git")),
                (8, "two", Some("with  space "), Some("https://h/long.git")),
            ]
        );
        assert_eq!(sections[1].update.as_deref(), Some("none"));
    }

    #[test]
    fn git_reads_the_same() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ODD).unwrap();
        let listed = Command::new("git")
            .args(["config", "--null", "--list", "--file"])
            .arg(file.path())
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let of_git: Vec<&str> = listed.split('\0').collect();
        for section in parse(ODD).unwrap() {
            for (key, value) in
                [("path", section.path), ("url", section.url), ("update", section.update)]
            {
                let line = value.map(|value| format!("submodule.{}.{key}\n{value}", section.name));
                assert!(line.is_none_or(|line| of_git.contains(&&*line)), "{key}: {of_git:?}");
            }
        }
    }

    #[test]
    fn what_is_no_such_file_is_told_with_its_line() {
        for (text, line, part) in [
            ("[submodule \"a\"]\n\tpath = x\n\tpath = y\n", 3, "twice"),
            ("[submodule \"a\n\tpath = x\n", 2, "`]`"),
            ("\n[submodule a]\n", 2, "quotes"),
            ("[submodule \"a\"]\npath = \"x\n", 3, "do not end"),
            ("[submodule \"a\"]\npath = \\x\n", 2, "`\\`"),
            ("[submodule \"a\"]\npath: x\n", 2, "`=`"),
            ("<<<<<<< HEAD\n", 1, "no section"),
        ] {
            let broken = parse(text).unwrap_err();
            assert_eq!(broken.line, line, "{text}: {broken:?}");
            assert!(broken.what.contains(part), "{text}: {broken:?}");
        }
        assert_eq!(parse("").unwrap(), []);
    }
}
