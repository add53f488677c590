//! The documentation against the tree: links lead somewhere, and what is quoted of the program's messages
//! stands in its source. Reads files only.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TROUBLESHOOTING: &str = "docs/troubleshooting.md";
/// The first cell of the head of a table of messages.
const HEAD: &str = "| it says |";
/// Stands for what varies, in quotes and in what is made of the source.
const ANY: &str = "…";
/// A quote must hold so many characters in a row, or it would fit anywhere; shorter ones are listed.
const FEWEST: usize = 8;
/// Messages that are made of little but what varies.
const SPARSE: [&str; 4] = ["…:…:…: …", "cannot …: …", "cannot … …: …", "the proxy … …"];
/// Each `#[error(...)]` in these must be on the page.
const COMPLETE: [&str; 4] =
    ["src/source/error.rs", "src/engine/error.rs", "src/agent/error.rs", "src/config/error.rs"];

fn files_below(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut pages = files_below(&root.join("docs"), "md");
    pages.extend(["README.md", "CHANGELOG.md", "manifests/README.md"].map(|name| root.join(name)));
    pages
}

/// The lines of a page that are not in a fenced block.
fn prose(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.collect()
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The targets of `[text](target)` in a line.
fn targets(line: &str) -> Vec<String> {
    let line = without_code(line);
    let ends = line.match_indices("](").map(|(at, mark)| at + mark.len());
    ends.filter_map(|at| line[at..].split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page, as forges make them of headings, and those that are written out.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut anchors = Vec::new();
    for line in prose(text) {
        if let Some(title) =
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
        {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let title: String = title.to_lowercase().chars().filter(kept).collect();
            let slug = title.trim().replace(' ', "-");
            let count = seen.entry(slug.clone()).and_modify(|it| *it += 1).or_insert(0);
            anchors.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
        }
        let written = line.split("<a id=\"").skip(1).filter_map(|rest| rest.split_once('"'));
        anchors.extend(written.map(|(id, _)| id.to_owned()));
    }
    anchors
}

#[test]
fn relative_links_lead_to_files_and_headings_that_exist() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in prose(&text).into_iter().flat_map(targets) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            let has =
                |text: String| anchor.is_empty() || anchors(&text).iter().any(|it| it == anchor);
            let leads = to.exists() && (to.is_dir() || fs::read_to_string(&to).is_ok_and(has));
            if !leads {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(followed > 100, "only {followed} links were found");
}

/// The string literals of a Rust source, unescaped, each `{placeholder}` as [`ANY`].
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let (mark, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        let is_raw = rest[..at].ends_with(['r', '#']) && mark == b'"';
        rest = match mark {
            b'/' if after.starts_with('/') => after.split_once('\n').map_or("", |(_, rest)| rest),
            b'"' if is_raw => after.split_once("\"#").map_or("", |(_, rest)| rest),
            b'"' => {
                let end = end_of_literal(after);
                found.push(shape(&unescape(&after[..end])));
                &after[(end + 1).min(after.len())..]
            }
            // A character that could be taken for the begin of a literal; lifetimes are not.
            b'\'' if after.starts_with("\"'") => &after[2..],
            b'\'' if after.starts_with("\\\"'") => &after[3..],
            _ => after,
        };
    }
    found
}

fn end_of_literal(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut after = after.chars();
        match after.next() {
            Some('n') => plain.push('\n'),
            Some('\n') => {
                rest = after.as_str().trim_start();
                continue;
            }
            Some(other) => plain.push(other),
            None => {}
        }
        rest = after.as_str();
    }
    plain + rest
}

/// A format string as quotes are written.
fn shape(text: &str) -> String {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut shape = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        shape.push_str(before);
        shape.push_str(ANY);
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    (shape + rest).replace('\u{1}', "{").replace('\u{2}', "}")
}

/// Whether a quote tells of a message: what it says stands there in this order, and `…` for the rest.
fn tells(quote: &str, message: &str) -> bool {
    let mut rest = message;
    let pieces = quote.split(ANY).collect::<Vec<_>>();
    for (index, piece) in pieces.iter().enumerate() {
        let Some(at) = rest.find(piece) else { return false };
        // What a quote begins with, the message begins with.
        if index == 0 && at > 0 && !piece.is_empty() {
            return false;
        }
        rest = &rest[at + piece.len()..];
    }
    // And what it ends with.
    pieces.last().is_some_and(|last| last.is_empty() || rest.is_empty())
}

/// The quotes of the page: the first cells of tables of messages.
fn quotes(page: &str) -> Vec<String> {
    let mut in_table = false;
    let mut quotes = Vec::new();
    for line in page.lines() {
        in_table = line.starts_with(HEAD) || in_table && line.starts_with('|');
        let cell = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |"));
        if let (true, Some((quote, _))) = (in_table, cell) {
            quotes.push(quote.to_owned());
        }
    }
    quotes
}

