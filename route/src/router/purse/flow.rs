//! The last second and the next: what came, and what is due.
//!
//! The bound on retries holds for windows that end later, too. A [`Budget`](super::super::budget) alone
//! knows nothing of what will come, so that it lets no two grants follow each other closely: a
//! window that begins with the first would hold nothing but these, should no segment come any
//! more. But when a node fails, all that it has must be sent again at that very moment. And what
//! will come is known, by and large: a live stream brings a segment in every duration of one.
//!
//! So what is due counts before it comes. Of every window of a second that holds this moment,
//! wherever it begins:
//!
//! > grants <= `per_segment` * (segments that were sent + `ahead` * segments that are due) + `per_second`
//!
//! A stream may end without a word; therefore `ahead` is a share, and nothing is granted by this for
//! a while after a segment could not be sent at once: then the strict budget is all there is.
//! Should more streams than that end at once, the windows of that second exceed the bound by
//! `per_segment` times the segments that are missed, and nothing more is granted until longer
//! windows have made up for it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::budget::{self, WINDOW};

/// Time is told apart to this.
const SLOT: Duration = Duration::from_millis(20);
/// Slots in a window of a second.
const WIDTH: usize = (WINDOW.as_millis() / SLOT.as_millis()) as usize;
/// What is due later than so many slots from now is not remembered: 16 s.
const FAR: usize = 800;
/// For how long nothing is granted after a segment could not be sent at once.
const DISTRUST: Duration = Duration::from_secs(2);
/// What a segment brings that may yet be refused.
const EARLY: f64 = 0.9;

/// A segment that is due, as it stands in the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(u64);

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    sent: u32,
    due: u32,
}

/// Counts what came and what is due.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    config: budget::Config,
    ahead: f64,
    began: Instant,
    /// The number of the first of `slots`.
    first: u64,
    slots: VecDeque<Slot>,
    distrust: Option<Instant>,
}

impl Flow {
    pub(super) fn new(config: budget::Config, ahead: f64, now: Instant) -> Self {
        Self {
            config,
            ahead,
            began: now,
            first: 0,
            slots: VecDeque::new(),
            distrust: None,
        }
    }

    fn number(&self, at: Instant) -> u64 {
        number(at, self.began)
    }

    /// The slot of a time from a second ago on, unless it is too far.
    fn slot(&mut self, at: Instant, now: Instant) -> Option<&mut Slot> {
        self.forget(now);
        let index = usize::try_from(self.number(at).checked_sub(self.first)?).ok()?;
        if index >= WIDTH + FAR {
            return None;
        }
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Slot::default());
        }
        self.slots.get_mut(index)
    }

    fn forget(&mut self, now: Instant) {
        let first = self.number(now).saturating_sub(WIDTH as u64);
        while self.first < first && self.slots.pop_front().is_some() {
            self.first += 1;
        }
        self.first = self.first.max(first);
    }

    /// A segment is due at `at`.
    pub(super) fn expect(&mut self, at: Instant, now: Instant) -> Option<Entry> {
        self.slot(at, now)?.due += 1;
        Some(Entry(self.number(at)))
    }

    /// What was due came, or will not.
    pub(super) fn unexpect(&mut self, Entry(number): Entry) {
        let index = number.checked_sub(self.first);
        let slot = index.and_then(|i| self.slots.get_mut(usize::try_from(i).ok()?));
        if let Some(slot) = slot {
            slot.due = slot.due.saturating_sub(1);
        }
    }

    /// Something did not go as it should: what is due may not be sent when it comes.
    pub(super) fn distrust(&mut self, now: Instant) {
        self.distrust = Some(now);
    }

    /// A segment was sent for the first time.
    pub(super) fn sent(&mut self, now: Instant) {
        if let Some(slot) = self.slot(now, now) {
            slot.sent = slot.sent.saturating_add(1);
        }
    }

    /// One that was sent at `at` was refused.
    pub(super) fn refused(&mut self, at: Instant, now: Instant) {
        if let Some(slot) = self.slot(at, now) {
            slot.sent = slot.sent.saturating_sub(1);
        }
    }

    /// Tokens that could be granted now, one after another, after the `grants` of the last second,
    /// oldest first. None while what is due is not to be counted on.
    pub(super) fn available(
        &mut self,
        grants: impl DoubleEndedIterator<Item = Instant>,
        now: Instant,
    ) -> u32 {
        let distrusts = |since: Instant| now.saturating_duration_since(since) < DISTRUST;
        if self.ahead <= 0.0 || self.distrust.is_some_and(distrusts) {
            return 0;
        }
        // The cast saturates, and takes what is below 0 for 0.
        (self.margin(grants, now) + 1e-9) as u32
    }

    /// Whether what was granted is not paid by what was sent and what is due: since less is due than
    /// was, or some of what came was not sent.
    pub(super) fn is_short(
        &mut self,
        grants: impl DoubleEndedIterator<Item = Instant>,
        now: Instant,
    ) -> bool {
        self.margin(grants, now) < 0.0
    }

    /// What the strictest of those windows leaves, in tokens.
    fn margin(&mut self, grants: impl DoubleEndedIterator<Item = Instant>, now: Instant) -> f64 {
        self.forget(now);
        let here = usize::try_from(self.number(now).saturating_sub(self.first));
        let here = here.unwrap_or(usize::MAX);
        let began = self.began;
        let mut grants = grants.rev().map(|at| number(at, began)).peekable();
        let get = |i: usize| self.slots.get(i).copied().unwrap_or_default();
        // The window that begins in this slot, and then those that begin a slot earlier each.
        // What shares a slot with a window's end may be outside.
        let (mut sent, mut granted): (u32, u32) = (0, 0);
        let mut due: u32 = (1..WIDTH).map(|k| get(here.saturating_add(k)).due).sum();
        let mut least = f64::INFINITY;
        for k in 0..=WIDTH.min(here) {
            let begin = self.first + (here - k) as u64;
            while grants.next_if(|grant| *grant >= begin).is_some() {
                granted += 1;
            }
            let segments = f64::from(sent) + self.ahead * f64::from(due);
            let brought = self.config.per_segment * EARLY * segments + self.config.per_second;
            least = least.min(brought - f64::from(granted));
            sent += get(here - k).sent;
            due -= get(here + (WIDTH - 1).saturating_sub(k)).due.min(due);
        }
        least
    }
}

