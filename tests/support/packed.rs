//! Images made on the spot, of programs of this machine and the libraries that they need. No
//! registry is involved.

use super::docker::{docker, import_busybox};
use super::program::PROGRAM;
use bowline::model::ImageRef;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian's haproxy lies.
const HAPROXY: &str = "/usr/sbin/haproxy";

/// An image that goes away with the test.
pub struct Image(pub String);

impl Image {
    /// Bowline's own program, as manifests/ use it.
    pub fn of_bowline(name: &str) -> Self {
        import(name, Path::new(PROGRAM), "/bowline", &["ENTRYPOINT [\"/bowline\"]"])
    }

    /// Debian's haproxy, as manifests/ use it; `None` where it is not installed.
    pub fn of_haproxy(name: &str) -> Option<Self> {
        let run = r#"CMD ["/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]"#;
        let there = Path::new(HAPROXY).exists();
        there.then(|| import(name, Path::new(HAPROXY), HAPROXY, &[run]))
    }

    /// A static busybox.
    pub fn of_busybox(name: &str) -> Self {
        import_busybox(&ImageRef::new(name).unwrap());
        Self(name.to_owned())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

fn import(name: &str, program: &Path, inside: &str, changes: &[&str]) -> Image {
    let changes = changes.iter().flat_map(|change| ["--change", change]);
    let mut import = Command::new("docker")
        .arg("import")
        .args(changes)
        .args(["-", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("docker's command line is installed");
    let mut archive = tar::Builder::new(import.stdin.take().expect("piped"));
    append(&mut archive, program, Path::new(inside));
    for library in libraries(program) {
        append(&mut archive, &library, &library);
    }
    drop(archive.into_inner().unwrap());
    assert!(import.wait().unwrap().success(), "docker import {name}");
    Image(name.to_owned())
}

fn append(archive: &mut tar::Builder<impl std::io::Write>, file: &Path, inside: &Path) {
    let mut file = std::fs::File::open(file).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(file.metadata().unwrap().len());
    header.set_mode(0o755);
    archive.append_data(&mut header, inside.strip_prefix("/").unwrap(), &mut file).unwrap();
}

/// The shared libraries of a program and its loader, each at the path where it is looked for.
fn libraries(program: &Path) -> BTreeSet<PathBuf> {
    let told = Command::new("ldd").arg(program).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let paths = told.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).collect()
}
