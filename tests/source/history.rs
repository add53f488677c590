//! With how much of its history a commit comes.

use super::sshd::Server;
use super::upstream::{Upstream, git, sync};
use bowline::model::{Revision, SourceName};
use bowline::source::{Fault, Location, Reference, Repository, Spec, Verify, VerifyMode};
use std::fs;

#[test]
fn a_server_that_cannot_leave_history_out_is_fetched_whole() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let first = upstream.head();
    let second = upstream.commit(&[("a", "two")]);
    // What it says it can, with one word of the same length changed.
    let (path, script) = (upstream.path(), server.place("serve"));
    let serve = format!(
        "git-upload-pack {} | perl -e 'while (sysread STDIN, $_, 65536) {{ s/ shallow / sh_llow /; \
         syswrite STDOUT, $_ }}'",
        path.display()
    );
    fs::write(&script, serve).unwrap();
    server.key("without", Some(&format!("sh {}", script.display())));
    let mut source = server.follow(&upstream).with_ssh(server.login("without"));
    assert_eq!(sync(&mut source).unwrap().revision.0, second);
    let clone = upstream.state().join("s/git");
    assert_eq!(git(&clone, &["rev-list", "--count", &second]), "2");
    assert!(!clone.join("shallow").exists());
    let third = upstream.commit(&[("a", "one"), ("b", "three")]);
    assert_eq!(sync(&mut source).unwrap().revision.0, third);
    assert_eq!(fs::read_to_string(upstream.shown("b")).unwrap(), "three");
    git(&clone, &["fsck", "--connectivity-only", &third]);
    let files = source.files_of(&Revision(first)).unwrap();
    assert_eq!(files.read(&upstream.shown("a")).unwrap(), b"one");
    drop(files);

    // It learns to, and forgets again: a clone without history is no ground to build on.
    let mut source = server.follow(&upstream);
    for (login, text) in [("client", "four"), ("without", "five"), ("client", "six")] {
        source = source.with_ssh(server.login(login));
        let head = upstream.commit(&[("a", text)]);
        assert_eq!(sync(&mut source).unwrap().revision.0, head, "{login}");
        assert_eq!(fs::read_to_string(upstream.shown("a")).unwrap(), text);
        git(&clone, &["fsck", "--connectivity-only", &head]);
    }
}

#[test]
fn a_commit_without_its_history_is_verified() {
    let Some(server) = Server::start() else { return };
    let upstream = Upstream::with(&[("a", "one")]);
    let key = server.place("client");
    let public = fs::read_to_string(server.place("client.pub")).unwrap();
    let allowed = server.place("allowed_signers");
    fs::write(&allowed, format!("a@example.org {public}")).unwrap();
    let signed = |text: &str| {
        fs::write(upstream.path().join("a"), text).unwrap();
        let key = format!("user.signingkey={}", key.display());
        let format = ["-c", "gpg.format=ssh", "-c", key.as_str()];
        let commit = ["commit", "--quiet", "--all", "--gpg-sign", "--message=x"];
        upstream.git(&[&format[..], &commit].concat());
        upstream.head()
    };
    let location = server.address(upstream.path().to_str().unwrap());
    let verify = Verify {
        mode: VerifyMode::Head,
        allowed_signers: Some(allowed.clone()),
        gpg_keyring: None,
    };
    let spec = |location: Location| Spec {
        name: SourceName::new("s").unwrap(),
        location,
        reference: Reference::Head,
        credentials: None,
        submodules: false,
        verify: Some(verify.clone()),
    };
    let second = signed("two");
    let mut source =
        Repository::open(spec(location), &upstream.state()).with_ssh(server.login("client"));
    let checkout = sync(&mut source).unwrap();
    assert_eq!(checkout.revision.0, second);
    assert!(checkout.verified.unwrap().to_string().contains("a@example.org"));
    let clone = upstream.state().join("s/git");
    assert_eq!(git(&clone, &["rev-list", "--count", &second]), "1");
    upstream.commit(&[("a", "by nobody")]);
    let error = sync(&mut source).unwrap_err();
    assert!(matches!(error.fault, Fault::Unverified { .. }), "{error}");
    let third = signed("three");
    assert_eq!(sync(&mut source).unwrap().revision.0, third);
}
