//! What is left of a ladder at a level.

use super::level::{Group, Level};
use crate::renditions::Renditions;

/// How many of its `rungs` a stream of this group loses; all of them, if that many.
///
/// `deepest` is the most rungs above the lowest that any stream has: only when nothing is left
/// to any of them but the lowest do streams lose that one too.
pub(crate) fn drops(rungs: usize, level: Level, group: Group, deepest: u32) -> usize {
    let floor = Level::rungs(deepest);
    if level.beyond(floor).drops(group) > 0 {
        return rungs;
    }
    let drops = level.min(floor).drops(group);
    let above = rungs.saturating_sub(1);
    usize::try_from(drops).map_or(above, |drops| drops.min(above))
}

/// The renditions of a ladder of `rungs` that are left when so many are left out: those that
/// `order` names (1 is the top rung), then from the top, the lowest one last.
pub(crate) fn left(rungs: usize, drops: usize, order: &[u8]) -> Renditions {
    let all = Renditions::first(rungs);
    let Some(lowest) = all.iter().last() else {
        return all;
    };
    let named = order.iter().map(|position| position.saturating_sub(1));
    let mut left = all;
    for index in named.chain(all.iter()).filter(|index| *index != lowest) {
        if all.len() - left.len() >= drops {
            return left;
        }
        left = left.without(index);
    }
    if all.len() - left.len() >= drops {
        left
    } else {
        Renditions::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milli: u32, group: u32, order: &[u8]) -> Vec<u8> {
        let drops = drops(4, Level::milli(milli), Group::milli(group), 3);
        left(4, drops, order).iter().collect()
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
        assert_eq!(at(4000, 0, &[3, 4, 1]), [0u8; 0]);
        // Named twice, or not there at all.
        assert_eq!(at(1000, 0, &[9, 2, 2]), [0, 2, 3]);
        assert_eq!(at(2000, 0, &[9, 2, 2]), [2, 3]);
    }

    #[test]
    fn a_short_ladder_keeps_its_lowest_while_others_have_more() {
        let short = |milli| drops(1, Level::milli(milli), Group::milli(0), 3);
        assert_eq!((short(3000), short(3001)), (0, 1));
        assert_eq!(left(1, 0, &[]), Renditions::first(1));
        assert_eq!(left(1, 1, &[]), Renditions::NONE);
        assert_eq!(left(0, 0, &[]), Renditions::NONE);
    }
}
