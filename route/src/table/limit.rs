//! How many of a node's slots are believed.
//!
//! What a node says is where to start. If jobs that ran side by side, all within its slots,
//! took much longer than one alone does, it has fewer than it says: heat, a noisy neighbour,
//! a wrong catalog. The limit falls by a fifth and rises again by and by while jobs at the
//! limit are as fast as others (additive increase, multiplicative decrease); it never exceeds
//! what the node says.

/// How much longer than alone is too long.
const TOO_LONG: f64 = 1.6;
/// So often running.
const STRIKES: u8 = 3;
const DECREASE: f64 = 0.8;
const INCREASE: f64 = 0.25;

/// The limit of one node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SlotLimit {
    lowered: Option<f64>,
    strikes: u8,
}

impl SlotLimit {
    /// Slots to count with when the node says `said`.
    pub(super) fn slots(&self, said: u32) -> u32 {
        let said = said.max(1);
        match self.lowered {
            Some(limit) => said.min((limit as u32).max(1)),
            None => said,
        }
    }

    /// A job that was sent as one of `beside` took `ratio` times what it takes as a rule.
    pub(super) fn observe(&mut self, beside: f64, ratio: f64, said: u32) {
        let now = f64::from(self.slots(said));
        if beside > now {
            return;
        }
        if ratio > TOO_LONG && beside >= 2.0 {
            self.strikes += 1;
            if self.strikes >= STRIKES {
                self.strikes = 0;
                self.lowered = Some((now.min(beside) * DECREASE).max(1.0));
            }
            return;
        }
        self.strikes = 0;
        if let Some(limit) = self.lowered
            && beside + 1.0 > limit
        {
            let more = limit + INCREASE;
            self.lowered = (more < f64::from(said)).then_some(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_when_company_costs_too_much_and_rises_to_what_is_said() {
        let mut l = SlotLimit::default();
        for _ in 0..3 {
            l.observe(8.0, 2.0, 8);
        }
        assert_eq!(l.slots(8), 6);
        l.observe(2.0, 1.0, 8);
        assert_eq!(l.slots(8), 6, "two jobs say nothing of seven");
        for _ in 0..20 {
            l.observe(f64::from(l.slots(8)), 1.0, 8);
        }
        assert_eq!(l.slots(8), 8);
        assert_eq!(l.slots(4), 4, "never more than is said");
    }

    #[test]
    fn one_alone_or_one_that_queued_is_no_evidence() {
        let mut l = SlotLimit::default();
        for _ in 0..10 {
            l.observe(1.0, 9.0, 8);
            l.observe(9.0, 9.0, 8);
        }
        assert_eq!(l.slots(8), 8);
        for _ in 0..100 {
            l.observe(2.0, 9.0, 8);
        }
        assert_eq!(l.slots(8), 1, "never below one");
    }
}
