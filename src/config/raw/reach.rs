//! How a server is reached and what it may send, as it is written.

use super::Span;
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::path::PathBuf;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    pub(in crate::config) ca_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ProxyAuth {
    pub(in crate::config) username: String,
    pub(in crate::config) password_file: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limits {
    pub(in crate::config) max_size: Option<Size>,
    pub(in crate::config) timeout: Option<Span>,
}

/// A number of bytes: `500m`, `2g`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Size(pub(in crate::config) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, such as `500m`, `2g` or a number of bytes")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        let bytes = crate::manifest::parse_bytes(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Size).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
