//! YAML text to a tree with places: anchors, aliases and merge keys resolved within a budget,
//! duplicate keys refused. It never touches what the keys mean.

use super::node::{Directive, Map, Mark, Node, Text, Value};
use super::scalar;
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag, options};
use std::collections::BTreeMap;

/// The largest document that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// The most nodes that aliases may stand for, all together.
pub(crate) const MAX_ALIASED_NODES: usize = 100_000;
/// The most nodes that a document may have, aliases aside.
pub(crate) const MAX_NODES: usize = 2_000_000;
/// The most nodes that may stand under anchors, those under several counted as often.
pub(crate) const MAX_ANCHORED_NODES: usize = 2_000_000;
/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 1 << 16;
/// The deepest nesting.
pub(crate) const MAX_DEPTH: usize = 100;

/// Why a text is no document for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) mark: Mark,
    /// The keys that lead there, dotted.
    pub(crate) path: String,
    pub(crate) message: String,
}

/// The text in `bytes`, without a byte order mark.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("is {} bytes long; at most {MAX_BYTES} are read", bytes.len()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        format!("is not UTF-8 text (at byte {})", error.utf8_error().valid_up_to())
    })?;
    if let Some(at) = text.find('\0') {
        return Err(format!("is not text: a NUL at byte {at}"));
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The documents of `text`, the file of index `file`.
pub(crate) fn parse(text: &str, file: usize) -> Result<Vec<Node>, YamlError> {
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(file);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| YamlError {
            mark: mark_of(file, error.marker().line(), error.marker().col()),
            path: String::new(),
            message: format!("not valid YAML: {}", error.info()),
        })?;
        if let Err(error) = builder.take(event, span) {
            return Err(YamlError { path: builder.path(), ..error });
        }
    }
    Ok(builder.documents)
}

fn mark_of(file: usize, line: usize, column: usize) -> Mark {
    Mark::new(file, line.max(1), column.saturating_add(1))
}

/// A collection that is being read.
struct Open {
    anchor: usize,
    node: Node,
    /// In a mapping: the key whose value comes next.
    key: Option<Key>,
    /// What `<<` brings in.
    merged: Vec<Node>,
}

struct Key {
    text: Text,
    mark: Mark,
    is_merge: bool,
}

struct Builder {
    file: usize,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    aliased: usize,
    anchored: usize,
    nodes: usize,
}

impl Builder {
    fn new(file: usize) -> Self {
        Self {
            file,
            documents: vec![],
            open: vec![],
            anchors: BTreeMap::new(),
            aliased: 0,
            anchored: 0,
            nodes: 0,
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let mark = mark_of(self.file, span.start.line(), span.start.col());
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(fail(mark, format!("a file may have {MAX_NODES} values")));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let is_merge = plain && tag.is_none() && text == "<<";
                let mut node = scalar_node(&text, plain, tag.as_deref(), mark)?;
                if is_merge && !self.awaits_key() {
                    node.value = Value::str("<<");
                }
                self.remember(anchor, &node)?;
                self.place(node, is_merge)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Value::Seq(vec![]), mark, anchor, tag.as_deref());
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Value::Map(Map::new()), mark, anchor, tag.as_deref());
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let node = self.aliased(anchor, mark)?;
                self.place(node, false)
            }
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Where the collections that are open stand.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            let key = match (&open.node.value, &open.key) {
                (Value::Seq(items), _) => items.len().to_string(),
                (_, Some(key)) => key.text.to_string(),
                _ => continue,
            };
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&key);
        }
        path
    }

    fn awaits_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| matches!(open.node.value, Value::Map(_)) && open.key.is_none())
    }

    fn open(&mut self, value: Value, mark: Mark, anchor: usize, tag: Option<&Tag>) {
        let mut node = Node::new(value, mark);
        node.directive = directive(tag);
        self.open.push(Open { anchor, node, key: None, merged: vec![] });
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        if let Value::Map(map) = &mut open.node.value {
            for merged in open.merged {
                merge_missing(map, merged)?;
            }
            map.shrink();
        }
        self.remember(open.anchor, &open.node)?;
        self.place(open.node, false)
    }

    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchored += node.count();
            if self.anchored > MAX_ANCHORED_NODES {
                let message = format!("{MAX_ANCHORED_NODES} values may stand under anchors");
                return Err(fail(node.mark, message));
            }
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    fn aliased(&mut self, anchor: usize, mark: Mark) -> Result<Node, YamlError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(fail(mark, "this alias stands inside the value that it refers to"));
        };
        self.aliased += node.count();
        if self.aliased > MAX_ALIASED_NODES {
            return Err(fail(
                mark,
                format!("aliases stand for more than {MAX_ALIASED_NODES} values together"),
            ));
        }
        Ok(node.clone())
    }

    fn place(&mut self, mut node: Node, is_merge: bool) -> Result<(), YamlError> {
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut parent.node.value {
            Value::Seq(seq) => seq.push(node),
            Value::Map(map) => match parent.key.take() {
                None => parent.key = Some(key_of(&node, is_merge)?),
                Some(key) if key.is_merge => parent.merged.push(node),
                Some(key) => {
                    if let Some(first) = map.get(&key.text) {
                        let line = first.place().line();
                        let message =
                            format!("key `{}` is already defined at line {line}", key.text);
                        return Err(fail(key.mark, message));
                    }
                    node.key = key.mark;
                    map.insert(key.text, node);
                }
            },
            _ => {}
        }
        Ok(())
    }
}

