//! Whether a revision is signed by somebody who is known. It reads key files and objects of a clone; what
//! it finds in them is decided from their bytes alone.

mod flaw;
mod gpg;
mod signed;
mod signers;
mod ssh;

pub use flaw::Flaw;

use super::error::Fault;
use super::location::Reference;
use super::select::version_of;
use crate::model::Revision;
use git2::{ObjectType, Oid, Repository};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgp::composed::SignedPublicKey;
use serde::Deserialize;
use signed::{Form, Signed};
use signers::Allowed;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most of a commit or tag that is read, in bytes: they hold a message, not files.
const OBJECT: usize = 1 << 20;
/// Most of a file with keys, in bytes.
const KEYS: u64 = 4 << 20;

/// What of a revision must be signed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// What must be signed.
    pub mode: VerifyMode,
    /// A file of SSH keys in the form of ssh-keygen(1), "ALLOWED SIGNERS".
    pub allowed_signers: Option<PathBuf>,
    /// A file of OpenPGP keys as `gpg --export` writes it, armored or not.
    pub gpg_keyring: Option<PathBuf>,
}

/// What must be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyMode {
    /// The commit.
    #[default]
    Head,
    /// The annotated tag that is followed.
    Tag,
    /// Both.
    TagAndHead,
}

/// By whom a revision is signed, as far as that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed the commit.
    pub commit: Option<Key>,
    /// The key that signed the tag.
    pub tag: Option<Key>,
}

/// A key that signed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    form: Form,
    /// `SHA256:...` of an SSH key; hexadecimal, of the primary key, for OpenPGP.
    fingerprint: String,
    /// Whose it is, as the file of keys says.
    owner: Option<String>,
}

/// What the files hold.
struct Keys {
    ssh: Option<Vec<Allowed>>,
    gpg: Option<Vec<SignedPublicKey>>,
}

impl Verify {
    /// Whether the files can be read and hold keys.
    pub fn check_files(&self) -> Result<(), Fault> {
        self.keys().map(drop)
    }

    /// By whom `commit` is signed, and `object`, the tag that leads to it: under the name that `reference`
    /// has, or with one of its versions. Reads the files anew, so that keys can be exchanged.
    pub(super) fn judge(
        &self,
        repository: &Repository,
        reference: &Reference,
        object: Oid,
        commit: Oid,
    ) -> Result<Verified, Fault> {
        let keys = self.keys()?;
        let now = Timestamp::now();
        let of_tag = || {
            let fits: Box<dyn Fn(&str) -> bool> = match reference {
                Reference::Tag(name) => Box::new(move |named| named == name),
                Reference::Semver(range) => Box::new(move |named| {
                    version_of(named).is_some_and(|version| range.matches(&version))
                }),
                _ => return Err(Flaw::NoTag),
            };
            let bytes = read(repository, object, ObjectType::Tag)?.ok_or(Flaw::NotAnnotated)?;
            let (named, signed) = signed::tag(&bytes)?;
            if !fits(&named) {
                return Err(Flaw::OtherTag { named });
            }
            keys.signer(&signed, now)
        };
        let of_commit = || {
            let bytes = read(repository, commit, ObjectType::Commit)?.ok_or(Flaw::Unsigned)?;
            keys.signer(&signed::commit(&bytes)?, now)
        };
        let unverified =
            |what: String| move |flaw| Fault::Unverified { what, flaw: Box::new(flaw) };
        let tag = self.mode != VerifyMode::Head;
        let tag = tag.then(of_tag).transpose().map_err(unverified(reference.to_string()))?;
        let head = self.mode != VerifyMode::Tag;
        let what = format!("commit {}", Revision(commit.to_string()).short());
        let commit = head.then(of_commit).transpose().map_err(unverified(what))?;
        Ok(Verified { commit, tag })
    }

    fn keys(&self) -> Result<Keys, Fault> {
        let ssh = self.allowed_signers.as_deref().map(|path| {
            let text = String::from_utf8(bytes_of(path)?);
            let text = text.map_err(|_| unusable(path, "it is no text"))?;
            signers::parse(&text, &TimeZone::system()).map_err(|what| unusable(path, what))
        });
        let gpg = self
            .gpg_keyring
            .as_deref()
            .map(|path| gpg::keyring(&bytes_of(path)?).map_err(|what| unusable(path, what)));
        Ok(Keys { ssh: ssh.transpose()?, gpg: gpg.transpose()? })
    }
}

impl Keys {
    fn signer(&self, signed: &Signed, now: Timestamp) -> Result<Key, Flaw> {
        match signed.form {
            Form::Ssh => ssh::signer(self.ssh.as_deref(), signed),
            Form::Gpg => gpg::signer(self.gpg.as_deref(), signed, now),
        }
    }
}

/// The bytes of an object; `None` where it is of another type.
fn read(repository: &Repository, id: Oid, wanted: ObjectType) -> Result<Option<Vec<u8>>, Flaw> {
    let failed = |error: git2::Error| Flaw::Unreadable { why: error.message().to_owned() };
    let odb = repository.odb().map_err(failed)?;
    let (size, found) = odb.read_header(id).map_err(failed)?;
    if found != wanted {
        return Ok(None);
    }
    if size > OBJECT {
        return Err(Flaw::TooLarge { limit: OBJECT });
    }
    odb.read(id).map(|object| Some(object.data().to_owned())).map_err(failed)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(KEYS + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(unusable(path, format!("{error}; create it or name another file"))),
        Ok(length) if length as u64 > KEYS => {
            Err(unusable(path, format!("it has more than {KEYS} bytes")))
        }
        Ok(_) => Ok(bytes),
    }
}

fn unusable(path: &Path, what: impl Into<String>) -> Fault {
    Fault::Keys { path: path.display().to_string(), what: what.into() }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |what: &str, key: &Option<Key>| {
            key.as_ref().map(|key| format!("{what} signed with {key}"))
        };
        let parts = [of("tag", &self.tag), of("commit", &self.commit)];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Ssh => "SSH",
            Form::Gpg => "GPG",
        };
        write!(f, "{form} key {}", self.fingerprint)?;
        match &self.owner {
            Some(owner) => write!(f, " ({owner})"),
            None => Ok(()),
        }
    }
}
