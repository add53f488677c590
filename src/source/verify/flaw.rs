//! Why a revision does not count as signed.

use super::Key;
use jiff::Timestamp;

/// Why a commit or tag does not count as signed by somebody who is known. What comes from the repository
/// is shown only where it cannot mislead: a fingerprint, a name in quotes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// There is no signature.
    #[error("it is not signed")]
    Unsigned,
    /// The reference that is followed is no tag.
    #[error("it is no tag; follow one with `tag:` or `semver:`")]
    NoTag,
    /// A lightweight tag holds nothing that could be signed.
    #[error("it is a lightweight tag, which cannot be signed; make it with `git tag -s`")]
    NotAnnotated,
    /// A signed tag under another name than it was made with.
    #[error("what is there was signed as the tag {named:?}")]
    OtherTag {
        /// The name that is signed.
        named: String,
    },
    /// A good signature, perhaps, by a key that is in no file.
    #[error("it is signed with {0}, which is not known")]
    Unknown(Key),
    /// Signed with SSH while only OpenPGP keys are given, or the other way.
    #[error("it is signed with {key}, and no `{field}` is set")]
    NoKeys {
        /// The key that is named.
        key: Key,
        /// The key of the configuration.
        field: &'static str,
    },
    /// The signature is not one of this content.
    #[error(
        "the signature with {0} does not fit the content, which was changed or signed otherwise"
    )]
    Bad(Key),
    /// An SSH signature that was made for something else than git.
    #[error("it is signed with {key} for {namespace:?} instead of \"git\"")]
    Namespace {
        /// The key.
        key: Key,
        /// What the signature is for.
        namespace: String,
    },
    /// The file does not allow the key to sign for git.
    #[error("it is signed with {0}, whose `namespaces` do not allow \"git\"")]
    NotForGit(Key),
    /// Signed after the key had ended.
    #[error("it is signed at {at} with {key}, which was valid until {end}")]
    Expired {
        /// The key.
        key: Key,
        /// When it was signed.
        at: Timestamp,
        /// When the key ended.
        end: Timestamp,
    },
    /// Signed before the key began.
    #[error("it is signed at {at} with {key}, which is valid from {begin} on")]
    Early {
        /// The key.
        key: Key,
        /// When it was signed.
        at: Timestamp,
        /// When the key begins.
        begin: Timestamp,
    },
    /// The key was revoked.
    #[error("it is signed with {0}, which is revoked")]
    Revoked(Key),
    /// The signature itself has an end, which has passed.
    #[error("the signature with {key} was valid until {end}")]
    Over {
        /// The key.
        key: Key,
        /// When it ended.
        end: Timestamp,
    },
    /// The key is not to be used so.
    #[error("it is signed with {key}, which {why}")]
    Unfit {
        /// The key.
        key: Key,
        /// Why not.
        why: &'static str,
    },
    /// A signature of a kind that cannot be checked.
    #[error("its signature cannot be checked: {why}")]
    Unreadable {
        /// Why.
        why: String,
    },
    /// More than is read.
    #[error("it has more than the {limit} bytes that are read")]
    TooLarge {
        /// Bytes.
        limit: usize,
    },
}
