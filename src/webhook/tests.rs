//! Each provider's signature, and what is none.

use super::*;

/// From GitHub's documentation, "Validating webhook deliveries": secret, payload and signature.
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &[u8] = b"Hello, World!";
const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn claim(headers: &[(&str, &str)]) -> Result<Claim, Rejection> {
    Claim::of(|name| {
        let found = headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_bytes())
    })
}

fn heard(headers: &[(&str, &str)], body: &[u8], secret: &str) -> Result<Provider, Rejection> {
    let claim = claim(headers)?;
    claim.verify(body, &Sensitive::new(secret.to_owned())).map(|()| claim.provider)
}

fn prefixed() -> String {
    format!("sha256={SIGNATURE}")
}

#[test]
fn each_provider_signs_with_its_own_header() {
    let prefixed = prefixed();
    for (header, value, provider) in [
        ("x-hub-signature-256", prefixed.as_str(), Provider::GitHub),
        ("x-gitlab-token", SECRET, Provider::GitLab),
        ("x-gitea-signature", SIGNATURE, Provider::Gitea),
        ("x-forgejo-signature", SIGNATURE, Provider::Forgejo),
        ("x-gogs-signature", SIGNATURE, Provider::Gogs),
        ("x-hub-signature", prefixed.as_str(), Provider::Bitbucket),
        ("x-signature", prefixed.as_str(), Provider::Generic),
    ] {
        let all = [(header, value)];
        assert_eq!(heard(&all, BODY, SECRET), Ok(provider), "{header}");
        assert_eq!(heard(&all, BODY, "another"), Err(Rejection::Forged), "{header}");
        assert_eq!(heard(&all, BODY, ""), Err(Rejection::Forged), "{header}");
        let other_body = heard(&all, b"Hello, World", SECRET);
        match provider {
            // A token says nothing of the body, which is not read.
            Provider::GitLab => assert_eq!(other_body, Ok(provider)),
            _ => assert_eq!(other_body, Err(Rejection::Forged), "{header}"),
        }
    }
}

#[test]
fn the_specific_header_comes_before_its_look_alikes() {
    let prefixed = prefixed();
    let alike = ("x-hub-signature-256", prefixed.as_str());
    let gogs = ("x-gogs-signature", SIGNATURE);
    let gitea = ("x-gitea-signature", SIGNATURE);
    let forgejo = ("x-forgejo-signature", SIGNATURE);
    let provider = |headers: &[_]| heard(headers, BODY, SECRET).unwrap();
    assert_eq!(provider(&[alike, gogs, gitea, forgejo]), Provider::Forgejo);
    assert_eq!(provider(&[alike, gogs, gitea]), Provider::Gitea);
    assert_eq!(provider(&[alike, gogs]), Provider::Gogs);
    assert_eq!(provider(&[("x-hub-signature", "sha1=00"), alike]), Provider::GitHub);
}

#[test]
fn what_is_no_signature_is_refused() {
    assert_eq!(
        heard(&[("content-type", "application/json")], BODY, SECRET),
        Err(Rejection::Unsigned)
    );
    let long = "0".repeat(10_000);
    for value in ["", "sha256=", "sha256=zz", "sha1=00", SIGNATURE, long.as_str(), "sha256=00"] {
        let headers = [("x-hub-signature-256", value)];
        assert_eq!(heard(&headers, BODY, SECRET), Err(Rejection::Forged), "{value}");
    }
    // An empty key signs too, but nobody may be let in by it.
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(b"").unwrap();
    mac.update(BODY);
    let by_anybody = hex::encode(mac.finalize().into_bytes());
    assert_eq!(heard(&[("x-gitea-signature", &by_anybody)], BODY, ""), Err(Rejection::Forged));
    assert_eq!(heard(&[("x-gitlab-token", "")], BODY, ""), Err(Rejection::Forged));
}
