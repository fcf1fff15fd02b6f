//! Where a stream's segments go, and when that changes.
//!
//! A stream stays with its node: a session that is warm there saves work, and streams that
//! chase the least prediction meet again on the same node a moment later. It moves when
//! another one is clearly better twice running, or a little better for long: each pick's gain,
//! less a slack that noise explains, is added up, and enough of it moves the stream. A home
//! that cannot have *this* segment is left for this segment; only if it cannot have the next
//! one either, the stream moves to where it was sent.

use std::time::Duration;

use serde::Deserialize;

use super::reason::{Left, PickReason};
use super::slab::NodeRef;
use crate::bounds;

/// When a stream changes its node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A node that is better than the stream's own by this part, twice running, takes over.
    pub better: f64,
    /// A gain that counts for nothing. Between this and `better` it takes more times running; a single
    /// segment that would wait at home goes elsewhere for more than this.
    pub slack: f64,
    /// A gain of less time than this counts for nothing.
    #[serde(with = "humantime_serde")]
    pub least_gain: Duration,
    /// How often a stream whose node carries much more than another one, which has a free slot and is
    /// no slower or idle, moves there: the part of its segments at which that is considered.
    pub balance: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            better: 0.25,
            slack: 0.05,
            least_gain: Duration::from_millis(10),
            balance: 0.2,
        }
    }
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.better > 0.0 && self.better < 1.0) {
            return Err("better must be above 0 and below 1".to_owned());
        }
        if !(self.slack >= 0.0 && self.slack < self.better) {
            return Err("slack must be at least 0 and below better".to_owned());
        }
        if !(0.0..=1.0).contains(&self.balance) {
            return Err("balance must be from 0 to 1".to_owned());
        }
        bounds::times([("least_gain", self.least_gain)])
    }
}

/// A stream's node, and what speaks for another one. Belongs to the stream; the table hands
/// out the next one with every [`Choice`](super::Choice).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Home {
    node: NodeRef,
    /// Where segments go that the home cannot have: a session is warm there too.
    second: Option<NodeRef>,
    /// The last segment went there, since the home could not have it.
    away: bool,
    /// What speaks for moving, as a sum of gains.
    evidence: f32,
    /// The node that was left because it was bad: this stream does not try it out.
    burnt: Option<NodeRef>,
    /// The node that it moved away from, whatever for.
    before: Option<NodeRef>,
    /// Rises with each move and falls with each segment: a stream that moved needs more to
    /// move again.
    unrest: f32,
    /// For so many segments it does not leave its node for one segment, nor for a suspicion.
    settling: u8,
}

impl Home {
    pub(super) fn new(node: NodeRef) -> Self {
        Self {
            node,
            second: None,
            away: false,
            evidence: 0.0,
            burnt: None,
            before: None,
            unrest: 0.0,
            settling: 0,
        }
    }

    fn move_to(self, node: NodeRef) -> Self {
        Self {
            node,
            second: None,
            away: false,
            evidence: 0.0,
            burnt: self.burnt,
            before: Some(self.node),
            unrest: (self.unrest + 1.0).min(MOST_UNREST),
            settling: 0,
        }
    }

    /// The node.
    pub fn node(&self) -> NodeRef {
        self.node
    }

    /// The node that this stream left because it was bad, a short while ago.
    pub(super) fn burnt(&self) -> Option<NodeRef> {
        self.burnt.filter(|_| self.unrest > BURNT)
    }

    /// Where the last segment went that the home could not have.
    pub(super) fn second(&self) -> Option<NodeRef> {
        self.second
    }

    /// The home gets the segment, and nothing else came into question.
    pub(super) fn stay(mut self) -> Self {
        self.away = false;
        self.calm();
        self
    }

    /// One more segment went as the others did.
    fn calm(&mut self) {
        self.unrest *= CALM;
        self.settling = self.settling.saturating_sub(1);
    }

    /// The stream moves for the load's sake.
    pub(super) fn balance(self, other: NodeRef) -> Self {
        self.move_to(other)
    }

