//! Brings the commits of submodules into a clone, each from the repository that `.gitmodules` names. What
//! is there is not asked for again.

use super::super::error::Fault;
use super::super::http::Way;
use super::super::laid::commit_of;
use super::super::limits::Attempt;
use super::super::local;
use super::super::location::{Location, Reference};
use super::super::mirror::{Known, Mirror};
use super::super::remote::Remote;
use super::super::select::select;
use super::super::spec::Spec;
use super::super::ssh::Ssh;
use super::address::{is_same_host, resolve};
use super::{MAX, MAX_DEPTH, Module, modules, shown};
use git2::Oid;
use std::path::Path;

/// With what they are brought.
pub(in crate::source) struct Bring<'a> {
    /// The source around them: its login is for its own host.
    pub(in crate::source) spec: &'a Spec,
    pub(in crate::source) way: &'a Way,
    pub(in crate::source) ssh: &'a Ssh,
    pub(in crate::source) attempt: &'a Attempt<'a>,
    /// A clone that may have them already.
    pub(in crate::source) old: Option<&'a Mirror>,
    pub(in crate::source) into: &'a Mirror,
}

/// The repository whose submodules are looked at.
struct Around<'a> {
    location: &'a Location,
    /// Where it lies in the checkout.
    below: &'a Path,
    /// The repository around this one.
    outer: Option<&'a Around<'a>>,
}

impl Bring<'_> {
    /// All submodules of `commit`, and theirs. How many there are.
    pub(in crate::source) fn all(&self, commit: Oid) -> Result<usize, Fault> {
        let top = Around { location: &self.spec.location, below: Path::new(""), outer: None };
        let mut count = 0;
        self.below(commit, self.former(), &top, &mut count).map(|()| count)
    }

    /// The submodules of `commit`; `former` is the commit whose submodules were shown before.
    fn below(
        &self,
        commit: Oid,
        former: Option<Oid>,
        around: &Around<'_>,
        count: &mut usize,
    ) -> Result<(), Fault> {
        let of = |commit| {
            let found = self.into.repository.find_commit(commit);
            let tree = found.and_then(|commit| commit.tree());
            tree.map_err(|error| Fault::git("read a commit's tree", &error))
        };
        let former =
            former.and_then(|it| modules(&self.into.repository, &of(it).ok()?, around.below).ok());
        let former = former.unwrap_or_default();
        for module in modules(&self.into.repository, &of(commit)?, around.below)? {
            *count += 1;
            if *count > MAX || around.depth() == MAX_DEPTH {
                let what = format!(
                    "more than {MAX} submodules, or {MAX_DEPTH} in one another, are refused"
                );
                return Err(module.refused(what));
            }
            let known = former.iter().find(|it| it.path == module.path).map(|it| it.pin);
            let url = module.url.as_deref().ok_or_else(|| module.refused("it has no url"))?;
            let location = resolve(url, around.location).map_err(|what| module.refused(what))?;
            if around.is_within(&location) {
                return Err(module.refused("it is a repository that it lies in itself"));
            }
            self.one(&module, &location, known)?;
            let below = around.below.join(&module.path);
            let inner = Around { location: &location, below: &below, outer: Some(around) };
            self.below(module.pin, known, &inner, count)?;
        }
        Ok(())
    }

    /// One of them; `known` is the commit of it that was shown before.
    fn one(&self, module: &Module, location: &Location, known: Option<Oid>) -> Result<(), Fault> {
        let here = |mirror: &Mirror| Ok(mirror.commit(module.pin)? == Some(module.pin));
        if here(self.into)? {
            return Ok(());
        }
        if let Some(old) = self.old.filter(|old| here(old).unwrap_or(false))
            && local::copy(&old.repository, module.pin, self.into, self.attempt).is_ok()
        {
            return Ok(());
        }
        let is_same_host = is_same_host(&self.spec.location, location);
        let known = known.filter(|known| self.into.commit(*known).ok().flatten().is_some());
        let fetched = self
            .fetch(module.pin, location, is_same_host, known)
            .and_then(|()| if here(self.into)? { Ok(()) } else { Err(missing(module.pin)) });
        fetched.map_err(|fault| match fault {
            Fault::Cancelled => Fault::Cancelled,
            fault => Fault::Submodule {
                at: shown(&module.place, &module.name),
                location: location.to_string(),
                hint: self.hint(&fault, is_same_host),
                fault: Box::new(fault),
            },
        })
    }

    fn fetch(
        &self,
        pin: Oid,
        location: &Location,
        is_same_host: bool,
        known: Option<Oid>,
    ) -> Result<(), Fault> {
        let reference = Reference::Commit(pin.to_string());
        let spec = Spec {
            location: location.clone(),
            reference: reference.clone(),
            credentials: self.spec.credentials.clone().filter(|_| is_same_host),
            verify: None,
            ..self.spec.clone()
        };
        let key_file = self.ssh.key_file.clone().filter(|_| is_same_host);
        let ssh = Ssh { key_file, ..self.ssh.clone() };
        let mut remote = Remote::of(&spec, self.way, &ssh)?;
        self.into.sweep();
        if let Remote::Local(path) = remote {
            let from = local::open(path)?;
            from.find_commit(pin).map_err(|_| missing(pin))?;
            return local::copy(&from, pin, self.into, self.attempt);
        }
        let offer = remote.list(self.attempt)?;
        let wanted = select(&offer, &reference)?;
        let known = Known::of_a_part(known);
        remote.fetch(&wanted, &known, self.into, self.attempt).map(drop)
    }

    /// Why the source's login was not shown to who asks for one.
    fn hint(&self, fault: &Fault, is_same_host: bool) -> Option<&'static str> {
        match fault {
            Fault::LoginMissing { .. } | Fault::KeyRefused { .. } if !is_same_host => {
                Some("the source's own login is for its own host and is not shown to this one")
            }
            Fault::LoginMissing { .. } if self.spec.credentials.is_some() => {
                Some("no line of the source's `credentials_file` is for this repository")
            }
            _ => None,
        }
    }

    /// The commit that the checkout shows, by the clone that was there.
    fn former(&self) -> Option<Oid> {
        self.into.shown().map(|shown| commit_of(&self.into.repository, shown))
    }
}

impl Around<'_> {
    fn depth(&self) -> usize {
        self.outer.map_or(0, |outer| outer.depth() + 1)
    }

    fn is_within(&self, location: &Location) -> bool {
        self.location == location || self.outer.is_some_and(|outer| outer.is_within(location))
    }
}

fn missing(pin: Oid) -> Fault {
    let exists = "push it there, or have the repository around it name another";
    Fault::UnknownReference { wanted: format!("commit {pin}"), exists: exists.to_owned() }
}
