//! Where the keys are that open encrypted files: of the agent in a file or a credential of systemd, by
//! hand where sops itself has them. It reads them anew each time, so that they can be exchanged.

use crate::sops::Keys;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name of the credential of systemd.
const CREDENTIAL: &str = "sops-age-key";
/// The largest file of keys that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The file of systemd's credential, where the unit has one.
pub(super) fn credential() -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&directory).join(CREDENTIAL)).filter(|path| path.exists())
}

/// The keys in the agent's file. Without one, or where it cannot be read, none: that is told for each
/// file that needs them.
pub fn keys_in(path: Option<&Path>) -> Keys {
    match path {
        Some(path) => read(path).unwrap_or_else(Keys::none),
        None => Keys::none(
            "name a file of age keys under `sops.age_key_file` of the agent's configuration",
        ),
    }
}

/// The keys for commands by hand, where sops looks for them: in `SOPS_AGE_KEY`, in the file
/// `SOPS_AGE_KEY_FILE`, or else in `sops/age/keys.txt` of the user's configuration.
pub fn keys_by_hand() -> Keys {
    if let Ok(text) = std::env::var("SOPS_AGE_KEY").map(Zeroizing::new) {
        return Keys::parse(&text, "SOPS_AGE_KEY").unwrap_or_else(Keys::none);
    }
    if let Some(path) = std::env::var_os("SOPS_AGE_KEY_FILE") {
        return keys_in(Some(Path::new(&path)));
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config"));
    let configuration = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let usual = configuration.map(|directory| directory.join("sops/age/keys.txt"));
    match usual.filter(|path| path.exists()) {
        Some(path) => keys_in(Some(&path)),
        None => Keys::none("name a file of age keys in the variable SOPS_AGE_KEY_FILE"),
    }
}

/// Reads the keys in the file at `path`, which others must not be able to read.
pub(super) fn read(path: &Path) -> Result<Keys, String> {
    let shown = path.display();
    let failed = |error: io::Error| format!("cannot read `{shown}`: {error}");
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o007 != 0 {
        return Err(format!("every user may read `{shown}`; use `chmod 600 {shown}`"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Keys::parse(&text, &format!("`{shown}`"))
}