    /// The node that it moved away from a short while ago.
    pub(super) fn before(&self) -> Option<NodeRef> {
        self.before.filter(|_| self.is_restless())
    }

    /// The node that it moved away from has turned bad: it has fled, too.
    pub(super) fn has_fled(mut self) -> Self {
        self.burnt = self.before.take();
        self.settling = SETTLES;
        self
    }

    /// Whether the stream moved a short while ago.
    pub(super) fn is_restless(&self) -> bool {
        self.unrest > RESTLESS
    }

    /// Whether the stream fled from a bad node a short while ago.
    pub(super) fn is_settling(&self) -> bool {
        self.settling > 0
    }

    /// The home cannot have this segment, and `other` gets it.
    pub(super) fn leave(mut self, why: Left, other: NodeRef) -> Self {
        if why == Left::Suspect {
            // Chance alone does that to one job in many. If it was more, the stream goes on there.
            self.second = Some(other);
            return self;
        }
        let bad = matches!(
            why,
            Left::Ejected(_) | Left::Failed | Left::Overdue | Left::Zone
        );
        if bad {
            self.burnt = Some(self.node);
            self.unrest = self.unrest.max(FLED);
        }
        let lasting = matches!(
            why,
            Left::Gone | Left::Draining | Left::Ejected(_) | Left::Overdue | Left::Zone
        );
        if lasting || self.away {
            let mut moved = self.move_to(other);
            if bad {
                moved.unrest = MOST_UNREST;
                moved.settling = SETTLES;
                moved.before = None;
            }
            return moved;
        }
        self.second = Some(other);
        self.away = true;
        self
    }

    /// The home could have this segment in `ours` seconds, and `other`, the best of the
    /// others, in `theirs`; `waits` tells that the home has no free slot. What to do.
    pub(super) fn compare(
        mut self,
        ours: f64,
        other: NodeRef,
        theirs: f64,
        waits: bool,
        config: &Config,
    ) -> (Stay, Self) {
        let gain = (ours - theirs) / ours.max(1e-6);
        let counts = ours - theirs >= config.least_gain.as_secs_f64();
        let once = config.better - config.slack;
        let spoken = if counts {
            (gain - config.slack).min(once)
        } else {
            -once
        };
        let evidence = (f64::from(self.evidence) + spoken).max(0.0);
        if evidence >= 2.0 * once * (1.0 + f64::from(self.unrest)) - 1e-6 {
            let percent = (gain.clamp(0.0, 0.99) * 100.0) as u8;
            let reason = PickReason::Better { percent };
            return (Stay::Move(reason), self.move_to(other));
        }
        self.evidence = evidence as f32;
        let settling = self.is_settling();
        self.calm();
        if waits && counts && gain >= config.slack && !settling {
            self.second = Some(other);
            return (Stay::Move(PickReason::Left(Left::Waiting)), self);
        }
        self.away = false;
        (Stay::Keep, self)
    }
}

/// What a segment leaves of a stream's unrest.
const CALM: f32 = 0.93;
/// Unrest from which on a stream is not asked to move for others, and from which on it does
/// not try out what it fled.
const RESTLESS: f32 = 0.5;
const BURNT: f32 = 0.1;
/// Segments for which a stream stays where it fled to.
const SETTLES: u8 = 6;
/// The least unrest of a stream whose node turned bad.
const FLED: f32 = 0.5;
const MOST_UNREST: f32 = 4.0;

