//! Commits signed with SSH keys.

use crate::forge::{Forge, refused, verified};
use crate::keys::SshKey;

#[test]
fn a_commit_is_shown_with_the_key_that_signed_it() {
    let Some(forge) = Forge::new() else { return };
    for kind in ["ed25519", "rsa 2048", "rsa 4096", "ecdsa 256", "ecdsa 384", "ecdsa 521"] {
        let key = SshKey::new(&forge, &kind.replace(' ', ""), kind);
        forge.commit(kind, Some(&key.signer()));
        let shown = verified(&mut forge.head_with_ssh(&key.line("namespaces=\"git\"")));
        let key = key.fingerprint();
        assert_eq!(shown, format!("commit signed with SSH key {key} (alice@example.org)"));
        assert_eq!(forge.shown().as_deref(), Some(kind));
    }
}

/// What is said of a head that the key signed, with these options in its line.
fn with_options(forge: &Forge, key: &SshKey, options: &str) -> String {
    refused(&mut forge.head_with_ssh(&key.line(options)))
}

#[test]
fn a_key_signs_only_when_and_for_what_its_line_allows() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    forge.commit("one", Some(&key.signer()));
    let other = with_options(&forge, &key, "namespaces=\"file\"");
    assert!(other.contains("whose `namespaces` do not allow \"git\""), "{other}");
    let ended = with_options(&forge, &key, "valid-before=\"20200101Z\"");
    assert!(ended.contains("which was valid until 2020-01-01T00:00:00Z"), "{ended}");
    let early = with_options(&forge, &key, "valid-after=\"29990101Z\"");
    assert!(early.contains("which is valid from 2999-01-01T00:00:00Z on"), "{early}");
    assert_eq!(forge.shown(), None);
    let lines = [key.line("valid-before=\"20200101Z\""), key.line("valid-after=\"20200101Z\"")];
    verified(&mut forge.head_with_ssh(&lines.concat()));
    assert_eq!(forge.shown().as_deref(), Some("one"));
}

#[test]
fn what_is_signed_by_nobody_who_is_known_is_not_shown() {
    let Some(forge) = Forge::new() else { return };
    let (known, stranger) =
        (SshKey::new(&forge, "known", "ed25519"), SshKey::new(&forge, "stranger", "ed25519"));
    let mut source = forge.head_with_ssh(&known.line(""));
    forge.commit("good", Some(&known.signer()));
    verified(&mut source);

    let id = forge.commit("unsigned", None);
    let shown = refused(&mut source);
    let expected =
        format!("commit {} is not taken, what was there stays: it is not signed; ", &id[..12]);
    assert!(shown.contains(&expected), "{shown}");

    forge.commit("stranger", Some(&stranger.signer()));
    let (shown, key) = (refused(&mut source), stranger.fingerprint());
    assert!(
        shown.contains(&format!("it is signed with SSH key {key}, which is not known")),
        "{shown}"
    );

    forge.commit("file", Some(&known.signer_of_files(&forge)));
    let shown = refused(&mut source);
    assert!(shown.contains("for \"file\" instead of \"git\""), "{shown}");
    assert_eq!(forge.shown().as_deref(), Some("good"));
}

/// What is made of a commit's bytes.
type Change<'a> = &'a dyn Fn(&str) -> String;

#[test]
fn a_signature_is_good_for_the_bytes_that_were_signed_and_no_others() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    let mut source = forge.head_with_ssh(&key.line(""));
    forge.commit("bad", None);
    let tree = forge.git(&["rev-parse", "HEAD^{tree}"]);
    let good = forge.commit("good", Some(&key.signer()));
    let good_tree = forge.git(&["rev-parse", "HEAD^{tree}"]);
    verified(&mut source);

    let changes: [(&str, Change); 3] = [
        ("the tree", &|commit| commit.replace(&good_tree, &tree)),
        ("the message", &|commit| format!("{commit}more\n")),
        ("a parent", &|commit| commit.replace("author ", &format!("parent {good}\nauthor "))),
    ];
    for (what, change) in changes {
        let forged = forge.forge(change);
        assert_ne!(forged, good, "{what}");
        let shown = refused(&mut source);
        assert!(shown.contains("does not fit the content"), "{what}: {shown}");
        assert_eq!(forge.shown().as_deref(), Some("good"), "{what}");
        forge.back_to(&good);
    }
    // The signature moved to where only the message is.
    forge.forge(|commit| {
        let (before, rest) = commit.split_once("gpgsig ").unwrap();
        let (signature, message) = rest.split_once("\n\n").unwrap();
        format!("{before}\n{message}gpgsig {signature}\n")
    });
    let shown = refused(&mut source);
    assert!(shown.contains("it is not signed"), "{shown}");
}
