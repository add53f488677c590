//! Checks OpenPGP signatures (RFC 9580) against keys that the operator trusts. No IO.

mod standing;

use super::Key;
use super::flaw::Flaw;
use super::signed::{Form, Signed};
use jiff::Timestamp;
use pgp::composed::{Deserializable, DetachedSignature, PublicOrSecret, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, SubpacketData};
use pgp::types::{Duration, KeyDetails, VerifyingKey};
use standing::{Standing, time};

/// How a block of armored keys begins.
const BLOCK: &str = "-----BEGIN PGP ";
/// Where a keybox of gpg says that it is one, and how.
const KEYBOX: (usize, &[u8]) = (8, b"KBXf");

/// The keys in a file: armored blocks one after another, or binary.
pub(super) fn keyring(bytes: &[u8]) -> Result<Vec<SignedPublicKey>, String> {
    if bytes.get(KEYBOX.0..).is_some_and(|rest| rest.starts_with(KEYBOX.1)) {
        return Err("it is a keybox of GnuPG; write the keys with `gpg --export > FILE`".into());
    }
    let mut keys = Vec::new();
    for block in blocks(bytes) {
        let unread = |error| format!("it is no file of `gpg --export`: {error}");
        let (read, _) = PublicOrSecret::from_reader_many(block).map_err(unread)?;
        for key in read {
            match key.map_err(unread)? {
                PublicOrSecret::Public(key) => keys.push(key),
                PublicOrSecret::Secret(_) => {
                    return Err(
                        "it holds a secret key; write the public ones with `gpg --export`".into()
                    );
                }
            }
        }
    }
    if keys.is_empty() { Err("it holds no key".into()) } else { Ok(keys) }
}

/// The armored blocks, or all of it.
fn blocks(bytes: &[u8]) -> Vec<&[u8]> {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains(BLOCK)) else {
        return if bytes.trim_ascii().is_empty() { vec![] } else { vec![bytes] };
    };
    let mut begins: Vec<_> = text.match_indices(BLOCK).map(|(begin, _)| begin).collect();
    begins.push(text.len());
    begins.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

/// The key that signed, one of `keys`; `None`: no keyring is given. A key counts as it was when it
/// signed, by the signature's own time: `now` only ends signatures that have an end.
pub(super) fn signer(
    keys: Option<&[SignedPublicKey]>,
    signed: &Signed,
    now: Timestamp,
) -> Result<Key, Flaw> {
    let signature = read(&signed.signature)?;
    let Some(keys) = keys else {
        return Err(Flaw::NoKeys { key: issuer(&signature), field: "gpg_keyring" });
    };
    let mut found = None;
    for key in keys {
        let primary = Standing::of_primary(key);
        let (judged, named) = (Judged { signature: &signature, signed, now }, named(key));
        let mut outcomes = Vec::new();
        if is_by(&signature, &key.primary_key) {
            outcomes.push(judged.by(&key.primary_key, &[&primary], &named));
        }
        for subkey in key.public_subkeys.iter().filter(|subkey| is_by(&signature, &subkey.key)) {
            let own = Standing::of_subkey(key, subkey);
            outcomes.push(judged.by(&subkey.key, &[&primary, &own], &named));
        }
        for outcome in outcomes {
            match outcome {
                Ok(()) => return Ok(named),
                Err(flaw) => found = found.or(Some(flaw)),
            }
        }
    }
    Err(found.unwrap_or_else(|| Flaw::Unknown(issuer(&signature))))
}

fn read(armored: &str) -> Result<Signature, Flaw> {
    let unreadable = |why: String| Flaw::Unreadable { why };
    let (mut read, _) = DetachedSignature::from_string_many(armored)
        .map_err(|error| unreadable(error.to_string()))?;
    let first = read.next().ok_or_else(|| unreadable("it is empty".into()))?;
    if read.next().is_some() {
        return Err(unreadable("there are several".into()));
    }
    first.map(|read| read.signature).map_err(|error| unreadable(error.to_string()))
}

/// One signature, and what it stands under.
struct Judged<'a> {
    signature: &'a Signature,
    signed: &'a Signed,
    now: Timestamp,
}

impl Judged<'_> {
    /// Whether it is good, made with `part`: a key that holds `standings`, its own last.
    fn by(&self, part: &impl VerifyingKey, standings: &[&Standing], key: &Key) -> Result<(), Flaw> {
        let unfit = |why| Err(Flaw::Unfit { key: key.clone(), why });
        if self.signature.typ() != Some(SignatureType::Binary) {
            return unfit("made a signature of another kind than git's");
        }
        if !self.signature.hash_alg().is_some_and(is_strong) {
            return unfit("used a digest that can be forged, such as SHA-1");
        }
        if self.signature.verify(part, self.signed.payload.as_slice()).is_err() {
            return Err(Flaw::Bad(key.clone()));
        }
        if has_unknown_demands(self.signature) {
            return unfit("demands something of the signature that is not known");
        }
        let Some(at) = self.signature.created() else {
            return unfit("does not say when it signed");
        };
        standings.iter().try_for_each(|standing| standing.holds(time(at), key))?;
        if !standings.last().is_some_and(|own| own.may_sign) {
            return unfit("is not made for signing");
        }
        let valid = self.signature.signature_expiration_time().map_or(0, Duration::as_secs);
        let end = time(at) + std::time::Duration::from_secs(valid.into());
        if valid > 0 && self.now >= end {
            return Err(Flaw::Over { key: key.clone(), end });
        }
        Ok(())
    }
}

fn is_strong(hash: HashAlgorithm) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha224, Sha256, Sha384, Sha512};
    matches!(hash, Sha224 | Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512)
}

/// What is marked as critical and not understood makes a signature invalid (RFC 9580, 5.2.3.7).
fn has_unknown_demands(signature: &Signature) -> bool {
    let unknown = |data: &SubpacketData| {
        use SubpacketData::{Experimental, Notation, Other};
        matches!(data, Experimental(..) | Notation(..) | Other(..))
    };
    let config = signature.config();
    let mut parts = config.into_iter().flat_map(SignatureConfig::hashed_subpackets);
    parts.any(|part| part.is_critical && unknown(&part.data))
}

/// Whether the signature names this key.
fn is_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let (print, id) = (key.fingerprint(), key.legacy_key_id());
    signature.issuer_fingerprint().contains(&&print) || signature.issuer_key_id().contains(&&id)
}

/// The key that a signature names.
fn issuer(signature: &Signature) -> Key {
    let print = signature.issuer_fingerprint().first().map(|print| format!("{print:X}"));
    let id = || signature.issuer_key_id().first().map(hex::encode_upper);
    let fingerprint = print.or_else(id).unwrap_or_else(|| "without a name".into());
    Key { form: Form::Gpg, fingerprint, owner: None }
}

fn named(key: &SignedPublicKey) -> Key {
    let user = key.details.users.first().map(|user| String::from_utf8_lossy(user.id.id()));
    let owner = user.map(|user| user.replace(char::is_control, " "));
    Key { form: Form::Gpg, fingerprint: format!("{:X}", key.fingerprint()), owner }
}
