//! What all submissions beyond a segment's first may cost: strictly bounded, in any window.
//!
//! Retries are what turns the failure of a few nodes, or one segment that no node can decode,
//! into an overload of all. So they are paid for: every segment brings a share of a token and
//! every second a trickle, and a submission beyond the first takes a whole token or does not
//! happen.
//!
//! **The bound.** In every window of time of `T >= 1 s`, closed at both ends, at most
//! `per_segment * N + per_second * T` tokens are granted, where `N` is the number of segments
//! that began in that very window. With the defaults, all submissions of any window are
//! therefore at most `1.1 N + T`. An ordinary token bucket does not hold this: what it saved
//! before the window is spent in it. Here nothing is saved. A grant is checked against every
//! window that begins with an earlier grant, as if no segment came any more:
//!
//! > grants in `[a, now]` <= `per_segment * N[a, now] + per_second * max(1 s, now - a)`
//!
//! A segment brings its share when it is known that a node took it on, and for the windows that hold
//! the time at which it was sent there: what is refused before its body is read brings nothing, so
//! that there is nothing to take back after a grant. What is known late can only add to a window.
//!
//! Windows that begin between grants follow from these. The check needs no history: windows
//! older than a second are all summed up in one number. Younger ones are kept one by one, since any
//! of them may yet be given back; there are never more than one second may grant.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// The shortest window for which the bound holds.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Parts of a token: sums of shares are exact.
const TOKEN: i64 = 1_000_000;
/// The most that a rate may be, in tokens.
const MAX_RATE: f64 = 1000.0;

/// How a [`Budget`] fills.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Tokens that each segment brings.
    pub per_segment: f64,
    /// Tokens that each second brings; under 1 no token is granted that segments of the same
    /// instant have not brought.
    pub per_second: f64,
}

impl Default for Config {
    /// Retries: 10 % of the segments and one a second.
    fn default() -> Self {
        Self {
            per_segment: 0.1,
            per_second: 1.0,
        }
    }
}

impl Config {
    /// Submissions after a refusal: the refused one was cheap, since its body was not read,
    /// so these have a wider bound of their own.
    pub fn refusals() -> Self {
        Self {
            per_segment: 0.5,
            per_second: 1.0,
        }
    }

    /// Refuses values that are not amounts.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let amount = |v: f64| (0.0..=MAX_RATE).contains(&v);
        if !amount(self.per_segment) {
            return Err(format!("per_segment must be between 0 and {MAX_RATE}"));
        }
        if !amount(self.per_second) || (self.per_second > 0.0 && self.per_second < 1.0) {
            return Err(format!("per_second must be 0, or between 1 and {MAX_RATE}"));
        }
        Ok(())
    }
}

