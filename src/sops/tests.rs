//! Files that the real sops made (`tests/sops`), whole and damaged.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use serde_yaml::Value;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/sops/", $name))
    };
}

const ENV: &[u8] = fixture!("env.sops");
const YAML: &[u8] = fixture!("tree.sops.yaml");
const ENCRYPTED_REGEX: &[u8] = fixture!("encrypted_regex.sops.yaml");
const DOCUMENTS: &[u8] = fixture!("documents.sops.yaml");
const JSON: &[u8] = fixture!("tree.sops.json");
const BYTES: &[u8] = fixture!("bytes.sops");

fn keys() -> Keys {
    Keys::parse(include_str!("../../tests/sops/host.key"), "host.key").unwrap()
}

fn other_keys() -> Keys {
    Keys::parse(include_str!("../../tests/sops/other.key"), "other.key").unwrap()
}

fn opened(file: &[u8], name: &str) -> Vec<u8> {
    open(file, name, &keys()).unwrap().unwrap()
}

fn error(file: &[u8]) -> String {
    open(file, "", &keys()).unwrap_err().to_string()
}

/// A fixture with one text in place of another.
fn edited(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(file).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

fn documents(text: &[u8]) -> Vec<Value> {
    serde_yaml::Deserializer::from_slice(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

#[test]
fn a_file_of_variables_comes_out_line_by_line() {
    let plain = std::str::from_utf8(fixture!("env.plain")).unwrap();
    let without_comment = plain.split_once('\n').unwrap().1;
    for file in [ENV, fixture!("env.again.sops"), fixture!("env.mac_only.sops")] {
        assert_eq!(opened(file, ".env"), without_comment.as_bytes());
    }
}

#[test]
fn any_bytes_come_out_as_they_were() {
    assert_eq!(opened(BYTES, "cert.p12"), fixture!("bytes.plain"));
}

#[test]
fn a_tree_comes_out_with_its_values_types_and_order_whatever_is_encrypted_of_it() {
    let plain = std::str::from_utf8(fixture!("tree.plain.yaml")).unwrap();
    // Sops reads what is not quoted as a time, and writes it in full.
    let plain = plain.replace("2024-01-02\n", "2024-01-02T00:00:00Z\n");
    for file in [
        YAML,
        ENCRYPTED_REGEX,
        fixture!("unencrypted_regex.sops.yaml"),
        fixture!("encrypted_suffix.sops.yaml"),
    ] {
        let found = opened(file, "tree.yaml");
        assert_eq!(documents(&found), documents(plain.as_bytes()));
        let keys = |value: &Value| {
            let keys = value.as_mapping().unwrap().keys();
            keys.map(|key| key.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&documents(&found)[0]), keys(&documents(plain.as_bytes())[0]));
    }
}

#[test]
fn texts_that_could_be_something_else_are_quoted() {
    let found = String::from_utf8(opened(YAML, "")).unwrap();
    for line in [
        "  - \"no\"\n",
        "  - \"1_000\"\n",
        "  \"on\": true\n",
        "  port: 5432\n",
        "  - \"tab\\tend\"\n",
        "  multi: \"line one\\nline two\\n\"\n",
        "empty_map: {}\n",
        "\"quote\\\"key\": \"x\\\"y\\\\z\"\n",
    ] {
        assert!(found.contains(line), "{line:?} in {found}");
    }
    assert!(!found.contains("ENC[") && !found.contains("comment"));
}

#[test]
fn all_documents_of_a_file_come_out_for_each_of_its_recipients() {
    let plain = documents(fixture!("documents.plain.yaml"));
    assert_eq!(documents(&opened(DOCUMENTS, "")), plain);
    let found = open(DOCUMENTS, "", &other_keys()).unwrap().unwrap();
    assert_eq!(documents(&found), plain);
}

#[test]
fn json_comes_out_as_json() {
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    let found = value(&opened(JSON, "tree.JSON"));
    assert_eq!(found, value(fixture!("tree.plain.json")));
    // Sops keeps numbers of JSON as floats.
    assert_eq!(found["a"].to_string(), "1");
}

#[test]
fn what_is_the_same_when_plain_is_the_same_however_it_was_encrypted() {
    assert_ne!(ENV, fixture!("env.again.sops"));
    assert_eq!(opened(ENV, ""), opened(fixture!("env.again.sops"), ""));
    assert_ne!(opened(ENV, ""), opened(fixture!("env.rotated.sops"), ""));
}

#[test]
fn a_file_that_sops_did_not_encrypt_is_left_alone() {
    for plain in ["", "A=1\nsops_version=3\n", "sops: {}\n", "{\"sops\": 1}", "a: ENC[x]\n"] {
        assert_eq!(open(plain.as_bytes(), "", &keys()), Ok(None), "{plain}");
        assert!(!is_sealed(plain.as_bytes()));
    }
    assert!(is_sealed(ENV) && is_sealed(YAML) && is_sealed(BYTES));
}

#[test]
fn without_the_right_key_it_is_said_whose_is_needed() {
    let told = |keys: &Keys| open(ENV, "", keys).unwrap_err().to_string();
    let none = told(&Keys::none("name one in X"));
    assert_eq!(none, "is encrypted with sops, and there is no key to open it: name one in X");
    let other = told(&other_keys());
    assert!(other.starts_with("is encrypted for age1254fjw2d2"), "{other}");
    assert!(other.contains("this host's key is age1fd8c79z"), "{other}");
    assert!(other.contains("(from other.key); add it with `sops rotate -i --add-age"), "{other}");
    assert!(error(fixture!("env.others.sops")).starts_with("is encrypted for age1fd8c79z"));
}

#[test]
fn keys_are_never_shown_and_a_wrong_line_is_named() {
    assert_eq!(format!("{:?}", keys()), "Keys(1 not shown, host.key)");
    let wrong = |text: &str| Keys::parse(text, "k").unwrap_err();
    assert_eq!(wrong("# c\n\nhunter2\n"), "line 3 of k is no age key (AGE-SECRET-KEY-1...)");
    assert_eq!(wrong("# c\n"), "k holds no age key; make one with `age-keygen`");
}

#[test]
fn what_was_edited_is_refused_and_the_value_is_named_where_it_is_known() {
    let value = "name_unencrypted: shown";
    let cases: [(Vec<u8>, &str); 8] = [
        (edited(YAML, value, "name_unencrypted: other"), "was edited after it was encrypted"),
        (edited(YAML, "    port: ENC[", "    p0rt: ENC["), "`db.p0rt` cannot be decrypted"),
        (edited(YAML, "empty: \"\"", "empty: new"), "`db.empty` is not encrypted"),
        (edited(YAML, "empty: \"\"", "empty: 7"), "`db.empty` is not encrypted"),
        (edited(YAML, "lastmodified: \"2026", "lastmodified: \"2025"), "was edited after"),
        (edited(YAML, "type:bool]", "type:int]"), "`db.on` is encrypted as a type that it is not"),
        (edited(ENV, "PIN=ENC[", "PIN2=ENC["), "`PIN2` cannot be decrypted"),
        (edited(ENV, "EMPTY=\n", "EMPTY=\nMORE=plain\n"), "`MORE` is not encrypted"),
    ];
    for (file, expected) in cases {
        let told = error(&file);
        assert!(told.starts_with(expected), "{told}");
        assert!(told.contains("encrypt it anew"), "{told}");
    }
    // Two values that change places are bound to their names.
    let text = std::str::from_utf8(ENV).unwrap();
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    let (pin, url) = (line("PIN=").split_once('=').unwrap().1, line("URL="));
    assert!(error(&edited(ENV, url, &format!("URL={pin}"))).starts_with("`URL` cannot"));
}

#[test]
fn a_value_taken_away_is_missed() {
    let text = std::str::from_utf8(ENV).unwrap();
    let without: String =
        text.split_inclusive('\n').filter(|line| !line.starts_with("PIN=")).collect();
    assert!(error(without.as_bytes()).starts_with("was edited after it was encrypted"));
}

#[test]
fn what_is_not_supported_is_said_with_what_to_do() {
    let others = "sops:\n    age:\n";
    let kms = "sops:\n    pgp:\n        - fp: x\n    kms:\n        - arn: x\n    age_was:\n";
    let cases: [(Vec<u8>, &str); 9] = [
        (edited(YAML, others, kms), "is encrypted for AWS KMS and PGP alone, and only age keys"),
        (edited(YAML, "version: 3.11.0", "version: 4.0.0"), "was encrypted by sops 4.0.0, and"),
        (edited(YAML, "    version: 3.11.0\n", ""), "was encrypted by sops of no version"),
        (fixture!("groups.sops.yaml").to_vec(), "has its key split among several key groups"),
        (fixture!("comment_regex.sops.yaml").to_vec(), "says by comments what is encrypted"),
        (fixture!("ini.sops").to_vec(), "is sops's INI form"),
        (edited(ENCRYPTED_REGEX, "encrypted_regex: ^(", "encrypted_regex: ^(("), "has an `enc"),
        (edited(YAML, "BEGIN AGE", "BEGIN XXX"), "has a damaged key for age1254fjw"),
        (edited(ENV, "EMPTY=", "EMPTY"), "is no whole dotenv file of sops's: line 7 has no `=`"),
    ];
    for (file, expected) in cases {
        let told = error(&file);
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let cut = |file: &[u8], end: &str| {
        let at = std::str::from_utf8(file).unwrap().find(end).unwrap();
        error(&file[..at])
    };
    assert!(cut(YAML, "sops:").starts_with("has values that sops encrypted and no `sops` section"));
    assert!(cut(ENV, "sops_age").starts_with("has values that sops encrypted"));
    assert!(cut(JSON, "\"sops\"").starts_with("is no whole JSON file"));
    assert!(cut(ENV, "sops_version").starts_with("was encrypted by sops of no version"));
    assert!(cut(YAML, "    version").starts_with("was encrypted by sops of no version"));
    assert!(cut(YAML, "    unencrypted_suffix").starts_with("was encrypted by sops of no version"));
}

#[test]
fn json_of_several_values_under_another_name_is_not_taken_for_bytes() {
    assert!(
        error(JSON).starts_with("is no whole binary file of sops's: it holds more than `data`")
    );
}

/// What stands in an opened file, without the names of keys, which the MAC does not cover, and without
/// what is empty.
fn leaves(opened: &[u8], name: &str) -> Vec<String> {
    fn add(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Null => {}
            Value::Mapping(map) => map.values().for_each(|value| add(value, found)),
            Value::Sequence(items) => items.iter().for_each(|value| add(value, found)),
            Value::String(text) if text.is_empty() => {}
            other => found.push(format!("{other:?}")),
        }
    }
    let mut found = Vec::new();
    match name {
        "tree.yaml" | "tree.json" => {
            for document in documents(opened) {
                add(&document, &mut found);
            }
        }
        ".env" => {
            let text = std::str::from_utf8(opened).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            found.extend(lines.map(|line| line.split_once('=').unwrap().1.to_owned()));
            found.retain(|value| !value.is_empty());
        }
        _ => found.push(hex::encode(opened)),
    }
    found
}

/// A file whose MAC covers all values, and its name.
fn covered() -> impl Strategy<Value = (&'static [u8], &'static str)> {
    prop_oneof![
        Just((ENV, ".env")),
        Just((YAML, "tree.yaml")),
        Just((JSON, "tree.json")),
        Just((BYTES, "bytes")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_gives_all_that_was_encrypted_or_nothing(
        (file, name) in covered(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), b' '..b'~'), 0..4),
        odd in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        lost in prop::option::weighted(0.5, any::<prop::sample::Index>()),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
    ) {
        let whole = leaves(&opened(file, name), name);
        let mut damaged = file.to_vec();
        if let Some(lost) = lost {
            let mut lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
            lines.remove(lost.index(lines.len()));
            damaged = lines.concat();
        }
        for (at, byte) in damage.into_iter().chain(odd) {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(file.len()));
        }
        match open(&damaged, name, &keys()) {
            Ok(Some(found)) => prop_assert_eq!(leaves(&found, name), whole),
            Ok(None) => {
                let text = String::from_utf8_lossy(&damaged);
                prop_assert!(!text.contains("ENC[AES256_GCM,"));
            }
            Err(error) => {
                let told = error.to_string();
                prop_assert!(!told.contains("marker-4711") && !told.contains("hunter2"), "{}", told);
            }
        }
    }
}
