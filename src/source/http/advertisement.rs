//! What a server says it has: the answer to `info/refs`.

use super::pkt_line::{Packet, read};
use git2::Oid;
use std::io::{self, Read};

/// The references of a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::source) struct Advertisement {
    /// By name; `NAME^{}` stands for the commit of an annotated tag.
    pub(in crate::source) references: Vec<(String, Oid)>,
    /// The branch that HEAD stands for.
    pub(in crate::source) head: Option<String>,
}

impl Advertisement {
    /// Reads the answer. One that is not git's is an error of kind `InvalidData`.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let not_git = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not git's");
        match read(from)? {
            Packet::Line(bytes) if bytes.starts_with(b"# service=git-upload-pack") => {}
            _ => return Err(not_git()),
        }
        if read(from)? != Packet::Flush {
            return Err(not_git());
        }
        let mut advertisement = Self::default();
        while let Packet::Line(bytes) = read(from)? {
            advertisement.note(&String::from_utf8_lossy(&bytes)).ok_or_else(not_git)?;
        }
        Ok(advertisement)
    }

    /// `<id> <name>[\0<capabilities>]`; an empty repository says `capabilities^{}` for a name.
    fn note(&mut self, line: &str) -> Option<()> {
        let (reference, capabilities) = line.trim_end().split_once('\0').unwrap_or((line, ""));
        let (id, name) = reference.trim_end().split_once(' ')?;
        let id = Oid::from_str(id).ok()?;
        let symbolic = capabilities.split(' ').find_map(|word| word.strip_prefix("symref=HEAD:"));
        self.head = self.head.take().or_else(|| symbolic.map(str::to_owned));
        if name != "capabilities^{}" {
            self.references.push((name.to_owned(), id));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pkt_line::{FLUSH, line};
    use super::*;

    const ID: &str = "1f0c3a9be2d41f0c3a9be2d41f0c3a9be2d41f0c";

    fn answer(lines: &[String]) -> Vec<u8> {
        let mut bytes = line("# service=git-upload-pack\n");
        bytes.extend(FLUSH);
        bytes.extend(lines.iter().flat_map(|text| line(text)));
        bytes.extend(FLUSH);
        bytes
    }

    #[test]
    fn references_and_the_branch_of_head_are_read() {
        let lines = [
            format!("{ID} HEAD\0side-band-64k symref=HEAD:refs/heads/main agent=x\n"),
            format!("{ID} refs/heads/main\n"),
        ];
        let read = Advertisement::read(&mut answer(&lines).as_slice()).unwrap();
        assert_eq!(read.head.as_deref(), Some("refs/heads/main"));
        assert_eq!(read.references[1].0, "refs/heads/main");
    }

    #[test]
    fn an_empty_repository_has_no_references() {
        let zero = "0".repeat(40);
        let lines = [format!("{zero} capabilities^{{}}\0agent=x\n")];
        let read = Advertisement::read(&mut answer(&lines).as_slice()).unwrap();
        assert!(read.references.is_empty());
    }

    #[test]
    fn a_page_is_no_advertisement() {
        let error = Advertisement::read(&mut &b"<html><body>"[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
