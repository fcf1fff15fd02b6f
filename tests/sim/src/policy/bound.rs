//! The bound that every baseline keeps to as well: 1.1 N + T submissions in any window of T
//! seconds, T at least 1, N the segments first submitted in it.
//!
//! Baselines get the whole of it, to the last submission: a window's sum may touch the bound,
//! and no more is withheld than the bound itself demands.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// What counts: a segment's first submission weighs 1 and brings 1.1; any other weighs 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Submission {
    pub(crate) at: Time,
    pub(crate) first: bool,
}

impl Submission {
    /// Above 1.1 for each segment, in tenths, so that sums are exact.
    fn tenths(self) -> i64 {
        if self.first { -1 } else { 10 }
    }
}

const WINDOW: Duration = Duration::from_secs(1);
/// In half nanoseconds.
const SECOND: u64 = 2_000_000_000;
const ROUNDING: f64 = 1e-9;

/// Keeps the bound, as submissions are made.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    /// Sum so far, in tenths.
    sum: i64,
    /// Of the last second: the sum before it, and when it was.
    recent: VecDeque<(i64, Time)>,
    /// Of windows that begin earlier: the least sum before their beginning, less the time.
    least: Option<f64>,
}

impl Bound {
    /// Whether a further submission of a segment may be made now.
    pub(crate) fn allows(&mut self, now: Time) -> bool {
        self.age(now);
        let after = self.sum
            + Submission {
                at: now,
                first: false,
            }
            .tenths();
        // Windows that end now, and those of a second that end later.
        let long = self.least.map(|least| over(after) - least - now.secs());
        let recent = self.recent.iter().map(|(before, _)| *before);
        let short = over(after - recent.fold(self.sum, i64::min));
        long.is_none_or(|excess| excess <= ROUNDING) && short <= 1.0 + ROUNDING
    }

    pub(crate) fn submitted(&mut self, now: Time, first: bool) {
        self.age(now);
        self.recent.push_back((self.sum, now));
        self.sum += Submission { at: now, first }.tenths();
    }

    /// A submission was refused before its body: it was none. What is longer ago than a second
    /// stays counted, which errs on the safe side.
    pub(crate) fn withdrawn(&mut self, at: Time, first: bool) {
        let Some(i) = self.recent.iter().position(|(_, t)| *t >= at) else {
            return;
        };
        let tenths = Submission { at, first }.tenths();
        self.sum -= tenths;
        for (before, _) in self.recent.iter_mut().skip(i + 1) {
            *before -= tenths;
        }
    }

    fn age(&mut self, now: Time) {
        while let Some(&(before, at)) = self.recent.front() {
            if now.since(at) < WINDOW {
                break;
            }
            self.recent.pop_front();
            let begun = over(before) - at.secs();
            self.least = Some(self.least.map_or(begun, |least| least.min(begun)));
        }
    }
}

fn over(tenths: i64) -> f64 {
    tenths as f64 / 10.0
}

/// How far the submissions of one ingest, in order, are above the bound in the worst of all windows
/// that begin by `last`, whenever they end; at most 0 if it holds.
pub(crate) fn excess(submissions: &[Submission], last: Time) -> f64 {
    // Sums up to and with everything at a time, and that time twice over: between two of these
    // there is always one more, so that a window can begin just after a submission.
    let mut times: Vec<(u64, i64)> = Vec::with_capacity(submissions.len());
    let mut sum = 0;
    for s in submissions {
        sum += s.tenths();
        // Later by so much that a window may begin before the run.
        let at = 2 * s.at.nanos() + 2 * SECOND;
        match times.last_mut() {
            Some(last) if last.0 == at => last.1 = sum,
            _ => times.push((at, sum)),
        }
    }
    let last = last.nanos().saturating_mul(2).saturating_add(2 * SECOND);
    long_windows(&times, last).max(windows_of_a_second(&times, last))
}

/// A window [a, b] holds sum(up to b) - sum(before a) - (b - a) above the bound. Where it is
/// longer than a second, that only grows until it begins and ends at a submission.
fn long_windows(times: &[(u64, i64)], last: u64) -> f64 {
    let secs = |t: u64| t as f64 / 2e9;
    let mut worst = f64::NEG_INFINITY;
    let mut least = f64::INFINITY;
    let (mut begun, mut before) = (0, 0);
    for &(at, sum) in times {
        let begins = |t: u64| t + SECOND <= at && t <= last;
        while let Some(&(begin, with)) = times.get(begun).filter(|(t, _)| begins(*t)) {
            least = least.min(over(before) - secs(begin));
            before = with;
            begun += 1;
        }
        worst = worst.max(over(sum) - secs(at) - least);
    }
    worst
}

/// What a window of a second holds changes only where one of its ends passes a submission.
fn windows_of_a_second(times: &[(u64, i64)], last: u64) -> f64 {
    let upto = |t: u64| match times.partition_point(|(at, _)| *at <= t) {
        0 => 0,
        n => times[n - 1].1,
    };
    let mut worst = f64::NEG_INFINITY;
    for &(at, _) in times {
        for begin in [at, at + 1, at - SECOND - 1, at - SECOND, at - SECOND + 1] {
            if begin > last {
                continue;
            }
            let inside = upto(begin + SECOND) - upto(begin - 1);
            worst = worst.max(over(inside) - 1.0);
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Time {
        Time::after(Duration::from_millis(ms))
    }

    /// Every window that begins and ends on a grid twice as fine as that of the submissions.
    fn by_hand(submissions: &[Submission], end: u64) -> f64 {
        let mut worst = f64::NEG_INFINITY;
        for a in (0..=end).step_by(25) {
            for b in (a + 1000..=end + 1025).step_by(25) {
                let inside = submissions
                    .iter()
                    .filter(|s| (at(a)..=at(b)).contains(&s.at));
                let sum = inside.map(|s| s.tenths()).sum();
                worst = worst.max(over(sum) - (b - a) as f64 / 1000.0);
            }
        }
        worst
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, bool)>> {
        prop::collection::vec((0u64..6, any::<bool>()), 1..25)
    }

    proptest! {
        #[test]
        fn the_worst_window_is_found(steps in steps()) {
            // Windows may begin before the first submission.
            let mut ms = 1000;
            let list: Vec<_> = steps.iter().map(|(n, first)| {
                ms += n * 50;
                Submission { at: at(ms), first: *first }
            }).collect();
            let (fast, slow) = (excess(&list, Time::NEVER), by_hand(&list, ms));
            // By hand, windows may also be empty.
            prop_assert!((fast.max(-1.0) - slow.max(-1.0)).abs() < 1e-6, "{fast} {slow}");
        }

        #[test]
        fn whoever_asks_first_never_exceeds(steps in steps()) {
            let mut bound = Bound::default();
            let (mut ms, mut list) = (0, Vec::new());
            for (n, first) in steps {
                ms += n * 50;
                if first || bound.allows(at(ms)) {
                    bound.submitted(at(ms), first);
                    list.push(Submission { at: at(ms), first });
                }
            }
            let worst = excess(&list, Time::NEVER);
            prop_assert!(worst <= 1e-6, "{worst}");
        }
    }

    #[test]
    fn the_bound_is_granted_in_full() {
        let mut bound = Bound::default();
        // Without a single segment: a window of two seconds, both ends included, may hold two,
        // one of less only one.
        let granted = (0..100).filter(|i| {
            let now = at(i * 100);
            let grant = bound.allows(now);
            if grant {
                bound.submitted(now, false);
            }
            grant
        });
        assert_eq!(granted.count(), 5);
    }
}
