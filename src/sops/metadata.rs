//! The `sops` section of a file: for whom its key is wrapped, which values are sealed, and the MAC.

use super::SopsError;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

/// What is needed of the section; the rest is passed over. What is absent is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) age: Vec<Wrapped>,
    kms: Vec<Value>,
    gcp_kms: Vec<Value>,
    azure_kv: Vec<Value>,
    hckms: Vec<Value>,
    hc_vault: Vec<Value>,
    pgp: Vec<Value>,
    key_groups: Vec<Value>,
    /// As it is written: the MAC is bound to it.
    pub(super) lastmodified: String,
    pub(super) mac: String,
    pub(super) mac_only_encrypted: bool,
    pub(super) unencrypted_suffix: String,
    pub(super) encrypted_suffix: String,
    pub(super) unencrypted_regex: String,
    pub(super) encrypted_regex: String,
    unencrypted_comment_regex: String,
    encrypted_comment_regex: String,
    version: String,
}

/// The data key as it is for one recipient.
#[derive(Debug, Deserialize)]
pub(super) struct Wrapped {
    pub(super) recipient: String,
    pub(super) enc: String,
}

impl Metadata {
    /// What `section` says, if it can be opened here at all.
    pub(super) fn read(mut section: Mapping, form: &'static str) -> Result<Self, SopsError> {
        section.retain(|_, value| !value.is_null());
        // Where there are no types it is a text.
        if let Some(flag) = section.get_mut("mac_only_encrypted")
            && let Some(text) = flag.as_str()
        {
            *flag = Value::Bool(text == "true");
        }
        let malformed =
            |error: serde_yaml::Error| SopsError::Malformed { form, cause: error.to_string() };
        let metadata: Self = serde_yaml::from_value(Value::Mapping(section)).map_err(malformed)?;
        metadata.supported()?;
        Ok(metadata)
    }

    fn supported(&self) -> Result<(), SopsError> {
        if !self.version.starts_with("3.") {
            let version = if self.version.is_empty() { "of no version" } else { &self.version };
            return Err(SopsError::Version(version.chars().take(40).collect()));
        }
        for (name, rule) in [
            ("unencrypted_comment_regex", &self.unencrypted_comment_regex),
            ("encrypted_comment_regex", &self.encrypted_comment_regex),
        ] {
            if !rule.is_empty() {
                return Err(SopsError::CommentRule(name));
            }
        }
        if !self.key_groups.is_empty() {
            return Err(SopsError::KeyGroups);
        }
        if self.age.is_empty() {
            return Err(SopsError::NoAge(self.others()));
        }
        Ok(())
    }

    /// The services, other than age, that could open it.
    fn others(&self) -> String {
        let services = [
            ("AWS KMS", &self.kms),
            ("GCP KMS", &self.gcp_kms),
            ("Azure Key Vault", &self.azure_kv),
            ("Huawei Cloud KMS", &self.hckms),
            ("Vault", &self.hc_vault),
            ("PGP", &self.pgp),
        ];
        let named = services.iter().filter(|(_, keys)| !keys.is_empty());
        let named: Vec<&str> = named.map(|(name, _)| *name).collect();
        if named.is_empty() { "nobody".to_owned() } else { named.join(" and ") }
    }
}
