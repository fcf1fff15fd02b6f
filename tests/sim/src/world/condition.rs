use std::time::Duration;

use crate::scenario::Kind;

/// A node that fails more of its jobs than this is of no use, even to who knows everything.
const LIKELY: f64 = 0.5;

/// What is the matter with a node: all faults that it has at this moment, together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Condition {
    pub(crate) add: Duration,
    pub(crate) factor: f64,
    pub(crate) errors: f64,
    pub(crate) wrong_media: f64,
    pub(crate) false_claims: f64,
    pub(crate) hang: bool,
    pub(crate) dead: bool,
    pub(crate) partition: bool,
    pub(crate) refuse: bool,
    pub(crate) draining: bool,
    /// Added to the round trip.
    pub(crate) lag: Duration,
    pub(crate) loss: f64,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            add: Duration::ZERO,
            factor: 1.0,
            errors: 0.0,
            wrong_media: 0.0,
            false_claims: 0.0,
            hang: false,
            dead: false,
            partition: false,
            refuse: false,
            draining: false,
            lag: Duration::ZERO,
            loss: 0.0,
        }
    }
}

impl Condition {
    pub(crate) fn of(faults: &[Kind]) -> Self {
        let mut c = Self::default();
        for fault in faults {
            match *fault {
                Kind::Slow { add, factor } => {
                    c.add += add;
                    c.factor *= factor;
                }
                Kind::Errors(share) => c.errors = c.errors.max(share),
                Kind::WrongMedia(share) => c.wrong_media = c.wrong_media.max(share),
                Kind::FalseClaims(share) => c.false_claims = c.false_claims.max(share),
                Kind::Hang => c.hang = true,
                Kind::Dead => c.dead = true,
                Kind::Partition => c.partition = true,
                Kind::Refuse => c.refuse = true,
                Kind::Restart { .. } => c.draining = true,
                Kind::Congested { add, loss } => {
                    c.lag += add;
                    c.loss = c.loss.max(loss);
                }
                Kind::CatalogWithout
                | Kind::CatalogFrozen
                | Kind::CatalogEmpty
                | Kind::Poison(_) => {}
            }
        }
        c
    }

    /// A job that is sent there now will not come back right, as far as can be known.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.hang
            || self.dead
            || self.partition
            || self.refuse
            || self.draining
            || self.errors > LIKELY
            || self.wrong_media > LIKELY
            || self.false_claims > LIKELY
    }

    /// Nothing is heard from it.
    pub(crate) fn is_silent(&self) -> bool {
        self.hang || self.partition
    }
}
