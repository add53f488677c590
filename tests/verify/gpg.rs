//! Commits signed with OpenPGP keys.

use crate::forge::{Forge, refused, verified};
use crate::keys::{Gpg, SshKey, at, keybox, together};

#[test]
fn each_key_of_a_keyring_may_sign() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let kinds = ["ed25519", "rsa2048", "rsa4096", "nistp256", "nistp384"];
    let keys = kinds.map(|kind| gpg.key(&format!("{kind} <{kind}@example.org>"), kind, "sign"));
    let armored: Vec<_> = keys.iter().map(|key| gpg.armored(key)).collect();
    let armored = together(&armored.iter().map(String::as_str).collect::<Vec<_>>());
    for (kind, key) in kinds.iter().zip(&keys) {
        forge.commit(kind, Some(&gpg.signer(key, "")));
        for keyring in [armored.as_bytes(), &gpg.export(&[])] {
            let shown = verified(&mut forge.head_with_gpg(keyring));
            let user = format!("{kind} <{kind}@example.org>");
            assert_eq!(shown, format!("commit signed with GPG key {key} ({user})"));
        }
        assert_eq!(forge.shown().as_deref(), Some(*kind));
    }
}

#[test]
fn what_is_signed_by_nobody_who_is_known_is_not_shown() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let known = gpg.key("known", "ed25519", "sign");
    let stranger = gpg.key("stranger", "ed25519", "sign");
    let mut source = forge.head_with_gpg(gpg.export(&[&known]));
    forge.commit("good", Some(&gpg.signer(&known, "")));
    verified(&mut source);

    forge.commit("stranger", Some(&gpg.signer(&stranger, "")));
    let shown = refused(&mut source);
    let expected = format!("it is signed with GPG key {stranger}, which is not known");
    assert!(shown.contains(&expected), "{shown}");

    forge.commit("changed", Some(&gpg.signer(&known, "")));
    forge.forge(|commit| format!("{commit}more\n"));
    let shown = refused(&mut source);
    assert!(shown.contains("does not fit the content"), "{shown}");

    let ssh = SshKey::new(&forge, "key", "ed25519");
    forge.commit("ssh", Some(&ssh.signer()));
    let shown = refused(&mut source);
    assert!(shown.contains("and no `allowed_signers` is set"), "{shown}");
    forge.commit("gpg", Some(&gpg.signer(&known, "")));
    let shown = refused(&mut forge.head_with_ssh(&ssh.line("")));
    assert!(shown.contains("and no `gpg_keyring` is set"), "{shown}");
    assert_eq!(forge.shown().as_deref(), Some("good"));
}

#[test]
fn a_key_counts_as_it_was_when_it_signed() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let key = gpg.key("alice", "ed25519", "sign");
    let signed = |date: &str| forge.commit(date, Some(&gpg.signer(&key, &at(date))));
    let (before, after) = (signed("20200201"), signed("20210201"));
    gpg.run("20200301", &["--quick-set-expire", &key, "20200601T000000"]);
    let keyring = gpg.export(&[]);

    forge.back_to(&before);
    verified(&mut forge.head_with_gpg(&keyring));
    forge.back_to(&after);
    let shown = refused(&mut forge.head_with_gpg(&keyring));
    assert!(shown.contains("which was valid until 2020-06-01T"), "{shown}");
    assert_eq!(forge.shown().as_deref(), Some("20200201"));

    // Its life is made longer.
    gpg.run("20200401", &["--quick-set-expire", &key, "20300601T000000"]);
    verified(&mut forge.head_with_gpg(gpg.export(&[])));
    assert_eq!(forge.shown().as_deref(), Some("20210201"));
}

