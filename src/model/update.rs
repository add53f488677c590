//! How the containers of a service are exchanged: the specification's `deploy.update_config` and
//! `rollback_config`, with Swarm's meaning, and what `x-bowline` adds.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

/// How a service goes from one definition to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rolling {
    /// To a newer one.
    pub update: UpdatePolicy,
    /// Back to the last good one.
    pub rollback: UpdatePolicy,
    /// How long a container may take to be up; absent: what its health check's numbers ask for.
    pub start_timeout: Option<Duration>,
    /// The first slots, which are watched before the others follow.
    pub canary: Option<Canary>,
}

/// How many slots change at once, and what a failure leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatePolicy {
    /// How many slots change at once; 0: all.
    pub parallelism: u32,
    /// The wait after a slot is up, before its place is taken by the next.
    pub delay: Duration,
    /// How long a container that is up is watched for an early end; absent: the host's default.
    pub monitor: Option<Duration>,
    /// The share of slots that may fail.
    pub max_failure_ratio: Ratio,
    /// What more failures lead to; absent: what the stack's policy says.
    pub failure_action: Option<FailureAction>,
    /// Which of the two runs first.
    pub order: Order,
}

impl Default for UpdatePolicy {
    /// Swarm's: one at a time, stopped first.
    fn default() -> Self {
        Self {
            parallelism: 1,
            delay: Duration::ZERO,
            monitor: None,
            max_failure_ratio: Ratio::default(),
            failure_action: None,
            order: Order::StopFirst,
        }
    }
}

/// What too many failures of an update lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureAction {
    /// No further slot is changed until somebody says so or git moves.
    Pause,
    /// Failures are told, and the other slots follow.
    Continue,
    /// Back to what was there before.
    Rollback,
}

/// Which of two containers of a slot runs first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The old one is stopped, then the new one is started.
    #[default]
    StopFirst,
    /// The new one is started, and the old one is stopped when it is up.
    StartFirst,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StopFirst => "stop-first",
            Self::StartFirst => "start-first",
        })
    }
}

/// A share from 0 to 1, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ratio(u32);

impl Ratio {
    /// The whole.
    const WHOLE: u32 = 1_000_000;

    /// `None` unless it is from 0 to 1.
    pub fn new(share: f64) -> Option<Self> {
        let millionths = (share * f64::from(Self::WHOLE)).round();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // In the range of both.
        (0.0..=f64::from(Self::WHOLE)).contains(&millionths).then_some(Self(millionths as u32))
    }

    /// Whether `part` of `whole` is strictly more than this share.
    pub fn is_exceeded_by(self, part: usize, whole: usize) -> bool {
        part as u128 * u128::from(Self::WHOLE) > u128::from(self.0) * whole as u128
    }
}

/// The first slots of an update (`x-bowline.canary`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// How many.
    pub slots: u32,
    /// How long they are watched, from when the last of them is up.
    pub hold: Duration,
    /// Between two questions of the same check.
    pub interval: Duration,
    /// What is asked about each of them meanwhile.
    pub checks: Vec<CanaryCheck>,
}

/// What is asked about a canary, beside its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryCheck {
    /// A page of the container itself. A status from 200 to 399 is well.
    Http {
        /// In the container.
        port: NonZeroU16,
        /// With its leading slash.
        path: String,
    },
    /// An alert's expression. While it returns a sample the canary has failed.
    Prometheus {
        /// Of the server, `http` or `https`, without a user.
        url: String,
        /// In its language.
        query: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_exceeded_only_by_strictly_more() {
        let third = Ratio::new(1.0 / 3.0).unwrap();
        assert!(Ratio::new(0.25).unwrap().is_exceeded_by(1, 3));
        assert!(!Ratio::new(0.34).unwrap().is_exceeded_by(1, 3));
        assert!(third.is_exceeded_by(2, 3));
        assert!(Ratio::default().is_exceeded_by(1, 1000));
        assert!(!Ratio::default().is_exceeded_by(0, 0));
        assert!(!Ratio::new(1.0).unwrap().is_exceeded_by(3, 3));
        assert_eq!(Ratio::new(1.5), None);
        assert_eq!(Ratio::new(-0.1), None);
        assert_eq!(Ratio::new(f64::NAN), None);
    }
}
