//! Reads one file of a checkout, within a bound: what comes from git is not trusted to be small.

use super::view::View;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes: that of a compose file, which is the largest kind.
const MAX_BYTES: u64 = 16 << 20;

/// The bytes of a file. One above 16 MiB is an error, and is not read to its end.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_from(File::open(path)?)
}

fn read_from(file: File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    // What is no plain file has no length beforehand.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let length = length.max(bytes.len() as u64);
    if length > MAX_BYTES {
        let what = format!("it has {length} bytes, and at most {MAX_BYTES} (16 MiB) are read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// The same, of a file that lies within one of `roots`, also by way of links: who reads may read
/// all of a host, but what a repository names must lie in it. No roots: any file.
pub fn read_within(roots: &[PathBuf], path: &Path) -> io::Result<Vec<u8>> {
    if roots.is_empty() {
        return read(path);
    }
    read_in(&View::default(), roots, path)
}

/// The same of what `view` shows, always within `roots`.
pub(super) fn read_in(view: &View, roots: &[PathBuf], path: &Path) -> io::Result<Vec<u8>> {
    let real = view.real(path)?;
    for root in roots {
        if real.starts_with(root.canonicalize()?) {
            return read_from(open_real(&view.at(&real))?);
        }
    }
    let what = "it leaves the repository, and nothing outside is read";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Whether an error in reading may pass by itself: the system's trouble, and not what lies there.
pub(super) fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    let of_the_path = [K::NotFound, K::NotADirectory, K::IsADirectory, K::InvalidFilename]
        .contains(&error.kind());
    let is_loop = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    error.raw_os_error().is_some() && !of_the_path && !is_loop
}

/// Opens the file at `path`, which leads through no link: where one was put there since that was looked at, it
/// is an error. What blocks whoever opens it does not do so here.
fn open_real(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(file) => Ok(file.into()),
        // Kernels before 5.6, and containers that keep it from who runs in them.
        Err(Errno::NOSYS | Errno::PERM) => File::open(path),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_was_put_in_the_way_meanwhile_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::fs::write(real.join("a/file"), "x").unwrap();
        assert_eq!(read_from(open_real(&real.join("a/file")).unwrap()).unwrap(), b"x");
        for (name, target) in [("b", "a"), ("file", "a/file")] {
            std::os::unix::fs::symlink(target, real.join(name)).unwrap();
        }
        for path in ["b/file", "file"] {
            assert!(open_real(&real.join(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn what_the_system_cannot_read_may_pass_and_what_lies_there_does_not() {
        for errno in [Errno::IO, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::ACCESS] {
            assert!(may_pass(&errno.into()), "{errno}");
        }
        for errno in [Errno::NOENT, Errno::ISDIR, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG] {
            assert!(!may_pass(&errno.into()), "{errno}");
        }
        let root = tempfile::tempdir().unwrap();
        let outside = read_within(&[root.path().to_owned()], Path::new("/etc/passwd")).unwrap_err();
        assert!(!may_pass(&outside), "{outside}");
    }

    #[test]
    fn nothing_outside_the_roots_is_read() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let inside = root.path().join("inside");
        std::fs::write(&inside, "x").unwrap();
        assert_eq!(read_within(&roots, &inside).unwrap(), b"x");
        let link = root.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        for outside in [Path::new("/etc/passwd"), &root.path().join("../x"), &link] {
            assert!(read_within(&roots, outside).is_err(), "{}", outside.display());
            assert_eq!(read_within(&[], outside).is_ok(), outside.exists());
        }
    }

    #[test]
    fn a_file_above_the_bound_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES).unwrap();
        assert_eq!(read(file.path()).unwrap().len() as u64, MAX_BYTES);
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("16 MiB"));
    }
}
