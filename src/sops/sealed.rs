//! One sealed value: `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]`.

use super::keys::DataKey;
use aes_gcm::aead::consts::U32;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{AesGcm, aes::Aes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// AES-256-GCM with the 32 bytes of nonce that sops makes.
type Cipher = AesGcm<Aes256, U32>;

const NOT_SEALED: &str = "is not encrypted, and the file says that it is: it was edited by hand";
const DAMAGED: &str = "cannot be decrypted: it was edited, moved or damaged";

/// What a value was before it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text, or bytes.
    Text,
    Int,
    Float,
    Bool,
    /// A timestamp of YAML's.
    Time,
    Comment,
}

/// An opened value.
pub(super) struct Opened {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

/// Opens `text`, which is bound to `place`: the keys that lead to it, each with a colon after it. An
/// empty text is sealed as such. The error says what is wrong with the value.
pub(super) fn open(text: &str, key: &DataKey, place: &str) -> Result<Opened, &'static str> {
    if text.is_empty() {
        return Ok(Opened { kind: Kind::Text, bytes: vec![] });
    }
    let parts = text.strip_prefix("ENC[AES256_GCM,").and_then(|text| text.strip_suffix(']'));
    let parts = parts.ok_or(NOT_SEALED)?;
    let part = |name: &str| {
        let mut parts = parts.split(',').filter_map(|part| part.split_once(':'));
        parts.find(|(found, _)| *found == name).map(|(_, value)| value).ok_or(DAMAGED)
    };
    let bytes = |name: &str| STANDARD.decode(part(name)?).map_err(|_| DAMAGED);
    let kind = kind(part("type")?)?;
    let (mut message, nonce, tag) = (bytes("data")?, bytes("iv")?, bytes("tag")?);
    if nonce.len() != 32 || tag.len() != 16 {
        return Err(DAMAGED);
    }
    message.extend(tag);
    let cipher = Cipher::new(GenericArray::from_slice(&key[..]));
    let payload = Payload { msg: &message, aad: place.as_bytes() };
    let bytes = cipher.decrypt(GenericArray::from_slice(&nonce), payload).map_err(|_| DAMAGED)?;
    Ok(Opened { kind, bytes })
}

fn kind(name: &str) -> Result<Kind, &'static str> {
    match name {
        "str" | "bytes" => Ok(Kind::Text),
        "int" => Ok(Kind::Int),
        "float" => Ok(Kind::Float),
        "bool" => Ok(Kind::Bool),
        "time" => Ok(Kind::Time),
        "comment" => Ok(Kind::Comment),
        _ => Err("is encrypted as a type that is not known"),
    }
}
