//! Tells from what a file holds whether sops encrypted it, and in which form.

use super::SopsError;

/// How every sealed value begins, that of the MAC among them.
const SEALED: &[u8] = b"ENC[AES256_GCM,";

/// A form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Yaml,
    Json,
    /// Any bytes as the one value of a JSON file.
    Bytes,
    Dotenv,
}

/// The form of a file that sops encrypted.
pub(super) fn of(file: &[u8], name: &str) -> Result<Option<Form>, SopsError> {
    if !file.windows(SEALED.len()).any(|window| window == SEALED) {
        return Ok(None);
    }
    let begins = |start: &[u8]| file.split(|byte| *byte == b'\n').any(|it| it.starts_with(start));
    if file.trim_ascii_start().starts_with(b"{") {
        let of_json = name.to_ascii_lowercase().ends_with(".json");
        return Ok(Some(if of_json { Form::Json } else { Form::Bytes }));
    }
    if begins(b"sops_") {
        return Ok(Some(Form::Dotenv));
    }
    if begins(b"[sops]") {
        return Err(SopsError::Ini);
    }
    if begins(b"sops:") { Ok(Some(Form::Yaml)) } else { Err(SopsError::Torn) }
}