#[test]
fn a_revoked_key_signs_nothing_and_a_retired_one_nothing_more() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let revoked = gpg.key("revoked", "ed25519", "sign");
    let retired = gpg.key("retired", "ed25519", "sign");
    let signed = |key: &str, date: &str| {
        forge.commit(&format!("{key} {date}"), Some(&gpg.signer(key, &at(date))))
    };
    let long_before = signed(&revoked, "20200201");
    let (before, after) = (signed(&retired, "20200201"), signed(&retired, "20210201"));
    forge.back_to(&long_before);
    verified(&mut forge.head_with_gpg(gpg.export(&[])));

    gpg.revoke("20200601", &revoked, 0);
    gpg.revoke("20200601", &retired, 3);
    let mut source = forge.head_with_gpg(gpg.export(&[]));
    let shown = refused(&mut source);
    let expected = format!("it is signed with GPG key {revoked} (revoked), which is revoked");
    assert!(shown.contains(&expected), "{shown}");
    forge.back_to(&before);
    verified(&mut source);
    forge.back_to(&after);
    let shown = refused(&mut source);
    assert!(shown.contains("(retired), which is revoked"), "{shown}");
}

#[test]
fn a_subkey_signs_as_long_as_it_is_bound_to_its_key() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let key = gpg.key("alice", "ed25519", "cert");
    for kind in ["rsa2048", "ed25519"] {
        gpg.run("20200102", &["--quick-add-key", &key, kind, "sign", "never"]);
    }
    let [_, revoked, subkey] = gpg.fingerprints("alice").try_into().unwrap();
    forge.commit("subkey", Some(&gpg.signer(&subkey, "")));
    let shown = verified(&mut forge.head_with_gpg(gpg.export(&[])));
    assert_eq!(shown, format!("commit signed with GPG key {key} (alice)"));

    forge.commit("revoked", Some(&gpg.signer(&revoked, "")));
    verified(&mut forge.head_with_gpg(gpg.export(&[])));
    gpg.told("", &["--edit-key", &key], "key 1\nrevkey\ny\n0\n\ny\nsave\n");
    let shown = refused(&mut forge.head_with_gpg(gpg.export(&[])));
    assert!(shown.contains("which is revoked"), "{shown}");
    forge.commit("good again", Some(&gpg.signer(&subkey, "")));
    verified(&mut forge.head_with_gpg(gpg.export(&[])));

    // With the whole key revoked, so is what belongs to it.
    gpg.revoke("", &key, 0);
    let shown = refused(&mut forge.head_with_gpg(gpg.export(&[])));
    assert!(shown.contains("(alice), which is revoked"), "{shown}");
}

#[test]
fn weak_digests_and_signatures_that_have_ended_are_refused() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let key = gpg.key("alice", "rsa2048", "sign");
    let mut source = forge.head_with_gpg(gpg.export(&[]));
    forge.commit("weak", Some(&gpg.signer(&key, "--digest-algo SHA1")));
    let shown = refused(&mut source);
    assert!(shown.contains("used a digest that can be forged"), "{shown}");
    let ends = format!("--default-sig-expire 30d {}", at("20210101"));
    forge.commit("ended", Some(&gpg.signer(&key, &ends)));
    let shown = refused(&mut source);
    assert!(shown.contains("was valid until 2021-01-31T00:00:00Z"), "{shown}");
    assert_eq!(forge.shown(), None);
}

#[test]
fn a_file_that_holds_no_public_keys_is_an_error_that_says_so() {
    let Some(forge) = Forge::new() else { return };
    let gpg = Gpg::new(&forge);
    let key = gpg.key("alice", "ed25519", "sign");
    forge.commit("good", Some(&gpg.signer(&key, "")));
    let secret = gpg.run("", &["--export-secret-keys"]);
    for (content, expected) in [
        (keybox(&gpg), "it is a keybox of GnuPG; write the keys with `gpg --export > FILE`"),
        (secret, "it holds a secret key"),
        (b"keys\n".to_vec(), "it is no file of `gpg --export`"),
        (b"\n".to_vec(), "it holds no key"),
    ] {
        let shown = refused(&mut forge.head_with_gpg(content));
        let path = forge.path("keyring").display().to_string();
        assert!(
            shown.contains(&format!("cannot verify with the keys in {path}: {expected}")),
            "{shown}"
        );
    }
}
