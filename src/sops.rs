//! Opens files that sops encrypted: bytes and keys to plain bytes, in memory. It knows no disk, and
//! gives nothing of a file whose MAC does not match.
//!
//! A file holds a data key of its own, wrapped for each recipient; every value is sealed with it, bound
//! to the names of the keys that lead to it; and a MAC over all values tells whether the file is whole.

mod dotenv;
mod error;
mod form;
mod keys;
mod metadata;
mod opening;
mod rule;
mod sealed;
mod tree;
mod yaml;

pub use error::SopsError;
pub use keys::Keys;

use form::Form;

/// Whether sops encrypted `file`, and it is whole enough to tell.
pub fn is_sealed(file: &[u8]) -> bool {
    matches!(form::of(file, ""), Ok(Some(_)))
}

/// What `file` holds, if sops encrypted it; `None` if it did not. `name` is the file's name, by whose
/// ending sops itself tells JSON from a file of bytes.
///
/// YAML and JSON come with the same values and not the same bytes as from `sops decrypt`: comments are
/// left out, and texts are quoted. What is plain the same is the same bytes, however it was encrypted.
pub fn open(file: &[u8], name: &str, keys: &Keys) -> Result<Option<Vec<u8>>, SopsError> {
    let Some(form) = form::of(file, name)? else { return Ok(None) };
    match form {
        Form::Yaml => tree::open_yaml(file, keys),
        Form::Json => tree::open_json(file, keys),
        Form::Bytes => tree::open_bytes(file, keys),
        Form::Dotenv => dotenv::open(file, keys),
    }
    .map(Some)
}

#[cfg(test)]
mod tests;