/// Grants tokens within the bound. See the module for which.
#[derive(Debug, Clone)]
pub struct Budget {
    per_segment: i64,
    per_second: i64,
    began: Instant,
    /// All that was granted less all that segments brought.
    net: i64,
    /// Grants of the last second, oldest first.
    young: VecDeque<Grant>,
    /// The least of `Grant::net - Grant::brought` of all older grants.
    old: Option<i64>,
    /// When the last of those was granted.
    newest_old: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Grant {
    at: Instant,
    /// [`Budget::net`] just before it.
    net: i64,
    /// What time had brought since the budget began.
    brought: i64,
}

impl Budget {
    /// Nothing saved, nothing owed.
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            per_segment: parts(config.per_segment),
            per_second: parts(config.per_second),
            began: now,
            net: 0,
            young: VecDeque::new(),
            old: None,
            newest_old: None,
        }
    }

    /// A segment begins and is taken on at once: it brings its share.
    pub fn segment(&mut self) {
        self.net -= self.per_segment;
    }

    /// A node took on a segment that was sent then: it brings its share for the windows that hold
    /// that time.
    pub fn segment_taken(&mut self, sent: Instant) {
        self.bring(self.per_segment, sent);
    }

    fn bring(&mut self, share: i64, at: Instant) {
        self.net -= share;
        let later = self.young.partition_point(|g| g.at <= at);
        for grant in self.young.range_mut(later..) {
            grant.net -= share;
        }
        // Which of the old ones came after it is no longer known: as if all of them had.
        if self.newest_old.is_some_and(|newest| newest > at) {
            self.old = self.old.map(|old| old - share);
        }
    }

    /// Takes one token, if the bound allows it.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        self.age(now);
        let taken = self.room(now) >= TOKEN;
        if taken {
            self.grant(now);
        }
        taken
    }

    /// Takes one token, whatever the windows of the last second allow.
    pub(super) fn grant(&mut self, now: Instant) {
        self.age(now);
        let grant = Grant {
            at: now,
            net: self.net,
            // Rounded up: never in favour of a later grant.
            brought: self.brought(now).saturating_add(1),
        };
        self.young.push_back(grant);
        self.net += TOKEN;
    }

    /// Takes back a token that was granted at `at` and not used; only within the second.
    pub(super) fn refund(&mut self, at: Instant, now: Instant) -> bool {
        self.age(now);
        let Some(index) = self.young.iter().position(|g| g.at == at) else {
            return false;
        };
        self.young.remove(index);
        for later in self.young.range_mut(index..) {
            later.net -= TOKEN;
        }
        self.net -= TOKEN;
        true
    }

    /// When each token of the last second was granted, oldest first.
    pub(super) fn grants(&self) -> impl DoubleEndedIterator<Item = Instant> + '_ {
        self.young.iter().map(|grant| grant.at)
    }

    /// What windows of more than a second leave, in tokens, if so many segments of the last second
    /// are taken on of which that is not known yet.
    pub(super) fn long(&mut self, undecided: usize, now: Instant) -> f64 {
        self.age(now);
        let room = self.old.map(|old| old + self.brought(now) - self.net);
        room.map_or(f64::INFINITY, |room| {
            (room as f64 + self.per_segment as f64 * undecided as f64) / TOKEN as f64
        })
    }

    /// Tokens that could be taken now, one after another.
    pub fn available(&mut self, now: Instant) -> u32 {
        self.age(now);
        u32::try_from(self.room(now).max(0) / TOKEN).unwrap_or(u32::MAX)
    }

    /// When time alone will have brought the next token; now, if there is one. `None` if time
    /// brings none.
    pub fn ready_at(&mut self, now: Instant) -> Option<Instant> {
        self.age(now);
        if self.room(now) >= TOKEN {
            return Some(now);
        }
        if self.per_second < TOKEN {
            return None;
        }
        let owed = self.net + TOKEN;
        let old = self.old.map(|old| (self.began, owed - old));
        let young = self.young.iter().map(|g| (g.at, owed - g.net));
        old.into_iter()
            .chain(young)
            .map(|(from, missing)| {
                let seconds = missing.max(0) as f64 / self.per_second as f64;
                // Rounded up, so that it is not too early by a part of a nanosecond.
                from + Duration::from_secs_f64(seconds) + Duration::from_micros(2)
            })
            .max()
            .map(|at| at.max(now))
    }

    /// What the strictest window leaves, in parts of a token.
    fn room(&self, now: Instant) -> i64 {
        let brought = self.brought(now);
        let second = self.per_second;
        let old = self.old.map(|old| old + brought - self.net);
        let young = self.young.iter().map(|g| g.net + second - self.net);
        old.into_iter().chain(young).fold(second, i64::min)
    }

    /// Grants that are older than the window join the old ones.
    fn age(&mut self, now: Instant) {
        while let Some(grant) = self.young.front() {
            if now.saturating_duration_since(grant.at) < WINDOW {
                break;
            }
            let least = grant.net - grant.brought;
            self.old = Some(self.old.map_or(least, |old| old.min(least)));
            self.newest_old = Some(grant.at);
            self.young.pop_front();
        }
    }

    fn brought(&self, now: Instant) -> i64 {
        let elapsed = now.saturating_duration_since(self.began);
        let parts = elapsed.as_nanos() * u128::from(self.per_second.unsigned_abs()) / 1_000_000_000;
        i64::try_from(parts).unwrap_or(i64::MAX)
    }
}

