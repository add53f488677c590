//! Pulls from a registry that asks for a password. Runs with `BOWLINE_TEST_ENGINE=docker`.

#![allow(clippy::unwrap_used)]

mod support;

use bowline::engine::docker::{Credentials, Docker};
use bowline::engine::{Engine, EngineError, Word};
use bowline::model::{ImageRef, Query, StackName};
use bowline::plan::Step;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Mutex;
use support::docker::{docker, import_busybox};
use tempfile::TempDir;

const USER: &str = "bowline";
/// In base64 it has characters that do not fit into a URL.
const PASSWORD: &str = "??????>>>>>>";

struct Registry {
    process: Child,
    address: String,
    home: TempDir,
}

impl Registry {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let htpasswd = Command::new("htpasswd").args(["-Bbn", USER, PASSWORD]).output().unwrap();
        std::fs::write(home.path().join("htpasswd"), htpasswd.stdout).unwrap();
        let root = home.path().display();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\n\
             http: {{addr: '127.0.0.1:0'}}\n\
             auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}\n"
        );
        let (process, address) = support::registry::serve(home.path(), &config);
        Self { process, address, home }
    }

    fn image(&self, name: &str) -> ImageRef {
        ImageRef::new(format!("{}/t-docker-{name}:1", self.address)).unwrap()
    }

    /// Puts an image into the registry and away from the engine.
    fn publish(&self, name: &str) -> ImageRef {
        let image = self.image(name);
        import_busybox(&image);
        let config = self.config("publish", &self.auths(PASSWORD));
        docker(&["--config", config.to_str().unwrap(), "push", image.as_str()]);
        docker(&["rmi", "-f", image.as_str()]);
        image
    }

    fn auths(&self, password: &str) -> String {
        use base64::Engine as _;
        let login = format!("{USER}:{password}");
        let auth = base64::engine::general_purpose::STANDARD.encode(login);
        format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, self.address)
    }

    fn config(&self, name: &str, json: &str) -> PathBuf {
        let directory = self.home.path().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.json"), json).unwrap();
        directory
    }

    /// A program that answers for this registry and for no other.
    fn helper(&self) -> PathBuf {
        let directory = self.home.path().join("bin");
        std::fs::create_dir_all(&directory).unwrap();
        let program = directory.join("docker-credential-vault");
        let script = format!(
            "#!/bin/sh\nread host\n[ \"$1 $host\" = \"get {}\" ] || \
             {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
             echo '{{\"ServerURL\":\"x\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'\n",
            self.address
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        directory
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let images = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        for image in images.lines().filter(|image| image.starts_with(&self.address)) {
            docker(&["rmi", "-f", image]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn is_there(engine: &Docker, image: &ImageRef) -> bool {
    let mut query = Query::owned_by(StackName::new("t-docker-registry").unwrap());
    query.images.insert(image.clone());
    engine.observe(&query).await.unwrap().images.contains_key(image)
}

async fn pull(engine: &Docker, image: &ImageRef) -> Result<Vec<String>, EngineError> {
    let heard = Mutex::new(Vec::new());
    let hear = |word: Word<'_>| {
        if let Word::Doing(line) = word {
            heard.lock().unwrap().push(line.to_owned());
        }
    };
    engine.perform(&Step::PullImage { image: image.clone(), platform: None }, &hear).await?;
    Ok(heard.into_inner().unwrap())
}

/// Whether `error` counts against the image, or is to be mended on the host.
fn assert_refused(error: &EngineError, of_the_image: bool) {
    assert!(
        matches!(error, EngineError::PullFailed { transient, .. } if *transient != of_the_image),
        "{error:?}"
    );
    assert!(!error.to_string().contains(PASSWORD), "{error}");
}

#[tokio::test]
async fn a_password_opens_the_registry_and_a_wrong_one_is_not_the_images_fault() {
    let Some(engine) = support::engine() else { return };
    let registry = Registry::start();
    let image = registry.publish("login");

    let engine = engine.with_credentials(Credentials::default());
    assert_refused(&pull(&engine, &image).await.unwrap_err(), false);

    let wrong = registry.config("wrong", &registry.auths("wrong"));
    let engine = engine.with_credentials(Credentials::in_directory(wrong));
    assert_refused(&pull(&engine, &image).await.unwrap_err(), false);
    assert!(!is_there(&engine, &image).await);

    let right = registry.config("right", &registry.auths(PASSWORD));
    let engine = engine.with_credentials(Credentials::in_directory(right));
    let heard = pull(&engine, &image).await.unwrap();
    assert!(is_there(&engine, &image).await);
    assert!(heard.iter().any(|line| line.contains("Downloaded newer image")), "{heard:?}");

    let missing = registry.image("missing");
    assert_refused(&pull(&engine, &missing).await.unwrap_err(), true);
}

#[tokio::test]
async fn a_credential_helper_opens_the_registry() {
    let Some(engine) = support::engine() else { return };
    let registry = Registry::start();
    let image = registry.publish("helper");
    let credentials = |directory| {
        Credentials::in_directory(directory).with_helpers_in(registry.helper().into_os_string())
    };

    let one = format!(r#"{{"credHelpers":{{"{}":"vault"}}}}"#, registry.address);
    let engine = engine.with_credentials(credentials(registry.config("one", &one)));
    pull(&engine, &image).await.unwrap();
    assert!(is_there(&engine, &image).await);
    docker(&["rmi", "-f", image.as_str()]);

    let all = registry.config("all", r#"{"credsStore":"vault"}"#);
    let engine = engine.with_credentials(credentials(all));
    pull(&engine, &image).await.unwrap();

    let absent = registry.config("absent", r#"{"credsStore":"no-such-helper"}"#);
    let engine = engine.with_credentials(credentials(absent));
    let error = pull(&engine, &image).await.unwrap_err();
    assert_refused(&error, false);
    assert!(error.to_string().contains("docker-credential-no-such-helper"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_away_is_tried_again() {
    let Some(engine) = support::engine() else { return };
    let image = {
        let registry = Registry::start();
        registry.image("away")
    };
    let error = pull(&engine, &image).await.unwrap_err();
    assert!(matches!(error, EngineError::PullFailed { transient: true, .. }), "{error:?}");
}
