//! What stays as it was while a revision is refused.

use crate::forge::{Forge, refused, sync, verified};
use crate::keys::SshKey;
use bowline::source::{Limits, Reference};
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn the_former_files_are_not_touched_and_a_good_revision_is_shown_again() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    let mut source = forge.head_with_ssh(&key.line(""));
    forge.commit_files(&[("a", "1"), ("b", "1")], Some(&key.signer()));
    let first = sync(&mut source);
    let places = || {
        let dir = fs::read_dir(forge.path("state/s/checkout")).unwrap();
        let mut places: Vec<_> = dir
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().ino()))
            .collect();
        places.sort();
        places
    };
    let before = places();
    forge.git(&["rm", "--quiet", "b"]);
    forge.commit_files(&[("a", "2"), ("c", "2")], None);
    refused(&mut source);
    assert_eq!(places(), before);
    let last = source.last().unwrap().unwrap();
    assert_eq!((last.revision, last.moved), (first.revision, false));

    forge.commit("3", Some(&key.signer()));
    assert!(sync(&mut source).moved);
    assert_eq!(forge.shown().as_deref(), Some("3"));
}

#[test]
fn a_clone_that_was_made_without_keys_does_not_count_as_verified() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    forge.commit("unsigned", None);
    let revision = sync(&mut forge.follow(Reference::Head, None)).revision;
    let mut source = forge.head_with_ssh(&key.line(""));
    let shown = source.last().unwrap_err().to_string();
    assert!(shown.contains("it is not signed"), "{shown}");
    refused(&mut source);
    assert_eq!(source.files_of(&revision).unwrap().revision(), &revision, "the way back stays");
}

#[test]
fn keys_are_read_at_each_sync() {
    let Some(forge) = Forge::new() else { return };
    let (one, two) = (SshKey::new(&forge, "one", "ed25519"), SshKey::new(&forge, "two", "ed25519"));
    forge.commit("one", Some(&one.signer()));
    let mut source = forge.head_with_ssh(&one.line(""));
    verified(&mut source);
    forge.write("allowed_signers", two.line(""));
    let shown = refused(&mut source);
    assert!(shown.contains("which is not known"), "the same commit is looked at again: {shown}");
    assert!(source.last().is_err());
    for (content, expected) in [
        ("# nobody\n", "it holds no key"),
        (
            "\na@example.org cert-authority ssh-ed25519 AAAA\n",
            "line 2: certificates are not supported",
        ),
    ] {
        let path = forge.write("allowed_signers", content);
        let shown = refused(&mut source);
        let expected = format!("cannot verify with the keys in {}: {expected}", path.display());
        assert!(shown.contains(&expected), "{shown}");
    }
    fs::remove_file(forge.path("allowed_signers")).unwrap();
    let shown = refused(&mut source);
    assert!(shown.contains("No such file") && shown.contains("create it"), "{shown}");
    forge.write("allowed_signers", one.line(""));
    verified(&mut source);
}

#[test]
fn a_first_clone_is_kept_and_one_with_many_packs_is_not_replaced_for_what_is_refused() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    let limits = Limits { packs: 0, ..Limits::default() };
    let mut source = forge.head_with_ssh(&key.line("")).with_limits(limits);
    let clone = || fs::metadata(forge.path("state/s/git")).unwrap().ino();
    forge.commit("unsigned", None);
    refused(&mut source);
    let first = clone();
    refused(&mut source);
    assert_eq!(clone(), first);
    assert_eq!((forge.shown(), source.last().unwrap()), (None, None));
    forge.commit("signed", Some(&key.signer()));
    verified(&mut source);
    assert_eq!(forge.shown().as_deref(), Some("signed"));
}

#[test]
fn an_interrupted_switch_to_what_is_refused_is_not_finished_at_the_start() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    let good = forge.commit("good", Some(&key.signer()));
    let mut source = forge.head_with_ssh(&key.line(""));
    verified(&mut source);
    let bad = forge.commit("bad", None);
    refused(&mut source);
    // As a switch leaves it that was begun, before anybody asked for signatures, and did not end.
    let head = forge.path("state/s/git/HEAD");
    assert_eq!(fs::read_to_string(&head).unwrap().trim(), good);
    fs::write(&head, format!("{bad}\n")).unwrap();
    assert!(source.last().is_err());
    assert_eq!(forge.shown().as_deref(), Some("good"));
}

#[test]
fn a_commit_of_a_megabyte_is_not_read() {
    let Some(forge) = Forge::new() else { return };
    let key = SshKey::new(&forge, "key", "ed25519");
    forge.commit("good", Some(&key.signer()));
    forge.forge(|commit| format!("{commit}{}\n", "long ".repeat(1 << 18)));
    let shown = refused(&mut forge.head_with_ssh(&key.line("")));
    assert!(shown.contains("more than the 1048576 bytes that are read"), "{shown}");
}
