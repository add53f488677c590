//! A file that is being opened: its key, its rule, and the MAC of what was seen of it so far.

use super::metadata::Metadata;
use super::rule::Rule;
use super::sealed::{self, Opened};
use super::{Keys, SopsError, keys::DataKey};
use sha2::{Digest, Sha512};

/// What the MAC begins with where it covers sealed values alone: SHA-256 of `sops`.
const ONLY_SEALED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// The state of a file that is being opened.
pub(super) struct Opening<'a> {
    metadata: &'a Metadata,
    key: DataKey,
    rule: Rule,
    seen: Sha512,
}

impl<'a> Opening<'a> {
    pub(super) fn begin(metadata: &'a Metadata, keys: &Keys) -> Result<Self, SopsError> {
        let mut seen = Sha512::new();
        if metadata.mac_only_encrypted {
            seen.update(ONLY_SEALED);
        }
        Ok(Self { metadata, key: keys.data_key(metadata)?, rule: Rule::of(metadata)?, seen })
    }

    /// Whether the value under the keys of `path` is sealed.
    pub(super) fn seals(&self, path: &[String]) -> bool {
        self.rule.seals(path)
    }

    /// Opens a sealed value; the next one in the order of the file. One that is no text is not sealed.
    pub(super) fn sealed(
        &mut self,
        path: &[String],
        text: Option<&str>,
    ) -> Result<Opened, SopsError> {
        let place = path.join(":") + ":";
        // What is not even a text is refused like a text that is not sealed.
        let opened = sealed::open(text.unwrap_or("not sealed"), &self.key, &place);
        let opened = opened.map_err(|cause| damaged(path, cause))?;
        self.seen.update(&opened.bytes);
        Ok(opened)
    }

    /// Takes note of a value that is not sealed, in the text that sops has for it.
    pub(super) fn plain(&mut self, text: &str) {
        if !self.metadata.mac_only_encrypted {
            self.seen.update(text);
        }
    }

    /// Whether all values are those that were encrypted.
    pub(super) fn end(self) -> Result<(), SopsError> {
        let (mac, place) = (&self.metadata.mac, &self.metadata.lastmodified);
        let kept = sealed::open(mac, &self.key, place).map_err(|_| SopsError::Mac)?;
        let seen = hex::encode_upper(self.seen.finalize());
        if kept.bytes == seen.as_bytes() { Ok(()) } else { Err(SopsError::Mac) }
    }
}

/// The error that the value at `path` is damaged.
pub(super) fn damaged(path: &[String], cause: &'static str) -> SopsError {
    SopsError::Value { path: path.join("."), cause }
}
