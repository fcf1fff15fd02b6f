//! Who goes first when there is not enough for all.
//!
//! What may be lost goes before what may only be late; and of what may be lost, that which is
//! lost first. Nobody queues: whoever goes away empty-handed looks again soon, and until then
//! the others stand back for it, but for no longer, since it may have been helped otherwise.

use std::time::{Duration, Instant};

use super::price::{Need, Price};

/// How long what can wait stands back after something that cannot went away empty-handed.
const STAND_BACK: Duration = Duration::from_millis(200);
/// Whoever found nothing left asks again within this time, or needs nothing any more.
pub(in crate::router) const ASKS_AGAIN: Duration = Duration::from_millis(60);
/// Deadlines that are as good as the same: whoever comes shortly after another need not wait for
/// it to ask again.
const ABOUT: Duration = Duration::from_millis(50);

/// What may be lost and last found nothing left; of several, what is lost first.
#[derive(Debug, Default)]
pub(super) struct Precedence(Option<Missed>);

#[derive(Debug, Clone, Copy)]
struct Missed {
    at: Instant,
    deadline: Instant,
}

impl Precedence {
    /// Whether others go first.
    pub(super) fn stands_back(&self, price: Price, now: Instant) -> bool {
        let Some(Missed { at, deadline }) = self.0 else {
            return false;
        };
        let within = |time| now.saturating_duration_since(at) < time;
        match price.need {
            Need::Loss => within(ASKS_AGAIN) && deadline + ABOUT < price.deadline,
            Need::Doubt | Need::Slow | Need::Trial | Need::Lateness => within(STAND_BACK),
        }
    }

    /// Something went away empty-handed.
    pub(super) fn missed(&mut self, price: Price, now: Instant) {
        let Price { need, deadline, .. } = price;
        let sooner = self.0.is_none_or(|m| {
            deadline <= m.deadline || now.saturating_duration_since(m.at) >= ASKS_AGAIN
        });
        if need == Need::Loss && sooner {
            self.0 = Some(Missed { at: now, deadline });
        }
    }

    /// Something got what it needs: if it was what the others stand back for, they need not.
    pub(super) fn served(&mut self, price: Price) {
        self.0.take_if(|m| price.deadline <= m.deadline);
    }
}