/// The number of the slot of a time.
fn number(at: Instant, began: Instant) -> u64 {
    let slots = at.saturating_duration_since(began).as_nanos() / SLOT.as_nanos();
    u64::try_from(slots).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn none() -> std::iter::Empty<Instant> {
        std::iter::empty()
    }

    fn flow(now: Instant) -> Flow {
        Flow::new(budget::Config::default(), 0.9, now)
    }

    /// A hundred streams, a segment each in two seconds: those of the last second were sent, and
    /// those of the next are due.
    fn regular(now: Instant) -> (Flow, Instant) {
        let mut f = flow(now);
        for i in 0..50 {
            f.sent(now + 20 * MS * i);
        }
        let now = now + 1000 * MS;
        for i in 0..100 {
            f.expect(now + 20 * MS * i, now);
        }
        (f, now)
    }

    #[test]
    fn what_is_due_counts_before_it_comes() {
        let (mut f, now) = regular(Instant::now());
        // 49 segments bring 49 x 0.1 x 0.9 x 0.9, and time brings one.
        assert_eq!(f.available(none(), now), 4);
        for granted in 1..=4 {
            let grants = std::iter::repeat_n(now, granted);
            let left = u32::try_from(4 - granted).unwrap();
            assert_eq!(f.available(grants, now), left);
        }
        let four = std::iter::repeat_n(now, 4);
        let soon = now + 900 * MS;
        assert_eq!(f.available(four, soon), 0, "in any window of a second");
        let later = now + 1100 * MS;
        assert_eq!(
            f.available(none(), later),
            1,
            "what was due is not, and did not come"
        );
    }

    #[test]
    fn what_came_or_will_not_come_is_no_longer_due() {
        let t0 = Instant::now();
        let mut f = flow(t0);
        let entries: Vec<_> = (2..52).map(|i| f.expect(t0 + 10 * MS * i, t0)).collect();
        assert_eq!(f.available(none(), t0), 5);
        entries.into_iter().flatten().for_each(|e| f.unexpect(e));
        assert_eq!(f.available(none(), t0), 1, "time alone");
    }

    #[test]
    fn nothing_is_granted_while_segments_cannot_be_sent() {
        let (mut f, now) = regular(Instant::now());
        f.distrust(now);
        assert_eq!(f.available(none(), now), 0);
        assert_eq!(f.available(none(), now + DISTRUST / 4), 0);
    }

    #[test]
    fn far_away_and_long_ago_are_forgotten() {
        let t0 = Instant::now();
        let mut f = flow(t0);
        assert_eq!(f.expect(t0 + Duration::from_secs(60), t0), None);
        assert!(f.expect(t0 + Duration::from_secs(8), t0).is_some());
        let later = t0 + Duration::from_secs(3600);
        assert_eq!(f.available(none(), later), 1);
        assert!(f.slots.is_empty());
    }
}
