//! Takes a commit or tag apart into what is signed and the signature (git's gitformat-signature). Every
//! byte of an object is one or the other; git2's own extraction looks for signatures in messages, too.

use super::flaw::Flaw;
use jiff::Timestamp;

/// Most of a signature, in bytes.
const SIGNATURE: usize = 64 << 10;
/// A signature of a commit of a repository with SHA-256 ids; no part of what is signed otherwise.
const OTHER: &[u8] = b"gpgsig-sha256 ";
const SSH: &str = "-----BEGIN SSH SIGNATURE-----";
const GPG: &str = "-----BEGIN PGP SIGNATURE-----";
/// How the other signatures that git knows begin.
const FOREIGN: [&str; 2] = ["-----BEGIN PGP MESSAGE-----", "-----BEGIN SIGNED MESSAGE-----"];

/// What is signed, and the signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) payload: Vec<u8>,
    pub(super) signature: String,
    pub(super) form: Form,
    /// When it was committed or tagged, as it says itself.
    pub(super) at: Timestamp,
}

/// The kind of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Ssh,
    Gpg,
}

/// Of a commit: the signature is a header.
pub(super) fn commit(bytes: &[u8]) -> Result<Signed, Flaw> {
    let (headers, message) = parts(bytes);
    let (mut payload, mut signature) = (Vec::with_capacity(bytes.len()), Vec::new());
    let mut into = Into::Payload;
    for line in headers.split_inclusive(|byte| *byte == b'\n') {
        let (folded, begun) = (line.strip_prefix(b" "), line.strip_prefix(b"gpgsig "));
        into = match folded {
            Some(_) => into,
            None if begun.is_some() && !signature.is_empty() => {
                return Err(unreadable("there are several"));
            }
            None if begun.is_some() => Into::Signature,
            None if line.starts_with(OTHER) => Into::Nothing,
            None => Into::Payload,
        };
        match into {
            Into::Payload => payload.extend_from_slice(line),
            Into::Signature => signature.extend_from_slice(folded.or(begun).unwrap_or_default()),
            Into::Nothing => {}
        }
    }
    payload.extend_from_slice(message);
    let at = time(headers, b"committer ")?;
    signed(payload, &signature, at)
}

/// Of a tag, and its name: the signature ends its message.
pub(super) fn tag(bytes: &[u8]) -> Result<(String, Signed), Flaw> {
    let (headers, _) = parts(bytes);
    let name = header(headers, b"tag ").ok_or_else(|| unreadable("the tag has no name"))?;
    let name = String::from_utf8_lossy(name).into_owned();
    let at = time(headers, b"tagger ")?;
    let mut begin = bytes.len();
    let mut place = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let begins = |start: &&str| line.starts_with(start.as_bytes());
        if [SSH, GPG].iter().chain(&FOREIGN).any(begins) {
            begin = place;
        }
        place += line.len();
    }
    let (payload, signature) = bytes.split_at(begin);
    Ok((name, signed(payload.to_owned(), signature, at)?))
}

/// Where a line of the headers belongs.
#[derive(Clone, Copy)]
enum Into {
    Payload,
    Signature,
    Nothing,
}

fn signed(payload: Vec<u8>, signature: &[u8], at: Timestamp) -> Result<Signed, Flaw> {
    if signature.is_empty() {
        return Err(Flaw::Unsigned);
    }
    if signature.len() > SIGNATURE {
        return Err(Flaw::TooLarge { limit: SIGNATURE });
    }
    let text = std::str::from_utf8(signature).map_err(|_| unreadable("it is no text"))?;
    let form = if text.starts_with(SSH) {
        Form::Ssh
    } else if text.starts_with(GPG) {
        Form::Gpg
    } else {
        return Err(unreadable("it is neither an SSH nor an OpenPGP signature"));
    };
    Ok(Signed { payload, signature: text.to_owned(), form, at })
}

/// The headers, and the rest with the empty line that begins it.
fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    bytes.split_at(end.map_or(bytes.len(), |end| end + 1))
}

fn header<'b>(headers: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    headers.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))
}

/// Of `NAME <EMAIL> SECONDS ZONE`.
fn time(headers: &[u8], of: &[u8]) -> Result<Timestamp, Flaw> {
    let seconds = || {
        let text = std::str::from_utf8(header(headers, of)?.rsplit(|byte| *byte == b' ').nth(1)?);
        Timestamp::from_second(text.ok()?.parse().ok()?).ok()
    };
    seconds().ok_or_else(|| unreadable("its date cannot be read"))
}

fn unreadable(why: &str) -> Flaw {
    Flaw::Unreadable { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: &str = "tree 1\nauthor A <a> 5 +0000\ncommitter C <c> 7 +0100\n";

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_commit_is_signed_without_the_headers_that_hold_signatures() {
        let bytes = format!(
            "{HEADERS}gpgsig {GPG}\n \n abc\n -----END\ngpgsig-sha256 {SSH}\n more\nencoding x\n\n\
             gpgsig in a message\n"
        );
        let signed = commit(bytes.as_bytes()).unwrap();
        let payload = format!("{HEADERS}encoding x\n\ngpgsig in a message\n");
        assert_eq!(text(&signed.payload), payload);
        assert_eq!(signed.signature, format!("{GPG}\n\nabc\n-----END\n"));
        assert_eq!((signed.form, signed.at.as_second()), (Form::Gpg, 7));
    }

    #[test]
    fn what_only_the_message_holds_is_no_signature_of_a_commit() {
        let bytes = format!("{HEADERS}\ngpgsig {SSH}\n abc\n");
        assert_eq!(commit(bytes.as_bytes()), Err(Flaw::Unsigned));
    }

    #[test]
    fn a_tag_ends_with_its_signature_and_of_several_the_last_counts() {
        let headers = "object 1\ntype commit\ntag v1\ntagger T <t> 9 +0000\n";
        let bytes = format!("{headers}\nText\n{SSH}\nabc\n{GPG}\ndef\n");
        let (name, signed) = tag(bytes.as_bytes()).unwrap();
        assert_eq!(text(&signed.payload), format!("{headers}\nText\n{SSH}\nabc\n"));
        assert_eq!((name.as_str(), signed.signature), ("v1", format!("{GPG}\ndef\n")));
        let unsigned = format!("{headers}\nText about {SSH}\n");
        assert_eq!(tag(unsigned.as_bytes()), Err(Flaw::Unsigned));
    }

    #[test]
    fn several_foreign_and_endless_signatures_are_refused() {
        let refused = |more: &str| {
            let bytes = format!("{HEADERS}{more}\nx\n");
            commit(bytes.as_bytes()).unwrap_err().to_string()
        };
        let twice = refused(&format!("gpgsig {SSH}\ngpgsig {SSH}\n"));
        assert!(twice.ends_with("there are several"), "{twice}");
        let foreign = refused("gpgsig -----BEGIN SIGNED MESSAGE-----\n");
        assert!(foreign.ends_with("neither an SSH nor an OpenPGP signature"), "{foreign}");
        let endless = refused(&format!("gpgsig {SSH}\n {}\n", "a".repeat(SIGNATURE)));
        assert!(endless.contains("more than the 65536 bytes"), "{endless}");
        assert!(commit(b"tree 1\ncommitter x\n\n").is_err());
    }
}
