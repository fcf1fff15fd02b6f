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
//! single one. A job that a later one has outlived, by coming back as it should, is evidence
//! only by itself.

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
    /// From when on it should have been over.
    pub(super) due_at: f64,
    /// From when on it takes longer than most.
    pub(super) suspect_at: f64,
    /// From when on it is late.
    pub(super) late_at: f64,
    /// Jobs on the node when it was sent, itself included.
    pub(super) beside: f64,
    /// It is what an ejected or doubted node is tried with.
    pub(super) trial: bool,
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
    /// From when on chance does not explain one of them.
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
        let mut certain_at = f64::INFINITY;
        let (mut suspect_at, mut due_at, mut second_due_at) =
            (f64::INFINITY, f64::INFINITY, f64::INFINITY);
        for job in &self.jobs {
            certain_at = certain_at.min(job.late_at);
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
        self.late_at = certain_at.min(suspect_at.max(second_due_at));
    }

    /// Since when chance does not explain one of them: evidence enough against the whole zone.
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

    /// When the `n`-th of the jobs is expected to end, counted from 1.
    pub(super) fn end(&self, n: usize) -> Option<f64> {
        self.ends.get(n.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
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
            due_at: sent + predicted,
            suspect_at: sent + 2.0 * predicted,
            late_at: sent + 3.0 * predicted,
            beside: 1.0,
            trial: id == 9,
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
        assert_eq!((f.end(1), f.end(3), f.end(4)), (Some(1.0), Some(3.0), None));
        assert_eq!(f.end(0), None);
        assert!(f.on_trial());
        assert!(f.remove(9).is_some() && f.remove(9).is_none());
        assert!(!f.on_trial());
        assert_eq!((f.end(1), f.len()), (Some(2.0), 2));
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