fn fail(mark: Mark, message: impl Into<String>) -> YamlError {
    YamlError { mark, path: String::new(), message: message.into() }
}

fn key_of(node: &Node, is_merge: bool) -> Result<Key, YamlError> {
    match &node.value {
        Value::Str(text) if text.len() > MAX_KEY => {
            Err(fail(node.mark, format!("a key may have {MAX_KEY} bytes, not {}", text.len())))
        }
        Value::Str(text) => Ok(Key { text: text.clone(), mark: node.mark, is_merge }),
        _ => Err(fail(
            node.mark,
            format!("a key must be a string, not {}; put it in quotes", node.kind()),
        )),
    }
}

/// Adds to `map` what it does not have from the mapping, or the list of mappings, `merged`.
fn merge_missing(map: &mut Map, merged: Node) -> Result<(), YamlError> {
    match merged.value {
        Value::Map(other) => {
            for (key, value) in other {
                map.or_insert(key, value);
            }
            Ok(())
        }
        Value::Seq(list) if list.iter().all(|node| node.as_map().is_some()) => {
            list.into_iter().try_for_each(|node| merge_missing(map, node))
        }
        _ => Err(fail(merged.mark, "`<<` takes a mapping or a list of mappings")),
    }
}

fn directive(tag: Option<&Tag>) -> Option<Directive> {
    let tag = tag?;
    match tag.original().as_str() {
        "!reset" => Some(Directive::Reset),
        "!override" => Some(Directive::Override),
        _ => None,
    }
}

fn scalar_node(text: &str, plain: bool, tag: Option<&Tag>, mark: Mark) -> Result<Node, YamlError> {
    let written = if plain { scalar::resolve(text) } else { Value::str(text) };
    let Some(suffix) = tag.and_then(Tag::core_suffix) else {
        let mut node = Node::new(written, mark);
        node.directive = directive(tag);
        return Ok(node);
    };
    let value = match (suffix, scalar::resolve(text)) {
        ("str", _) => Value::str(text),
        ("int", value @ Value::Int(_))
        | ("float", value @ (Value::Float(_) | Value::Int(_)))
        | ("bool", value @ Value::Bool(_))
        | ("null", value @ Value::Null) => value,
        ("int" | "float" | "bool" | "null", _) => {
            return Err(fail(mark, format!("`{text}` cannot be read as !!{suffix}")));
        }
        _ => written,
    };
    Ok(Node::new(value, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse(text, 0).unwrap().remove(0)
    }

    fn message(text: &str) -> String {
        parse(text, 0).unwrap_err().message
    }

    #[test]
    fn every_value_knows_its_line_and_column_and_those_of_its_key() {
        let node = one("a:\n  b: 1\n  c:\n    - x\n");
        let a = node.get("a").unwrap();
        let b = a.get("b").unwrap();
        assert_eq!((b.key.line(), b.key.column()), (2, 3));
        assert_eq!((b.mark.line(), b.mark.column()), (2, 6));
        let item = &a.get("c").unwrap().items()[0];
        assert_eq!((item.mark.line(), item.mark.column()), (4, 7));
    }

    #[test]
    fn a_merge_key_adds_what_is_missing_and_the_earlier_wins() {
        let node = one("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 0\n");
        let z = node.get("z").unwrap();
        let values: Vec<_> = ["a", "b", "c"].map(|key| z.get(key).unwrap().as_int()).to_vec();
        assert_eq!(values, [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn what_is_no_plain_tree_is_refused_with_its_reason() {
        assert!(message("a: 1\na: 2\n").contains("already defined at line 1"));
        assert!(message("1: a\n").contains("a key must be a string"));
        assert!(message("a: *b\n").contains("not valid YAML"));
        assert!(message("a: &a [*a]\n").contains("inside the value"));
        assert!(message("a: 'x\n").contains("not valid YAML"));
        let error = parse("a: {b: [{c: 1}, {1: x}]}\n", 0).unwrap_err();
        assert_eq!((error.path.as_str(), error.mark.column()), ("a.b.1", 18));
    }

    #[test]
    fn aliases_of_aliases_end_at_the_budget() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..9 {
            let item = format!("*a{}", n - 1);
            text.push_str(
                &[
                    "a",
                    &n.to_string(),
                    ": &a",
                    &n.to_string(),
                    " [",
                    &[item.as_str(); 10].join(","),
                    "]\n",
                ]
                .concat(),
            );
        }
        assert!(message(&text).contains("more than 100000 values"));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        assert!(parse(&"[".repeat(100_000), 0).is_err());
        assert!(parse(&"- ".repeat(100_000), 0).is_err());
        let mut map = String::new();
        for depth in 0..2000 {
            map.push_str(&" ".repeat(depth));
            map.push_str("a:\n");
        }
        assert!(parse(&map, 0).is_err());
    }

    #[test]
    fn many_anchored_values_and_long_keys_are_refused() {
        let nested = (0..90).map(|n| format!("&a{n} [")).collect::<Vec<_>>().concat();
        let text = format!("a: {nested}{}{}", "x,".repeat(50_000), "]".repeat(90));
        assert!(message(&text).contains("under anchors"));
        assert!(message(&format!("? {}\n: x\n", "k".repeat(1 << 20))).contains("a key may have"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(decode(vec![0xff, 0xfe]).unwrap_err().contains("UTF-8"));
        assert!(decode(b"a\0b".to_vec()).unwrap_err().contains("NUL"));
        assert_eq!(decode("\u{feff}a".into()).unwrap(), "a");
    }
}
