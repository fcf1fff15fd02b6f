//! The streams that live on a node, by when the next segment of each is due.
//!
//! The segments of a stream come at a pace. So what a job takes from the streams that live on its
//! node is known before they come for it: while it has a slot, so many of them are due, and so many
//! slots become free. That makes streams share a node by turns, and a full node be left by the one
//! whose turn suits it least. What does not come when it is due counts no more from then on.

use super::slab::NodeRef;

/// A stream lives on a node, and its next segment is due: told with
/// [`Table::expect`](super::Table::expect), and taken back when the segment comes or will not.
#[derive(Debug, PartialEq)]
#[must_use = "what is never taken back is due until then"]
pub struct Residence {
    pub(super) node: NodeRef,
    pub(super) due: Due,
}

/// A segment that will come. Time in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Due {
    at: f64,
    id: u64,
}

impl Due {
    pub(super) fn of(at: f64, id: u64) -> Self {
        Self { at, id }
    }
}

/// What is due on a node, in order.
#[derive(Debug, Default)]
pub(super) struct Residents(Vec<Due>);

impl Residents {
    pub(super) fn add(&mut self, at: f64, id: u64) -> Due {
        let due = Due::of(at, id);
        let place = self.0.partition_point(|d| d.at <= at);
        self.0.insert(place, due);
        due
    }

    pub(super) fn remove(&mut self, due: Due) {
        let from = self.0.partition_point(|d| d.at < due.at);
        let same = self.0.iter().skip(from).take_while(|d| d.at <= due.at);
        if let Some(place) = same.zip(from..).find(|(d, _)| d.id == due.id) {
            self.0.remove(place.1);
        }
    }

    /// How many streams live here, those whose segments stay away included.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// What is due after `from` and before `until`: what should have come by now counts no more.
    pub(super) fn between(&self, from: f64, until: f64) -> &[Due] {
        let first = self.0.partition_point(|d| d.at <= from);
        let rest = self.0.get(first..).unwrap_or_default();
        let count = rest.partition_point(|d| d.at < until);
        rest.get(..count).unwrap_or_default()
    }
}

/// What is under way on a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy<'a> {
    pub(super) slots: u32,
    /// Jobs, without the one at hand.
    pub(super) jobs: u32,
    /// When those of them that are ours were expected to end when they were sent, ascending: what
    /// takes longer counts as ended, since what it will take is no more than a guess here.
    pub(super) ends: &'a [f64],
    /// How long a job takes there.
    pub(super) service: f64,
}

