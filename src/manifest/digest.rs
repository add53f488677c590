//! Digests of contents, keyed so that a short secret cannot be guessed from its digest.

use crate::model::ContentDigest;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;

/// The key of the digests of configs and secrets; one a host, kept in its store.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// Takes 32 bytes that nobody else knows.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA256 of `content`, in hexadecimal.
    pub fn digest(&self, content: &[u8]) -> ContentDigest {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(content);
        ContentDigest(hex::encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::DigestKey;

    #[test]
    fn a_digest_depends_on_content_and_key() {
        let digest = |key: u8, content: &[u8]| DigestKey::new([key; 32]).digest(content);
        assert_eq!(digest(1, b"a"), digest(1, b"a"));
        assert_ne!(digest(1, b"a"), digest(2, b"a"));
        assert_ne!(digest(1, b"a"), digest(1, b"b"));
        assert_eq!(format!("{:?}", DigestKey::new([7; 32])), "DigestKey(not shown)");
    }
}
