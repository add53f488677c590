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
/// Where Debian's nginx lies.
const NGINX: &str = "/usr/sbin/nginx";

/// An image that goes away with the test.
pub struct Image(pub String);

impl Image {
    /// Bowline's own program, as manifests/ use it.
    pub fn of_bowline(name: &str) -> Self {
        import(name, Path::new(PROGRAM), "/bowline", &["ENTRYPOINT [\"/bowline\"]"])
    }

    /// One that manifests/ name, under a name of its own. `None`, said in a line, where its program is
    /// not installed and nobody requires it.
    pub fn of_manifests(image: &str, name: &str) -> Option<Self> {
        let run = |command: &str| format!("CMD {command}");
        let (program, run) = match image {
            "bowline-demo:1" => return Some(Self::of_bowline(name)),
            "bowline-haproxy:1" => {
                (HAPROXY, run(r#"["/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]"#))
            }
            "bowline-nginx:1" => (
                NGINX,
                run(r#"["/usr/sbin/nginx", "-e", "stderr", "-c", "/etc/nginx/nginx.conf"]"#),
            ),
            other => panic!("manifests/ have no image {other}"),
        };
        if !Path::new(program).exists() {
            let required = std::env::var("BOWLINE_TEST_BALANCERS").as_deref() == Ok("required");
            assert!(!required, "{program} is not installed, and CI requires it");
            println!("what needs {image} did not run: {program} is not installed");
            return None;
        }
        Some(import(name, Path::new(program), program, &[&run]))
    }

    /// A static busybox.
    pub fn of_busybox(name: &str) -> Self {
        import_busybox(&ImageRef::new(name).unwrap());
        Self(name.to_owned())
    }
}

/// The images that manifests/ name.
pub const OF_MANIFESTS: [&str; 3] = ["bowline-demo:1", "bowline-haproxy:1", "bowline-nginx:1"];

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
    // A tmpfs takes its mode from the directory below; where there was none, another one at its second
    // start than at its first.
    let mut tmp = tar::Header::new_gnu();
    tmp.set_entry_type(tar::EntryType::Directory);
    tmp.set_mode(0o1777);
    tmp.set_size(0);
    archive.append_data(&mut tmp, "tmp", std::io::empty()).unwrap();
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
