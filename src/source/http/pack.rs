//! The answer to a request for a pack: acknowledgements, then the pack and messages in bands.

use super::pkt_line::{Packet, read};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// The band with the pack.
const DATA: u8 = 1;
/// The band with progress for people.
const PROGRESS: u8 = 2;
/// The band with the message of a failure.
const FAILURE: u8 = 3;

/// Writes the pack of an answer to `to`; returns how many bytes it has. More than `bound` are an
/// error of kind `FileTooLarge`, and a wish to end one of kind `Interrupted`.
pub(in crate::source) fn receive(
    mut from: impl Read,
    to: &mut impl Write,
    bound: u64,
    cancelled: &AtomicBool,
) -> io::Result<u64> {
    let mut received = 0;
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let bytes = match read(&mut from)? {
            Packet::Line(bytes) => bytes,
            Packet::Flush => continue,
            Packet::End if received == 0 => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no pack was sent"));
            }
            Packet::End => return Ok(received),
        };
        if bytes.starts_with(b"NAK") || bytes.starts_with(b"ACK ") {
            continue;
        }
        match bytes.split_first() {
            Some((&DATA, data)) => {
                received += data.len() as u64;
                if received > bound {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                to.write_all(data)?;
            }
            Some((&PROGRESS, _)) | None => {}
            Some((&FAILURE, message)) => return Err(said(message)),
            Some(_) if bytes.starts_with(b"ERR ") => return Err(said(&bytes[4..])),
            Some(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not git's"));
            }
        }
    }
}

fn said(message: &[u8]) -> io::Error {
    let message = String::from_utf8_lossy(message);
    io::Error::other(format!("the server says: {}", message.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::pkt_line::{FLUSH, line};
    use super::*;

    fn receive_all(lines: &[&str], bound: u64) -> io::Result<Vec<u8>> {
        let mut bytes: Vec<u8> = lines.iter().flat_map(|text| line(text)).collect();
        bytes.extend(FLUSH);
        let mut pack = Vec::new();
        receive(bytes.as_slice(), &mut pack, bound, &AtomicBool::new(false))?;
        Ok(pack)
    }

    #[test]
    fn only_the_band_with_data_is_the_pack() {
        let lines = ["NAK\n", "\u{2}counting", "\u{1}PACK", "\u{1}more"];
        assert_eq!(receive_all(&lines, 100).unwrap(), b"PACKmore");
    }

    #[test]
    fn a_failure_is_told_and_a_flood_is_cut() {
        let error = receive_all(&["NAK\n", "\u{3}no such commit"], 100).unwrap_err();
        assert!(error.to_string().contains("no such commit"));
        let error = receive_all(&["\u{1}123456"], 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let error = receive_all(&["NAK\n"], 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
