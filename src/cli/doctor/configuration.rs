//! The configuration, and who may read the secrets that it names.

use super::finding::Finding;
use super::person::{self, is_root, owner, user_name};
use crate::cli::plan::counted;
use crate::config::{self, Auth, Config, ConfigError, Flaw, Secret, Source, Through};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const CHECK: &str = "configuration";
/// Whom the package makes for the service.
const SERVICE_USER: &str = "bowline";

/// What can be known of the configuration, also where one file that it names cannot be used.
pub(super) fn check(path: &Path, is_named: bool) -> (Option<Config>, Vec<Finding>) {
    let shown = path.display();
    let (config, mut findings) = match config::load(path) {
        Ok(config) => {
            let told = format!("can be read, with {}", counted(config.sources.len(), "source"));
            (Some(config), vec![Finding::ok(CHECK, &shown, told)])
        }
        Err(ConfigError::Unreadable { source, .. }) => {
            return (None, vec![unreadable(path, &source, is_named)]);
        }
        Err(ConfigError::Wrong(flaws)) => {
            let config = fs::read_to_string(path).ok();
            let config = config.and_then(|text| Config::parse(&text, path).ok());
            (config, flaws.iter().map(|flaw| wrong(path, flaw)).collect())
        }
    };
    findings.extend(open_to_writers(path));
    findings.extend(config.iter().flat_map(secrets));
    (config, findings)
}

fn unreadable(path: &Path, error: &std::io::Error, is_named: bool) -> Finding {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound if !is_named => Finding::warning(
            CHECK,
            &shown,
            "there is none, so no agent can run here; commands work without it",
            "write one (docs/configuration.md), or name it: bowline doctor --config FILE",
        ),
        ErrorKind::PermissionDenied if !is_root() => Finding::warning(
            CHECK,
            &shown,
            format!("{} may not read it, so what it says is not checked", user_name()),
            format!("sudo bowline doctor --config {shown}"),
        ),
        ErrorKind::NotFound => {
            Finding::error(CHECK, &shown, "there is no such file", "bowline doctor --config FILE")
        }
        _ => Finding::error(CHECK, &shown, error, format!("ls -l {shown}")),
    }
}

fn wrong(path: &Path, flaw: &Flaw) -> Finding {
    let shown = path.display();
    // The file is shown already.
    let Flaw { line, column, message, .. } = flaw;
    if message.contains("Permission denied") && !is_root() {
        let fix = format!("sudo bowline doctor --config {shown}");
        let told = format!("line {line}:{column}: {message} (you are {})", user_name());
        return Finding::warning(CHECK, &shown, told, fix);
    }
    let fix = format!("sudoedit {shown} && bowline agent --check --config {shown}");
    Finding::error(CHECK, &shown, format!("line {line}:{column}: {message}"), fix)
}

/// Who writes it decides what runs on this host.
fn open_to_writers(path: &Path) -> Option<Finding> {
    let found = fs::metadata(path).ok()?;
    let shown = path.display();
    (found.permissions().mode() & 0o002 != 0).then(|| {
        let told = format!("every user may change it ({})", owner(&found));
        Finding::error(CHECK, &shown, told, format!("sudo chmod o-w {shown}"))
    })
}

/// A finding for each file that others may read, or one that all is well.
fn secrets(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "secret files";
    let files = secret_files(config);
    let exposed: Vec<Finding> = files
        .iter()
        .filter_map(|path| {
            let found = fs::metadata(path).ok()?;
            let shown = path.display();
            (found.permissions().mode() & 0o077 != 0).then(|| {
                let told = format!("others than its owner may use it ({})", owner(&found));
                Finding::warning(CHECK, &shown, told, for_its_owner(path, found.uid()))
            })
        })
        .collect();
    if exposed.is_empty() && !files.is_empty() {
        let looked_at = counted(files.len(), "file");
        return vec![Finding::ok(CHECK, looked_at, "for their owners alone")];
    }
    exposed
}

/// The service runs as a user of its own, who must be able to read what is root's now.
fn for_its_owner(path: &Path, owner: u32) -> String {
    let shown = path.display();
    if owner == 0 && person::is_there(SERVICE_USER) {
        return format!("sudo chown {SERVICE_USER} {shown} && sudo chmod 600 {shown}");
    }
    format!("sudo chmod 600 {shown}")
}

fn secret_files(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = config.sources.iter().flat_map(of_source).collect();
    files.extend(config.age_key_file.clone());
    files.extend(config.http.token.as_ref().and_then(in_file));
    files.sort();
    files.dedup();
    files
}

fn in_file(secret: &Secret) -> Option<PathBuf> {
    match secret {
        Secret::File(path) => Some(path.clone()),
        Secret::Credential(_) => None,
    }
}

fn of_source(source: &Source) -> Vec<PathBuf> {
    let login = source.auth.as_ref().and_then(|auth| match auth {
        Auth::Password { password: secret, .. } | Auth::Token(secret) => in_file(secret),
        Auth::Store(path) | Auth::Netrc(path) => Some(path.clone()),
    });
    let proxy = match &source.reach.proxy {
        Through::Proxy { login: Some((_, password)), .. } => in_file(password),
        Through::Proxy { login: None, .. } | Through::Environment | Through::Nothing => None,
    };
    let others = [login, proxy, source.ssh.key_file.clone(), source.webhook_secret.clone()];
    others.into_iter().flatten().collect()
}
