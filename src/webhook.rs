//! Whether a webhook comes from who knows the secret, by the headers that each provider signs with.
//! What it says is not read: it only means that its source may have moved.

use crate::model::Sensitive;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Who a webhook's headers say it is from. A claim only: what counts is the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// <https://docs.github.com/webhooks>: `X-Hub-Signature-256: sha256=HEX`.
    GitHub,
    /// <https://docs.gitlab.com/user/project/integrations/webhooks>: `X-Gitlab-Token: SECRET`.
    GitLab,
    /// `X-Gitea-Signature: HEX`.
    Gitea,
    /// `X-Forgejo-Signature: HEX`.
    Forgejo,
    /// `X-Gogs-Signature: HEX`.
    Gogs,
    /// Cloud and Data Center: `X-Hub-Signature: sha256=HEX`.
    Bitbucket,
    /// Anything else: `X-Signature: sha256=HEX`, an HMAC with SHA-256 of the body.
    Generic,
}

/// How a header carries its proof.
#[derive(Clone, Copy)]
enum Proof {
    /// The HMAC with SHA-256 of the body, in hexadecimal, after this beginning.
    Hmac(&'static str),
    /// The secret itself.
    Token,
}

impl Provider {
    /// All of them, in the order in which their headers are looked for: Forgejo sends Gitea's, Gogs'
    /// and GitHub's headers beside its own, Gitea the last two.
    pub const ALL: [Self; 7] = [
        Self::Forgejo,
        Self::Gitea,
        Self::Gogs,
        Self::GitLab,
        Self::GitHub,
        Self::Bitbucket,
        Self::Generic,
    ];

    /// Its name in metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Gogs => "gogs",
            Self::Bitbucket => "bitbucket",
            Self::Generic => "generic",
        }
    }

    fn header(self) -> (&'static str, Proof) {
        match self {
            Self::GitHub => ("x-hub-signature-256", Proof::Hmac("sha256=")),
            Self::GitLab => ("x-gitlab-token", Proof::Token),
            Self::Gitea => ("x-gitea-signature", Proof::Hmac("")),
            Self::Forgejo => ("x-forgejo-signature", Proof::Hmac("")),
            Self::Gogs => ("x-gogs-signature", Proof::Hmac("")),
            Self::Bitbucket => ("x-hub-signature", Proof::Hmac("sha256=")),
            Self::Generic => ("x-signature", Proof::Hmac("sha256=")),
        }
    }
}

/// A webhook whose headers carry a proof that was not looked at yet.
#[derive(Debug)]
pub struct Claim {
    /// Who it says it is from.
    pub provider: Provider,
    proof: Vec<u8>,
}

/// How a webhook was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its source is fetched.
    Accepted,
    /// It is not signed, or with another secret.
    Unauthorized,
    /// Its body is too large, or did not come in time.
    Unread,
    /// Too many at once, or the secret cannot be read.
    Unavailable,
}

impl Answer {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Accepted, Self::Unauthorized, Self::Unread, Self::Unavailable];

    /// Its name in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unauthorized => "unauthorized",
            Self::Unread => "unread",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why a webhook is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No provider's header.
    #[error(
        "it is not signed: none of X-Forgejo-Signature, X-Gitea-Signature, X-Gogs-Signature, \
         X-Gitlab-Token, X-Hub-Signature-256, X-Hub-Signature and X-Signature is there; set a secret \
         where the webhook is defined"
    )]
    Unsigned,
    /// Not by who knows the secret.
    #[error("it is signed with another secret; set the same one where the webhook is defined")]
    Forged,
}

impl Claim {
    /// What a webhook claims. `header` gives the value of a header by its name in small letters.
    pub fn of<'h>(header: impl Fn(&str) -> Option<&'h [u8]>) -> Result<Self, Rejection> {
        let mut found = Provider::ALL.into_iter().filter_map(|provider| {
            let proof = header(provider.header().0)?.to_vec();
            Some(Self { provider, proof })
        });
        found.next().ok_or(Rejection::Unsigned)
    }

    /// Whether `body` was sent by who knows `secret`. It takes as long for a wrong proof as for a right
    /// one.
    pub fn verify(&self, body: &[u8], secret: &Sensitive<String>) -> Result<(), Rejection> {
        let secret = secret.expose().as_bytes();
        // With an empty secret anybody could sign.
        let holds = !secret.is_empty()
            && match self.provider.header().1 {
                Proof::Token => is_equal(&self.proof, secret),
                Proof::Hmac(beginning) => self.signs(beginning, body, secret),
            };
        if holds { Ok(()) } else { Err(Rejection::Forged) }
    }

    fn signs(&self, beginning: &str, body: &[u8], secret: &[u8]) -> bool {
        let hexadecimal = self.proof.strip_prefix(beginning.as_bytes());
        let Some(signature) = hexadecimal.and_then(|text| hex::decode(text).ok()) else {
            return false;
        };
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret)
            .expect("a key of any length makes an HMAC");
        mac.update(body);
        mac.verify_slice(&signature).is_ok()
    }
}

/// In a time that depends on neither text's content.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).ct_eq(&Sha256::digest(other)).into()
}

#[cfg(test)]
mod tests;
