//! Stacks from manifests as texts, and passes over them on any engine.

use bowline::engine::Engine;
use bowline::execute::Bounds;
use bowline::manifest::{DigestKey, Request, load};
use bowline::model::Stack;
use bowline::pass::{Means, Moment, Subject};
use bowline::sops::Keys;
use bowline::status::Report;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The stack in a manifest; the files that it names are those given, by absolute path.
pub fn stack_with(text: &str, files: &[(&str, &str)]) -> Stack {
    loaded(text, files, Keys::none("none is given"))
}

/// The same where files are encrypted for `key`.
pub fn stack_opened(text: &str, files: &[(&str, &str)], key: &str) -> Stack {
    loaded(text, files, Keys::parse(key, "the test").unwrap())
}

fn loaded(text: &str, files: &[(&str, &str)], keys: Keys) -> Stack {
    let entry = PathBuf::from("/stack/compose.yaml");
    let request = Request {
        display_root: Some(PathBuf::from("/stack")),
        keys,
        ..Request::new(vec![entry], DigestKey::new([7; 32]))
    };
    let read = |path: &Path| {
        if path == Path::new("/stack/compose.yaml") {
            return Ok(text.as_bytes().to_vec());
        }
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found
            .map(|(_, content)| content.as_bytes().to_vec())
            .ok_or(std::io::ErrorKind::NotFound.into())
    };
    match load(&request, &read) {
        Ok(loaded) => loaded.stack,
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

/// The stack in a manifest that names no other file.
pub fn stack(text: &str) -> Stack {
    stack_with(text, &[])
}

/// What passes on `engine` are made with.
pub fn means(engine: Arc<dyn Engine>) -> Means {
    Means {
        engine,
        bounds: Bounds::new(NonZeroUsize::new(8).unwrap(), NonZeroUsize::MIN),
        onlooker: Arc::new(|_| {}),
        snapshots: Arc::default(),
        stop: CancellationToken::new(),
        brake: CancellationToken::new(),
    }
}

/// One pass.
pub async fn pass(engine: &Arc<dyn Engine>, stack: &Stack) -> Report {
    let subject = Subject { stack, source: None, revision: None };
    means(Arc::clone(engine)).reconcile(&subject, &Moment::by_hand(std::time::Duration::ZERO)).await
}
