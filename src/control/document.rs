//! The description of the API for programs in `OpenAPI`, written by hand beside the routes.

use serde_json::{Value, json};
use std::sync::LazyLock;

/// It as it is written.
const TEXT: &str = include_str!("openapi.yaml");

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut written: serde_yaml::Value = serde_yaml::from_str(TEXT).expect("tests read it");
    written.apply_merge().expect("tests read it");
    let mut document: Value = serde_yaml::from_value(written).expect("tests read it");
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document
});

/// The document, in `OpenAPI` 3.1.
pub fn document() -> &'static Value {
    &DOCUMENT
}

#[cfg(test)]
mod tests;
