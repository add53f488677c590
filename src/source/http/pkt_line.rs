//! Git's framing: four hexadecimal digits of length, then the bytes.

use std::io::{self, Read};

/// The mark between two parts of a message.
pub(in crate::source) const FLUSH: &[u8] = b"0000";

/// A line as it is sent.
pub(in crate::source) fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// A line's bytes.
    Line(Vec<u8>),
    /// The mark between two parts.
    Flush,
    /// The other side has said all.
    End,
}

/// Reads one packet. Bytes that are no packet are an error of kind `InvalidData`.
pub(super) fn read(from: &mut impl Read) -> io::Result<Packet> {
    let mut length = [0; 4];
    if read_or_end(from, &mut length)? == 0 {
        return Ok(Packet::End);
    }
    let digits = std::str::from_utf8(&length).ok();
    let length = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    match length {
        Some(0) => Ok(Packet::Flush),
        Some(length @ 4..) => {
            let mut bytes = vec![0; length - 4];
            from.read_exact(&mut bytes)?;
            Ok(Packet::Line(bytes))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not git's")),
    }
}

/// Fills the buffer, unless there is nothing at all; an end in the middle is an error.
fn read_or_end(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let first = from.read(buffer)?;
    if first > 0 {
        from.read_exact(&mut buffer[first..])?;
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_as_they_are_written() {
        let mut bytes = line("want x\n");
        bytes.extend(FLUSH);
        let mut from = bytes.as_slice();
        assert_eq!(read(&mut from).unwrap(), Packet::Line(b"want x\n".to_vec()));
        assert_eq!(read(&mut from).unwrap(), Packet::Flush);
        assert_eq!(read(&mut from).unwrap(), Packet::End);
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for bytes in [&b"<htm"[..], b"0002", b"00", b"0010ab"] {
            assert!(read(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }
}
