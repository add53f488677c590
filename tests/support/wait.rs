//! Waits for a state, within a bound, and says what did not come.

use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// How long most things may take on a busy machine with two cores.
pub const BOUND: Duration = Duration::from_secs(30);

/// Looks until `look` finds what it looks for.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(BOUND, what, look).unwrap_or_else(|| panic!("waited {BOUND:?} for {what}"))
}

/// The same with a bound of its own; `None` if it was not found in time.
pub fn until_within<T>(
    bound: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            println!("not within {bound:?}: {what}");
            return None;
        }
        std::thread::sleep(LOOK);
    }
}
