//! The socket file: one that a process answers at is left alone, a stale one is replaced.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// For the owner and the group: who may write may prune.
const MODE: u32 = 0o660;
/// Of the directory, where it must be made.
const DIRECTORY_MODE: u32 = 0o750;

/// The socket cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Somebody answers there.
    #[error(
        "cannot listen on {}: another process answers there; end it, or set another `socket` in the configuration",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The system refused otherwise.
    #[error("cannot listen on {}: {cause}; set another `socket` in the configuration, or `socket: off`", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// A socket that is listened on.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    socket: SocketFile,
}

/// Removes its file in the end.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Door {
    pub(super) fn open(self) -> (UnixListener, SocketFile) {
        (self.listener, self.socket)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next agent replaces one that is left.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens on the socket `path`; its directory is made where it is missing.
pub fn listen(path: &Path) -> Result<Door, ControlError> {
    let failed = |cause| ControlError::Listen { path: path.to_owned(), cause };
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent).map_err(failed)?;
    }
    make_way(path)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    let socket = SocketFile(path.to_owned());
    std::fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
    Ok(Door { listener, socket })
}

/// Removes the socket of a process that is gone.
fn make_way(path: &Path) -> Result<(), ControlError> {
    let failed = |cause| ControlError::Listen { path: path.to_owned(), cause };
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed)?,
    };
    if !found.file_type().is_socket() {
        return Err(failed(io::Error::other("a file is there that is no socket")));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ControlError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}