#[test]
fn what_the_page_on_troubles_quotes_is_what_the_program_says() {
    let page = fs::read_to_string(Path::new(ROOT).join(TROUBLESHOOTING)).unwrap();
    let quotes = quotes(&page);
    let sources = files_below(&Path::new(ROOT).join("src"), "rs");
    let texts = sources.iter().flat_map(|path| literals(&fs::read_to_string(path).unwrap()));
    // A message of several lines may begin with the end of another.
    let said: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let longest = |quote: &str| quote.split(ANY).map(str::len).max().unwrap_or_default();
    let vague = quotes.iter().filter(|it| longest(it) < FEWEST && !SPARSE.contains(&it.as_str()));
    assert_eq!(vague.collect::<Vec<_>>(), Vec::<&String>::new(), "these would fit anywhere");
    let unsaid = quotes.iter().filter(|quote| !said.iter().any(|message| tells(quote, message)));
    assert_eq!(unsaid.collect::<Vec<_>>(), Vec::<&String>::new(), "no message in src/ is so");
    assert!(quotes.len() > 100, "only {} quotes were found", quotes.len());
}

#[test]
fn errors_of_sources_engine_agent_and_configuration_are_all_on_the_page() {
    let page = fs::read_to_string(Path::new(ROOT).join(TROUBLESHOOTING)).unwrap();
    let quotes = quotes(&page);
    for file in COMPLETE {
        let source = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        for attribute in source.split("#[error(").skip(1) {
            let Some(message) = literals(attribute).into_iter().next() else { continue };
            let is_whole = attribute.trim_start().starts_with('"') && longer_than_a_frame(&message);
            let is_quoted = |quote: &String| {
                *quote == message || !SPARSE.contains(&quote.as_str()) && tells(quote, &message)
            };
            let is_there = quotes.iter().any(is_quoted);
            assert!(!is_whole || is_there, "{file}: `{message}` is not in {TROUBLESHOOTING}");
        }
    }
}

/// The page on drift is made by its own test; what other pages say of it must follow.
#[test]
fn the_figures_of_drift_are_the_same_on_all_pages() {
    let page = |name: &str| fs::read_to_string(Path::new(ROOT).join(name)).unwrap();
    let drift = page("docs/drift.md");
    let number = |before: &str| -> String {
        let rest = &drift[drift.find(before).unwrap() + before.len()..];
        rest.trim_start().chars().take_while(char::is_ascii_digit).collect()
    };
    let (all, asks) = (number("\nOf "), number("manual changes "));
    let (ours, theirs) = (number("**Bowline repairs "), number("**Docker Compose 2.40 repairs "));
    for (name, told) in [
        (
            "README.md",
            format!(
                "[{all} such changes](docs/drift.md) {asks} ask for an action: Bowline repairs {ours}, \
                 `docker compose up -d` {theirs}."
            ),
        ),
        (
            "docs/comparison.md",
            format!(
                "{asks} [manual changes](drift.md) that ask for an action Compose 2.40 repairs {theirs}."
            ),
        ),
        (
            "docs/getting-started.md",
            format!(
                "[drift.md](drift.md) has {all} such changes, {asks} of which ask for an action."
            ),
        ),
    ] {
        let text = page(name).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&told), "{name} does not say: {told}");
    }
}

/// Whether a message says something itself, and is no frame around another one.
fn longer_than_a_frame(message: &str) -> bool {
    message.chars().any(char::is_alphabetic)
}

#[test]
fn the_reader_of_sources_knows_what_is_a_literal() {
    let source = "// \"no\"\nlet a = '\"'; f(\"a {b} {{c}} \\\"d\\\" \\\n    e\"); let r = r#\"raw\"#; \"{0}: {x:.0} s\"";
    assert_eq!(literals(source), ["a … {c} \"d\" e", "…: … s"]);
    assert!(tells("a … e", "a … {c} e") && tells("a …", "a b") && tells("… e", "a … e"));
    assert!(!tells("b …", "a b c") && !tells("… d", "a d e") && !tells("x", "y"));
    assert_eq!(
        anchors("# A `b`, c-d\n```\n# no\n```\n## A b c-d\n<a id=\"e\"></a>"),
        ["a-b-c-d", "a-b-c-d-1", "e"]
    );
}

#[test]
fn every_variable_that_the_program_reads_stands_on_the_page_of_commands() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/commands.md")).unwrap();
    let mut read = Vec::new();
    for file in files_below(&Path::new(ROOT).join("src"), "rs") {
        let text = fs::read_to_string(&file).unwrap();
        for mark in [" env = \"", "env::var(\"", "env::var_os(\"", " var(\""] {
            let found = text.split(mark).skip(1).filter_map(|rest| rest.split_once('"'));
            read.extend(found.map(|(name, _)| name.to_owned()));
        }
    }
    // What the demo's containers read is not the program's.
    read.retain(|name| !["VERSION", "UNHEALTHY_FILE", "HOME"].contains(&name.as_str()));
    assert!(read.len() > 10, "{read:?}");
    let untold: Vec<_> = read.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(untold.is_empty(), "not in docs/commands.md: {untold:?}");
}
