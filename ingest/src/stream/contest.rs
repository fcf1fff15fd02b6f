//! Which of several ingests has a stream. Pure.
//!
//! The newest epoch has it, wherever its publisher is: a publisher that reconnects to another
//! ingest begins an epoch there, which is above all that the directory of streams knows. Whoever
//! sees a newer epoch than its own gives way to it, without declaring the stream over; players
//! that it has are answered from there. Only where the newer one has lost its publisher, and this
//! one has it, does it begin a newer one itself.

use std::time::Duration;

use rackcast_consul::directory::Place;
use rackcast_segment::id::{Epoch, Sequence};

use super::epoch::{DISCONTINUITY_RANGE, discontinuity_by_clock};

/// An entry whose epoch is so far ahead of this machine's clock is no entry: to begin above it
/// would use up numbers for all time.
const FAR_AHEAD: Duration = Duration::from_secs(24 * 3600);
/// Segments that an ingest may have cut since it wrote its entry: it does so every ten seconds.
const UNWRITTEN: u64 = 12;

/// A discontinuity number from which on it is not believed. By the clock it is below half of it.
const MOST_DISCONTINUITIES: u64 = 2 * DISCONTINUITY_RANGE;

/// How a stream stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    /// It is published.
    Published,
    /// It has a publisher and gave way all the same.
    StandingBy,
    /// Its publisher was lost, and may return.
    Waiting,
}

/// What follows for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is this ingest's.
    Keep,
    /// It is this ingest's, and needs an epoch above the others'.
    Renew,
    /// It is another ingest's.
    GiveWay,
}

/// What follows from all that was entered, by this ingest too, for a stream whose last epoch here is
/// `own`. One without an epoch will have the newest.
pub(super) fn judge(here: Here, own: Option<Epoch>, entered: &[Place], wall_ms: u64) -> Verdict {
    let Some(own) = own else {
        return Verdict::Keep;
    };
    let newest = believed(entered, wall_ms).max_by_key(|place| place.epoch);
    let newer = newest.filter(|place| place.epoch > own.0);
    match (here, newer) {
        (Here::StandingBy, None) => Verdict::Renew,
        (_, None) => Verdict::Keep,
        (Here::Waiting, Some(_)) => Verdict::GiveWay,
        (_, Some(newer)) if newer.waiting => Verdict::Renew,
        (_, Some(_)) => Verdict::GiveWay,
    }
}

/// What was seen of a stream's lives, wherever: what comes next is above all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Highest {
    pub(super) epoch: Epoch,
    /// A number that no segment has reached.
    pub(super) sequence: Sequence,
    pub(super) discontinuity: u64,
}

impl Highest {
    /// The highest of both.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            epoch: self.epoch.max(other.epoch),
            sequence: self.sequence.max(other.sequence),
            discontinuity: self.discontinuity.max(other.discontinuity),
        }
    }

    fn of(place: &Place) -> Self {
        let epoch = Epoch(place.epoch);
        // Players could not bear one of the size that garbage has.
        let known = place.discontinuity.filter(|d| *d < MOST_DISCONTINUITIES);
        Self {
            epoch,
            sequence: Sequence(place.sequence.saturating_add(UNWRITTEN)),
            discontinuity: known.unwrap_or_else(|| discontinuity_by_clock(epoch)),
        }
    }
}

/// The highest of all that was entered.
pub(super) fn highest(entered: &[Place], wall_ms: u64) -> Option<Highest> {
    let believed = believed(entered, wall_ms).map(Highest::of);
    believed.reduce(Highest::max)
}

fn believed(entered: &[Place], wall_ms: u64) -> impl Iterator<Item = &Place> {
    let far = u64::try_from(FAR_AHEAD.as_millis()).unwrap_or(u64::MAX);
    let latest = wall_ms.saturating_add(far);
    entered
        .iter()
        .filter(move |place| place.epoch <= latest && place.sequence <= latest)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const WALL: u64 = 1_800_000_000_000;

    fn place(epoch: u64, waiting: bool) -> Place {
        Place {
            ingest: "rackcast-ingest-b-1".to_owned(),
            node: "b".to_owned(),
            zone: String::new(),
            epoch,
            sequence: epoch / 1000 + 3,
            discontinuity: None,
            waiting,
            public: "http://10.0.0.2:8080".to_owned(),
            internal: "10.0.0.2:8080".to_owned(),
            since: SystemTime::UNIX_EPOCH,
            at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_newest_epoch_has_the_stream_and_who_has_the_publisher_may_renew() {
        use Here::{Published, StandingBy, Waiting};
        use Verdict::{GiveWay, Keep, Renew};
        let (older, newer, lost) = (
            place(WALL - 9, false),
            place(WALL + 9, false),
            place(WALL + 9, true),
        );
        let table = [
            // Here, the others, and what follows.
            (Published, vec![], Keep),
            (Published, vec![older.clone()], Keep),
            (Published, vec![newer.clone(), older.clone()], GiveWay),
            (Published, vec![lost.clone()], Renew),
            (StandingBy, vec![newer.clone()], GiveWay),
            (StandingBy, vec![lost.clone(), older.clone()], Renew),
            (StandingBy, vec![older.clone()], Renew),
            (StandingBy, vec![], Renew),
            (Waiting, vec![], Keep),
            (Waiting, vec![older], Keep),
            (Waiting, vec![newer.clone()], GiveWay),
            (Waiting, vec![lost], GiveWay),
        ];
        for (here, others, expected) in table {
            let verdict = judge(here, Some(Epoch(WALL)), &others, WALL);
            assert_eq!(verdict, expected, "{here:?} beside {others:?}");
        }
        let verdict = judge(Published, None, &[newer], WALL);
        assert_eq!(verdict, Keep, "the epoch to come is the newest");
    }

    #[test]
    fn of_two_that_see_each_other_one_gives_way() {
        let (a, b) = (place(WALL, false), place(WALL + 1, false));
        let judged = |own: &Place, other: &Place| {
            let own = Some(Epoch(own.epoch));
            judge(Here::Published, own, std::slice::from_ref(other), WALL)
        };
        assert_eq!(judged(&a, &b), Verdict::GiveWay);
        assert_eq!(judged(&b, &a), Verdict::Keep);
    }

    #[test]
    fn the_highest_discontinuity_number_is_that_of_any_life() {
        let by_clock = discontinuity_by_clock(Epoch(WALL));
        let numbered = |discontinuity| Place {
            discontinuity,
            ..place(WALL, false)
        };
        for (numbers, expected) in [
            (vec![None], by_clock),
            (vec![Some(by_clock + 7), None], by_clock + 7),
            (vec![Some(3)], 3),
            (vec![Some(u64::MAX)], by_clock),
        ] {
            let entered: Vec<_> = numbers.into_iter().map(numbered).collect();
            assert_eq!(highest(&entered, WALL).unwrap().discontinuity, expected);
        }
    }

    #[test]
    fn the_next_epoch_is_above_all_that_make_sense() {
        assert_eq!(highest(&[], WALL), None);
        let far = place(WALL + 25 * 3_600_000, false);
        assert_eq!(highest(&[far, place(u64::MAX, false)], WALL), None);
        let fast = Place {
            sequence: WALL / 1000 + 500,
            ..place(WALL, false)
        };
        let found = highest(&[place(WALL + 5_000, true), fast], WALL).unwrap();
        assert_eq!(found.epoch, Epoch(WALL + 5_000));
        assert_eq!(found.sequence, Sequence(WALL / 1000 + 500 + UNWRITTEN));
    }
}