/// Whether the home gets the segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stay {
    Keep,
    /// The other one gets it.
    Move(PickReason),
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeRef = NodeRef { index: 0, life: 1 };
    const B: NodeRef = NodeRef { index: 1, life: 1 };

    /// How many picks of this kind it takes until the stream moves.
    fn picks(ours: f64, theirs: f64) -> Option<usize> {
        let mut home = Home::new(A);
        for n in 1..100 {
            home = home.compare(ours, B, theirs, false, &Config::default()).1;
            if home.node() == B {
                return Some(n);
            }
        }
        None
    }

    #[test]
    fn clearly_better_twice_or_a_little_better_for_long() {
        assert_eq!(picks(1.0, 0.75), Some(2));
        assert_eq!(picks(1.0, 0.01), Some(2), "never at once");
        assert_eq!(picks(1.0, 0.85), Some(4));
        assert_eq!(picks(1.0, 0.90), Some(8));
        assert_eq!(picks(1.0, 0.95), None);
        assert_eq!(picks(1.0, 1.50), None);
        assert_eq!(picks(0.020, 0.011), None, "less than 10 ms is nothing");
    }

    #[test]
    fn a_pick_without_gain_takes_back_what_spoke_for_moving() {
        let config = Config::default();
        let mut home = Home::new(A);
        for _ in 0..50 {
            home = home.compare(1.0, B, 0.7, false, &config).1;
            home = home.compare(1.0, B, 1.0, false, &config).1;
        }
        assert_eq!(home.node(), A);
    }

    #[test]
    fn a_home_that_cannot_have_one_segment_keeps_the_stream() {
        let away = Home::new(A).leave(Left::Blocked, B);
        assert_eq!((away.node(), away.second(), away.away), (A, Some(B), true));
        let back = away.compare(1.0, B, 1.0, false, &Config::default()).1;
        assert_eq!((back.node(), back.away), (A, false));
        assert_eq!(back.second(), Some(B), "where a session is warm");
        assert_eq!(away.leave(Left::Blocked, B).node(), B, "twice running");
        let suspicions = Home::new(A).leave(Left::Suspect, B).leave(Left::Suspect, B);
        assert_eq!(suspicions.node(), A, "not for a suspicion");
        let late = Home::new(A).leave(Left::Overdue, B);
        assert_eq!((late.node(), late.is_settling()), (B, true), "at once");
        assert_eq!(Home::new(A).leave(Left::Gone, B).node(), B, "at once");
    }

    #[test]
    fn a_stream_that_moved_needs_more_to_move_again() {
        let config = Config::default();
        let mut home = Home::new(A).leave(Left::Gone, B);
        assert!(home.is_restless());
        let mut picks = 0;
        while home.node() == B {
            home = home.compare(1.0, A, 0.5, false, &config).1;
            picks += 1;
        }
        assert_eq!(picks, 4, "nearly twice as much");
        for _ in 0..60 {
            home = home.stay();
        }
        assert!(!home.is_restless());
    }

    #[test]
    fn the_node_that_a_stream_fled_is_remembered() {
        assert_eq!(Home::new(A).burnt(), None);
        assert_eq!(Home::new(A).leave(Left::Waiting, B).burnt(), None);
        let mut fled = Home::new(A).leave(Left::Overdue, B);
        assert_eq!(fled.burnt(), Some(A));
        for _ in 0..80 {
            fled = fled.stay();
        }
        assert_eq!(
            fled.burnt(),
            None,
            "not for ever: it may be the only stream"
        );
    }

    #[test]
    fn who_moved_away_before_its_node_turned_bad_settles_as_if_it_had_fled() {
        let config = Config::default();
        let mut home = Home::new(A);
        while home.node() == A {
            home = home.compare(1.0, B, 0.5, false, &config).1;
        }
        assert_eq!((home.before(), home.is_settling()), (Some(A), false));
        let fled = home.has_fled();
        assert_eq!((fled.burnt(), fled.before()), (Some(A), None));
        assert!(fled.is_settling());
    }

    #[test]
    fn a_full_home_is_left_for_a_segment_that_would_wait() {
        let config = Config::default();
        let (stay, home) = Home::new(A).compare(1.0, B, 0.5, true, &config);
        assert_eq!(stay, Stay::Move(PickReason::Left(Left::Waiting)));
        assert_eq!(home.node(), A);
        assert_eq!(home.second(), Some(B));
        let (stay, _) = Home::new(A).compare(1.0, B, 0.96, true, &config);
        assert_eq!(stay, Stay::Keep, "not for a little");
        let fled = Home::new(B).leave(Left::Overdue, A);
        let (stay, _) = fled.compare(1.0, B, 0.5, true, &config);
        assert_eq!(stay, Stay::Keep, "not by a stream that just fled there");
    }
}
