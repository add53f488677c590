//! Registry credentials, read from Docker's own configuration (`config.json`) and the helper
//! programs that it names. Read anew for every pull, so that a rotated password is seen.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a helper may take.
const HELPER_LIMIT: Duration = Duration::from_secs(30);
/// How Docker's configuration calls Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// What a helper says when it knows nothing of a registry.
const NOT_KNOWN: &str = "credentials not found";
/// A helper's user name that says that the secret is a token.
const TOKEN_USER: &str = "<token>";

/// Where registry credentials come from. Holds none itself.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    directory: Option<PathBuf>,
    helper_path: Option<OsString>,
}

/// Why the credentials for a registry could not be had. Never holds one.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error("cannot read {}: {cause}", file.display())]
    Config { file: PathBuf, cause: String },
    #[error("the credential helper {helper} {cause}")]
    Helper { helper: String, cause: String },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    #[serde(rename = "auth")]
    basic: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl Credentials {
    /// From `$DOCKER_CONFIG`, else `$HOME/.docker`.
    pub fn of_this_user() -> Self {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let directory = var("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| var("HOME").map(|home| Path::new(&home).join(".docker")));
        Self { directory, helper_path: None }
    }

    /// From the `config.json` in `directory`.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), helper_path: None }
    }

    /// Looks for helpers in `path` (as `PATH`) instead of in this process's.
    #[must_use]
    pub fn with_helpers_in(mut self, path: impl Into<OsString>) -> Self {
        self.helper_path = Some(path.into());
        self
    }

    /// What the registry of `image` shall be told, if anything.
    pub(super) async fn for_image(
        &self,
        image: &str,
    ) -> Result<Option<DockerCredentials>, CredentialsError> {
        let Some(config) = self.config().await? else { return Ok(None) };
        let registry = registry_of(image);
        let same = |key: &String| host_of(key) == host_of(registry);
        let own = config.helpers.iter().find(|(key, _)| same(key)).map(|(_, helper)| helper);
        let helper = own.or(config.store.as_ref());
        if let Some(helper) = helper
            && let Some(found) = self.ask(helper, registry).await?
        {
            return Ok(Some(found));
        }
        Ok(config
            .auths
            .iter()
            .find(|(key, _)| same(key))
            .and_then(|(_, auth)| written(auth, registry)))
    }

    async fn config(&self) -> Result<Option<Config>, CredentialsError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let file = directory.join("config.json");
        let late = format!("it did not come within {} s", HELPER_LIMIT.as_secs());
        let read = tokio::time::timeout(HELPER_LIMIT, tokio::fs::read(&file)).await;
        let text = match read.unwrap_or_else(|_| Err(std::io::Error::other(late))) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => {
                return Err(CredentialsError::Config { file, cause: cause.to_string() });
            }
        };
        match serde_json::from_slice(&text) {
            Ok(config) => Ok(Some(config)),
            // serde's own words may quote what stands there.
            Err(cause) => Err(CredentialsError::Config {
                file,
                cause: format!(
                    "it is no valid configuration (line {}, column {})",
                    cause.line(),
                    cause.column()
                ),
            }),
        }
    }

    async fn ask(
        &self,
        helper: &str,
        registry: &str,
    ) -> Result<Option<DockerCredentials>, CredentialsError> {
        let program = format!("docker-credential-{helper}");
        let failed = |cause: String| CredentialsError::Helper { helper: program.clone(), cause };
        if !helper.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(failed("has a name that is no program's".to_owned()));
        }
        let output = tokio::time::timeout(HELPER_LIMIT, self.run(&program, registry))
            .await
            .map_err(|_| failed(format!("did not answer within {} s", HELPER_LIMIT.as_secs())))?
            .map_err(|cause| failed(format!("cannot be run: {cause}")))?;
        if !output.status.success() {
            // Helpers complain on their standard output.
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            return if said.to_ascii_lowercase().contains(NOT_KNOWN) {
                Ok(None)
            } else {
                Err(failed(format!("failed ({})", output.status)))
            };
        }
        let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
            .map_err(|_| failed("gave an answer that is no credential".to_owned()))?;
        Ok(Some(login(answer.username, answer.secret, registry)))
    }

    async fn run(&self, program: &str, registry: &str) -> std::io::Result<std::process::Output> {
        let mut command = Command::new(self.locate(program));
        command
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input still answers.
            let _ = stdin.write_all(format!("{registry}\n").as_bytes()).await;
        }
        child.wait_with_output().await
    }

    fn locate(&self, program: &str) -> PathBuf {
        self.helper_path
            .iter()
            .flat_map(std::env::split_paths)
            .map(|directory| directory.join(program))
            .find(|candidate| candidate.is_file())
            .unwrap_or_else(|| PathBuf::from(program))
    }
}

