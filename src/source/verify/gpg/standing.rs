//! What an OpenPGP key says of itself: since when, until when and for what it is valid, and whether it is
//! revoked. Only what the key itself signed counts.

use super::super::Key;
use super::super::flaw::Flaw;
use jiff::Timestamp;
use pgp::composed::{SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{RevocationCode, Signature, SignatureConfig, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag};
use std::time::Duration;

/// The validity of a primary key or a subkey.
#[derive(Debug)]
pub(super) struct Standing {
    begin: Timestamp,
    end: Option<Timestamp>,
    /// Whether it may sign content.
    pub(super) may_sign: bool,
    /// Whether the key says anything of it at all.
    is_bound: bool,
    revocation: Option<Revocation>,
}

#[derive(Debug, Clone, Copy)]
enum Revocation {
    /// Whoever has the key may have signed at any time.
    Always,
    /// It was given up at this time; what it signed before stays good.
    From(Timestamp),
}

impl Standing {
    /// Of the primary key, by the newest of its self-signatures, as gpg takes it.
    pub(super) fn of_primary(key: &SignedPublicKey) -> Self {
        let primary = &key.primary_key;
        let direct = key.details.direct_signatures.iter();
        let direct = direct.filter(|it| it.verify_key(primary).is_ok());
        let users = key.details.users.iter();
        let of_users = users.filter_map(|user| {
            let own =
                |it: &&Signature| it.verify_certification(primary, Tag::UserId, &user.id).is_ok();
            let newest = newest(user.signatures.iter().filter(own))?;
            (newest.typ() != Some(SignatureType::CertRevocation)).then_some(newest)
        });
        let revocations = key.details.revocation_signatures.iter();
        let revocations = revocations.filter(|it| it.verify_key(primary).is_ok());
        Self::new(primary, newest(direct.chain(of_users)), revocations)
    }

    /// Of a subkey, by the newest signature that binds it to its primary key. One that may sign must
    /// have signed itself that it belongs there.
    pub(super) fn of_subkey(key: &SignedPublicKey, subkey: &SignedPublicSubKey) -> Self {
        let primary = &key.primary_key;
        let own = |it: &&Signature| it.verify_subkey_binding(primary, &subkey.key).is_ok();
        let is = |it: &Signature, wanted| it.typ() == Some(wanted);
        let signatures = || subkey.signatures.iter().filter(own);
        let binding = newest(signatures().filter(|it| is(it, SignatureType::SubkeyBinding)));
        let revocations = signatures().filter(|it| is(it, SignatureType::SubkeyRevocation));
        let mut standing = Self::new(&subkey.key, binding, revocations);
        let back = binding.and_then(Signature::embedded_signature);
        standing.may_sign &=
            back.is_some_and(|it| it.verify_primary_key_binding(&subkey.key, primary).is_ok());
        standing
    }

    fn new<'k>(
        key: &impl KeyDetails,
        said: Option<&Signature>,
        revocations: impl Iterator<Item = &'k Signature>,
    ) -> Self {
        let begin = time(key.created_at());
        let valid =
            said.and_then(Signature::key_expiration_time).map_or(0, pgp::types::Duration::as_secs);
        Self {
            begin,
            end: (valid > 0).then(|| begin + Duration::from_secs(valid.into())),
            may_sign: said.is_some_and(may_sign),
            is_bound: said.is_some(),
            revocation: revocations.map(revocation).reduce(Revocation::or),
        }
    }

    /// Whether it is valid at `at`; `key` is for the error.
    pub(super) fn holds(&self, at: Timestamp, key: &Key) -> Result<(), Flaw> {
        let key = || key.clone();
        if !self.is_bound {
            return Err(Flaw::Unfit { key: key(), why: "does not say itself what it is for" });
        }
        let is_revoked = match self.revocation {
            None => false,
            Some(Revocation::Always) => true,
            Some(Revocation::From(begin)) => at >= begin,
        };
        if is_revoked {
            return Err(Flaw::Revoked(key()));
        }
        match self.end {
            _ if at < self.begin => Err(Flaw::Early { key: key(), at, begin: self.begin }),
            Some(end) if at >= end => Err(Flaw::Expired { key: key(), at, end }),
            _ => Ok(()),
        }
    }
}

impl Revocation {
    /// Both.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::From(one), Self::From(two)) => Self::From(one.min(two)),
            _ => Self::Always,
        }
    }
}

/// A key that was superseded or retired was good before; anything else may have been in wrong hands
/// (RFC 9580, 5.2.3.31).
fn revocation(signature: &Signature) -> Revocation {
    match (signature.revocation_reason_code(), signature.created()) {
        (Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired), Some(at)) => {
            Revocation::From(time(at))
        }
        _ => Revocation::Always,
    }
}

/// Old keys do not say what they are for, and may do what their algorithm can.
fn may_sign(said: &Signature) -> bool {
    let is_flags = |data: &SubpacketData| matches!(data, SubpacketData::KeyFlags(_));
    let mut parts = said.config().into_iter().flat_map(SignatureConfig::hashed_subpackets);
    !parts.any(|part| is_flags(&part.data)) || said.key_flags().sign()
}

fn newest<'k>(signatures: impl Iterator<Item = &'k Signature>) -> Option<&'k Signature> {
    signatures.max_by_key(|signature| signature.created())
}

/// The moment in the project's own terms.
pub(super) fn time(at: pgp::types::Timestamp) -> Timestamp {
    let at = Timestamp::from_second(at.as_secs().into());
    at.expect("32 bits of seconds are within the range of times")
}
