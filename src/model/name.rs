//! Names that are checked once, where they enter.

use super::{broken_rule, familiar};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A name that breaks the rule for its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no {kind}: {rule}")]
pub struct InvalidName {
    /// What it was to name.
    pub kind: &'static str,
    /// The text given.
    pub name: String,
    /// What such a name looks like.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks `name`.
            pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
                let name = name.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&name) {
                    Ok(Self(name))
                } else {
                    Err(InvalidName { kind: $kind, name, rule: $rule })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// The name of a stack: a Compose project name (specification, "Name top-level element").
    StackName,
    "stack name",
    "lower-case letters, digits, `-` and `_`, starting with a letter or digit",
    |name| starts_alphanumeric(name)
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
);

name!(
    /// The name of a service within its stack.
    ServiceName,
    "service name",
    "letters, digits, `.`, `-` and `_`",
    |name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
);

name!(
    /// The name of a git source in the agent's configuration.
    SourceName,
    "source name",
    "lower-case letters, digits, `-` and `_`, starting with a letter or digit",
    |name| starts_alphanumeric(name)
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
);

name!(
    /// A reference to an image as written: `repository[:tag][@digest]`, or an image id.
    ImageRef,
    "image reference",
    "`repository[:tag][@digest]` without blanks",
    |name| !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control())
);

impl ImageRef {
    /// Checks what a person wrote as the engine will; what the engine itself shows it may show.
    pub fn written(name: impl Into<String>) -> Result<Self, InvalidName> {
        let image = Self::new(name)?;
        match broken_rule(image.as_str()) {
            Some(rule) => Err(InvalidName { kind: "image reference", name: image.0, rule }),
            None => Ok(image),
        }
    }

    /// Whether `name` is another way to write the same: with or without the default registry and
    /// tag.
    pub fn means(&self, name: &str) -> bool {
        familiar(self.as_str()) == familiar(name)
    }
}

fn starts_alphanumeric(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// One replica's place in a service: containers come and go, the slot stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The service it belongs to.
    pub service: ServiceName,
    /// Its number, from 1.
    pub number: u32,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_the_same_with_and_without_what_goes_without_saying() {
        let image = |text: &str| ImageRef::new(text).unwrap();
        assert!(image("busybox").means("docker.io/library/busybox:latest"));
        assert!(image("registry:5000/a").means("registry:5000/a:latest"));
        assert!(!image("busybox:1").means("busybox"));
        assert!(!image("busybox").means("registry:5000/busybox"));
    }

    #[test]
    fn a_stack_name_is_a_compose_project_name() {
        assert!(StackName::new("my_app-2").is_ok());
        for bad in ["", "My", "-a", "a.b", "a b", "ä"] {
            assert!(StackName::new(bad).is_err(), "{bad}");
        }
    }
}
