//! Which values of a file are sealed, by the keys that lead to them.

use super::SopsError;
use super::metadata::Metadata;
use regex::Regex;

/// The rule of one file. Where a file has several, the later prevails, as in sops.
pub(super) struct Rule {
    unencrypted_suffix: String,
    encrypted_suffix: String,
    unencrypted_regex: Option<Regex>,
    encrypted_regex: Option<Regex>,
}

impl Rule {
    pub(super) fn of(metadata: &Metadata) -> Result<Self, SopsError> {
        Ok(Self {
            unencrypted_suffix: metadata.unencrypted_suffix.clone(),
            encrypted_suffix: metadata.encrypted_suffix.clone(),
            unencrypted_regex: pattern("unencrypted_regex", &metadata.unencrypted_regex)?,
            encrypted_regex: pattern("encrypted_regex", &metadata.encrypted_regex)?,
        })
    }

    /// Whether what stands under the keys of `path` is sealed.
    pub(super) fn seals(&self, path: &[String]) -> bool {
        let any = |is: &dyn Fn(&str) -> bool| path.iter().any(|key| is(key));
        let mut sealed = true;
        if !self.unencrypted_suffix.is_empty() {
            sealed = !any(&|key| key.ends_with(&self.unencrypted_suffix));
        }
        if !self.encrypted_suffix.is_empty() {
            sealed = any(&|key| key.ends_with(&self.encrypted_suffix));
        }
        if let Some(regex) = &self.unencrypted_regex {
            sealed &= !any(&|key| regex.is_match(key));
        }
        if let Some(regex) = &self.encrypted_regex {
            sealed = any(&|key| regex.is_match(key));
        }
        sealed
    }
}

fn pattern(rule: &'static str, text: &str) -> Result<Option<Regex>, SopsError> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |error: regex::Error| {
        let cause = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        SopsError::Rule { rule, cause }
    };
    Regex::new(text).map(Some).map_err(wrong)
}
