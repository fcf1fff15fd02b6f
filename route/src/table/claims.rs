//! Nodes that blame segments (422).
//!
//! A claim that a second node contradicts is a failure of the node that made it. A node that
//! makes many more claims than the others do, without anybody having confirmed them, fails
//! too, even while each single one is still in the balance.

use super::clock::fade;

/// Time constant in seconds.
const MEMORY: f64 = 60.0;
/// So many contradicted claims within the memory eject a node.
const CONTRADICTED: f64 = 1.5;
/// So many unconfirmed claims, and results of others, are enough to compare with the fleet.
const LEAST: f64 = 4.0;
/// How many times the fleet's rate of claims is too many.
const TIMES: f64 = 5.0;

/// Fading counts of a node's results.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims {
    results: f64,
    open: f64,
    contradicted: f64,
    at: f64,
}

impl Claims {
    pub(super) fn new(t: f64) -> Self {
        Self {
            results: 0.0,
            open: 0.0,
            contradicted: 0.0,
            at: t,
        }
    }

    fn fade(&mut self, t: f64) {
        let kept = fade((t - self.at) / MEMORY);
        self.results *= kept;
        self.open *= kept;
        self.contradicted *= kept;
        self.at = t;
    }

    /// A job ended, with a claim or otherwise.
    pub(super) fn result(&mut self, claim: bool, t: f64) {
        self.fade(t);
        self.results += 1.0;
        self.open += f64::from(u8::from(claim));
    }

    /// Another node agreed.
    pub(super) fn confirmed(&mut self, t: f64) {
        self.fade(t);
        self.open = (self.open - 1.0).max(0.0);
    }

    /// Another node disagreed. True if that is once too often.
    pub(super) fn contradicted(&mut self, t: f64) -> bool {
        self.confirmed(t);
        self.contradicted += 1.0;
        self.contradicted > CONTRADICTED
    }

    /// Claims that nobody confirmed are far more frequent here than in the whole `fleet`.
    pub(super) fn stand_out(&self, fleet: &Self) -> bool {
        let rest = fleet.results - self.results;
        let theirs = (fleet.open - self.open).max(0.0) / rest.max(1.0);
        rest >= LEAST && self.open >= LEAST && self.open > TIMES * theirs * self.results
    }

    /// Starts over.
    pub(super) fn clear(&mut self, t: f64) {
        *self = Self::new(t);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_contradiction_within_a_minute_is_one_too_many() {
        let mut c = Claims::new(0.0);
        assert!(!c.contradicted(0.0));
        assert!(c.contradicted(5.0));
        c.clear(6.0);
        assert!(!c.contradicted(6.0));
        assert!(!c.contradicted(300.0), "forgotten");
    }

    #[test]
    fn many_open_claims_stand_out_unless_everyone_has_them() {
        let (mut node, mut fleet) = (Claims::new(0.0), Claims::new(0.0));
        for _ in 0..100 {
            fleet.result(false, 0.0);
        }
        for i in 0..8u32 {
            node.result(i % 2 == 0, 0.0);
            fleet.result(i % 2 == 0, 0.0);
        }
        assert!(node.stand_out(&fleet));
        let mut confirmed = node;
        confirmed.confirmed(0.0);
        assert!(!confirmed.stand_out(&fleet), "too few are open");
        for _ in 0..50 {
            fleet.result(true, 0.0);
        }
        assert!(!node.stand_out(&fleet), "everyone meets such segments");
        assert!(!node.stand_out(&node), "there is nobody to compare it with");
    }
}
