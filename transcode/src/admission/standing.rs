//! How much of a device is spoken for, as busy time over media time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::request::Ticket;

/// Bounds of what a segment's length is taken for.
const MEDIA: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A millionth of a slot.
pub(super) type Share = u64;
/// All of a slot's time.
pub(super) const WHOLE: Share = 1_000_000;

/// A segment of a live stream is one of many: the next will come when this one has been played.
/// So a job stands, from the moment it is given to a device until its media's length has passed,
/// for the share of a slot that its stream takes: the time that it is worked on over the time that
/// it is played. The sum over a device is what its streams take of it together, and needs neither
/// a window nor a half-life that would have to be chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    entries: BTreeMap<(Instant, Ticket), Share>,
    sum: Share,
}

impl Standing {
    /// What a job takes of a slot.
    pub(super) fn share(work: Duration, media: Duration) -> Share {
        let media = media.clamp(MEDIA.0, MEDIA.1).as_micros();
        let share = work.as_micros() * u128::from(WHOLE) / media.max(1);
        Share::try_from(share).unwrap_or(Share::MAX)
    }

    /// When a job that came at `now` stands for its stream no longer.
    pub(super) fn until(now: Instant, media: Duration) -> Instant {
        now + media.clamp(MEDIA.0, MEDIA.1)
    }

    /// The job stands for `share`, whatever it stood for before.
    pub(super) fn set(&mut self, until: Instant, ticket: Ticket, share: Share) {
        self.remove(until, ticket);
        self.entries.insert((until, ticket), share);
        self.sum = self.sum.saturating_add(share);
    }

    /// The job stands for its share as it was measured, unless its time is over.
    pub(super) fn correct(&mut self, until: Instant, ticket: Ticket, share: Share) {
        if self.entries.contains_key(&(until, ticket)) {
            self.set(until, ticket, share);
        }
    }

    /// The job will not be done here.
    pub(super) fn remove(&mut self, until: Instant, ticket: Ticket) {
        let share = self.entries.remove(&(until, ticket));
        self.sum = self.sum.saturating_sub(share.unwrap_or(0));
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(entry) = self.entries.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.sum = self.sum.saturating_sub(entry.remove());
        }
    }

    /// What all jobs stand for.
    pub(super) fn sum(&self) -> Share {
        self.sum
    }
}
