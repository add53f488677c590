//! The certificate authorities that a server's certificate may be from.

use super::super::error::Fault;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Where systems keep the authorities that they trust; the first that exists counts.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Authorities, and where they are from.
pub(super) struct Trust {
    pub(super) roots: RootCerts,
    /// The file's path, or what there is in its place, for messages.
    pub(super) from: String,
}

impl Trust {
    /// Those in the PEM file given, or in the file that `SSL_CERT_FILE` names, or the system's, or those
    /// that Mozilla trusts.
    pub(super) fn of(ca_file: Option<&Path>) -> Result<Self, Fault> {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let system = || SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists());
        let Some(path) = ca_file.map(Path::to_owned).or(named).or_else(system) else {
            return Ok(Self { roots: RootCerts::WebPki, from: "Mozilla's list".into() });
        };
        let certificates = certificates_in(&path)?;
        // A list of the system's may hold some of forms that are no longer read.
        if ca_file.is_some() {
            check(&path, &certificates)?;
        }
        let roots = RootCerts::new_with_certs(&certificates);
        Ok(Self { roots, from: path.display().to_string() })
    }
}

/// Whether the PEM file at `path` can be read and holds certificates, all of them whole.
pub fn check_authorities(path: &Path) -> Result<(), Fault> {
    check(path, &certificates_in(path)?)
}

fn certificates_in(path: &Path) -> Result<Vec<Certificate<'static>>, Fault> {
    let wrong = |what: String| Fault::Authorities { path: path.display().to_string(), what };
    let pem = std::fs::read(path)
        .map_err(|error| wrong(format!("{error}; create it or name another file")))?;
    let mut certificates = Vec::new();
    for (index, item) in parse_pem(&pem).enumerate() {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(wrong(format!("its part {} is no PEM: {error}", index + 1))),
        }
    }
    if certificates.is_empty() {
        let what = "it holds no certificate; write them as PEM, which begins with `-----BEGIN \
                    CERTIFICATE-----`";
        return Err(wrong(what.into()));
    }
    Ok(certificates)
}

/// Whether each certificate can be an authority's. The HTTP library passes over those that cannot.
fn check(path: &Path, certificates: &[Certificate<'static>]) -> Result<(), Fault> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(CertificateDer::from(certificate.der())).map_err(|error| Fault::Authorities {
            path: path.display().to_string(),
            what: format!("its certificate {} cannot be used: {error}", index + 1),
        })?;
    }
    Ok(())
}