fn written(auth: &Auth, registry: &str) -> Option<DockerCredentials> {
    if let Some(token) = auth.identitytoken.clone().filter(|token| !token.is_empty()) {
        return Some(login(TOKEN_USER.to_owned(), token, registry));
    }
    if let (Some(username), Some(password)) = (&auth.username, &auth.password) {
        return Some(login(username.clone(), password.clone(), registry));
    }
    let decoded = STANDARD.decode(auth.basic.as_deref()?.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (username, password) = decoded.trim_end_matches('\0').split_once(':')?;
    Some(login(username.to_owned(), password.to_owned(), registry))
}

fn login(username: String, secret: String, registry: &str) -> DockerCredentials {
    let server = Some(registry.to_owned());
    if username == TOKEN_USER {
        DockerCredentials {
            identitytoken: Some(secret),
            serveraddress: server,
            ..DockerCredentials::default()
        }
    } else {
        DockerCredentials {
            username: Some(username),
            password: Some(secret),
            serveraddress: server,
            ..DockerCredentials::default()
        }
    }
}

/// The registry of an image reference, in the words of Docker's configuration.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "docker.io" | "index.docker.io" => DOCKER_HUB,
            other => other,
        },
        _ => DOCKER_HUB,
    }
}

/// Keys of `auths` come with or without scheme and path.
fn host_of(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    match key.split('/').next().unwrap_or(key) {
        "docker.io" => "index.docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_what_stands_before_the_first_slash_if_it_looks_like_a_host() {
        assert_eq!(registry_of("nginx"), DOCKER_HUB);
        assert_eq!(registry_of("library/nginx:1"), DOCKER_HUB);
        assert_eq!(registry_of("docker.io/library/nginx"), DOCKER_HUB);
        assert_eq!(registry_of("ghcr.io/a/b:1"), "ghcr.io");
        assert_eq!(registry_of("localhost/a"), "localhost");
        assert_eq!(registry_of("127.0.0.1:5000/a@sha256:00"), "127.0.0.1:5000");
    }

    #[tokio::test(start_paused = true)]
    async fn a_configuration_that_does_not_come_is_told() {
        use rustix::fs::{CWD, Mode, mkfifoat};
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.json");
        mkfifoat(CWD, &file, Mode::RUSR | Mode::WUSR).unwrap();
        let directory = Some(dir.path().to_owned());
        let credentials = Credentials { directory, ..Credentials::default() };
        let reading = credentials.config();
        tokio::pin!(reading);
        assert!(futures_util::poll!(reading.as_mut()).is_pending());
        tokio::time::advance(HELPER_LIMIT + Duration::from_millis(1)).await;
        let told = reading.await.err().unwrap().to_string();
        assert!(told.contains("did not come within"), "{told}");
        // Who reads it is let go.
        std::fs::File::options().write(true).open(&file).unwrap();
    }

    #[test]
    fn a_key_of_auths_is_compared_by_its_host() {
        assert_eq!(host_of("https://ghcr.io/v2/"), "ghcr.io");
        assert_eq!(host_of("ghcr.io"), "ghcr.io");
        assert_eq!(host_of(DOCKER_HUB), host_of("docker.io"));
    }

    #[test]
    fn a_written_login_keeps_colons_in_the_password() {
        let auth = Auth { basic: Some(STANDARD.encode("me:a:b")), ..Auth::default() };
        let login = written(&auth, "ghcr.io").unwrap();
        assert_eq!(login.username.as_deref(), Some("me"));
        assert_eq!(login.password.as_deref(), Some("a:b"));
    }
}
