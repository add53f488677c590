//! What the tests of the status are about.

use crate::model::{Revision, ServiceName, StackName};
use jiff::Timestamp;

/// So many seconds into the story.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn shop() -> StackName {
    StackName::new("shop").unwrap()
}

pub(super) fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

/// The commit whose every digit is this one.
pub(super) fn commit(digit: char) -> Revision {
    Revision(digit.to_string().repeat(40))
}
