//! Reads what a server offers (gitprotocol-pack, "Reference Discovery"). No IO of its own.

use super::super::error::Fault;
use super::super::select::Offer;
use super::pktline::Packet;
use git2::Oid;
use std::collections::BTreeSet;
use std::io::Read;

/// The most references that are read.
const MAX_REFERENCES: usize = 200_000;

/// What a server offers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct Advertised {
    pub(in crate::source) offer: Offer,
    pub(in crate::source) capabilities: BTreeSet<String>,
}

impl Advertised {
    /// Whether the server can `capability`.
    pub(in crate::source) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }
}

/// Reads an advertisement of `git-upload-pack`.
pub(in crate::source) fn read(from: &mut impl Read) -> Result<Advertised, Fault> {
    let mut advertised = Advertised::default();
    let mut begun = false;
    loop {
        let line = match Packet::read(from)? {
            // One flush ends the name of the service, the next the references.
            Packet::Flush if begun => return Ok(advertised),
            Packet::Flush => {
                begun = true;
                continue;
            }
            Packet::Data(line) => line,
        };
        if line.starts_with(b"# service=") || line.starts_with(b"version 1") {
            continue;
        }
        begun = true;
        take_in(&line, &mut advertised)?;
        if advertised.offer.0.len() > MAX_REFERENCES {
            let what = format!("a repository with more than {MAX_REFERENCES} references");
            return Err(Fault::Unsupported { what });
        }
    }
}

fn take_in(line: &[u8], advertised: &mut Advertised) -> Result<(), Fault> {
    let not_git = || Fault::NotGit { why: "its list of references cannot be read".into() };
    let text = str::from_utf8(line).map_err(|_| not_git())?.trim_end_matches('\n');
    let (text, capabilities) = text.split_once('\0').unwrap_or((text, ""));
    for capability in capabilities.split_ascii_whitespace() {
        match capability.strip_prefix("object-format=") {
            Some(format) if format != "sha1" => {
                return Err(Fault::Unsupported {
                    what: format!("a repository in {format} format"),
                });
            }
            _ => advertised.capabilities.insert(capability.to_owned()),
        };
    }
    let (id, name) = text.split_once(' ').ok_or_else(not_git)?;
    if id == "shallow" || name == "capabilities^{}" || name.ends_with("^{}") {
        return Ok(());
    }
    let id = Oid::from_str(id).ok().filter(|_| id.len() == 40).ok_or_else(not_git)?;
    advertised.offer.0.insert(name.to_owned(), id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::pktline::{flush, write};
    use super::*;

    fn advertisement(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, "# service=git-upload-pack\n");
        flush(&mut bytes);
        for line in lines {
            write(&mut bytes, line);
        }
        flush(&mut bytes);
        bytes
    }

    #[test]
    fn references_and_capabilities_are_read_and_peeled_tags_left_out() {
        let one = "1".repeat(40);
        let head = format!("{one} HEAD\0shallow side-band-64k\n");
        let tag = format!("{one} refs/tags/v1\n");
        let peeled = format!("{one} refs/tags/v1^{{}}\n");
        let advertised = read(&mut advertisement(&[&head, &tag, &peeled]).as_slice()).unwrap();
        let names: Vec<_> = advertised.offer.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["HEAD", "refs/tags/v1"]);
        assert!(advertised.can("shallow") && !advertised.can("filter"));
    }

    #[test]
    fn an_empty_repository_offers_nothing() {
        let line = format!("{} capabilities^{{}}\0shallow\n", "0".repeat(40));
        let advertised = read(&mut advertisement(&[&line]).as_slice()).unwrap();
        assert!(advertised.offer.0.is_empty());
    }

    #[test]
    fn another_object_format_is_named() {
        let line = format!("{} HEAD\0object-format=sha256\n", "1".repeat(64));
        let error = read(&mut advertisement(&[&line]).as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "a repository in sha256 format is not supported");
    }

    #[test]
    fn an_advertisement_that_ends_early_is_an_error() {
        let bytes = advertisement(&[]);
        let error = read(&mut &bytes[..bytes.len() - 2]).unwrap_err();
        assert!(matches!(error, Fault::Unreachable { .. }), "{error}");
    }
}
