//! The table of results, and medians.

use std::fmt;
use std::time::{Duration, Instant};

/// One line a figure.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 4]>);

impl Table {
    pub(crate) fn add(&mut self, figure: &str, measured: String, target: &str, met: bool) {
        let met = if met { "met" } else { "missed" };
        self.0.push([figure.to_owned(), measured, target.to_owned(), met.to_owned()]);
    }

    pub(crate) fn say(&mut self, figure: &str, measured: &str) {
        self.0.push([figure.to_owned(), measured.to_owned(), "-".to_owned(), String::new()]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | measured (medians) | target | |\n| --- | --- | --- | --- |")?;
        for [figure, measured, target, met] in &self.0 {
            writeln!(f, "| {figure} | {measured} | {target} | {met} |")?;
        }
        Ok(())
    }
}

/// How long `work` takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

pub(crate) fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
