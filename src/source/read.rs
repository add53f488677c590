//! Reads one file of a checkout, within a bound: what comes from git is not trusted to be small.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest file that is read, in bytes: that of a compose file, which is the largest kind.
const MAX_BYTES: u64 = 16 << 20;

/// The bytes of a file. One above 16 MiB is an error, and is not read to its end.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_the_bound_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES).unwrap();
        assert_eq!(read(file.path()).unwrap().len() as u64, MAX_BYTES);
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("16 MiB"));
    }
}
