//! A tree of YAML values that knows where each of them was written. It never interprets keys.

use serde_json::{Number, Value as Json};
use std::fmt;

mod map;
mod mark;

pub(crate) use map::Map;
pub(crate) use mark::Mark;
/// Text that lies in the node itself where it is short, as nearly all is.
pub(crate) use smol_str::SmolStr as Text;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) mark: Mark,
    /// Where its key stands, for a value in a mapping; nowhere for others.
    pub(crate) key: Mark,
    pub(crate) directive: Option<Directive>,
}

/// What a tag of Compose asks of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directive {
    /// `!reset`: as if nothing had been said.
    Reset,
    /// `!override`: what was said before is dropped first.
    Override,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(Int),
    Float(f64),
    /// A timestamp; Compose knows none.
    Time(Box<str>),
    Str(Text),
    Seq(Vec<Node>),
    Map(Map),
}

/// A whole number within the range of `i64` and that of `u64`. Packed, since an `i128`'s alignment
/// would make every node larger.
#[derive(Clone, Copy, PartialEq)]
#[repr(Rust, packed(8))]
pub(crate) struct Int(i128);

impl fmt::Debug for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&{ self.0 }, f)
    }
}

impl Value {
    pub(crate) fn int(number: impl Into<i128>) -> Self {
        Self::Int(Int(number.into()))
    }

    pub(crate) fn str(text: impl Into<Text>) -> Self {
        Self::Str(text.into())
    }
}

impl Node {
    pub(crate) fn new(value: Value, mark: Mark) -> Self {
        Self { value, mark, key: Mark::default(), directive: None }
    }

    pub(crate) fn str(text: impl Into<Text>, mark: Mark) -> Self {
        Self::new(Value::str(text), mark)
    }

    pub(crate) fn null(mark: Mark) -> Self {
        Self::new(Value::Null, mark)
    }

    /// Where to point: at the key if there is one.
    pub(crate) fn place(&self) -> Mark {
        self.key.or(self.mark)
    }

    /// The same place with another value.
    pub(crate) fn with(&self, value: Value) -> Self {
        Self { value, mark: self.mark, key: self.key, directive: None }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        if let Value::Map(map) = &self.value { Some(map) } else { None }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Value::Map(map) = &mut self.value { Some(map) } else { None }
    }

    pub(crate) fn as_seq(&self) -> Option<&[Node]> {
        if let Value::Seq(seq) = &self.value { Some(seq) } else { None }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Value::Str(text) = &self.value { Some(text) } else { None }
    }

    pub(crate) fn as_int(&self) -> Option<i128> {
        if let Value::Int(number) = self.value { Some(number.0) } else { None }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(flag) = self.value { Some(flag) } else { None }
    }

    /// The value of `key`, if this is a mapping that has it and it is not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).filter(|node| !node.is_null())
    }

    /// The items of a sequence; none for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        self.as_seq().unwrap_or_default()
    }

    /// The entries of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Text, &Node)> {
        self.as_map().into_iter().flatten()
    }

    /// A scalar as text, in the way Compose prints it into environment and labels.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Null | Value::Seq(_) | Value::Map(_) => None,
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Int(number) => Some({ number.0 }.to_string()),
            Value::Float(number) => Some(super::scalar::print_float(*number)),
            Value::Time(text) => Some(text.to_string()),
            Value::Str(text) => Some(text.to_string()),
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Time(_) => "a timestamp",
            Value::Str(_) => "a string",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// An empty mapping.
    pub(crate) fn map(mark: Mark) -> Self {
        Self::new(Value::Map(Map::new()), mark)
    }

    /// The value as JSON, nothing left out; a number that JSON has not is null.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => i64::try_from(number.0)
                .map(Json::from)
                .or_else(|_| u64::try_from(number.0).map(Json::from))
                .unwrap_or(Json::Null),
            Value::Float(number) => float_to_json(*number),
            Value::Time(text) => Json::from(&**text),
            Value::Str(text) => Json::from(text.as_str()),
            Value::Seq(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(map) => Json::Object(
                map.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect(),
            ),
        }
    }

    /// How many nodes it holds, itself included.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.value {
            Value::Seq(seq) => seq.iter().map(Node::count).sum(),
            Value::Map(map) => map.values().map(Node::count).sum(),
            _ => 0,
        }
    }
}

fn float_to_json(number: f64) -> Json {
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers in range are cast")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}
