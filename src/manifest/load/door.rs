//! The one way to files: asks the reader that was given, within bounds, and remembers what was
//! read. It never interprets a file beyond its being text.

use crate::manifest::interpolate::Lookup;
use crate::manifest::{Read, Request, dotenv, paths, yaml};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The most bytes that are read for one stack, all files together.
const MAX_TOTAL_BYTES: usize = 64 << 20;
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

    /// The bytes of `path`, or why not.
    pub(super) fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        self.optional_bytes(path)?.ok_or_else(|| {
            let shown = self.shown(path);
            format!("cannot read {shown}: there is no such file; check its name and place")
        })
    }

    /// The bytes of `path`, nothing if it is not there, or why it cannot be read.
    pub(super) fn optional_bytes(&mut self, path: &Path) -> Result<Option<Vec<u8>>, String> {
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
        self.inputs.insert(path.to_owned());
        Ok(Some(bytes))
    }

    /// The text of `path`, or why not.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, String> {
        let bytes = self.bytes(path)?;
        self.decoded(path, bytes)
    }

    fn decoded(&self, path: &Path, bytes: Vec<u8>) -> Result<String, String> {
        yaml::decode(bytes).map_err(|message| format!("{} {message}", self.shown(path)))
    }

    /// The variables of an env file.
    pub(super) fn variables(
        &mut self,
        path: &Path,
        raw: bool,
        lookup: Lookup<'_>,
    ) -> Result<Vec<(String, String)>, String> {
        let bytes = self.bytes(path)?;
        self.parsed(path, bytes, raw, lookup)
    }

    fn parsed(
        &self,
        path: &Path,
        bytes: Vec<u8>,
        raw: bool,
        lookup: Lookup<'_>,
    ) -> Result<Vec<(String, String)>, String> {
        let text = self.decoded(path, bytes)?;
        let parse = if raw { dotenv::parse_raw } else { dotenv::parse };
        parse(&text, lookup).map_err(|message| format!("{}: {message}", self.shown(path)))
    }

    /// The same for a file that need not be there.
    pub(super) fn optional_variables(
        &mut self,
        path: &Path,
        raw: bool,
        lookup: Lookup<'_>,
    ) -> Result<Vec<(String, String)>, String> {
        match self.optional_bytes(path)? {
            None => Ok(vec![]),
            Some(bytes) => self.parsed(path, bytes, raw, lookup),
        }
    }
}
