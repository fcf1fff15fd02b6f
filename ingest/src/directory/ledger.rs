//! What should stand in the directory and what does: pure, on the caller's time.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime};

use rackcast_segment::id::StreamId;

/// Entries that wait to be taken out, at most: beyond it they go with their session.
const MAX_OVER: usize = 10_000;

/// An epoch of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    pub(super) discontinuity: u64,
    pub(super) since: SystemTime,
    /// Its publisher was lost, and may return.
    pub(super) waiting: bool,
    /// When it was written last, and with which number.
    written: Option<(Instant, u64)>,
    /// It says something else since.
    changed: bool,
    /// It may stand there: to write it was tried, whatever came of that.
    tried: bool,
    /// The newest epoch of all that stood there, when that was looked for last.
    newest: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    /// Enter a stream, or write it anew.
    Enter(StreamId, Live),
    /// Take an epoch of a stream out.
    Remove(StreamId, u64),
}

/// The streams of this process. As many as there are streams.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    live: HashMap<StreamId, Live>,
    /// They may stand there, and are over.
    over: BTreeSet<(String, u64)>,
}

impl Ledger {
    /// An epoch begins with this segment and discontinuity number.
    pub(super) fn begin(
        &mut self,
        stream: &StreamId,
        epoch: u64,
        (sequence, discontinuity): (u64, u64),
        since: SystemTime,
    ) {
        let live = Live {
            epoch,
            sequence,
            discontinuity,
            since,
            waiting: false,
            written: None,
            changed: false,
            tried: false,
            newest: 0,
        };
        if let Some(before) = self.live.insert(stream.clone(), live) {
            self.note_over(stream, &before);
        }
    }

    /// Its newest segment, and the discontinuity number of that.
    pub(super) fn at(
        &mut self,
        stream: &StreamId,
        epoch: u64,
        (sequence, discontinuity): (u64, u64),
    ) {
        if let Some(live) = self.of(stream, epoch) {
            live.sequence = live.sequence.max(sequence);
            live.discontinuity = live.discontinuity.max(discontinuity);
        }
    }

    /// Its publisher was lost, or has returned.
    pub(super) fn waits(&mut self, stream: &StreamId, epoch: u64, waiting: bool) {
        if let Some(live) = self.of(stream, epoch) {
            live.changed |= live.waiting != waiting;
            live.waiting = waiting;
        }
    }

    /// The newest epoch of the stream, whoever entered it.
    pub(super) fn seen(&mut self, stream: &StreamId, epoch: u64, newest: u64) {
        if let Some(live) = self.of(stream, epoch) {
            live.newest = newest;
        }
    }

    /// Another process has entered a newer epoch of the stream.
    pub(super) fn is_challenged(&self, stream: &StreamId, epoch: u64) -> bool {
        let live = self.live.get(stream).filter(|live| live.epoch == epoch);
        live.is_some_and(|live| live.newest > epoch)
    }

    /// An epoch is over. Another one of the stream may have begun meanwhile.
    pub(super) fn over(&mut self, stream: &StreamId, epoch: u64) {
        if self.of(stream, epoch).is_some()
            && let Some(live) = self.live.remove(stream)
        {
            self.note_over(stream, &live);
        }
    }

