//! One input is several files with lines of `%%%` between: the compose file, `.env`, an env file,
//! a file that the compose file extends or includes. So YAML, interpolation, merging and both
//! grammars of variables are reached at once.
#![no_main]

use bowline::manifest::{DigestKey, Request, load};
use std::path::{Path, PathBuf};

const NAMES: [&str; 4] = ["compose.yaml", ".env", "more.env", "other.yaml"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut files: Vec<Vec<u8>> = vec![Vec::new()];
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if line == b"%%%\n" && files.len() < NAMES.len() {
            files.push(Vec::new());
        } else if let Some(file) = files.last_mut() {
            file.extend(line);
        }
    }
    let entry = PathBuf::from("/stack/compose.yaml");
    let request = Request {
        display_root: Some(PathBuf::from("/stack")),
        ..Request::new(vec![entry], DigestKey::new([0; 32]))
    };
    let read = |path: &Path| {
        let name = path.strip_prefix("/stack").ok().and_then(Path::to_str);
        let index = NAMES.iter().position(|known| Some(*known) == name);
        index.and_then(|index| files.get(index)).cloned().ok_or(std::io::ErrorKind::NotFound.into())
    };
    match load(&request, &read) {
        Ok(loaded) => drop(loaded.warnings.render(false)),
        Err(problems) => {
            assert!(problems.has_errors());
            drop(problems.render(true));
        }
    }
});
