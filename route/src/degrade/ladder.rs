//! What is left of a ladder at a level.

use super::level::{Group, Level};
use crate::plan::Renditions;

/// The renditions that a stream of this group asks for, of a ladder of `rungs`.
///
/// `deepest` is the most rungs above the lowest that any stream has: only when nothing is left
/// to any of them but the lowest do streams lose that one too.
pub(crate) fn left(
    rungs: usize,
    level: Level,
    group: Group,
    order: &[u8],
    deepest: u32,
) -> Renditions {
    let all = Renditions::first(rungs);
    let Some(lowest) = all.iter().last() else {
        return all;
    };
    let floor = Level::rungs(deepest);
    if level.beyond(floor).drops(group) > 0 {
        return Renditions::NONE;
    }
    let drops = level.min(floor).drops(group);
    let named = order.iter().map(|position| position.saturating_sub(1));
    let mut left = all;
    for index in named.chain(all.iter()) {
        let dropped = u32::try_from(all.len() - left.len()).unwrap_or(u32::MAX);
        if dropped >= drops {
            break;
        }
        if index != lowest {
            left = left.without(index);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milli: u32, group: u32, order: &[u8]) -> Vec<u8> {
        let left = left(4, Level::milli(milli), Group::milli(group), order, 3);
        left.iter().collect()
    }

    #[test]
    fn rungs_go_from_the_top_and_the_lowest_last() {
        assert_eq!(at(0, 0, &[]), [0, 1, 2, 3]);
        assert_eq!(at(1000, 999, &[]), [1, 2, 3]);
        assert_eq!(at(2000, 999, &[]), [2, 3]);
        assert_eq!(at(3000, 999, &[]), [3]);
        assert_eq!(at(4000, 999, &[]), [0u8; 0]);
    }

    #[test]
    fn between_two_rungs_some_streams_go_first() {
        assert_eq!(at(1500, 499, &[]), [2, 3]);
        assert_eq!(at(1500, 500, &[]), [1, 2, 3]);
        assert_eq!(at(3001, 0, &[]), [0u8; 0]);
        assert_eq!(at(3001, 1, &[]), [3]);
    }

    #[test]
    fn the_order_is_the_operators_but_for_the_lowest() {
        assert_eq!(at(1000, 0, &[3, 4, 1]), [0, 1, 3]);
        assert_eq!(at(2000, 0, &[3, 4, 1]), [1, 3]);
        assert_eq!(at(3000, 0, &[3, 4, 1]), [3]);
        // Named twice, or not there at all.
        assert_eq!(at(1000, 0, &[9, 2, 2]), [0, 2, 3]);
        assert_eq!(at(2000, 0, &[9, 2, 2]), [2, 3]);
    }

    #[test]
    fn a_short_ladder_keeps_its_lowest_while_others_have_more() {
        let short = |milli| left(1, Level::milli(milli), Group::milli(0), &[], 3);
        assert_eq!(short(3000), Renditions::first(1));
        assert_eq!(short(3001), Renditions::NONE);
        assert_eq!(
            left(0, Level::milli(500), Group::milli(0), &[], 3),
            Renditions::NONE
        );
    }
}
