//! Text to stack: reads Compose files through a function it is given and gives the typed
//! [`Stack`], with a file, line and column for every problem. It never reads a disk or an
//! environment itself.
//!
//! ```text
//! stack.yaml -> values -> chart (templates) -> bytes                      if it is made of a chart
//! bytes -> yaml (places) -> interpolate -> include, extends -> merge, unique
//!       -> shape (checked against schema) -> canonical (long form)          a document at a time
//!       -> paths -> normalise (names, defaults) -> check -> config (JSON)   the whole
//!       -> support, feasible -> decode (Stack)                              if it is to run
//! ```

mod attributes;
mod canonical;
mod check;
mod config;
mod decode;
mod diagnostic;
mod digest;
mod dotenv;
mod feasible;
mod interpolate;
mod json_schema;
mod lint;
mod load;
mod merge;
mod node;
mod normalise;
mod notes;
mod paths;
mod reset;
mod scalar;
mod schema;
mod settings;
mod shape;
mod shell;
pub mod stacks;
mod support;
mod trail;
mod unique;
mod units;
mod values;
mod yaml;

pub use attributes::{Effect, attributes};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use digest::DigestKey;
pub use json_schema::{Kind as SchemaKind, json_schema};
pub use lint::{LINTS, Lint};
pub use load::{load, resolve, template};
pub(crate) use units::parse_bytes;

use crate::chart::{self, Render};
use crate::model::Stack;
use crate::sops::Keys;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The names under which a stack's file is looked for, in this order.
pub const FILE_NAMES: [&str; 5] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml", STACK_FILE];
/// The file of a stack that is made of a chart.
pub const STACK_FILE: &str = "stack.yaml";

/// What to load.
#[derive(Debug, Clone)]
pub struct Request {
    /// Absolute; the first is the main one, each next is laid over those before.
    pub files: Vec<PathBuf>,
    /// Instead of `name:` and the directory's name.
    pub project_name: Option<String>,
    /// What relative paths are relative to; absent: the directory of the first file.
    pub project_directory: Option<PathBuf>,
    /// Given by the host; they win over those of files.
    pub variables: BTreeMap<String, String>,
    /// Absent: `.env` in the project's directory if it is there.
    pub env_files: Option<Vec<PathBuf>>,
    /// The profiles that are on; `*` is all.
    pub profiles: BTreeSet<String>,
    /// Keys the digests of configs and secrets.
    pub digest_key: DigestKey,
    /// Open the files that sops encrypted.
    pub keys: Keys,
    /// Places are shown relative to it.
    pub display_root: Option<PathBuf>,
    /// Absolute; no file outside all of them is read. None: any file is. Links are followed, and
    /// checked, by who reads.
    pub roots: Vec<PathBuf>,
    /// Lints that are switched off, by name.
    pub allow: BTreeSet<String>,
    /// Files of values that are laid over those of the first file's chart. Absolute.
    pub values: Vec<PathBuf>,
    /// Values for it by their dotted names, over all others.
    pub set: Vec<(String, String)>,
    /// Renders charts.
    pub render: Render,
    /// Whether variables are put in; without, their names stay.
    pub interpolate: bool,
    /// Whether the parts must fit together: references, dependencies, names.
    pub consistency: bool,
}

impl Request {
    /// These files and nothing else asked for.
    pub fn new(files: Vec<PathBuf>, digest_key: DigestKey) -> Self {
        Self {
            files,
            project_name: None,
            project_directory: None,
            variables: BTreeMap::new(),
            env_files: None,
            profiles: BTreeSet::new(),
            digest_key,
            keys: Keys::none("none is given"),
            display_root: None,
            roots: vec![],
            allow: BTreeSet::new(),
            values: vec![],
            set: vec![],
            render: chart::render,
            interpolate: true,
            consistency: true,
        }
    }
}

/// Reads a file, given by its absolute path.
pub type Read<'a> = &'a dyn Fn(&Path) -> std::io::Result<Vec<u8>>;

/// What files say, whether or not it can be run here.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What `docker compose config --format json` would print.
    pub config: serde_json::Value,
    /// What `docker compose config` would print as YAML: the same with `x-` keys at all places.
    pub document: serde_json::Value,
    /// What the files name, whether or not it is on.
    pub declared: Declared,
    /// What has no effect, or another than one might think.
    pub warnings: Diagnostics,
    /// Every file that was read.
    pub inputs: BTreeSet<PathBuf>,
}

/// What a chart puts out for a stack.
#[derive(Debug, Clone)]
pub struct Template {
    /// The text of a compose file. Values from encrypted files are left out.
    pub text: String,
    /// What has no effect, or another than one might think.
    pub warnings: Diagnostics,
}

/// What a config or secret holds.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// Whether its file is encrypted: then what it holds is on no disk.
    pub(crate) sealed: bool,
}

/// Names in files.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// The profiles that services ask for.
    pub profiles: BTreeSet<String>,
    /// The variables that are put in.
    pub variables: BTreeMap<String, Variable>,
}

/// How a variable is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variable {
    /// Whether it must have a value.
    pub required: bool,
    /// What stands for it if it has none.
    pub default: Option<String>,
    /// What stands for it if it has one.
    pub alternate: Option<String>,
}

/// What a manifest says.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The desired state.
    pub stack: Stack,
    /// What has no effect, or another than one might think.
    pub warnings: Diagnostics,
    /// Advice, each piece with the name by which it is switched off.
    pub lints: Diagnostics,
    /// Every file that was read.
    pub inputs: BTreeSet<PathBuf>,
}
