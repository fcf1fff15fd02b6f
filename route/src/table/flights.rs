//! A node's jobs in flight: each is a sample before it ends.
//!
//! A node that turns slow or stops answering gives no sample for as long as it is slow, and
//! that is when samples matter. So the age of what is in flight counts: once a job is late,
//! the node is taken to be at least that slow for all.
//!
//! One job that takes longer than most is no more than a *suspicion*: chance does that to one
//! in many. Two of them are more than twice as much, since chance has nothing in common for
//! both: where one takes longer than most and another that was sent to the same node takes
//! longer than it should, the node is *late*. So it is when chance alone does not explain a
//! single one. A job tells by its first rendition, which comes before the rest, and by its last:
//! until the first is there, it is held to what first renditions take. A job that a later one has
//! outlived, by coming back as it should, is evidence only by itself.

use super::config::Pace;
use super::late::Marks;

/// A job in flight. Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Flight {
    pub(super) id: u64,
    /// In output pixels.
    pub(super) work: f64,
    pub(super) sent: f64,
    /// How long it was predicted to take.
    pub(super) predicted: f64,
    /// Of that, waiting for a slot.
    pub(super) wait: f64,
    /// How much longer than on the idle node it was taken to work.
    pub(super) contention: f64,
    /// Seconds per pixel that were predicted, what was late already included.
    pub(super) speed: f64,
    /// When its first rendition came.
    pub(super) first_at: Option<f64>,
    /// From when on the next of it should be there.
    pub(super) due_at: f64,
    /// From when on it takes longer than most.
    pub(super) suspect_at: f64,
    /// From when on it is late.
    pub(super) late_at: f64,
    /// From when on it is late with all of it.
    pub(super) over_at: f64,
    /// Jobs on the node when it was sent, itself included.
    pub(super) beside: f64,
    /// It is what an ejected or doubted node is tried with.
    pub(super) trial: bool,
    /// Its node was measured when it was sent.
    pub(super) measured: bool,
    /// More than one rendition was asked for.
    pub(super) several: bool,
}

impl Flight {
    /// Sets from when on it is due, suspect and late; never by less than `patience` seconds.
    pub(super) fn mark(&mut self, marks: Marks, patience: f64) {
        let at = |times: f64| self.sent + self.predicted * times + patience;
        (self.due_at, self.suspect_at, self.late_at) =
            (at(marks.due), at(marks.suspect), at(marks.late));
    }
}

/// The jobs of one node.
#[derive(Debug, Clone)]
pub(super) struct Flights {
    jobs: Vec<Flight>,
    /// When each is expected to end, ascending.
    ends: Vec<f64>,
    /// When the last was sent of those that came back as they should.
    good_sent: f64,
    /// The first to take longer than most, and from when on it does.
    worst: Option<(f64, Flight)>,
    late_at: f64,
    /// From when on chance does not explain that one of them is not over.
    certain_at: f64,
    trials: u32,
}

impl Default for Flights {
    fn default() -> Self {
        Self {
            jobs: Vec::new(),
            ends: Vec::new(),
            good_sent: f64::NEG_INFINITY,
            worst: None,
            late_at: f64::INFINITY,
            certain_at: f64::INFINITY,
            trials: 0,
        }
    }
}

