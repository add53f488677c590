//! How a server is reached and what it may send, as it is written.

use super::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// How a server's certificate is checked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    /// The authorities that are trusted, as PEM, in place of the host's.
    pub(in crate::config) ca_file: Option<PathBuf>,
}

/// A login for a proxy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ProxyAuth {
    /// The user.
    pub(in crate::config) username: String,
    /// A file that holds the password.
    pub(in crate::config) password_file: PathBuf,
}

/// How much a source may hold, and how long a fetch may take.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limits {
    /// Of what a fetch brings, and of the files in a revision. Default: `2g`.
    pub(in crate::config) max_size: Option<Size>,
    /// Of a whole fetch. Default: `15m`.
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

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": 0, "examples": ["500m", "2g"], "x-type": "size",
        })
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
