//! The one way to files: asks the reader that was given, within bounds, and remembers what was
//! read. Files that sops encrypted are opened here and nowhere else. It never interprets a file beyond
//! its being text.

use crate::manifest::interpolate::Lookup;
use crate::manifest::{Content, Read, Request, dotenv, paths, yaml};
use crate::model::Hidden;
use crate::sops;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The most bytes that are read for one stack, all files together.
const MAX_TOTAL_BYTES: usize = 64 << 20;
/// How a file begins that stands for one elsewhere (git-lfs' docs/spec.md).
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// The most files that are read for one stack; one that is read twice counts twice.
const MAX_FILES: usize = 2000;

pub(super) struct Door<'a> {
    request: &'a Request,
    read: Read<'a>,
    /// Every file that was read.
    pub(super) inputs: BTreeSet<PathBuf>,
    bytes: usize,
    files: usize,
}

impl<'a> Door<'a> {
    pub(super) fn new(request: &'a Request, read: Read<'a>) -> Self {
        Self { request, read, inputs: BTreeSet::new(), bytes: 0, files: 0 }
    }

    /// `path` as it is shown to people.
    pub(super) fn shown(&self, path: &Path) -> String {
        let root = self.request.display_root.as_deref();
        let shown = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(path);
        shown.to_string_lossy().into_owned()
    }

    /// What the config or secret in `path` holds, or why that is not known.
    pub(super) fn content(&mut self, path: &Path) -> Result<Content, String> {
        let bytes = self.bytes(path)?;
        self.opened(path, bytes)
    }

    /// What is in the file that holds `bytes`.
    fn opened(&self, path: &Path, bytes: Vec<u8>) -> Result<Content, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match sops::open(&bytes, &name, &self.request.keys) {
            Ok(None) => Ok(Content { bytes, sealed: false }),
            Ok(Some(bytes)) => Ok(Content { bytes, sealed: true }),
            Err(error) => Err(format!("cannot open {}: it {error}", self.shown(path))),
        }
    }

    /// The bytes of `path`, or why not.
    fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        self.optional_bytes(path)?.ok_or_else(|| {
            let shown = self.shown(path);
            format!("cannot read {shown}: there is no such file; check its name and place")
        })
    }

    /// The bytes of `path`, nothing if it is not there, or why it cannot be read.
    fn optional_bytes(&mut self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let cleaned = paths::clean(path);
        let path = cleaned.as_path();
        let shown = self.shown(path);
        let roots = &self.request.roots;
        if !roots.is_empty() && !roots.iter().any(|root| path.starts_with(root)) {
            let message = "it leaves the repository, and nothing outside is read";
            return Err(format!("cannot read {shown}: {message}"));
        }
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(format!("cannot read {shown}: one stack may read {MAX_FILES} files"));
        }
        let bytes = match (self.read)(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {shown}: {error}")),
        };
        self.bytes += bytes.len();
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(format!(
                "cannot read {shown}: the files of one stack may have {MAX_TOTAL_BYTES} bytes"
            ));
        }
        if bytes.starts_with(LFS_POINTER) {
            return Err(format!(
                "cannot read {shown}: it is a pointer of Git LFS, and what it stands for is not fetched; \
                 store the file in git itself (`git lfs untrack`, `git add --renormalize`)"
            ));
        }
        self.inputs.insert(path.to_owned());
        Ok(Some(bytes))
    }

    /// The text of the compose file `path`, or why not.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, String> {
        let bytes = self.bytes(path)?;
        if sops::is_sealed(&bytes) {
            return Err(format!(
                "cannot read {}: sops encrypted it, and a compose file is read as it is; encrypt the \
                 files that it names instead",
                self.shown(path)
            ));
        }
        self.decoded(path, bytes)
    }

    /// The text of a template, nothing if there is none, or why it cannot be read.
    pub(super) fn optional_text(&mut self, path: &Path) -> Result<Option<String>, String> {
        let bytes = self.optional_bytes(path)?;
        bytes.map(|bytes| self.decoded(path, bytes)).transpose()
    }

    /// The text of a file of values, and whether it is encrypted.
    pub(super) fn values(&mut self, path: &Path) -> Result<(String, bool), String> {
        let Content { bytes, sealed } = self.content(path)?;
        Ok((self.decoded(path, bytes)?, sealed))
    }

    fn decoded(&self, path: &Path, bytes: Vec<u8>) -> Result<String, String> {
        yaml::decode(bytes).map_err(|message| format!("{} {message}", self.shown(path)))
    }

    /// The variables of an env file. The values of one that is encrypted come into `hidden`, too.
    pub(super) fn variables(
        &mut self,
        path: &Path,
        raw: bool,
        lookup: Lookup<'_>,
        hidden: &mut Hidden,
    ) -> Result<Vec<(String, String)>, String> {
        let bytes = self.bytes(path)?;
        self.parsed(path, bytes, raw, lookup, hidden)
    }

    fn parsed(
        &self,
        path: &Path,
        bytes: Vec<u8>,
        raw: bool,
        lookup: Lookup<'_>,
        hidden: &mut Hidden,
    ) -> Result<Vec<(String, String)>, String> {
        let Content { bytes, sealed } = self.opened(path, bytes)?;
        let text = self.decoded(path, bytes)?;
        let parse = if raw { dotenv::parse_raw } else { dotenv::parse };
        let variables = parse(&text, lookup).map_err(|message| {
            let message = if sealed { without_text(&message) } else { message };
            format!("{}: {message}", self.shown(path))
        })?;
        for (_, value) in variables.iter().filter(|_| sealed) {
            hidden.add(value).map_err(|message| format!("{}: {message}", self.shown(path)))?;
        }
        Ok(variables)
    }

    /// The same for a file that need not be there.
    pub(super) fn optional_variables(
        &mut self,
        path: &Path,
        raw: bool,
        lookup: Lookup<'_>,
        hidden: &mut Hidden,
    ) -> Result<Vec<(String, String)>, String> {
        match self.optional_bytes(path)? {
            None => Ok(vec![]),
            Some(bytes) => self.parsed(path, bytes, raw, lookup, hidden),
        }
    }
}

/// What of a message about an encrypted file has nothing of its text: the line.
fn without_text(message: &str) -> String {
    let line = message.split(':').next().unwrap_or_default();
    format!("{line} is no variable that can be read; the file is encrypted, so it is not shown")
}
