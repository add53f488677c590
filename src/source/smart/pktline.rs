//! The lines that git's protocols are made of: four hexadecimal digits of length, then that much
//! less four bytes (gitprotocol-common, "pkt-line Format").

use super::super::error::Fault;
use std::io::{self, Read};

/// The most that a line may hold beside its length.
const MAX: usize = 65_516;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source) enum Packet {
    /// The end of a section, `0000`.
    Flush,
    /// A line with content.
    Data(Vec<u8>),
}

impl Packet {
    /// Reads one.
    pub(in crate::source) fn read(from: &mut impl Read) -> Result<Self, Fault> {
        let mut digits = [0; 4];
        fill(from, &mut digits)?;
        let text = str::from_utf8(&digits).ok();
        let length = text.and_then(|text| usize::from_str_radix(text, 16).ok());
        match length {
            Some(0) => Ok(Self::Flush),
            Some(length) if (4..=MAX + 4).contains(&length) => {
                let mut content = vec![0; length - 4];
                fill(from, &mut content)?;
                refusal(&content).map_or(Ok(Self::Data(content)), Err)
            }
            _ => Err(Fault::NotGit { why: format!("`{}` is no length", digits.escape_ascii()) }),
        }
    }
}

/// Adds a line to `to`.
pub(in crate::source) fn write(to: &mut Vec<u8>, line: &str) {
    debug_assert!(line.len() <= MAX, "we write short lines");
    to.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
}

/// Adds the end of a section to `to`.
pub(in crate::source) fn flush(to: &mut Vec<u8>) {
    to.extend_from_slice(b"0000");
}

fn refusal(content: &[u8]) -> Option<Fault> {
    let why = content.strip_prefix(b"ERR ")?;
    Some(Fault::Refused { why: words(why) })
}

/// What the server says, fit for a log.
pub(in crate::source) fn words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(1000)]);
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().to_owned()
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<(), Fault> {
    from.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Fault::Unreachable { why: "the server ended the connection in the middle".into() }
        }
        _ => Fault::from_io(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let mut bytes = Vec::new();
        write(&mut bytes, "want x\n");
        flush(&mut bytes);
        assert_eq!(bytes, b"000bwant x\n0000");
        let mut from = bytes.as_slice();
        assert_eq!(Packet::read(&mut from).unwrap(), Packet::Data(b"want x\n".to_vec()));
        assert_eq!(Packet::read(&mut from).unwrap(), Packet::Flush);
        assert!(from.is_empty());
    }

    #[test]
    fn broken_lines_are_told_apart() {
        let read = |text: &str| Packet::read(&mut text.as_bytes()).unwrap_err();
        assert!(matches!(read("<htm"), Fault::NotGit { .. }));
        assert!(matches!(read("0003"), Fault::NotGit { .. }));
        assert!(matches!(read("ffff"), Fault::NotGit { .. }));
        assert!(matches!(read("0010abc"), Fault::Unreachable { .. }));
        assert_eq!(read("000bERR no\u{7}").to_string(), "the server refuses: no");
    }
}