    /// Streams of this process.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// Nothing is to be written and nothing stands there.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.over.is_empty()
    }

    /// What to do now: what is new first, then what is over, then what is older than `refresh`.
    pub(super) fn due(&self, now: Instant, refresh: Duration) -> Option<Due> {
        let enter = |(stream, live): (&StreamId, &Live)| Due::Enter(stream.clone(), live.clone());
        let is_new = |live: &Live| live.written.is_none() || live.changed;
        if let Some(new) = self.live.iter().find(|(_, live)| is_new(live)) {
            return Some(enter(new));
        }
        let over = self
            .over
            .iter()
            .find_map(|(stream, epoch)| Some(Due::Remove(stream.parse().ok()?, *epoch)));
        over.or_else(|| self.stale(now, refresh).map(enter))
    }

    /// The entry that was written longest ago, if that is long enough and its number has moved.
    fn stale(&self, now: Instant, refresh: Duration) -> Option<(&StreamId, &Live)> {
        let written = |live: &Live| {
            live.written
                .filter(|(_, sequence)| *sequence < live.sequence)
        };
        self.live
            .iter()
            .filter_map(|(stream, live)| Some((written(live)?.0, (stream, live))))
            .filter(|(at, _)| now.saturating_duration_since(*at) >= refresh)
            .min_by_key(|(at, _)| *at)
            .map(|(_, entry)| entry)
    }

    /// It is about to be written: from now on it may stand there, also when that fails.
    pub(super) fn trying(&mut self, stream: &StreamId, epoch: u64) {
        if let Some(live) = self.of(stream, epoch) {
            live.tried = true;
        }
    }

    pub(super) fn entered(&mut self, stream: &StreamId, written: &Live, now: Instant) {
        if let Some(live) = self.of(stream, written.epoch) {
            live.tried = true;
            live.changed = live.waiting != written.waiting;
            live.written = Some((now, written.sequence));
        } else {
            // It ended while it was being written.
            self.over.insert((stream.to_string(), written.epoch));
        }
    }

    pub(super) fn removed(&mut self, stream: &StreamId, epoch: u64) {
        self.over.remove(&(stream.to_string(), epoch));
    }

    /// The session is over, and with it all that stood there.
    pub(super) fn lost(&mut self) {
        self.over.clear();
        for live in self.live.values_mut() {
            (live.written, live.tried) = (None, false);
        }
    }

    fn of(&mut self, stream: &StreamId, epoch: u64) -> Option<&mut Live> {
        self.live.get_mut(stream).filter(|live| live.epoch == epoch)
    }

    fn note_over(&mut self, stream: &StreamId, live: &Live) {
        if live.tried && self.over.len() < MAX_OVER {
            self.over.insert((stream.to_string(), live.epoch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_secs(10);

    fn id(name: &str) -> StreamId {
        format!("live/{name}").parse().unwrap()
    }

    fn begin(ledger: &mut Ledger, name: &str, epoch: u64) {
        let at = (epoch * 10, epoch);
        ledger.begin(&id(name), epoch, at, SystemTime::UNIX_EPOCH);
    }

    /// Does what is due and tells it in short.
    fn work(ledger: &mut Ledger, now: Instant) -> Option<String> {
        Some(match ledger.due(now, REFRESH)? {
            Due::Enter(stream, live) => {
                ledger.entered(&stream, &live, now);
                format!(
                    "enter {stream} {} {}.{}",
                    live.epoch, live.sequence, live.discontinuity
                )
            }
            Due::Remove(stream, epoch) => {
                ledger.removed(&stream, epoch);
                format!("remove {stream} {epoch}")
            }
        })
    }

    #[test]
    fn new_first_then_over_then_stale_and_nothing_twice() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        begin(&mut ledger, "a", 1);
        assert_eq!(work(&mut ledger, start).unwrap(), "enter live/a 1 10.1");
        assert_eq!(work(&mut ledger, start), None);
        ledger.at(&id("a"), 1, (14, 1));
        assert_eq!(work(&mut ledger, start + REFRESH / 2), None);
        begin(&mut ledger, "a", 2);
        let later = start + REFRESH;
        assert_eq!(work(&mut ledger, later).unwrap(), "enter live/a 2 20.2");
        assert_eq!(work(&mut ledger, later).unwrap(), "remove live/a 1");
        ledger.at(&id("a"), 1, (99, 1));
        assert_eq!(
            work(&mut ledger, later + 2 * REFRESH),
            None,
            "its number did not move"
        );
        ledger.at(&id("a"), 2, (21, 3));
        assert_eq!(
            work(&mut ledger, later + REFRESH).unwrap(),
            "enter live/a 2 21.3"
        );
        ledger.over(&id("a"), 1);
        ledger.over(&id("a"), 2);
        assert_eq!(work(&mut ledger, later).unwrap(), "remove live/a 2");
        assert!(ledger.is_empty());
    }

    #[test]
    fn what_ends_unwritten_leaves_nothing_and_what_ends_meanwhile_is_taken_out() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        begin(&mut ledger, "a", 1);
        ledger.over(&id("a"), 1);
        assert!(ledger.is_empty());
        begin(&mut ledger, "a", 2);
        let Some(Due::Enter(stream, live)) = ledger.due(now, REFRESH) else {
            panic!();
        };
        ledger.over(&id("a"), 2);
        ledger.entered(&stream, &live, now);
        assert_eq!(work(&mut ledger, now).unwrap(), "remove live/a 2");
    }

    #[test]
    fn what_may_have_been_written_is_taken_out_when_it_is_over() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        begin(&mut ledger, "a", 1);
        let Some(Due::Enter(stream, live)) = ledger.due(now, REFRESH) else {
            panic!();
        };
        // No answer came in time: it may stand there all the same.
        ledger.trying(&stream, live.epoch);
        ledger.over(&id("a"), 1);
        assert_eq!(work(&mut ledger, now).unwrap(), "remove live/a 1");
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_lost_publisher_is_told_at_once_and_so_is_its_return() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        begin(&mut ledger, "a", 1);
        work(&mut ledger, now).unwrap();
        for waiting in [true, false] {
            ledger.waits(&id("a"), 1, waiting);
            ledger.waits(&id("a"), 1, waiting);
            let Some(Due::Enter(stream, live)) = ledger.due(now, REFRESH) else {
                panic!();
            };
            assert_eq!(live.waiting, waiting);
            ledger.entered(&stream, &live, now);
            assert_eq!(ledger.due(now, REFRESH), None);
        }
        // It returns while its loss is being written.
        ledger.waits(&id("a"), 1, true);
        let Some(Due::Enter(stream, live)) = ledger.due(now, REFRESH) else {
            panic!();
        };
        ledger.waits(&id("a"), 1, false);
        ledger.entered(&stream, &live, now);
        assert_eq!(work(&mut ledger, now).unwrap(), "enter live/a 1 10.1");
    }

    #[test]
    fn a_newer_epoch_elsewhere_challenges_the_one_here_and_no_later_one() {
        let mut ledger = Ledger::default();
        begin(&mut ledger, "a", 5);
        ledger.seen(&id("a"), 5, 4);
        assert!(!ledger.is_challenged(&id("a"), 5));
        ledger.seen(&id("a"), 5, 6);
        assert!(ledger.is_challenged(&id("a"), 5));
        assert!(!ledger.is_challenged(&id("a"), 7));
        ledger.seen(&id("a"), 5, 0);
        assert!(!ledger.is_challenged(&id("a"), 5));
    }

    #[test]
    fn a_lost_session_makes_all_new() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        begin(&mut ledger, "a", 1);
        begin(&mut ledger, "b", 1);
        work(&mut ledger, now).unwrap();
        work(&mut ledger, now).unwrap();
        ledger.over(&id("b"), 1);
        ledger.lost();
        assert_eq!(work(&mut ledger, now).unwrap(), "enter live/a 1 10.1");
        assert_eq!(work(&mut ledger, now), None);
        assert_eq!(ledger.len(), 1);
    }
}
