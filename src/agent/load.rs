//! Turns a checkout into the stacks that it holds: finds the compose files and loads them.

use super::desired::{Content, Item};
use crate::manifest::{self, DigestKey, FILE_NAMES, Request};
use crate::model::{SourceName, StackName};
use crate::source::{self, Checkout};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a source's stacks are read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The directory below the checkout that holds the stacks.
    pub(super) path: PathBuf,
    /// Variables for interpolation.
    pub(super) variables: BTreeMap<String, String>,
    /// Profiles that are switched on.
    pub(super) profiles: BTreeSet<String>,
    /// The key of contents' digests.
    pub(super) digest_key: DigestKey,
}

/// All stacks in a checkout, in the order of their directories, and what was in error about the
/// checkout as a whole. `former` knows the names of files that cannot be read now.
pub(super) fn load(
    reading: &Reading,
    source: &SourceName,
    checkout: &Checkout,
    former: &BTreeMap<String, StackName>,
) -> Result<(Content, Vec<String>), String> {
    let root = checkout.root.join(&reading.path);
    if !root.is_dir() {
        return Err(format!(
            "source {source}: there is no directory {} at {}; correct `path`",
            reading.path.display(),
            checkout.revision.short()
        ));
    }
    let discovery = source::discover(&root, &FILE_NAMES);
    let stacks = discovery
        .stacks
        .iter()
        .map(|found| item(reading, source, checkout, former, &found.dir, &found.files))
        .collect();
    let problems: Vec<String> = discovery.problems.iter().map(ToString::to_string).collect();
    let partly = !problems.is_empty();
    Ok((Content { revision: Some(checkout.revision.clone()), stacks, partly }, problems))
}

fn item(
    reading: &Reading,
    source: &SourceName,
    checkout: &Checkout,
    former: &BTreeMap<String, StackName>,
    dir: &Path,
    files: &[PathBuf],
) -> Item {
    let file = files.first().map_or(dir, PathBuf::as_path);
    let file = file.strip_prefix(&checkout.root).unwrap_or(file).display().to_string();
    let request = Request {
        variables: reading.variables.clone(),
        profiles: reading.profiles.clone(),
        display_root: Some(checkout.root.clone()),
        roots: vec![checkout.root.clone()],
        ..Request::new(files.to_vec(), reading.digest_key.clone())
    };
    match manifest::load(&request, &|path| source::read_within(&request.roots, path)) {
        Ok(mut loaded) => {
            let stack = &mut loaded.stack;
            for warning in &loaded.warnings.0 {
                tracing::warn!(stack = %stack.name, source = %source, "{warning}");
            }
            let unfollowed = source::digest_mounted(stack, &request.roots, &reading.digest_key);
            for (field, message) in unfollowed {
                tracing::warn!(stack = %stack.name, source = %source, "{field}: {message}");
            }
            Item { name: loaded.stack.name.clone(), file, stack: Ok(Arc::new(loaded.stack)) }
        }
        Err(problems) => {
            let known = former.get(&file).cloned();
            let name = known.unwrap_or_else(|| name_after(dir));
            Item { name, file, stack: Err(problems.to_string()) }
        }
    }
}

/// The name that a directory gives to a stack (specification, "Name top-level element").
fn name_after(dir: &Path) -> StackName {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let kept: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let name = kept.trim_start_matches(['-', '_']);
    let name = if name.is_empty() { "unnamed" } else { name };
    StackName::new(name).expect("only permitted characters are left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_name_as_compose_does() {
        for (dir, name) in
            [("/r/My App", "myapp"), ("/r/a.b", "ab"), ("/r/_-x", "x"), ("/", "unnamed")]
        {
            assert_eq!(name_after(Path::new(dir)).as_str(), name);
        }
    }
}
