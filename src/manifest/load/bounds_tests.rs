//! Input that is made to do harm: each ends soon, with one clear error.

use crate::manifest::{DigestKey, Request, resolve};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

fn told(files: &[(&str, Vec<u8>)]) -> String {
    let files: BTreeMap<PathBuf, &Vec<u8>> =
        files.iter().map(|(name, bytes)| (Path::new("/p").join(name), bytes)).collect();
    let read = |path: &Path| {
        let found = files.get(path);
        found.map(|bytes| (*bytes).clone()).ok_or(ErrorKind::NotFound.into())
    };
    let request = Request {
        display_root: Some(PathBuf::from("/p")),
        ..Request::new(vec![PathBuf::from("/p/compose.yaml")], DigestKey::new([0; 32]))
    };
    match resolve(&request, &read) {
        Ok(resolved) => panic!("accepted: {}", resolved.config),
        Err(problems) => problems.to_string(),
    }
}

fn one(text: impl Into<Vec<u8>>) -> String {
    told(&[("compose.yaml", text.into())])
}

fn text(name: &str, text: &str) -> (String, Vec<u8>) {
    (name.to_owned(), text.as_bytes().to_vec())
}

fn many(files: &[(String, Vec<u8>)]) -> String {
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    told(&files)
}

/// `count` lines, by their number.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}

#[test]
fn bytes_that_are_no_yaml_are_told_with_their_place() {
    for (bytes, part) in [
        (b"services: \xff\n".to_vec(), "not UTF-8"),
        (b"services: {a: {image: \"x\0\"}}".to_vec(), "NUL"),
        (b"services:\n\ta: {image: i}\n".to_vec(), "compose.yaml:2"),
        (b"services: {a: {image: i".to_vec(), "not valid YAML"),
        (b"services: [".repeat(10_000), "compose.yaml:1"),
        (b"- ".repeat(10_000), "compose.yaml:1"),
        (b"services: *nope\n".to_vec(), "compose.yaml:1"),
        (b"services: &a {b: *a}\n".to_vec(), "inside the value"),
        (b"? [a]\n: b\n".to_vec(), "a key must be a string"),
        (b"".to_vec(), "is empty"),
        (b"# nothing\n".to_vec(), "is empty"),
        (b"just text\n".to_vec(), "must be a mapping"),
    ] {
        let told = one(bytes);
        assert!(told.contains(part), "{part} in\n{told}");
    }
}

#[test]
fn a_mark_at_the_start_and_windows_line_ends_are_read_past() {
    let told = one("\u{feff}services:\r\n  a:\r\n    imgae: i\r\n");
    assert!(told.contains("compose.yaml:3:5: services.a: unknown key `imgae`"), "{told}");
}

#[test]
fn ten_thousand_levels_and_keys_of_a_megabyte_are_refused() {
    one(lines(10_000, |depth| format!("{}a:\n", " ".repeat(depth.min(200)))));
    let key = "k".repeat(1 << 20);
    let told = one(format!("services: {{a: {{? {key} : 1}}}}\n"));
    assert!(told.contains("a key may have") && told.len() < 5000, "{} bytes", told.len());
    let value = "v".repeat(1 << 20);
    let told = one(format!("services: {{a: {{image: i, tty: {value}}}}}\n"));
    assert!(told.contains("must be a boolean") && told.len() < 5000, "{} bytes", told.len());
}

#[test]
fn problems_are_told_up_to_a_bound() {
    let keys = lines(5000, |n| format!("    no{n}: 1\n"));
    let told = one(format!("services:\n  a:\n{keys}"));
    assert_eq!(told.lines().count(), 50);
}

