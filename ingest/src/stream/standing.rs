//! What a stream does about others of its name at other ingests.
//!
//! [`contest`] says who has it. A stream that gives way drops its life without an end: its playlists
//! stay as they are, and players are answered from where the newer epoch is. While
//! its publisher stays it *stands by*: it goes on cutting segments, publishes none, and looks every
//! second whether it is needed again. Then it begins an epoch above all that were seen, so that
//! numbers never run back, whichever way the stream went.

use std::time::{Instant, SystemTime};

use rackcast_segment::id::Epoch;
use rackcast_service::drain::unix_ms;

use super::contest::{self, Here, Highest, Verdict};
use super::epoch;
use super::task::StreamTask;
use crate::directory::Seen;

/// How often it looks for others when a publisher comes, as long as there is no answer.
const TRIES: u32 = 3;

/// What is known of others.
#[derive(Debug)]
pub(super) struct Standing {
    /// The last epoch here.
    last: Option<Epoch>,
    /// The highest of all that was ever seen elsewhere.
    seen: Option<Highest>,
    /// Looks to try, since the publisher came.
    tries: u32,
    /// It gave way though it has a publisher: when it heard last that it has to.
    by: Option<Instant>,
}

impl Standing {
    pub(super) fn new() -> Self {
        Self {
            last: None,
            seen: None,
            tries: TRIES,
            by: None,
        }
    }

    /// A publisher has come.
    pub(super) fn begins(&mut self) {
        self.tries = TRIES;
    }

    /// An epoch begins.
    pub(super) fn has(&mut self, epoch: Epoch) {
        self.last = Some(epoch);
    }

    /// The highest discontinuity number that was seen elsewhere.
    pub(super) fn discontinuity(&self) -> Option<u64> {
        self.seen.map(|seen| seen.discontinuity)
    }

    /// Nothing is published for now.
    pub(super) fn stands_by(&self) -> bool {
        self.by.is_some()
    }

    /// A look is wanted while it is published, whether or not anything speaks for it.
    pub(super) fn wants_a_look(&self) -> bool {
        self.tries > 0 || self.stands_by()
    }

    fn here(&self) -> Here {
        match self.by {
            Some(_) => Here::StandingBy,
            None => Here::Published,
        }
    }
}

impl StreamTask {
    /// What a look says; `None` if it said nothing.
    pub(super) fn judge(&mut self, here: Here, seen: &Seen) -> Option<Verdict> {
        let Seen::At(others) = seen else { return None };
        let wall_ms = unix_ms(SystemTime::now());
        if let Some(highest) = contest::highest(others, wall_ms) {
            let seen = self.standing.seen.map_or(highest, |seen| seen.max(highest));
            self.standing.seen = Some(seen);
        }
        Some(contest::judge(here, self.standing.last, others, wall_ms))
    }

    /// Does what follows from a look while it has a publisher.
    pub(super) fn heard(&mut self, seen: &Seen) {
        let (here, now) = (self.standing.here(), Instant::now());
        let tries = self.standing.tries.saturating_sub(1);
        let verdict = self.judge(here, seen);
        self.standing.tries = verdict.map_or(tries, |_| 0);
        match (here, verdict) {
            (Here::StandingBy, Some(Verdict::GiveWay)) => self.standing.by = Some(now),
            (_, Some(Verdict::GiveWay)) => {
                log::warn!(
                    rackcast_stream = self.id.to_string();
                    "another ingest has a newer epoch of the stream, and its publisher: this one \
                     stands by and publishes nothing until the other is gone"
                );
                self.parts.metrics.contested("stands-by");
                self.drop_life();
                self.standing.by = Some(now);
            }
            (_, Some(Verdict::Renew)) => self.renew("the other ingest has it no more"),
            (_, Some(Verdict::Keep)) => self.rise(),
            (_, None) => {
                let grace = self.parts.settings.load().config.grace;
                let silent = self.standing.by.map(|since| now - since);
                if silent.is_some_and(|silent| silent >= grace) {
                    self.renew("the directory has said nothing for the grace time");
                }
            }
        }
    }

    /// Whatever was seen elsewhere: the next segment begins an epoch above it.
    fn renew(&mut self, why: &str) {
        log::warn!(
            rackcast_stream = self.id.to_string();
            "the stream goes on here, in a new epoch: {why}"
        );
        self.parts.metrics.contested("renews");
        self.drop_life();
        self.standing.by = None;
        let above = self.standing.seen.map_or(Epoch(0), |seen| seen.epoch);
        self.epoch = self.parts.epochs.take_above(above, SystemTime::now());
        self.number();
    }

    /// A stream that has not begun yet begins above what was seen.
    fn rise(&mut self) {
        let Some(seen) = self.standing.seen.filter(|_| self.life.is_none()) else {
            return;
        };
        if self.epoch.epoch() <= seen.epoch {
            self.epoch = self.parts.epochs.take_above(seen.epoch, SystemTime::now());
        }
        self.number();
    }

    /// Numbers go on by the clock, and above what was seen.
    fn number(&mut self) {
        let by_clock = epoch::first_sequence(self.epoch.epoch());
        let seen = self.standing.seen.map_or(by_clock, |seen| seen.sequence);
        self.segmenter.skip_to(by_clock.max(seen));
    }

    /// It is another ingest's, and its publisher is not here.
    pub(super) fn gives_way(&mut self) {
        log::info!(
            rackcast_stream = self.id.to_string(); "another ingest carries the stream on"
        );
        self.parts.metrics.contested("gives-way");
        self.goes_on_elsewhere = true;
    }

    fn drop_life(&mut self) {
        if let Some(life) = self.life.take() {
            life.linger(self.parts.origin.retention());
        }
    }
}
