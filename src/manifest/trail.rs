//! The keys that lead to a value, kept while a tree is walked. They become text only where there is
//! something to tell.

use std::fmt;

/// Shown as the keys joined with dots.
#[derive(Clone, Copy)]
pub(crate) enum Trail<'a> {
    /// Where a walk begins; empty at the top of a file.
    Start(&'a str),
    Key(&'a Trail<'a>, &'a str),
    Item(&'a Trail<'a>, usize),
}

impl<'a> Trail<'a> {
    /// What stands under `key`.
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// The item at `index` of a list.
    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(keys) => f.write_str(keys),
            Self::Key(Trail::Start(""), key) => f.write_str(key),
            Self::Key(around, key) => write!(f, "{around}.{key}"),
            Self::Item(around, index) => write!(f, "{around}.{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_joined_with_dots() {
        let top = Trail::Start("");
        let service = Trail::Start("services.web");
        assert_eq!(top.key("services").to_string(), "services");
        assert_eq!(service.key("ports").item(1).to_string(), "services.web.ports.1");
    }
}
