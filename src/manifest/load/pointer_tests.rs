//! Files that git holds a pointer of Git LFS for.

use crate::manifest::{DigestKey, Request, load};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

fn told(files: &[(&str, &str)]) -> String {
    let read = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new("/p").join(name) == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or(ErrorKind::NotFound.into())
    };
    let request = Request {
        display_root: Some(PathBuf::from("/p")),
        ..Request::new(vec![PathBuf::from("/p/compose.yaml")], DigestKey::new([0; 32]))
    };
    load(&request, &read).unwrap_err().to_string()
}

#[test]
fn a_pointer_of_git_lfs_is_told_wherever_a_file_is_read() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let stack = |more: &str| format!("services: {{ web: {{ image: a, {more} }} }}\n");
    let config = |kind: &str| {
        format!("{}{kind}: {{ c: {{ file: ./big }} }}\n", stack(&format!("{kind}: [c]")))
    };
    for (text, place) in [
        (pointer.to_owned(), "compose.yaml"),
        (stack("env_file: [{ path: big, required: false }]"), "env_file"),
        (stack("label_file: big"), "label_file"),
        (config("configs"), "configs.c"),
        (config("secrets"), "secrets.c"),
        (format!("include: [big]\n{}", stack("")), "include"),
    ] {
        let files = [("compose.yaml", text.as_str()), ("big", pointer)];
        let told = told(&files);
        assert!(told.contains("it is a pointer of Git LFS"), "{told}");
        assert!(told.contains("store the file in git itself"), "{told}");
        assert!(told.contains(place) && told.lines().count() == 1, "{place}: {told}");
    }
}
