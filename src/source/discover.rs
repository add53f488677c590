//! Finds the directories of a checkout that hold a stack.

use std::fmt;
use std::path::{Path, PathBuf};

/// How deep directories are looked through.
const MAX_DEPTH: usize = 16;
/// How many directories are looked through.
const MAX_DIRECTORIES: usize = 10_000;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Directories with a compose file, by path.
    pub stacks: Vec<Found>,
    /// What could not be looked at.
    pub problems: Vec<Trouble>,
}

/// A directory with a compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The directory.
    pub dir: PathBuf,
    /// The compose file, and the override file beside it if there is one.
    pub files: Vec<PathBuf>,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where.
    pub path: PathBuf,
    /// Why, and what to do.
    pub message: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}

/// Every directory at or below `root` that holds a file of one of `names`, of which the first
/// counts. Hidden directories are passed over; links to directories are not followed.
pub fn discover(root: &Path, names: &[&str]) -> Discovery {
    let mut discovery = Discovery::default();
    let mut waiting = vec![(root.to_owned(), 0)];
    let mut looked_at = 0;
    while let Some((dir, depth)) = waiting.pop() {
        looked_at += 1;
        if looked_at > MAX_DIRECTORIES {
            let message =
                format!("more than {MAX_DIRECTORIES} directories; set `path` to those with stacks");
            discovery.problems.push(Trouble { path: root.to_owned(), message });
            break;
        }
        match directories(&dir) {
            Ok(below) if depth < MAX_DEPTH => {
                waiting.extend(below.into_iter().map(|dir| (dir, depth + 1)));
            }
            Ok(_) => {}
            Err(error) => {
                let message = format!("cannot be read: {error}");
                discovery.problems.push(Trouble { path: dir.clone(), message });
            }
        }
        discovery.stacks.extend(stack_in(dir, names));
    }
    discovery.stacks.sort_by(|one, other| one.dir.cmp(&other.dir));
    discovery
}

fn stack_in(dir: PathBuf, names: &[&str]) -> Option<Found> {
    let name = names.iter().find(|name| dir.join(name).is_file())?;
    let mut files = vec![dir.join(name)];
    let (stem, _) = name.split_once('.')?;
    let overrides = ["yaml", "yml"].map(|end| dir.join(format!("{stem}.override.{end}")));
    files.extend(overrides.into_iter().find(|file| file.is_file()));
    Some(Found { dir, files })
}

fn directories(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type()?.is_dir() && !hidden {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["compose.yaml", "docker-compose.yml"];

    #[test]
    fn every_directory_with_a_compose_file_is_a_stack() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "b/compose.yaml",
            "b/compose.override.yaml",
            "a/x/docker-compose.yml",
            "a/x/compose.yaml",
            ".hidden/compose.yaml",
            "none/other.yaml",
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(root.path().join("b"), root.path().join("link")).unwrap();
        let found = discover(root.path(), &NAMES);
        let files: Vec<Vec<String>> = found
            .stacks
            .iter()
            .map(|found| {
                let below =
                    |file: &PathBuf| file.strip_prefix(root.path()).unwrap().display().to_string();
                found.files.iter().map(below).collect()
            })
            .collect();
        assert_eq!(
            files,
            [vec!["a/x/compose.yaml"], vec!["b/compose.yaml", "b/compose.override.yaml"]]
        );
        assert!(found.problems.is_empty());
    }

    #[test]
    fn a_root_that_is_not_there_is_a_problem() {
        let found = discover(Path::new("/nonexistent-root"), &NAMES);
        assert!(found.stacks.is_empty());
        assert!(found.problems[0].to_string().contains("/nonexistent-root"));
    }
}
