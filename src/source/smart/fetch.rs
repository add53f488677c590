//! Asks for one commit and takes in the pack that comes (gitprotocol-pack, "Packfile Negotiation"
//! and "Packfile Data"). One question, one answer: all that we have is said at once.

use super::super::error::Fault;
use super::super::mirror::{Known, Mirror};
use super::super::select::Wanted;
use super::advertise::Advertised;
use super::pktline::{Packet, flush, words, write};
use git2::Oid;
use std::collections::BTreeSet;
use std::io::{Read, Write};

/// What is asked of the server.
pub(in crate::source) struct Request {
    pub(in crate::source) body: Vec<u8>,
    /// Whether commits come without their history, so that the answer begins with a list of them.
    pub(in crate::source) shallow: bool,
}

/// The question for `wanted`.
pub(in crate::source) fn request(
    advertised: &Advertised,
    wanted: &Wanted,
    known: &Known,
) -> Result<Request, Fault> {
    if !advertised.can("side-band-64k") {
        return Err(Fault::Unsupported { what: "a server without git's side-band-64k".into() });
    }
    // A commit that nothing points at comes alone only from servers that allow to ask for it;
    // from the others all branches and tags come, with history, and it is looked for in them.
    let by_id =
        ["allow-tip-sha1-in-want", "allow-reachable-sha1-in-want", "allow-any-sha1-in-want"];
    let alone = wanted.offered_as.is_some() || by_id.iter().any(|name| advertised.can(name));
    let wants = if alone {
        BTreeSet::from([wanted.id])
    } else {
        advertised.offer.0.values().copied().collect()
    };
    let shallow = alone && advertised.can("shallow");
    Ok(Request { body: body(&wants, shallow, advertised, known), shallow })
}

fn body(wants: &BTreeSet<Oid>, shallow: bool, advertised: &Advertised, known: &Known) -> Vec<u8> {
    let agent = concat!("agent=bowline/", env!("CARGO_PKG_VERSION"));
    let useful = ["side-band-64k", "ofs-delta", "no-progress"];
    let mut capabilities: Vec<_> = useful.into_iter().filter(|name| advertised.can(name)).collect();
    capabilities.extend(shallow.then_some("shallow"));
    capabilities.push(agent);
    let mut body = Vec::new();
    let mut extra = format!(" {}", capabilities.join(" "));
    for want in wants {
        write(&mut body, &format!("want {want}{extra}\n"));
        extra.clear();
    }
    // With history asked for, a clone without history has nothing that it could build on.
    if shallow {
        for id in &known.boundary {
            write(&mut body, &format!("shallow {id}\n"));
        }
        write(&mut body, "deepen 1\n");
    }
    flush(&mut body);
    if let Some(tip) = known.tip.filter(|_| shallow || known.boundary.is_empty()) {
        write(&mut body, &format!("have {tip}\n"));
    }
    write(&mut body, "done\n");
    body
}

/// Takes in the answer.
pub(in crate::source) fn receive(
    from: &mut impl Read,
    shallow: bool,
    known: &Known,
    mirror: &Mirror,
) -> Result<(), Fault> {
    let boundary = if shallow { Some(boundary(from, known)?) } else { None };
    let odb = mirror.repository.odb().map_err(|error| Fault::git("write the pack", &error))?;
    let failed = |error: git2::Error| Fault::git("take in the pack that came", &error);
    let mut pack = odb.packwriter().map_err(failed)?;
    let mut bytes = 0_usize;
    while let Some(content) = band(from)? {
        pack.write_all(&content).map_err(pack_fault)?;
        bytes += content.len();
    }
    if bytes == 0 {
        return Err(Fault::Corrupt { why: "the server sent no pack".into() });
    }
    // The boundary first: commits without parents that are not in it would look damaged.
    if let Some(boundary) = boundary.filter(|_| known.is_whole) {
        mirror.set_shallow(&boundary)?;
    }
    pack.commit().map(drop).map_err(failed)
}

/// The wrapper of libgit2 says only that it failed; libgit2 knows why.
fn pack_fault(error: std::io::Error) -> Fault {
    let error = error.downcast().unwrap_or_else(|_| git2::Error::last_error(-1));
    Fault::git("take in the pack that came", &error)
}

/// The section on commits without history: what the clone's list of them is from now on.
fn boundary(from: &mut impl Read, known: &Known) -> Result<Vec<Oid>, Fault> {
    let mut ids: BTreeSet<Oid> = known.boundary.iter().copied().collect();
    while let Packet::Data(line) = Packet::read(from)? {
        let text = str::from_utf8(&line).unwrap_or_default().trim_end();
        let (what, id) = text.split_once(' ').unwrap_or_default();
        match (what, Oid::from_str(id)) {
            ("shallow", Ok(id)) => ids.insert(id),
            ("unshallow", Ok(id)) => ids.remove(&id),
            _ => return Err(unexpected(&line)),
        };
    }
    Ok(ids.into_iter().collect())
}

/// The next part of the pack; `None` at its end.
fn band(from: &mut impl Read) -> Result<Option<Vec<u8>>, Fault> {
    loop {
        let Packet::Data(mut line) = Packet::read(from)? else { return Ok(None) };
        match line.first() {
            Some(1) => {
                line.remove(0);
                return Ok(Some(line));
            }
            Some(2) | None => {}
            Some(3) => return Err(Fault::Refused { why: words(&line[1..]) }),
            _ if line.starts_with(b"NAK") || line.starts_with(b"ACK ") => {}
            _ => return Err(unexpected(&line)),
        }
    }
}

fn unexpected(line: &[u8]) -> Fault {
    let start = line[..line.len().min(40)].escape_ascii();
    Fault::NotGit { why: format!("`{start}` does not belong there") }
}