fn parts(tokens: f64) -> i64 {
    (tokens * TOKEN as f64).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(per_segment: f64, per_second: f64) -> Config {
        Config {
            per_segment,
            per_second,
        }
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_first_token_is_there_and_the_second_needs_time_or_segments() {
        let t0 = Instant::now();
        let mut b = Budget::new(Config::default(), t0);
        assert!(b.take(t0));
        assert!(!b.take(t0) && !b.take(t0 + ms(1999)));
        assert!(b.take(t0 + ms(2001)), "two in a window of two seconds");

        let mut b = Budget::new(Config::default(), t0);
        assert!(b.take(t0));
        for _ in 0..9 {
            b.segment();
        }
        assert!(!b.take(t0 + ms(10)));
        b.segment();
        assert!(b.take(t0 + ms(10)), "ten segments bring one");
    }

    #[test]
    fn neither_a_quiet_hour_nor_a_busy_one_buys_a_storm() {
        let t0 = Instant::now();
        let mut b = Budget::new(Config::default(), t0);
        for _ in 0..100_000 {
            b.segment();
        }
        let later = t0 + Duration::from_secs(3600);
        assert_eq!((0..10).filter(|_| b.take(later)).count(), 1);
        assert_eq!(b.available(later), 0);
    }

    #[test]
    fn it_tells_when_time_brings_the_next_one() {
        let t0 = Instant::now();
        let mut b = Budget::new(Config::default(), t0);
        assert_eq!(b.ready_at(t0), Some(t0));
        assert!(b.take(t0));
        let at = b.ready_at(t0 + ms(300)).expect("time brings one");
        assert!(
            !b.clone().take(at - ms(1)) && b.take(at),
            "neither early nor late"
        );
        let mut never = Budget::new(config(0.5, 0.0), t0);
        assert!(!never.take(t0));
        assert_eq!(never.ready_at(t0), None);
    }

    #[test]
    fn what_is_brought_late_is_for_the_windows_of_its_time() {
        let t0 = Instant::now();
        let mut b = Budget::new(config(10.0, 1.0), t0);
        assert!(b.take(t0 + ms(100)));
        let mut late = b.clone();
        late.segment_taken(t0 + ms(50));
        assert!(
            !late.take(t0 + ms(200)),
            "the window that begins at 100 ms has none"
        );
        b.segment_taken(t0 + ms(100));
        assert!(b.take(t0 + ms(200)));
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(Config::default().check(), Ok(()));
        assert_eq!(Config::refusals().check(), Ok(()));
        for (key, c) in [
            ("per_segment", config(f64::NAN, 1.0)),
            ("per_segment", config(-0.1, 1.0)),
            ("per_second", config(0.1, 0.5)),
            ("per_second", config(0.1, f64::INFINITY)),
        ] {
            assert!(c.check().is_err_and(|e| e.starts_with(key)), "{c:?}");
        }
    }

    proptest! {
        /// The bound itself, over every window that begins and ends anywhere.
        #[test]
        fn no_window_of_a_second_or_more_grants_more_than_it_brought(
            per_segment in prop::sample::select(vec![0.0, 0.1, 0.3, 0.5, 1.0]),
            per_second in prop::sample::select(vec![1.0, 1.5, 2.0, 7.0]),
            steps in prop::collection::vec((0u64..700, 0u8..12, 0u8..5, 0u64..3000), 1..120),
        ) {
            let t0 = Instant::now();
            let mut b = Budget::new(config(per_segment, per_second), t0);
            let (mut at, mut begins, mut grants) = (0, Vec::new(), Vec::new());
            for (pause, segments, takes, late) in steps {
                at += pause;
                let now = t0 + ms(at);
                for i in 0..segments {
                    // Of some it is known late that they began.
                    let began = if i % 3 == 0 { at.saturating_sub(late) } else { at };
                    b.bring(b.per_segment, t0 + ms(began));
                    begins.push(began);
                }
                for _ in 0..takes {
                    if b.take(now) {
                        grants.push(at);
                    }
                }
            }
            // Windows that matter begin and end with a grant, or are a second long.
            for (i, from) in grants.iter().enumerate() {
                for to in &grants[i..] {
                    let length = (to - from).max(1000);
                    let inside = |t: &&u64| (*from..=*to).contains(*t);
                    let granted = grants.iter().filter(inside).count() as f64;
                    let brought = begins.iter().filter(inside).count() as f64 * per_segment
                        + length as f64 / 1000.0 * per_second;
                    prop_assert!(granted <= brought + 1e-4, "{granted} > {brought} in {from}..{to}");
                }
            }
        }

        /// Strict, but not stricter: what every window allows is granted.
        #[test]
        fn what_every_window_allows_is_granted(
            steps in prop::collection::vec((0u64..700, 0u8..12), 1..80),
        ) {
            let (per_segment, per_second) = (0.1, 1.0);
            let t0 = Instant::now();
            let mut b = Budget::new(config(per_segment, per_second), t0);
            let (mut at, mut begun) = (0u64, 0u32);
            // When each was granted, and how many segments had begun.
            let mut grants: Vec<(u64, u32)> = Vec::new();
            for (pause, segments) in steps {
                at += pause;
                for _ in 0..segments {
                    b.segment();
                    begun += 1;
                }
                let allowed = grants.iter().enumerate().all(|(i, (from, before))| {
                    let length = (at - from).max(1000) as f64 / 1000.0;
                    let brought = f64::from(begun - before) * per_segment + length * per_second;
                    (grants.len() - i + 1) as f64 <= brought - 1e-4
                });
                if b.take(t0 + ms(at)) {
                    grants.push((at, begun));
                } else {
                    prop_assert!(!allowed, "refused at {at} after {grants:?}");
                }
            }
        }
    }
}
