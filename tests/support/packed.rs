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
        let bowline = Piece::Program(PROGRAM, "/bowline");
        Self::of(name, &[bowline], &["ENTRYPOINT [\"/bowline\"]"])
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
        Some(Self::of(name, &[Piece::Program(program, program)], &[&run]))
    }

    /// One of these pieces, with what Docker's `import --change` takes.
    pub fn of(name: &str, pieces: &[Piece<'_>], changes: &[&str]) -> Self {
        import(name, pieces, changes)
    }

    /// A static busybox.
    pub fn of_busybox(name: &str) -> Self {
        import_busybox(&ImageRef::new(name).unwrap());
        Self(name.to_owned())
    }
}

/// A part of an image, and where it is put.
pub enum Piece<'a> {
    /// A program of this machine, with its libraries.
    Program(&'a str, &'a str),
    /// A text that can be run.
    Script(&'a str, &'a str),
    /// An empty directory, and the number of the user whose it is.
    Directory(&'a str, u64),
}

/// The images that manifests/ name.
pub const OF_MANIFESTS: [&str; 3] = ["bowline-demo:1", "bowline-haproxy:1", "bowline-nginx:1"];

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

fn import(name: &str, pieces: &[Piece<'_>], changes: &[&str]) -> Image {
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
    directory(&mut archive, "/tmp", 0, 0o1777);
    for piece in pieces {
        match *piece {
            Piece::Program(program, inside) => {
                append(&mut archive, Path::new(program), Path::new(inside));
                for library in libraries(Path::new(program)) {
                    append(&mut archive, &library, &library);
                }
            }
            Piece::Script(text, inside) => {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                header.set_mode(0o755);
                archive.append_data(&mut header, inside_of(inside), text.as_bytes()).unwrap();
            }
            Piece::Directory(inside, user) => directory(&mut archive, inside, user, 0o755),
        }
    }
    drop(archive.into_inner().unwrap());
    assert!(import.wait().unwrap().success(), "docker import {name}");
    Image(name.to_owned())
}

fn directory(archive: &mut tar::Builder<impl std::io::Write>, inside: &str, user: u64, mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(mode);
    header.set_uid(user);
    header.set_gid(user);
    header.set_size(0);
    archive.append_data(&mut header, inside_of(inside), std::io::empty()).unwrap();
}

/// A path of an image as archives have it.
fn inside_of(path: &str) -> &str {
    path.trim_start_matches('/')
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