#[test]
fn files_that_include_each_other_end() {
    let files = [
        text("compose.yaml", "include: [b.yaml]\n"),
        text("b.yaml", "include: [./compose.yaml]\n"),
    ];
    let circle = "compose.yaml includes b.yaml includes compose.yaml";
    assert!(many(&files).contains(circle), "{}", many(&files));
    let mut deep = vec![text("compose.yaml", "include: [f0.yaml]\n")];
    for n in 0..100 {
        deep.push(text(&format!("f{n}.yaml"), &format!("include: [f{}.yaml]\n", n + 1)));
    }
    assert!(many(&deep).contains("32 deep"), "{}", many(&deep));
    let mut wide = vec![text("compose.yaml", "include: [f0.yaml, f0.yaml]\n")];
    for n in 0..30 {
        let next = n + 1;
        wide.push(text(&format!("f{n}.yaml"), &format!("include: [f{next}.yaml, f{next}.yaml]\n")));
    }
    wide.push(text("f30.yaml", "services: {a: {image: i}}\n"));
    assert!(many(&wide).contains("2000 files"), "{}", many(&wide));
    let away = [text("compose.yaml", "include: ['https://example.org/c.yaml']\n")];
    assert!(many(&away).contains("not a file here"), "{}", many(&away));
}

#[test]
fn services_that_extend_each_other_end() {
    for services in [
        "{a: {extends: a}}",
        "{a: {extends: b}, b: {extends: a}}",
        "{a: {extends: {file: compose.yaml, service: a}}}",
        "{a: {extends: {file: ./x/../compose.yaml, service: b}}, b: {extends: a}}",
    ] {
        let told = one(format!("services: {services}\n"));
        assert!(told.contains("in a circle"), "{services}: {told}");
    }
    let chain = lines(200, |n| format!("  s{n}: {{extends: s{}}}\n", n + 1));
    assert!(one(format!("services:\n{chain}  s200: {{image: i}}\n")).contains("64 times"));
    let labels = lines(20_000, |n| format!("      l{n}: x\n"));
    let copies = lines(1000, |n| format!("  s{n}: {{extends: base}}\n"));
    let told = one(format!("services:\n  base:\n    image: i\n    labels:\n{labels}{copies}"));
    assert!(told.contains("copy more than"), "{told}");
}

#[test]
fn aliases_of_aliases_end() {
    let twice = |n| format!("x-{0}: &a{0} {{p: *a{n}, q: *a{n}}}\n", n + 1);
    let text = format!("x-0: &a0 {{k: v}}\n{}", lines(30, twice));
    assert!(one(text).contains("aliases stand for more than"));
}

#[test]
fn variables_that_grow_end() {
    let doubled = |n| format!("A{0}=$A{n}$A{n}\n", n + 1);
    let env = format!("A0=xxxxxxxx\n{}", lines(40, doubled));
    let compose = text("compose.yaml", "services: {a: {image: i}}\n");
    let told = many(&[compose, text(".env", &env)]);
    assert!(told.contains(".env: line") && told.contains("bytes"), "{told}");
    let labels = lines(5000, |n| format!("      l{n}: $L\n"));
    let compose =
        text("compose.yaml", &format!("services:\n  a:\n    image: i\n    labels:\n{labels}"));
    let env = text(".env", &format!("L={}\n", "x".repeat(1 << 19)));
    assert!(many(&[compose, env]).contains("variables make more than"));
}

#[test]
fn files_that_are_too_large_or_lie_outside_are_not_read() {
    let told = one(vec![b'#'; (16 << 20) + 1]);
    assert!(told.contains("bytes long"), "{told}");
    let compose = "services: {a: {image: i, env_file: [../../etc/passwd]}}\n";
    let request = Request {
        roots: vec![PathBuf::from("/p")],
        ..Request::new(vec![PathBuf::from("/p/compose.yaml")], DigestKey::new([0; 32]))
    };
    let read = |path: &Path| {
        assert!(path.starts_with("/p"), "asked for {}", path.display());
        if path.ends_with("compose.yaml") {
            Ok(compose.as_bytes().to_vec())
        } else {
            Err(ErrorKind::NotFound.into())
        }
    };
    let told = resolve(&request, &read).unwrap_err().to_string();
    assert!(told.contains("leaves the repository"), "{told}");
}