impl Flights {
    pub(super) fn add(&mut self, flight: Flight) {
        let end = flight.sent + flight.predicted;
        let at = self.ends.partition_point(|e| *e <= end);
        self.ends.insert(at, end);
        self.trials += u32::from(flight.trial);
        self.jobs.push(flight);
        self.judge();
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Flight> {
        let at = self.jobs.iter().position(|f| f.id == id)?;
        let flight = self.jobs.swap_remove(at);
        let end = flight.sent + flight.predicted;
        let at = self.ends.partition_point(|e| *e < end);
        if at < self.ends.len() {
            self.ends.remove(at);
        }
        self.trials -= u32::from(flight.trial);
        self.judge();
        Some(flight)
    }

    /// The first rendition of a job came; the rest is expected by these marks.
    pub(super) fn begun(&mut self, id: u64, t: f64, marks: Marks, patience: f64) {
        let Some(job) = self.jobs.iter_mut().find(|f| f.id == id) else {
            return;
        };
        job.first_at = Some(t);
        if job.measured {
            job.mark(marks, patience);
            self.judge();
        }
    }

    /// A job that was sent then came back as it should.
    pub(super) fn good(&mut self, sent: f64) {
        if sent > self.good_sent {
            self.good_sent = sent;
            self.judge();
        }
    }

    /// From when on the node is suspect, and late, should nothing else happen.
    fn judge(&mut self) {
        let mut worst: Option<(f64, &Flight)> = None;
        let (mut certain_at, mut late_at) = (f64::INFINITY, f64::INFINITY);
        let (mut suspect_at, mut due_at, mut second_due_at) =
            (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        for job in &self.jobs {
            certain_at = certain_at.min(job.over_at);
            late_at = late_at.min(job.late_at);
            let outlived = job.sent < self.good_sent;
            let from = if outlived {
                job.late_at
            } else {
                job.suspect_at
            };
            if worst.is_none_or(|(first, _)| from < first) {
                worst = Some((from, job));
            }
            if !outlived {
                suspect_at = suspect_at.min(job.suspect_at);
                second_due_at = second_due_at.min(job.due_at.max(due_at));
                due_at = due_at.min(job.due_at);
            }
        }
        self.worst = worst.map(|(from, job)| (from, *job));
        self.certain_at = certain_at;
        self.late_at = late_at.min(suspect_at.max(second_due_at));
    }

    /// Since when chance does not explain that one of them is not over: evidence enough against
    /// the whole zone.
    pub(super) fn certain_since(&self, t: f64) -> Option<f64> {
        (t > self.certain_at).then_some(self.certain_at)
    }

    /// From when on the node is late, should nothing come back before.
    pub(super) fn late_at(&self) -> f64 {
        self.late_at
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)
    }

    /// Trials that are on.
    pub(super) fn trials(&self) -> u32 {
        self.trials
    }

    /// Whether a trial is on.
    pub(super) fn on_trial(&self) -> bool {
        self.trials > 0
    }

    /// A job takes longer than most.
    pub(super) fn is_suspect(&self, t: f64) -> bool {
        self.worst.is_some_and(|(from, _)| t > from)
    }

    /// How many times longer a job that takes longer than most has taken so far than it should
    /// at `speed` seconds per pixel, which is what is believed by now: what results have told
    /// since it was sent is not counted again. `None` while there is none.
    pub(super) fn overdue(&self, speed: f64, t: f64) -> Option<f64> {
        let (_, late) = self.worst.filter(|(from, _)| t > *from)?;
        let known = (speed / late.speed.max(f64::MIN_POSITIVE)).max(1.0);
        Some((t - late.sent) / (late.predicted * known).max(1e-3))
    }

    /// The node is late.
    pub(super) fn is_late(&self, t: f64) -> bool {
        t > self.late_at
    }

    /// When each of the jobs was expected to end when it was sent, ascending.
    pub(super) fn ends(&self) -> &[f64] {
        &self.ends
    }

    /// In how many seconds the `n`-th of the jobs, counted from 1, is expected to end by what is
    /// known now: what takes longer than was predicted ends neither at once nor all together.
    pub(super) fn ends_in(&self, n: usize, t: f64, pace: &Pace) -> Option<f64> {
        let nth = n.checked_sub(1)?;
        let planned = *self.ends.get(nth)? - t;
        let bend = |job: &Flight| pace.rest * (job.predicted - job.wait);
        let rests = self
            .jobs
            .iter()
            .map(|job| rest(job.sent + job.predicted - t, bend(job)));
        if n == 1 {
            return rests.reduce(f64::min);
        }
        let mut looked_at = [0.0; LOOKED_AT];
        let Some(looked_at) = looked_at.get_mut(..self.jobs.len()) else {
            return self.jobs.first().map(|any| rest(planned, bend(any)));
        };
        for (slot, rest) in looked_at.iter_mut().zip(rests) {
            *slot = rest;
        }
        let (_, rest, _) = looked_at.select_nth_unstable_by(nth, f64::total_cmp);
        Some(*rest)
    }
}

/// The ends of so many jobs are reckoned anew, one by one. Of more, which few nodes have from one ingest,
/// only the one that was predicted to be the `n`-th.
const LOOKED_AT: usize = 64;

/// How long a job goes on of which `left` seconds should remain and which, when none do, goes on for
/// `bend`: a hyperbola from what was predicted, far before it is over, to nothing. So runs the mean
/// residual life of times that vary log-normally, until they are far beyond.
fn rest(left: f64, bend: f64) -> f64 {
    let wide = 2.0 * bend;
    0.5 * (left + (left * left + wide * wide).sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;

    fn flight(id: u64, sent: f64, predicted: f64) -> Flight {
        Flight {
            id,
            work: 1.0,
            sent,
            predicted,
            wait: 0.0,
            contention: 1.0,
            speed: 1.0,
            first_at: None,
            due_at: sent + predicted,
            suspect_at: sent + 2.0 * predicted,
            late_at: sent + 3.0 * predicted,
            over_at: sent + 3.0 * predicted,
            beside: 1.0,
            trial: id == 9,
            measured: true,
            several: true,
        }
    }

    #[test]
    fn the_first_that_is_late_counts() {
        let mut f = Flights::default();
        f.add(flight(1, 0.0, 1.0));
        f.add(flight(2, 0.5, 0.2));
        assert_eq!(f.overdue(1.0, 0.9), None);
        let ratio = f.overdue(1.0, 1.0).unwrap_or_default();
        assert!((ratio - 2.5).abs() < 1e-9, "{ratio}");
        assert!(f.remove(2).is_some());
        assert_eq!(f.overdue(1.0, 1.0), None);
        assert!(f.is_suspect(2.1) && !f.is_late(2.1));
        assert!(f.is_late(3.1));
    }

    #[test]
    fn what_is_known_by_now_is_not_late_once_more() {
        let mut f = Flights::default();
        f.add(flight(1, 0.0, 1.0));
        let times = |speed| f.overdue(speed, 6.0).unwrap_or_default();
        assert!((times(1.0) - 6.0).abs() < 1e-9);
        assert!((times(3.0) - 2.0).abs() < 1e-9);
        assert!(
            (times(0.5) - 6.0).abs() < 1e-9,
            "it was sent to a slower node"
        );
    }

    #[test]
    fn ends_are_in_order_and_leave_with_their_jobs() {
        let mut f = Flights::default();
        f.add(flight(1, 0.0, 3.0));
        f.add(flight(9, 0.0, 1.0));
        f.add(flight(3, 0.0, 2.0));
        assert_eq!(f.ends(), [1.0, 2.0, 3.0]);
        assert!(f.on_trial());
        assert!(f.remove(9).is_some() && f.remove(9).is_none());
        assert!(!f.on_trial());
        assert_eq!((f.ends(), f.len()), (&[2.0, 3.0][..], 2));
    }

    fn pace() -> Pace {
        Pace {
            rest: 0.25,
            ..Pace::from(&Config::default())
        }
    }

    #[test]
    fn what_takes_longer_than_was_predicted_ends_neither_at_once_nor_all_together() {
        let mut f = Flights::default();
        for (id, predicted) in [(1, 1.0), (2, 1.0), (3, 1.1), (4, 9.0)] {
            f.add(flight(id, 0.0, predicted));
        }
        let times = |t| [1, 2, 3, 4].map(|n| f.ends_in(n, t, &pace()).unwrap_or(f64::NAN));
        let near = |a: [f64; 4], b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.01);
        assert!(
            near(times(0.0), [1.06, 1.06, 1.16, 9.53]),
            "{:?}",
            times(0.0)
        );
        assert!(
            near(times(1.0), [0.25, 0.25, 0.33, 8.59]),
            "{:?}",
            times(1.0)
        );
        assert!(
            near(times(1.5), [0.10, 0.10, 0.14, 8.12]),
            "{:?}",
            times(1.5)
        );
        assert_eq!(
            (f.ends_in(0, 1.0, &pace()), f.ends_in(5, 1.0, &pace())),
            (None, None)
        );
    }

    #[test]
    fn of_a_long_queue_the_later_ends_are_those_that_were_predicted() {
        let mut f = Flights::default();
        for id in 1..=65u32 {
            f.add(flight(u64::from(id) + 10, 0.0, f64::from(id)));
        }
        assert!(f.jobs.len() > LOOKED_AT);
        let soon = f.ends_in(35, 2.0, &pace()).unwrap();
        assert!((33.0..34.0).contains(&soon), "{soon}");
        let all_late = f.ends_in(35, 100.0, &pace());
        assert!(all_late.is_some_and(|rest| rest > 0.0), "{all_late:?}");
    }

    #[test]
    fn two_that_are_due_convict_sooner_than_one() {
        let mut f = Flights::default();
        f.add(flight(1, 0.0, 1.0));
        f.add(flight(2, 0.5, 1.0));
        assert!(
            !f.is_late(2.0),
            "one is suspect, the other is due since 1.5"
        );
        assert!(f.is_suspect(2.1) && f.is_late(2.1));
        assert_eq!(f.certain_since(2.1), None);
        assert!((f.late_at() - 2.0).abs() < 1e-9);
        // The second comes back: the first one is alone, and was sent before it.
        assert!(f.remove(2).is_some());
        f.good(0.5);
        assert!(!f.is_suspect(2.1) && !f.is_late(2.1));
        assert!(f.is_suspect(3.1) && f.is_late(3.1));
        assert_eq!(f.certain_since(3.1), Some(3.0));
    }
}
