//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`; create it or name another with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that does not hold together.
    #[error("{0}")]
    Wrong(Flaws),
}

/// What does not hold together at one place of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", path.display())]
pub struct Flaw {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// Which field, what is wrong with it, and what to do.
    pub message: String,
}

/// All that does not hold together, in the order of the file. Shown, each has its line.
#[derive(Debug, Default)]
pub struct Flaws(Vec<Flaw>);

impl Flaws {
    /// What was read; a flaw is kept, to be told with the others.
    pub(super) fn keep<T>(&mut self, read: Result<T, Flaw>) -> Option<T> {
        read.map_err(|flaw| self.0.push(flaw)).ok()
    }

    /// `value`, if there are none.
    pub(super) fn none_in<T>(mut self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|flaw| (flaw.line, flaw.column));
        Err(ConfigError::Wrong(self))
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Flaw> {
        self.0.iter()
    }
}

impl From<Flaw> for ConfigError {
    fn from(flaw: Flaw) -> Self {
        Self::Wrong(Flaws(vec![flaw]))
    }
}

impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
