//! Signed tags, alone and with the commits that they lead to.

use crate::forge::{Forge, refused, sync, verified};
use crate::keys::{Gpg, SshKey};
use bowline::source::{Limits, Reference, Repository, Verify, VerifyMode};
use std::sync::atomic::AtomicBool;

/// Follows the tag `v1`.
fn tag(forge: &Forge, mode: VerifyMode, key: &SshKey) -> Repository {
    let allowed_signers = Some(forge.write("allowed_signers", key.line("")));
    let verify = Verify { mode, allowed_signers, gpg_keyring: None };
    forge.follow(Reference::Tag("v1".into()), Some(verify))
}

#[test]
fn a_signed_tag_is_enough_where_only_it_is_asked_for() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    forge.commit("one", None);
    forge.tag("v1", Some(&key.signer()));
    let shown = verified(&mut tag(&forge, VerifyMode::Tag, &key));
    assert!(shown.starts_with("tag signed with SSH key "), "{shown}");
    let shown = refused(&mut tag(&forge, VerifyMode::TagAndHead, &key));
    assert!(shown.contains("commit ") && shown.contains("it is not signed"), "{shown}");

    forge.commit("two", Some(&key.signer()));
    forge.tag("v1", Some(&key.signer()));
    let shown = verified(&mut tag(&forge, VerifyMode::TagAndHead, &key));
    assert!(
        shown.contains("tag signed with ") && shown.contains(", commit signed with "),
        "{shown}"
    );
    assert_eq!(forge.shown().as_deref(), Some("two"));
}

#[test]
fn a_tag_that_is_not_signed_as_it_is_named_is_refused() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    let stranger = SshKey::new(&forge, "stranger", "ed25519");
    let mut source = tag(&forge, VerifyMode::Tag, &key);
    forge.commit("good", Some(&key.signer()));
    forge.tag("v1", Some(&key.signer()));
    verified(&mut source);

    forge.commit("bad", Some(&key.signer()));
    forge.tag("v1", None);
    let shown = refused(&mut source);
    assert!(shown.contains("tag v1 is not taken") && shown.contains("it is not signed"), "{shown}");
    forge.tag("v1", Some(&stranger.signer()));
    let shown = refused(&mut source);
    assert!(shown.contains(&stranger.fingerprint()) && shown.contains("not known"), "{shown}");
    forge.git(&["tag", "--force", "v1", "HEAD"]);
    let shown = refused(&mut source);
    assert!(shown.contains("it is a lightweight tag"), "{shown}");

    // A good tag under another name than its own.
    forge.tag("v2", Some(&key.signer()));
    let other = forge.git(&["rev-parse", "v2"]);
    forge.git(&["update-ref", "refs/tags/v1", &other]);
    let shown = refused(&mut source);
    assert!(shown.contains("what is there was signed as the tag \"v2\""), "{shown}");
    assert_eq!(forge.shown().as_deref(), Some("good"));
}

/// Follows the highest version below 2.
fn range(forge: &Forge, key: &SshKey) -> Repository {
    let allowed_signers = Some(forge.write("allowed_signers", key.line("")));
    let verify = Verify { mode: VerifyMode::Tag, allowed_signers, gpg_keyring: None };
    forge.follow(Reference::Semver("<2".parse().unwrap()), Some(verify))
}

#[test]
fn of_a_range_of_versions_the_tag_that_is_chosen_must_be_signed_as_itself() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    let stranger = SshKey::new(&forge, "stranger", "ed25519");
    let mut source = range(&forge, &key);
    forge.commit("one", None);
    forge.tag("v1.0.0", Some(&key.signer()));
    assert!(verified(&mut source).starts_with("tag signed with SSH key "));
    forge.commit("two", None);
    forge.tag("v1.1.0", Some(&key.signer()));
    verified(&mut source);
    assert_eq!(forge.shown().as_deref(), Some("two"));

    // A higher version that nobody known signed holds the place of the last one.
    forge.commit("three", None);
    forge.tag("v1.2.0", Some(&stranger.signer()));
    let shown = refused(&mut source);
    assert!(shown.contains("tag v1.2.0 is not taken") && shown.contains("not known"), "{shown}");
    // An older version that is well signed, under a newer name.
    let old = forge.git(&["rev-parse", "v1.0.0"]);
    forge.git(&["update-ref", "refs/tags/v1.2.0", &old]);
    let shown = refused(&mut source);
    assert!(shown.contains("what is there was signed as the tag \"v1.0.0\""), "{shown}");
    assert_eq!(forge.shown().as_deref(), Some("two"));

    // What an earlier process left is known by its own tag.
    let last = range(&forge, &key).last().unwrap().unwrap();
    assert!(last.verified.unwrap().to_string().starts_with("tag signed with SSH key "));
    assert!(range(&forge, &stranger).last().is_err());
}

#[test]
fn tags_are_signed_with_gpg_too() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let key = gpg.key("alice", "ed25519", "sign");
    forge.commit("one", None);
    forge.tag("v1", Some(&gpg.signer(&key, "")));
    let gpg_keyring = Some(forge.write("keyring", gpg.export(&[])));
    let verify = Verify { mode: VerifyMode::Tag, allowed_signers: None, gpg_keyring };
    let mut source = forge.follow(Reference::Tag("v1".into()), Some(verify));
    assert_eq!(verified(&mut source), format!("tag signed with GPG key {key} (alice)"));
}

#[test]
fn what_an_earlier_process_left_is_known_by_its_tag() {
    let Some(forge) = Forge::new() else { return };
    let (key, other) =
        (SshKey::new(&forge, "key", "ed25519"), SshKey::new(&forge, "other", "ed25519"));
    forge.commit("one", None);
    forge.tag("v1", Some(&key.signer()));
    // Nobody asked for signatures when it came.
    crate::forge::sync(&mut forge.follow(Reference::Tag("v1".into()), None));
    let last = tag(&forge, VerifyMode::Tag, &key).last().unwrap().unwrap();
    assert!(last.verified.unwrap().to_string().starts_with("tag signed with SSH key "));
    assert!(tag(&forge, VerifyMode::Tag, &other).last().is_err());
}

#[test]
fn a_tag_that_leads_to_what_no_disk_takes_does_not_cost_the_former_commit_its_own() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    // Each move is followed by a new clone, into which the tag is to come.
    let limits = Limits { packs: 0, ..Limits::default() };
    let mut source = tag(&forge, VerifyMode::Tag, &key).with_limits(limits);
    let mut revision = String::new();
    for content in ["one", "two"] {
        revision = forge.commit(content, None);
        forge.tag("v1", Some(&key.signer()));
        assert_eq!(sync(&mut source).revision.0, revision);
        assert_eq!(source.last().unwrap().unwrap().revision.0, revision);
    }
    let blob = forge.git(&["hash-object", "-w", "/dev/null"]);
    let entry = format!("100644,{blob},{}", "n".repeat(300));
    forge.git(&["update-index", "--add", "--cacheinfo", &entry]);
    forge.git(&["commit", "--quiet", "--message=x"]);
    forge.tag("v1", Some(&key.signer()));
    source.sync(&AtomicBool::new(false)).unwrap_err();
    let last = source.last().unwrap().unwrap();
    assert_eq!(last.revision.0, revision);
    assert!(last.verified.unwrap().to_string().starts_with("tag signed"), "by its own tag");
    assert_eq!(forge.shown().as_deref(), Some("two"));
}
