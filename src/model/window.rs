//! Windows of time in which something new may be begun: each comes again by a cron expression and lasts
//! for a while. Told what time it is.

use super::cron::cron_of_minutes;
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// The shortest window: cron knows nothing smaller.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest window.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Farther than clocks are ever set forward or back.
const SHIFT: TimeDelta = TimeDelta::hours(3);
/// How many beginnings and ends are looked at, at most, for the next one that matters.
const FORESEEN: usize = 1000;

/// When something new may be begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    /// Only within one of these; none: at any time.
    pub allow: Vec<Window>,
    /// Within none of these, whatever is allowed.
    pub deny: Vec<Window>,
}

/// A time that comes again.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    begins: Cron,
    lasts: TimeDelta,
    zone: Tz,
}

// The parts of a cron expression are compared, and none of them is unlike itself.
impl Eq for Window {}

/// A window that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWindow {
    /// The expression of its beginnings.
    #[error(
        "`{text}` is no schedule: {why}; write minute, hour, day, month and weekday, such as `0 22 * * 1-5`"
    )]
    Cron {
        /// As written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its length.
    #[error("must be from 1m up to 366 days")]
    Length,
    /// Its time zone.
    #[error("`{text}` is no time zone; {help}")]
    Zone {
        /// As written.
        text: String,
        /// What to write.
        help: String,
    },
}

/// Whether something new may be begun now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It may, until then; `None`: that cannot be foreseen.
    Open(Option<Turn>),
    /// It may not before then.
    Shut(Option<Turn>),
}

/// When windows open or shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    zone: Tz,
}

impl Window {
    /// One that begins when `cron` (five fields) comes due in the time zone `zone` of the IANA database
    /// (absent: UTC), and lasts so long.
    pub fn new(cron: &str, lasts: Duration, zone: Option<&str>) -> Result<Self, BadWindow> {
        if !(SHORTEST..=LONGEST).contains(&lasts) {
            return Err(BadWindow::Length);
        }
        let lasts = TimeDelta::from_std(lasts).map_err(|_| BadWindow::Length)?;
        let wrong = |why| BadWindow::Cron { text: cron.to_owned(), why };
        let begins = cron_of_minutes(cron).map_err(wrong)?;
        Ok(Self { begins, lasts, zone: zone.map_or(Ok(Tz::UTC), zone_of)? })
    }

    fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.began(at).is_some_and(|began| at < began + self.lasts)
    }

    /// The next time after `at` at which it begins or ends.
    fn edge(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let end = self.began(at).map(|began| began + self.lasts).filter(|end| *end > at);
        end.into_iter().chain(self.begins_after(at)).min()
    }

    /// Its last beginning up to `at`.
    fn began(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut clock, mut first) = (self.clock_at(at) + self.shift_near(at), true);
        loop {
            clock = self.begins.find_previous_occurrence(&clock, first).ok()?;
            first = false;
            if let Some(began) = self.time_at(clock).filter(|began| *began <= at) {
                return Some(began);
            }
        }
    }

    fn begins_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut clock = self.clock_at(at) - self.shift_near(at);
        loop {
            clock = self.begins.find_next_occurrence(&clock, false).ok()?;
            if let Some(begins) = self.time_at(clock).filter(|begins| *begins > at) {
                return Some(begins);
            }
        }
    }

    /// What clocks show, as if it were UTC.
    fn clock_at(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        at.with_timezone(&self.zone).naive_local().and_utc()
    }

    /// When clocks show that: of two times the first, and where they skip it as much later.
    fn time_at(&self, clock: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let time = |clock: NaiveDateTime| match self.zone.from_local_datetime(&clock) {
            MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => {
                Some(time.to_utc())
            }
            MappedLocalTime::None => None,
        };
        let clock = clock.naive_utc();
        time(clock).or_else(|| Some(time(clock - SHIFT)? + SHIFT))
    }

    /// How far clocks and time may lie apart around `at`: nothing, unless clocks are set there.
    fn shift_near(&self, at: DateTime<Utc>) -> TimeDelta {
        let offset = |at: DateTime<Utc>| at.with_timezone(&self.zone).offset().fix();
        if offset(at - SHIFT) == offset(at + SHIFT) { TimeDelta::zero() } else { SHIFT }
    }
}

fn zone_of(text: &str) -> Result<Tz, BadWindow> {
    text.parse().map_err(|_| {
        let near = |zone: &Tz| strsim::damerau_levenshtein(zone.name(), text);
        let nearest =
            TZ_VARIANTS.iter().min_by_key(|zone| near(zone)).filter(|zone| near(zone) < 4);
        let help = match nearest {
            Some(zone) => format!("did you mean `{zone}`?"),
            None => "write a name of the IANA database, such as `Europe/Berlin`".to_owned(),
        };
        BadWindow::Zone { text: text.to_owned(), help }
    })
}

impl Windows {
    fn all(&self) -> impl Iterator<Item = &Window> {
        self.allow.iter().chain(&self.deny)
    }

    fn are_open(&self, at: DateTime<Utc>) -> bool {
        let is_open = |window: &Window| window.is_open(at);
        (self.allow.is_empty() || self.allow.iter().any(is_open)) && !self.deny.iter().any(is_open)
    }
}

impl Passage {
    /// What windows of several levels leave open: only what all of them do.
    pub fn through(levels: &[&Windows], now: Timestamp) -> Self {
        let Some(now) = DateTime::from_timestamp(now.as_second(), 0) else {
            return Self::Open(None);
        };
        let turn = turn(levels, now);
        if are_open(levels, now) { Self::Open(turn) } else { Self::Shut(turn) }
    }

    /// When it becomes the other.
    pub fn turn(&self) -> Option<&Turn> {
        let (Self::Open(turn) | Self::Shut(turn)) = self;
        turn.as_ref()
    }
}

fn are_open(levels: &[&Windows], at: DateTime<Utc>) -> bool {
    levels.iter().all(|level| level.are_open(at))
}

/// When `levels` as a whole turn to the other of open and shut, after `now`.
fn turn(levels: &[&Windows], now: DateTime<Utc>) -> Option<Turn> {
    let (is_open, mut at) = (are_open(levels, now), now);
    for _ in 0..FORESEEN {
        let windows = levels.iter().flat_map(|level| level.all());
        let edges = windows.filter_map(|window| Some((window.edge(at)?, window.zone)));
        let (next, zone) = edges.min_by_key(|(at, _)| *at)?;
        if are_open(levels, next) != is_open {
            return Some(Turn { at: Timestamp::from_second(next.timestamp()).ok()?, zone });
        }
        at = next;
    }
    None
}

/// As clocks of its time zone show it, with their distance from UTC.
impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = DateTime::from_timestamp(self.at.as_second(), 0).unwrap_or_default();
        write!(f, "{}", at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M %:z"))
    }
}

#[cfg(test)]
mod tests;
