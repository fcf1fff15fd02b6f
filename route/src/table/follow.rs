//! A segment's first submission follows its stream's home, or moves it: away from a node that is worse
//! than what there is, to one that is better, or, for the load's sake, to one that is less used.

use super::Table;
use super::ask::{Ask, Choice};
use super::field::{Entry, Field, Tier};
use super::health::Stand;
use super::home::{Home, Stay};
use super::node::Node;
use super::pick::choice;
use super::reason::{Left, PickReason};

/// At most so much worse than the best is a stream's second node to be taken again.
const AGAIN: f64 = 2.0;
/// And a node that is late for a stream that just fled there, for the stream to stay.
const FAR_WORSE: f64 = 3.0;
/// A node that a stream has just left and that gave nothing good for so many seconds may have turned
/// bad: nobody is there to tell.
const QUIET: f64 = 1.0;
/// A stream moves to spread the load when its node is used so many times as much, and by more
/// than this part of its slots.
const UNBALANCED: (f64, f64) = (1.33, 0.1);
/// And when it is no slower there. But a node of which less than this part is used, which has been
/// away or has never been needed, may be slower by so much: so it is known how it is.
const IDLE: (f64, f64) = (0.1, 1.4);

impl Table {
    /// Stays with the stream's home, or moves it.
    pub(super) fn follow_home(
        &self,
        ask: &Ask<'_>,
        field: &Field,
        best: &Entry,
        desperate: Option<PickReason>,
        t: f64,
    ) -> Choice {
        let Some(home) = ask.home else {
            let reason = desperate.unwrap_or(PickReason::FirstPick);
            return choice(field, best, reason, Home::new(best.node));
        };
        let turned_bad = |n: &Node| n.flights.is_late(t) || n.health.stand(t) != Stand::Fine;
        let home = match home.before().and_then(|n| self.nodes.get(n)) {
            Some(before) if turned_bad(before) => home.has_fled(),
            _ => home,
        };
        let ours = field.entry(home.node());
        // Who just fled does not run again for what may be chance.
        let stays =
            |e: &&Entry| home.is_settling() && e.unproven && e.total <= FAR_WORSE * best.total;
        let usable = ours.filter(|e| e.tier <= best.tier.max(Tier::Gated) || stays(e));
        let Some(ours) = usable else {
            let why = ours.and_then(|e| e.why).or(field.home_barred);
            let why = why.unwrap_or(Left::Gone);
            let again = home.second().and_then(|n| field.entry(n));
            let again = again.filter(|e| e.tier <= best.tier && e.score <= AGAIN * best.score);
            let next = again.unwrap_or(best);
            let reason = match desperate {
                Some(PickReason::OnlyOne) | None => PickReason::Left(why),
                Some(reason) => reason,
            };
            return choice(field, next, reason, home.leave(why, next.node));
        };
        let kept = desperate
            .filter(|r| *r != PickReason::OnlyOne)
            .unwrap_or(PickReason::Kept);
        let other = field.best_but(home.node());
        let Some(other) = other.filter(|e| e.tier <= ours.tier.max(Tier::Good)) else {
            return choice(field, ours, kept, home.stay());
        };
        let config = &self.config.home;
        let before = home.before().and_then(|n| self.nodes.get(n));
        let may_have_fled = before.is_some_and(|n| t - n.last_good > QUIET);
        let waits = ours.waits && !may_have_fled;
        let (stay, next) = home.compare(ours.score, other.node, other.score, waits, config);
        if let Stay::Move(reason) = stay {
            return choice(field, other, reason, next);
        }
        if let Some(other) = self.less_used(ours, field, t) {
            let home = next.balance(other.node);
            return choice(field, other, PickReason::Balance, home);
        }
        choice(field, ours, kept, next)
    }

    /// Where a stream should move for the load's sake alone.
    fn less_used<'f>(&self, ours: &Entry, field: &'f Field, t: f64) -> Option<&'f Entry> {
        let (other, theirs) = field.balance()?;
        let used = self.nodes.get(ours.node)?.utilisation.value(t);
        let less = used > UNBALANCED.0 * theirs && used - theirs > UNBALANCED.1;
        let slower = if theirs < IDLE.0 { IDLE.1 } else { 1.0 };
        (less && other.score <= ours.score * slower).then_some(other)
    }
}
