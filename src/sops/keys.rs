//! The keys of this host, which open the data key of a file. It never shows a secret one.

use super::SopsError;
use super::metadata::Metadata;
use age::armor::ArmoredReader;
use age::x25519::Identity;
use std::fmt;
use std::io::Read;
use zeroize::Zeroizing;

/// The bytes of a data key.
const LENGTH: usize = 32;
/// The most wrapped keys of one file that are tried.
const MAX_TRIED: usize = 16;

/// The key that a file's values are sealed with.
pub(super) type DataKey = Zeroizing<[u8; LENGTH]>;

/// The age keys of this host, or why there are none.
#[derive(Clone)]
pub struct Keys {
    identities: Vec<Identity>,
    told: String,
}

impl Keys {
    /// No keys; `why`, and what to do, is told where one is needed.
    pub fn none(why: impl Into<String>) -> Self {
        Self { identities: vec![], told: why.into() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// The keys in `text`, as `age-keygen` writes them, one a line; `from` says where that is. The
    /// error names the line and shows nothing of it.
    pub fn parse(text: &str, from: &str) -> Result<Self, String> {
        let mut identities = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong =
                |_| format!("line {} of {from} is no age key (AGE-SECRET-KEY-1...)", index + 1);
            identities.push(line.parse::<Identity>().map_err(wrong)?);
        }
        if identities.is_empty() {
            return Err(format!("{from} holds no age key; make one with `age-keygen`"));
        }
        Ok(Self { identities, told: from.to_owned() })
    }

    /// The data key of a file.
    pub(super) fn data_key(&self, metadata: &Metadata) -> Result<DataKey, SopsError> {
        if self.identities.is_empty() {
            return Err(SopsError::NoKey(self.told.clone()));
        }
        let ours: Vec<String> =
            self.identities.iter().map(|identity| identity.to_public().to_string()).collect();
        let mut failed = None;
        let for_us = metadata.age.iter().filter(|wrapped| ours.contains(&wrapped.recipient));
        for wrapped in for_us.take(MAX_TRIED) {
            match unwrap(&wrapped.enc, &self.identities) {
                Ok(key) => return Ok(key),
                Err(cause) => failed = Some((wrapped.recipient.clone(), cause)),
            }
        }
        Err(match failed {
            Some((recipient, cause)) => SopsError::DataKey { recipient, cause },
            None => SopsError::NotForUs {
                recipients: shown(metadata.age.iter().map(|wrapped| wrapped.recipient.as_str())),
                ours: shown(ours.iter().map(String::as_str)),
                from: self.told.clone(),
            },
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} not shown, {})", self.identities.len(), self.told)
    }
}

fn unwrap(armored: &str, identities: &[Identity]) -> Result<DataKey, String> {
    let told = |error: age::DecryptError| error.to_string();
    let decryptor =
        age::Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).map_err(told)?;
    let identities = identities.iter().map(|identity| identity as &dyn age::Identity);
    let reader = decryptor.decrypt(identities).map_err(told)?;
    let mut found = Zeroizing::new(Vec::with_capacity(LENGTH + 1));
    let longest = LENGTH as u64 + 1;
    reader.take(longest).read_to_end(&mut found).map_err(|error| error.to_string())?;
    let key: [u8; LENGTH] =
        found.as_slice().try_into().map_err(|_| format!("it has not {LENGTH} bytes"))?;
    Ok(Zeroizing::new(key))
}

/// A few public keys, and how many more there are.
fn shown<'a>(recipients: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 3;
    let all: Vec<&str> = recipients.collect();
    let first = all.iter().take(MOST).map(|one| one.chars().take(80).collect::<String>());
    let first = first.collect::<Vec<_>>().join(" and ");
    match all.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
