//! A position in one of the files read, in eight bytes: every node has two of them.

use std::fmt;

/// The bits of a line and of a column: a file has at most `yaml::MAX_BYTES` of either.
const BITS: u32 = 26;
const MAX: u64 = (1 << BITS) - 1;
/// The bits left for a file: more than are read for one stack.
const FILE_MAX: u64 = (1 << (64 - 2 * BITS)) - 1;

/// A position in one of the files read, or nowhere, which is the default. In the order of files,
/// then of lines, then of columns.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

impl Mark {
    /// The file's index; line and column, in characters, from 1.
    pub(crate) fn new(file: usize, line: usize, column: usize) -> Self {
        let at_most = |number: usize, max| u64::try_from(number).unwrap_or(max).min(max);
        let (file, line) = (at_most(file, FILE_MAX), at_most(line, MAX));
        Self(((file << BITS | line) << BITS) | at_most(column, MAX))
    }

    pub(crate) fn is_nowhere(self) -> bool {
        self == Self::default()
    }

    /// Itself if it is anywhere.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_nowhere() { other } else { self }
    }

    /// The file's index.
    pub(crate) fn file(self) -> usize {
        usize::try_from(self.0 >> (2 * BITS)).unwrap_or(usize::MAX)
    }

    /// From 1; 0: nowhere.
    pub(crate) fn line(self) -> u32 {
        low(self.0 >> BITS)
    }

    /// In characters, from 1.
    pub(crate) fn column(self) -> u32 {
        low(self.0)
    }
}

fn low(bits: u64) -> u32 {
    (bits & MAX) as u32
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file(), self.line(), self.column())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml::MAX_BYTES;

    #[test]
    fn every_position_of_a_stack_s_files_is_told_from_the_others() {
        let corners = [(0, 1, 1), (0, 1, MAX_BYTES + 1), (0, MAX_BYTES + 1, 1), (2000, 1, 1)];
        let marks = corners.map(|(file, line, column)| Mark::new(file, line, column));
        assert!(marks.is_sorted() && Mark::default() < marks[0]);
        for (mark, corner) in marks.iter().zip(corners) {
            let shown = (mark.file(), mark.line() as usize, mark.column() as usize);
            assert_eq!(shown, corner);
        }
    }
}
