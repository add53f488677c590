//! A registry of the test's own that asks for no password. Debian's docker-registry.

use super::docker::docker;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A running registry; it and the engine's images from it go away with the test.
pub struct Registry {
    process: Child,
    pub address: String,
    _home: TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().display();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\n\
             http: {{addr: '127.0.0.1:0'}}\n"
        );
        let (process, address) = serve(home.path(), &config);
        Self { process, address, _home: home }
    }

    /// Takes an image of the engine in, with an index around it; gives the index's digest, which is
    /// no digest of the image itself.
    pub fn publish_with_index(&self, local: &str, name: &str) -> String {
        let image = format!("{}/{name}:1", self.address);
        docker(&["tag", local, &image]);
        docker(&["push", &image]);
        docker(&["rmi", "-f", &image]);
        let manifest =
            |reference: &str| format!("http://{}/v2/{name}/manifests/{reference}", self.address);
        let mut answer = ureq::get(manifest("1")).header("Accept", IMAGE).call().unwrap();
        let own = answer.body_mut().read_to_vec().unwrap();
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"{IMAGE}","size":{},"digest":"{}","platform":{{"architecture":"amd64","os":"linux"}}}}]}}"#,
            own.len(),
            digest(&own)
        );
        ureq::put(manifest("all")).header("Content-Type", INDEX).send(&index).unwrap();
        digest(index.as_bytes())
    }
}

/// Runs a registry with this configuration in `home`; gives it and its address.
pub fn serve(home: &Path, config: &str) -> (Child, String) {
    let file = home.join("config.yml");
    std::fs::write(&file, config).unwrap();
    let mut process = Command::new("docker-registry")
        .arg("serve")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Debian's docker-registry is installed");
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let listening = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, address) = line.split_once("listening on ")?;
        Some(address.split(['"', ' ', ',']).next().unwrap().to_owned())
    });
    std::thread::spawn(move || lines.for_each(drop));
    (process, listening.expect("it says where it listens"))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Drop for Registry {
    fn drop(&mut self) {
        for images in [&["images", "-q"][..], &["images", "-q", "--digests"]] {
            let filter = format!("reference={}/*", self.address);
            let found = docker(&[images, &["--filter", &filter]].concat());
            found.split_whitespace().for_each(|id| drop(docker(&["rmi", "-f", id])));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
