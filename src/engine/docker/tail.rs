//! The last lines that a container wrote.

use super::client::{Call, Client, SHORT};
use super::observe;
use crate::engine::EngineError;
use crate::plan::ContainerRef;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::stream::StreamExt;
use std::time::Instant;

/// Lines at most.
const MAX_LINES: usize = 500;
/// Characters kept of one line.
const MAX_LINE_CHARS: usize = 2_000;
/// Bytes read at most.
const MAX_BYTES: usize = 1 << 20;

/// The last `lines` lines of `container` since its last start, both streams mixed as they came.
pub(super) async fn tail(
    client: &Client,
    container: &ContainerRef,
    lines: usize,
) -> Result<Vec<String>, EngineError> {
    let started = observe::watch(client, container).await?.started;
    let api = client.api().await?;
    let object = format!("container {}", container.name);
    let call = Call::short("read the output of", &object);
    let lines = lines.min(MAX_LINES);
    // The engine takes whole seconds here.
    let since = started.map_or(0, |at| i32::try_from(at.as_second()).unwrap_or_default());
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true);
    let options = options.since(since).tail(&lines.to_string());
    let mut output = api.logs(&container.key, Some(options.build()));

    let begun = Instant::now();
    let mut text = Vec::new();
    let read = async {
        while let Some(part) = output.next().await {
            match part {
                Ok(part) => text.extend_from_slice(bytes(&part)),
                // A terminal's last line has no end, which the decoder takes for an error.
                Err(_) if !text.is_empty() => break,
                Err(cause) => return Err(client.failure(call, cause)),
            }
            if text.len() > MAX_BYTES {
                break;
            }
        }
        Ok(())
    };
    // What came until the bound is still worth telling.
    let result = tokio::time::timeout(SHORT, read).await.unwrap_or(Ok(()));
    client.count(call, &result, begun.elapsed());
    result.map(|()| split(&String::from_utf8_lossy(&text), lines))
}

pub(super) fn bytes(part: &LogOutput) -> &[u8] {
    match part {
        LogOutput::StdErr { message }
        | LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message } => message,
    }
}

fn split(text: &str, lines: usize) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    last.iter().map(|line| line.trim_end().chars().take(MAX_LINE_CHARS).collect()).collect()
}
