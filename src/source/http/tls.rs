//! Why a certificate is not accepted, and what to do. No IO.

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error, InvalidMessage};

/// What is wrong and what to do; `trusted` is where the trusted authorities are from.
pub(super) fn why(error: &Error, trusted: &str) -> String {
    use CertificateError as C;
    match error {
        Error::InvalidCertificate(C::ExpiredContext { not_after, .. }) => {
            format!("the server's certificate ended on {}; have it renewed", date(*not_after))
        }
        Error::InvalidCertificate(C::Expired) => {
            "the server's certificate has ended; have it renewed".into()
        }
        Error::InvalidCertificate(C::NotValidYetContext { not_before, .. }) => format!(
            "the server's certificate begins on {}; correct this host's clock, or the certificate",
            date(*not_before)
        ),
        Error::InvalidCertificate(C::NotValidForNameContext { expected, presented }) => {
            // The library's words: `DnsName("git.example.org")`.
            let names: Vec<_> =
                presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
            let presented = if names.is_empty() { "no name".into() } else { names.join(", ") };
            format!(
                "the server's certificate is for {presented} and not for {}; correct the URL, or have \
                 one made for that name",
                expected.to_str()
            )
        }
        Error::InvalidCertificate(C::UnknownIssuer) => format!(
            "the server's certificate is from an authority that is not among the trusted ones ({trusted}); \
             name a file with that authority's certificate as `tls.ca_file`"
        ),
        Error::InvalidCertificate(C::Other(error)) if error.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows an authority's certificate for its own; have one made for the server that \
             is signed by the authority"
                .into()
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS on this port; correct the URL".into()
        }
        other => format!("{other}; correct the URL or the server"),
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "a day unknown".into(), |time| time.to_string())
}
