//! When a probe changes its mind. Pure.

use std::cmp::Ordering;

use super::Finding;

/// Shows a change of grade only after several findings in a row that say so.
#[derive(Debug)]
pub struct Hysteresis {
    worse_after: u32,
    better_after: u32,
    shown: Option<Finding>,
    /// Which way the last findings pointed, and how many.
    trend: (Ordering, u32),
}

impl Hysteresis {
    /// Believes worse after so many findings in a row, and better.
    pub fn new(worse_after: u32, better_after: u32) -> Self {
        Self {
            worse_after,
            better_after,
            shown: None,
            trend: (Ordering::Equal, 0),
        }
    }

    /// Takes a finding; what is to be shown. The first is shown at once.
    pub fn take(&mut self, found: Finding) -> &Finding {
        let before = self.shown.as_ref().map(|shown| shown.state);
        let way = before.map_or(Ordering::Equal, |before| found.state.cmp(&before));
        let count = match way == self.trend.0 {
            true => self.trend.1.saturating_add(1),
            false => 1,
        };
        self.trend = (way, count);
        let needed = match way {
            Ordering::Greater => self.worse_after,
            Ordering::Less => self.better_after,
            Ordering::Equal => 0,
        };
        if count >= needed {
            self.trend = (Ordering::Equal, 0);
            self.shown.insert(found)
        } else {
            self.shown.get_or_insert(found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mind_changes_slowly_and_for_the_better_more_slowly() {
        let (good, bad) = (Finding::well("good"), Finding::warning("bad"));
        let mut hysteresis = Hysteresis::new(2, 3);
        let mut shown = |finding: &Finding| hysteresis.take(finding.clone()).line.clone();
        assert_eq!(shown(&good), "good");
        assert_eq!([shown(&bad), shown(&good)], ["good", "good"], "a blip");
        assert_eq!([shown(&bad), shown(&bad)], ["good", "bad"]);
        assert_eq!([shown(&good), shown(&good), shown(&bad)], ["bad"; 3]);
        assert_eq!([shown(&good), shown(&good)], ["bad"; 2]);
        assert_eq!([shown(&good), shown(&bad)], ["good", "good"]);

        let mut hysteresis = Hysteresis::new(2, 3);
        let first = hysteresis.take(bad.clone());
        assert_eq!(*first, bad, "the first is believed at once");
        let worse = Finding::warning("bad, in other words");
        assert_eq!(*hysteresis.take(worse.clone()), worse);
    }
}
