//! Turns the files of a commit into the stacks that it holds: finds the compose files and loads them.

use super::desired::{Content, Item};
use crate::config::keys_in;
use crate::manifest::{
    self, Diagnostic, Diagnostics, DigestKey, FILE_NAMES, Loaded, Request, Severity,
};
use crate::model::{SourceName, Stack, StackName};
use crate::renderer;
use crate::sops::Keys;
use crate::source::{Files, Found};
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
    /// The file of the keys that open encrypted files.
    pub(super) age_key_file: Option<PathBuf>,
}

/// All stacks that a commit holds, in the order of their directories, and what was in error about it as
/// a whole. `former` knows the names of files that cannot be read now.
pub(super) fn load(
    reading: &Reading,
    source: &SourceName,
    files: &Files<'_>,
    former: &BTreeMap<String, StackName>,
) -> Result<(Content, Vec<String>), String> {
    let root = files.root().join(&reading.path);
    if !files.is_dir(&root) {
        return Err(format!(
            "source {source}: there is no directory {} at {}, or it leads out of the repository; correct \
             `path`",
            reading.path.display(),
            files.revision().short()
        ));
    }
    let discovery = files.discover(&root, &FILE_NAMES);
    let keys = keys_in(reading.age_key_file.as_deref());
    let stacks: Vec<Item> = discovery
        .stacks
        .iter()
        .map(|found| item(stack(reading, &keys, files, found), source, files, former, found))
        .collect();
    // Keys that are away come back without a commit.
    let lacks_keys = reading.age_key_file.is_some() && keys.is_empty();
    let may_pass = files.may_pass()
        || discovery.is_unread
        || lacks_keys && stacks.iter().any(|item| item.stack.is_err());
    let problems: Vec<String> = discovery.problems.iter().map(ToString::to_string).collect();
    let partly = !problems.is_empty();
    let revision = Some(files.revision().clone());
    Ok((Content { revision, stacks, partly, may_pass }, problems))
}

/// The stack `name` as a commit of the past has it, whose first file was `file` then, relative to the
/// checkout. It differs from what [`load`] made of that commit only if the configuration does.
pub(super) fn load_former(
    reading: &Reading,
    files: &Files<'_>,
    name: &StackName,
    file: &str,
) -> Result<Stack, String> {
    let at = files.revision().short();
    let path = files.root().join(file);
    let found = path.parent().and_then(|dir| files.look(dir, &FILE_NAMES));
    let found = found
        .filter(|found| found.files.first() == Some(&path))
        .ok_or_else(|| format!("there is no stack in {file} at {at}"))?;
    let keys = keys_in(reading.age_key_file.as_deref());
    let (stack, _) =
        stack(reading, &keys, files, &found).map_err(|problems| format!("at {at}: {problems}"))?;
    if stack.name == *name {
        Ok(stack)
    } else {
        Err(format!("{file} at {at} is the stack {} and not {name}", stack.name))
    }
}

fn item(
    loaded: Result<(Stack, Vec<String>), Diagnostics>,
    source: &SourceName,
    files: &Files<'_>,
    former: &BTreeMap<String, StackName>,
    found: &Found,
) -> Item {
    let file = found.files.first().unwrap_or(&found.dir);
    let file = file.strip_prefix(files.root()).unwrap_or(file).display().to_string();
    match loaded {
        Ok((stack, warnings)) => {
            for warning in warnings {
                tracing::warn!(stack = %stack.name, source = %source, "{warning}");
            }
            Item { name: stack.name.clone(), file, stack: Ok(Arc::new(stack)) }
        }
        Err(problems) => {
            let known = former.get(&file).cloned();
            let name = known.unwrap_or_else(|| name_after(&found.dir));
            Item { name, file, stack: Err(problems.to_string()) }
        }
    }
}

/// A stack of a commit, and what of it has no effect.
fn stack(
    reading: &Reading,
    keys: &Keys,
    files: &Files<'_>,
    found: &Found,
) -> Result<(Stack, Vec<String>), Diagnostics> {
    let request = Request {
        variables: reading.variables.clone(),
        profiles: reading.profiles.clone(),
        display_root: Some(files.root().to_owned()),
        roots: vec![files.root().to_owned()],
        keys: keys.clone(),
        render: renderer::render,
        ..Request::new(found.files.clone(), reading.digest_key.clone())
    };
    let loaded = manifest::load(&request, &|path| files.read(path));
    if loaded.as_ref().is_err_and(Diagnostics::may_pass) {
        files.note_may_pass();
    }
    let Loaded { mut stack, warnings, .. } = loaded?;
    let refused = |stack: &Stack, problems: Vec<(String, String)>| {
        let problem = |(field, message): (String, String)| {
            Diagnostic::of(stack, Severity::Error, field, &message)
        };
        Diagnostics(problems.into_iter().map(problem).collect())
    };
    let absent = files.absent_mounts(&stack);
    if !absent.is_empty() {
        return Err(refused(&stack, absent));
    }
    let unfollowed = files
        .digest_mounted(&mut stack, &reading.digest_key)
        .map_err(|unread| refused(&stack, unread))?;
    let told =
        |(field, message): &(String, String)| format!("{field}: {}", stack.hidden.without(message));
    let unfollowed = unfollowed.iter().map(told);
    let warnings = warnings.0.iter().map(ToString::to_string).chain(unfollowed).collect();
    Ok((stack, warnings))
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
mod tests;
