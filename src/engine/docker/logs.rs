//! What a container writes, line by line, as it comes.

use super::client::{Call, Client};
use super::tail::bytes;
use crate::engine::{EngineError, LogLine, LogLines, LogRange, Output};
use crate::plan::ContainerRef;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A longer line comes in pieces.
const MAX_LINE_BYTES: usize = 64 << 10;

/// The lines of `container` in `range`. The engine keeps them for most log drivers; of one that keeps
/// nothing it says so.
pub(super) async fn logs(
    client: &Arc<Client>,
    container: &ContainerRef,
    range: &LogRange,
) -> Result<LogLines, EngineError> {
    let api = client.api().await?;
    // The engine takes whole seconds here.
    let since = range.since.map_or(0, |at| i32::try_from(at.as_second()).unwrap_or(i32::MAX));
    let tail = range.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .follow(range.follow)
        .since(since)
        .tail(&tail)
        .build();
    let reading = Reading {
        output: Box::pin(api.logs(&container.key, Some(options))),
        client: Arc::clone(client),
        container: container.clone(),
        begun: Instant::now(),
        since: range.since,
        lines: Lines::default(),
        ready: VecDeque::new(),
        ended: false,
    };
    Ok(Box::pin(stream::unfold(reading, |mut reading| async {
        reading.next().await.map(|line| (line, reading))
    })))
}

/// A log that is being read.
struct Reading {
    output: std::pin::Pin<Box<dyn stream::Stream<Item = Result<LogOutput, Error>> + Send>>,
    client: Arc<Client>,
    container: ContainerRef,
    begun: Instant,
    since: Option<Timestamp>,
    lines: Lines,
    ready: VecDeque<LogLine>,
    ended: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<LogLine, EngineError>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            match self.output.next().await {
                Some(Ok(part)) => self.lines.take(&part, &mut self.ready),
                Some(Err(error)) if !is_rest_of_terminal(&error) => {
                    let error = self.end(Some(error));
                    return error.map(Err);
                }
                Some(Err(_)) | None => {
                    self.lines.end(&mut self.ready);
                    let _ = self.end(None);
                }
            }
            if let Some(since) = self.since {
                self.ready.retain(|line| line.at.is_none_or(|at| at >= since));
            }
        }
    }

    fn end(&mut self, error: Option<Error>) -> Option<EngineError> {
        self.ended = true;
        let object = format!("container {}", self.container.name);
        // It has no bound: a container may be silent for days.
        let call = Call { operation: "read the output of", object: &object, limit: Duration::MAX };
        let result = error.map_or(Ok(()), |error| Err(self.client.failure(call, error)));
        self.client.count(call, &result, self.begun.elapsed());
        result.err()
    }
}

/// A terminal's last line has no end, which the decoder takes for an error.
fn is_rest_of_terminal(error: &Error) -> bool {
    matches!(error, Error::IOError { err } if err.to_string().contains("bytes remaining on stream"))
}

/// Pieces of both outputs, of which lines are made.
#[derive(Default)]
struct Lines {
    out: Line,
    err: Line,
}

#[derive(Default)]
struct Line {
    at: Option<Timestamp>,
    text: Vec<u8>,
    is_begun: bool,
}

impl Lines {
    fn take(&mut self, part: &LogOutput, ready: &mut VecDeque<LogLine>) {
        let (output, line) = match part {
            LogOutput::StdErr { .. } => (Output::Err, &mut self.err),
            LogOutput::StdOut { .. } | LogOutput::StdIn { .. } | LogOutput::Console { .. } => {
                (Output::Out, &mut self.out)
            }
        };
        for piece in bytes(part).split_inclusive(|byte| *byte == b'\n') {
            line.add(piece);
            if piece.ends_with(b"\n") || line.text.len() >= MAX_LINE_BYTES {
                ready.push_back(line.done(output));
            }
        }
    }

    /// What has no end of line comes as a line, too.
    fn end(&mut self, ready: &mut VecDeque<LogLine>) {
        for (output, line) in [(Output::Out, &mut self.out), (Output::Err, &mut self.err)] {
            if !line.text.is_empty() {
                ready.push_back(line.done(output));
            }
        }
    }
}

impl Line {
    /// The engine puts the time before each piece that it kept, a blank between.
    fn add(&mut self, piece: &[u8]) {
        let (at, text) = timed(piece);
        if !self.is_begun {
            self.is_begun = true;
            self.at = at;
        }
        self.text.extend_from_slice(text);
    }

    fn done(&mut self, output: Output) -> LogLine {
        let Self { at, mut text, .. } = std::mem::take(self);
        while text.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            text.pop();
        }
        LogLine { output, at, text }
    }
}

/// The time that stands first, and the rest.
fn timed(piece: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let blank = piece.iter().take(40).position(|byte| *byte == b' ');
    let end = blank.unwrap_or_else(|| piece.trim_ascii_end().len());
    let word = std::str::from_utf8(&piece[..end]).unwrap_or_default();
    let is_time = word.len() >= 20 && word.as_bytes()[4] == b'-' && word.contains('T');
    match word.parse().ok().filter(|_| is_time) {
        Some(at) => (Some(at), &piece[(end + 1).min(piece.len())..]),
        None => (None, piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(parts: &[LogOutput]) -> Vec<(Output, Option<i64>, String)> {
        let (mut lines, mut ready) = (Lines::default(), VecDeque::new());
        for part in parts {
            lines.take(part, &mut ready);
        }
        lines.end(&mut ready);
        let text = |line: &LogLine| String::from_utf8_lossy(&line.text).into_owned();
        ready
            .iter()
            .map(|line| (line.output, line.at.map(Timestamp::as_second), text(line)))
            .collect()
    }

    fn out(text: &str) -> LogOutput {
        LogOutput::StdOut { message: text.as_bytes().to_vec().into() }
    }

    fn err(text: &str) -> LogOutput {
        LogOutput::StdErr { message: text.as_bytes().to_vec().into() }
    }

    #[test]
    fn lines_have_their_time_and_their_output() {
        let parts = [
            out("1970-01-01T00:00:07.000000001Z one two\n"),
            err("1970-01-01T00:00:08Z \n1970-01-01T00:00:09Z bad\r\n"),
            out("no time\n"),
        ];
        assert_eq!(
            said(&parts),
            [
                (Output::Out, Some(7), "one two".into()),
                (Output::Err, Some(8), String::new()),
                (Output::Err, Some(9), "bad".into()),
                (Output::Out, None, "no time".into()),
            ]
        );
    }

    #[test]
    fn a_line_in_pieces_is_one_line_and_the_outputs_do_not_mix() {
        let parts = [
            out("1970-01-01T00:00:01Z be"),
            err("1970-01-01T00:00:02Z other\n"),
            out("1970-01-01T00:00:01Z gin\n"),
            out("1970-01-01T00:00:03Z rest"),
        ];
        assert_eq!(
            said(&parts),
            [
                (Output::Err, Some(2), "other".into()),
                (Output::Out, Some(1), "begin".into()),
                (Output::Out, Some(3), "rest".into()),
            ]
        );
    }

    #[test]
    fn a_line_without_an_end_comes_in_pieces_of_a_bounded_size() {
        let part = out(&"x".repeat(16 << 10));
        let parts: Vec<LogOutput> = std::iter::repeat_n(part, 9).collect();
        let sizes: Vec<usize> = said(&parts).iter().map(|(.., text)| text.len()).collect();
        assert_eq!(sizes, [64 << 10, 64 << 10, 16 << 10]);
    }
}
