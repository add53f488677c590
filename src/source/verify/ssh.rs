//! Checks SSH signatures (OpenSSH's PROTOCOL.sshsig). No IO.

use super::Key;
use super::flaw::Flaw;
use super::signed::{Form, Signed};
use super::signers::Allowed;
use ssh_key::{HashAlg, PublicKey, SshSig};

/// What git signs for.
const NAMESPACE: &str = "git";

/// The key that signed, one of `allowed`; `None`: no file of SSH keys is given. A key that stands there
/// several times is good if one of its lines allows it, at the time that the object gives itself.
pub(super) fn signer(allowed: Option<&[Allowed]>, signed: &Signed) -> Result<Key, Flaw> {
    let signature = SshSig::from_pem(&signed.signature)
        .map_err(|error| Flaw::Unreadable { why: error.to_string() })?;
    let by = PublicKey::from(signature.public_key().clone());
    let fingerprint = by.fingerprint(HashAlg::Sha256).to_string();
    let named = |owner| Key { form: Form::Ssh, fingerprint: fingerprint.clone(), owner };
    let Some(allowed) = allowed else {
        return Err(Flaw::NoKeys { key: named(None), field: "allowed_signers" });
    };
    let lines = || allowed.iter().filter(|line| line.key == *signature.public_key());
    let Some(first) = lines().next() else { return Err(Flaw::Unknown(named(None))) };
    let key = named(Some(first.principals.clone()));
    if signature.namespace() != NAMESPACE {
        let namespace = signature.namespace().chars().take(40).collect();
        return Err(Flaw::Namespace { key, namespace });
    }
    if by.verify(NAMESPACE, &signed.payload, &signature).is_err() {
        return Err(Flaw::Bad(key));
    }
    let judged = lines().map(|line| permits(line, signed, named(Some(line.principals.clone()))));
    let mut judged = judged.collect::<Vec<_>>();
    let good = judged.iter().position(Result::is_ok).unwrap_or_default();
    judged.swap_remove(good)
}

/// Whether a line allows its key to sign this.
fn permits(line: &Allowed, signed: &Signed, key: Key) -> Result<Key, Flaw> {
    let (at, options) = (signed.at, &line.options);
    if !options.allows(NAMESPACE) {
        return Err(Flaw::NotForGit(key));
    }
    match (options.after, options.before) {
        (Some(begin), _) if at < begin => Err(Flaw::Early { key, at, begin }),
        (_, Some(end)) if at > end => Err(Flaw::Expired { key, at, end }),
        _ => Ok(key),
    }
}
