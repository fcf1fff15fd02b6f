//! What the fleet teaches of a node that was not measured.
//!
//! The catalog's pixel rates may be stale or optimistic, but usually for all nodes alike. The
//! ratio of what was measured to what the catalog said, averaged over the measured nodes,
//! corrects the claim of the next one; one that claims nothing is taken for an average node.

use crate::member::Member;

/// The most slots that are believed of one node.
const MAX_SLOTS: u32 = 1024;
/// Nobody is taken for more than so many times better or worse than the average unmeasured.
const BELIEVABLE: f64 = 8.0;
/// Averages of logarithms: a ratio of a half and one of two cancel out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fleet {
    speed: Average,
    correction: Average,
}

#[derive(Debug, Clone, Copy, Default)]
struct Average {
    value: f64,
    count: f64,
}

impl Average {
    fn add(&mut self, sample: f64) {
        if sample.is_finite() {
            self.count += 1.0;
            self.value += (sample - self.value) / self.count;
        }
    }
}

/// Seconds per pixel of one slot, as the catalog has it.
fn claimed(member: &Member) -> Option<f64> {
    let slots = f64::from(member.slots.clamp(1, MAX_SLOTS));
    let rate = member.pixel_rate?;
    (rate.is_finite() && rate >= 1.0).then(|| slots / rate)
}

impl Fleet {
    /// A node was measured to need so many seconds per pixel.
    pub(super) fn observe(&mut self, member: &Member, speed: f64) {
        let speed = speed.max(f64::MIN_POSITIVE);
        self.speed.add(speed.ln());
        if let Some(claimed) = claimed(member) {
            self.correction.add((speed / claimed).ln());
        }
    }

    /// Seconds per pixel that this node is taken to need; `unknown` where nothing tells.
    pub(super) fn prior(&self, member: &Member, unknown: f64) -> f64 {
        let average = (self.speed.count > 0.0).then(|| self.speed.value.exp());
        let Some(claimed) = claimed(member) else {
            return average.unwrap_or(unknown);
        };
        let corrected = claimed * self.correction.value.exp();
        match average {
            Some(average) => corrected.clamp(average / BELIEVABLE, average * BELIEVABLE),
            None => corrected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Endpoint;

    fn member(slots: u32, pixel_rate: Option<f64>) -> Member {
        Member {
            id: "a".into(),
            zone: String::new(),
            endpoint: Endpoint::new("a", 1),
            slots,
            pixel_rate,
            weight: 1,
        }
    }

    #[test]
    fn claims_are_corrected_by_what_was_measured() {
        let mut fleet = Fleet::default();
        assert_eq!(fleet.prior(&member(2, None), 7.0), 7.0);
        assert_eq!(fleet.prior(&member(2, Some(4.0)), 7.0), 0.5);
        assert_eq!(fleet.prior(&member(2, Some(f64::NAN)), 7.0), 7.0);
        for _ in 0..10 {
            fleet.observe(&member(1, Some(1.0)), 2.0);
        }
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(
            near(fleet.prior(&member(2, Some(4.0)), 7.0), 1.0),
            "all are half as fast"
        );
        assert!(near(fleet.prior(&member(2, None), 7.0), 2.0));
        assert!(
            near(fleet.prior(&member(1, Some(1e12)), 7.0), 0.25),
            "and no wonder"
        );
    }
}
