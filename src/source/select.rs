//! Chooses, from what a repository offers, the object to fetch. No IO.

use super::error::Fault;
use super::location::Reference;
use git2::Oid;
use semver::{Version, VersionReq};
use std::collections::BTreeMap;

/// The references shown when one is unknown.
const SHOWN: usize = 10;

/// What a repository offers: `HEAD`, `refs/heads/...`, `refs/tags/...`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer(pub(super) BTreeMap<String, Oid>);

/// The object to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A commit, or an annotated tag that leads to one.
    pub(super) id: Oid,
    /// The reference that offers it; none when a commit was asked for that no reference points at.
    pub(super) offered_as: Option<String>,
}

/// What `reference` means among what is offered.
pub(super) fn select(offer: &Offer, reference: &Reference) -> Result<Wanted, Fault> {
    if offer.0.is_empty() {
        return Err(Fault::Empty);
    }
    let named = |name: String| {
        let id = *offer.0.get(&name)?;
        Some(Wanted { id, offered_as: Some(name) })
    };
    let wanted = match reference {
        Reference::Head => named("HEAD".into()),
        Reference::Branch(name) => named(format!("refs/heads/{name}")),
        Reference::Tag(name) => named(format!("refs/tags/{name}")),
        Reference::Any(name) => {
            let found = [format!("refs/heads/{name}"), format!("refs/tags/{name}"), name.clone()];
            let is_id = name.len() == 40 && Oid::from_str(name).is_ok();
            match found.into_iter().find_map(named) {
                None if is_id => return commit(offer, name),
                found => found,
            }
        }
        Reference::Semver(range) => highest(offer, range).and_then(named),
        Reference::Commit(id) => return commit(offer, id),
    };
    wanted.ok_or_else(|| unknown(offer, reference))
}

/// The tag with the highest version of `range`.
fn highest(offer: &Offer, range: &VersionReq) -> Option<String> {
    let versions = offer
        .0
        .keys()
        .filter_map(|name| Some((version_of(name.strip_prefix("refs/tags/")?)?, name)));
    let fitting = versions.filter(|(version, _)| range.matches(version));
    fitting.max().map(|(_, name)| name.clone())
}

/// The version that a tag names.
pub(super) fn version_of(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

fn commit(offer: &Offer, text: &str) -> Result<Wanted, Fault> {
    let id = Oid::from_str(text).ok().filter(|_| text.len() == 40).ok_or_else(|| {
        Fault::UnknownReference {
            wanted: format!("commit {text}"),
            exists: "write all 40 hexadecimal digits of its id".into(),
        }
    })?;
    let offered_as = offer.0.iter().find(|(_, offered)| **offered == id);
    Ok(Wanted { id, offered_as: offered_as.map(|(name, _)| name.clone()) })
}

/// The error for a reference that is not there, with those that are.
pub(super) fn unknown(offer: &Offer, reference: &Reference) -> Fault {
    let kind = match reference {
        Reference::Tag(_) | Reference::Semver(_) => "refs/tags/",
        _ => "refs/heads/",
    };
    let names: Vec<_> = offer.0.keys().filter_map(|name| name.strip_prefix(kind)).collect();
    let what = if kind == "refs/tags/" { "tags" } else { "branches" };
    let exists = match names.len() {
        0 => format!("it has no {what}"),
        count if count > SHOWN => {
            format!("its {what} are {} and {} more", names[..SHOWN].join(", "), count - SHOWN)
        }
        _ => format!("its {what} are {}", names.join(", ")),
    };
    Fault::UnknownReference { wanted: reference.to_string(), exists }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> Oid {
        Oid::from_str(&digit.to_string().repeat(40)).unwrap()
    }

    fn offer() -> Offer {
        let refs = [
            ("HEAD", '1'),
            ("refs/heads/main", '1'),
            ("refs/heads/v1", '2'),
            ("refs/tags/v1", '3'),
        ];
        Offer(refs.into_iter().map(|(name, digit)| (name.to_owned(), id(digit))).collect())
    }

    #[test]
    fn a_name_alone_is_a_branch_before_a_tag_or_a_commit() {
        let chosen = |reference| select(&offer(), &reference).unwrap().id;
        assert_eq!(chosen(Reference::Any("v1".into())), id('2'));
        assert_eq!(chosen(Reference::Any("f".repeat(40))), id('f'));
        assert_eq!(chosen(Reference::Tag("v1".into())), id('3'));
        assert_eq!(chosen(Reference::Head), id('1'));
    }

    #[test]
    fn of_a_range_of_versions_the_highest_tag_counts() {
        let tags = ["v1.2.0", "1.10.1", "v1.9.9", "v2.0.0-rc.1", "v2.0.0", "latest", "v1.10"];
        let refs =
            tags.iter().zip('1'..).map(|(tag, digit)| (format!("refs/tags/{tag}"), id(digit)));
        let offer = Offer(refs.collect());
        let chosen = |range: &str| {
            select(&offer, &Reference::Semver(range.parse().unwrap())).map(|wanted| wanted.id)
        };
        assert_eq!(chosen(">=1.2, <2").unwrap(), id('2'));
        assert_eq!(chosen("~1.9").unwrap(), id('3'));
        assert_eq!(chosen("*").unwrap(), id('5'));
        // A version before the release only where the range names one.
        assert_eq!(chosen(">=2.0.0-rc.0, <2.0.0").unwrap(), id('4'));
        let error = chosen(">=3").unwrap_err().to_string();
        assert!(
            error.starts_with("there is no tag with a version of >=3; its tags are"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_branch_is_told_with_those_that_exist() {
        let error = select(&offer(), &Reference::Branch("mian".into())).unwrap_err();
        assert_eq!(error.to_string(), "there is no branch mian; its branches are main, v1");
    }

    #[test]
    fn a_repository_without_references_is_empty() {
        let error = select(&Offer::default(), &Reference::Head).unwrap_err();
        assert!(matches!(error, Fault::Empty));
    }

    #[test]
    fn a_commit_that_no_reference_offers_is_still_wanted() {
        let wanted = select(&offer(), &Reference::Commit("f".repeat(40))).unwrap();
        assert_eq!(wanted, Wanted { id: id('f'), offered_as: None });
    }
}
