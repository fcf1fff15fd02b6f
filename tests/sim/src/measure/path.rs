//! Where a stream's segments go, one after another, and how often that changes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::record::{NOBODY, Record};
use crate::time::Time;
use crate::world::Episode;

/// For so long after its beginning, what a fault does is looked at apart.
pub(crate) const AFTER: Duration = Duration::from_secs(10);
/// Segments that a stream may still send to its node after the fault, to count as having left
/// in time.
const IN_TWO: usize = 2;

/// When each segment of a stream was cut, and where it was first submitted.
#[derive(Debug, Default)]
pub(crate) struct Path(Vec<(Time, u32)>);

impl Path {
    /// The path of each stream.
    pub(crate) fn all(record: &Record) -> BTreeMap<u32, Self> {
        let mut paths: BTreeMap<u32, Self> = BTreeMap::new();
        for s in record.segments.iter().filter(|s| s.node != NOBODY) {
            paths.entry(s.stream).or_default().0.push((s.cut, s.node));
        }
        paths
    }

    /// Segments cut then that did not go where the one before went.
    pub(crate) fn swaps(&self, when: &Range<Time>) -> u64 {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let then = pairs.filter(|(_, b)| when.contains(&b.0));
        then.filter(|(a, b)| a.1 != b.1).count() as u64
    }

    /// How often the stream changed the node that it lives on: a segment that went elsewhere by
    /// itself, because its node was full at that moment, say, is no move.
    pub(crate) fn moves(&self, when: &Range<Time>) -> u64 {
        let mut home = None;
        let mut moves = 0;
        for pair in self.0.windows(2).filter(|pair| pair[0].1 == pair[1].1) {
            let (since, node) = pair[0];
            let moved = home.replace(node).is_some_and(|before| before != node);
            moves += u64::from(moved && when.contains(&since));
        }
        moves
    }

    /// Whether the fault befell the node that it lived on: to which its last four segments went,
    /// since fewer may have gone there because its own node was full. And whether it went on
    /// for long enough to tell what it made of that.
    pub(crate) fn is_befallen(&self, fault: &Episode) -> bool {
        let before = self.0.partition_point(|(cut, _)| *cut < fault.from);
        let (before, since) = self.0.split_at(before);
        let lives = |last: &[(Time, u32)]| {
            let node = last[0].1;
            last.iter().all(|(_, n)| *n == node) && fault.nodes.contains(&node)
        };
        before.last_chunk::<4>().is_some_and(|last| lives(last)) && since.len() > IN_TWO
    }

    /// Whether it is elsewhere by its third segment after the fault.
    pub(crate) fn left_in_two(&self, fault: &Episode) -> bool {
        let left = self
            .since(fault.from)
            .position(|(_, n)| !fault.nodes.contains(n));
        left.is_some_and(|i| i <= IN_TWO)
    }

    fn since(&self, from: Time) -> impl Iterator<Item = &(Time, u32)> {
        self.0.iter().filter(move |(cut, _)| *cut >= from)
    }
}

/// The fault whose streams are looked at: the first that befell nodes.
pub(crate) fn fault_of_nodes(record: &Record) -> Option<&Episode> {
    record.faults.iter().find(|f| !f.nodes.is_empty())
}

/// The time in which a fault's streams are looked at.
pub(crate) fn after(fault: &Episode) -> Range<Time> {
    fault.from..fault.from + AFTER
}

/// Streams whose node a fault befell and that moved more than once then.
pub(crate) fn restless(record: &Record) -> Vec<u32> {
    let Some(fault) = fault_of_nodes(record) else {
        return Vec::new();
    };
    let all = Path::all(record).into_iter();
    let restless = all.filter(|(_, p)| p.is_befallen(fault) && p.swaps(&after(fault)) > 1);
    restless.map(|(stream, _)| stream).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::after(Duration::from_secs(seconds))
    }

    fn path(nodes: &[u32]) -> Path {
        Path((0..).map(at).zip(nodes.iter().copied()).collect())
    }

    #[test]
    fn a_segment_that_goes_elsewhere_by_itself_is_two_swaps_and_no_move() {
        let (all, late) = (at(0)..at(100), at(3)..at(100));
        for (nodes, swaps, moves) in [
            (&[1, 1, 1, 1][..], 0, 0),
            (&[1, 1, 2, 1, 1], 2, 0),
            (&[1, 1, 2, 2, 2], 1, 1),
            (&[1, 1, 2, 3, 3], 2, 1),
            (&[1, 1, 2, 2, 1, 1], 2, 2),
        ] {
            let path = path(nodes);
            assert_eq!(
                (path.swaps(&all), path.moves(&all)),
                (swaps, moves),
                "{nodes:?}"
            );
        }
        assert_eq!(path(&[1, 1, 2, 2, 1, 1]).swaps(&late), 1);
    }
}