impl Busy<'_> {
    /// How many seconds more those that are due wait, in sum, if one more job has a slot until
    /// `end`, by when all of them are due.
    pub(super) fn crowding(&self, dues: &[Due], end: f64) -> f64 {
        let Some((dues, from)) = self.first_that_waits(dues) else {
            return 0.0;
        };
        let with = from.waits(dues, Some(end));
        (with - from.waits(dues, None)).max(0.0)
    }

    /// Those that are due from the first on that finds no slot free if one more job has one, and what is
    /// under way by then. Only who comes after as many as there are slots free can find none: the others
    /// are not looked at.
    fn first_that_waits<'d>(&self, dues: &'d [Due]) -> Option<(&'d [Due], Self)> {
        let mut came = 0;
        loop {
            let left = dues.get(came..)?;
            let at = left.first()?.at;
            let ended = self.ends.partition_point(|end| *end <= at);
            let jobs = u32::try_from(came).ok()?.saturating_add(self.jobs);
            let jobs = jobs.saturating_sub(u32::try_from(ended).ok()?);
            let free = self.slots.saturating_sub(jobs.saturating_add(1));
            if free == 0 {
                let ends = self.ends.get(ended..)?;
                return Some((
                    left,
                    Self {
                        jobs,
                        ends,
                        ..*self
                    },
                ));
            }
            came = came.saturating_add(usize::try_from(free).ok()?);
        }
    }

    /// How long those that are due wait for a slot, in sum: who comes first is served first, and
    /// keeps its slot for longer than is looked at.
    fn waits(&self, dues: &[Due], mut more: Option<f64>) -> f64 {
        let mut busy = self.jobs.saturating_add(u32::from(more.is_some()));
        let mut ends = self.ends.iter().copied().peekable();
        let mut waits = 0.0;
        for due in dues {
            while ends.next_if(|end| *end <= due.at).is_some() {
                busy = busy.saturating_sub(1);
            }
            if busy < self.slots {
                busy += 1;
                continue;
            }
            let free_at = match (ends.peek(), more) {
                (Some(end), Some(own)) if *end <= own => ends.next(),
                (Some(_), None) => ends.next(),
                (_, Some(_)) => more.take(),
                (None, None) => None,
            };
            waits += free_at.map_or(self.service, |at| at - due.at);
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn residents(dues: &[f64]) -> Residents {
        let mut residents = Residents::default();
        for (id, at) in (0..).zip(dues) {
            let _ = residents.add(*at, id);
        }
        residents
    }

    fn busy(slots: u32, ends: &[f64]) -> Busy<'_> {
        Busy {
            slots,
            jobs: u32::try_from(ends.len()).unwrap_or(u32::MAX),
            ends,
            service: 1.0,
        }
    }

    fn crowding(dues: &[f64], slots: u32, ends: &[f64]) -> f64 {
        let residents = residents(dues);
        busy(slots, ends).crowding(residents.between(0.0, 1.0), 1.0)
    }

    #[test]
    fn what_is_due_is_known_in_order_and_taken_back_once() {
        let mut r = residents(&[0.5, 0.2, 0.5]);
        assert_eq!(r.between(0.2, 0.5).len(), 0, "by now, and not yet");
        assert_eq!(r.between(0.1, 0.6).len(), 3);
        let due = r.add(0.5, 9);
        r.remove(due);
        r.remove(due);
        let left: Vec<_> = r.between(0.0, 1.0).iter().map(|d| d.id).collect();
        assert_eq!(left, [1, 0, 2]);
    }

    #[test]
    fn nobody_is_crowded_while_there_are_slots() {
        assert_eq!(crowding(&[], 1, &[0.5]), 0.0);
        assert_eq!(crowding(&[0.2, 0.4], 3, &[]), 0.0);
        assert_eq!(crowding(&[0.6], 2, &[0.5]), 0.0, "one is free by then");
    }

    #[test]
    fn who_finds_the_last_slot_taken_waits_for_the_first_that_becomes_free() {
        assert!((crowding(&[0.4], 2, &[0.7]) - 0.3).abs() < 1e-9);
        assert!((crowding(&[0.4], 1, &[]) - 0.6).abs() < 1e-9, "for ours");
    }

    #[test]
    fn what_would_wait_anyway_is_not_counted() {
        // Two slots, taken until 0.5 and 0.6; two are due at 0.3: they wait 0.2 and 0.3, whatever comes after them.
        let without = busy(2, &[0.5, 0.6]).waits(residents(&[0.3, 0.3]).between(0.0, 1.0), None);
        assert!((without - 0.5).abs() < 1e-9);
        assert!(crowding(&[0.3, 0.3], 2, &[0.5, 0.6]) < 1e-9);
        // Of three slots one is free for the first of them, who is now sent to wait with the second.
        assert!((crowding(&[0.3, 0.3], 3, &[0.5, 0.6]) - 0.3).abs() < 1e-9);
    }
    proptest! {
        #[test]
        fn looking_only_at_who_may_wait_changes_nothing(
            mut dues in vec(0.01..0.99f64, 0..12),
            mut ends in vec(0.0..1.2f64, 0..8),
            others in 0..3u32,
            slots in 1..10u32,
        ) {
            dues.sort_by(f64::total_cmp);
            ends.sort_by(f64::total_cmp);
            let residents = residents(&dues);
            let dues = residents.between(0.0, 1.0);
            let mut all = busy(slots, &ends);
            all.jobs += others;
            let plain = all.waits(dues, Some(1.0)) - all.waits(dues, None);
            prop_assert!((all.crowding(dues, 1.0) - plain.max(0.0)).abs() < 1e-9);
        }
    }
}
