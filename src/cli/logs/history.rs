//! What containers wrote until now, in the order in which it was written. One line of each is in memory.

use super::print::Printer;
use super::unreadable;
use crate::engine::{Engine, EngineError, LogLine, LogLines, LogRange};
use crate::model::Container;
use crate::plan::ContainerRef;
use futures_util::stream::StreamExt;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Prints it. The times of the last lines by container id, and why logs could not be read, by container
/// name.
pub(super) async fn history(
    engine: &dyn Engine,
    containers: &[Container],
    range: &LogRange,
    printer: &mut Printer,
) -> anyhow::Result<(BTreeMap<String, Timestamp>, BTreeMap<String, String>)> {
    let (mut last, mut unread) = (BTreeMap::new(), BTreeMap::new());
    let mut heads: Vec<Head<'_>> = Vec::new();
    for container in containers {
        let log = match engine.logs(&ContainerRef::of(container), range).await {
            Ok(lines) => Head::of(container, lines).await,
            Err(error) => Err(error),
        };
        match log {
            Ok(head) => heads.extend(head),
            Err(error) => drop(unread.insert(container.name.clone(), unreadable(&error))),
        }
    }
    while let Some(index) = first(&heads) {
        let head = &mut heads[index];
        let (container, line) = (head.container, head.line.clone());
        printer.line(&container.slot, &line)?;
        if let Some(at) = line.at {
            last.insert(container.id.0.clone(), at);
        }
        match head.lines.next().await {
            Some(Ok(line)) => head.line = line,
            Some(Err(error)) => {
                unread.insert(container.name.clone(), unreadable(&error));
                heads.remove(index);
            }
            None => drop(heads.remove(index)),
        }
    }
    Ok((last, unread))
}

/// A log, and the first line of it that was not shown.
struct Head<'a> {
    container: &'a Container,
    line: LogLine,
    lines: LogLines,
}

impl<'a> Head<'a> {
    /// `None` where nothing was written.
    async fn of(
        container: &'a Container,
        mut lines: LogLines,
    ) -> Result<Option<Self>, EngineError> {
        let line = lines.next().await.transpose()?;
        Ok(line.map(|line| Self { container, line, lines }))
    }
}

/// The one that was written first.
fn first(heads: &[Head<'_>]) -> Option<usize> {
    (0..heads.len()).min_by_key(|index| heads[*index].line.at)
}
