//! Repositories behind http and https: the tip by one request, the pack by a second.

use super::error::SourceError;
use super::http::{Client, FLUSH, line, receive};
use super::location::{Location, Reference};
use super::repository::{Spec, Tip, choose, names};
use git2::{Oid, Repository as Git};
use std::io::{self, Write};
use std::sync::atomic::AtomicBool;
use url::Url;

/// The largest pack that is taken, in bytes.
const MAX_PACK: u64 = 2 << 30;
/// How many of our commits are offered as known.
const MAX_HAVES: usize = 64;

/// Asks what the reference names.
pub(super) fn tip(spec: &Spec) -> Result<Tip, SourceError> {
    let url = url(spec)?;
    let advertised = Client::new(url, spec.credentials.as_ref()).advertisement()?;
    let known = &advertised.references;
    let location = url.to_string();
    if known.is_empty() {
        return Err(SourceError::Empty { location });
    }
    let chosen = choose(&spec.reference, advertised.head.as_deref(), known).map(|(_, id)| *id);
    let id = chosen.or_else(|| match &spec.reference {
        Reference::Commit(text) | Reference::Any(text) if text.len() == 40 => {
            Oid::from_str(text).ok()
        }
        _ => None,
    });
    id.map(|id| Tip { id }).ok_or_else(|| SourceError::UnknownReference {
        location,
        wanted: match &spec.reference {
            Reference::Commit(_) => format!("{} (a commit needs all 40 digits)", spec.reference),
            reference => reference.to_string(),
        },
        known: names(known),
    })
}

/// Fetches `tip` with all that it stands on into the clone.
pub(super) fn fetch(
    clone: &Git,
    spec: &Spec,
    tip: &Tip,
    cancelled: &AtomicBool,
) -> Result<(), SourceError> {
    let url = url(spec)?;
    let client = Client::new(url, spec.credentials.as_ref());
    let answer = client.upload_pack(&wants(clone, tip))?;
    let corrupt = |error: git2::Error| SourceError::Corrupt {
        path: clone.path().to_owned(),
        cause: error.message().to_owned(),
    };
    let odb = clone.odb().map_err(corrupt)?;
    let mut writer = odb.packwriter().map_err(corrupt)?;
    let mut pack = io::BufWriter::with_capacity(1 << 16, &mut writer);
    let location = || url.to_string();
    receive(answer, &mut pack, MAX_PACK, cancelled).and_then(|_| pack.flush()).map_err(
        |error| match error.kind() {
            io::ErrorKind::FileTooLarge => {
                SourceError::TooLarge { location: location(), bound: MAX_PACK }
            }
            io::ErrorKind::Interrupted => SourceError::Cancelled { location: location() },
            _ => client.broken(&error),
        },
    )?;
    drop(pack);
    writer.commit().map_err(corrupt)?;
    Ok(())
}

/// What we want and what we have. Without `thin-pack` and `shallow` the pack stands alone.
fn wants(clone: &Git, tip: &Tip) -> Vec<u8> {
    let capabilities = "side-band-64k ofs-delta no-progress agent=bowline";
    let mut body = line(&format!("want {} {capabilities}\n", tip.id));
    body.extend(FLUSH);
    let ours = clone.references().ok().into_iter().flatten().flatten();
    let ids = ours.filter_map(|reference| reference.target());
    for id in ids.take(MAX_HAVES) {
        body.extend(line(&format!("have {id}\n")));
    }
    body.extend(line("done\n"));
    body
}

fn url(spec: &Spec) -> Result<&Url, SourceError> {
    match &spec.location {
        Location::Remote(url) => Ok(url),
        Location::Local(path) => Err(SourceError::NotFound {
            location: path.display().to_string(),
            cause: "it is on this host".to_owned(),
        }),
    }
}
