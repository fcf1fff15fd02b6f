//! One stream's task: a small state machine with a function for each state.
//!
//! ```text
//!            ┌──── taken over ────┐
//! attach ──▶ live ── lost ──▶ waiting ── grace over ──▶ end
//!              └──── finished, moved on, shut down ─────▲
//! ```
//!
//! What makes it act: what the publisher sends, a second publisher, the grace timer, a drain whose
//! deadline is over, [another ingest](super::standing) that has the stream, the shutdown. It hands
//! segments to the origin and to dispatch and waits for neither.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rackcast_segment::id::StreamId;
use rackcast_segment::ladder::Ladder;
use rackcast_segment::media::MediaEvent;
use rackcast_service::drain;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_util::task::TaskTracker;

use super::SecondPublisher;
use super::contest::{Here, Verdict};
use super::epoch::{self, InHand};
use super::life::Life;
use super::live::Live;
use super::lookout::Lookout;
use super::pace::Pace;
use super::parts::Parts;
use super::publication::{Ended, Feed, Input, Refused};
use super::standing::Standing;
use super::timeline::Timeline;
use crate::dispatch::Lane;
use crate::segmenter::{Segment, Segmenter, SegmenterError};

/// A publisher that wants this stream.
pub(super) struct Attach {
    pub(super) feed: Feed,
    pub(super) peer: SocketAddr,
    pub(super) reply: oneshot::Sender<Result<(), Refused>>,
}

/// Why a publication is over.
enum Over {
    Finished,
    Lost,
    Replaced(Feed),
    /// A newer generation takes publishers.
    MovedOn,
    /// The machine's patience is over.
    Drained,
    ShutDown,
}

pub(super) struct StreamTask {
    pub(super) id: StreamId,
    ladder: Ladder,
    /// What is told of it.
    pub(super) told: Live,
    pub(super) parts: Arc<Parts>,
    timeline: Timeline,
    pub(super) segmenter: Segmenter,
    /// Reused between pushes.
    cut: Vec<Segment>,
    /// The way to the nodes.
    lane: Lane,
    /// For the next life.
    pub(super) epoch: InHand,
    /// From the first segment on, while it is this ingest's.
    pub(super) life: Option<Life>,
    /// About others that have the stream.
    pub(super) standing: Standing,
    pub(super) lookout: Lookout,
    /// The log has a line about what this publication sent in vain.
    told_of_drop: bool,
    /// Segments that are out.
    out: TaskTracker,
    /// A newer generation has it, or another ingest, or may have it.
    pub(super) goes_on_elsewhere: bool,
}

impl StreamTask {
    pub(super) fn new(id: StreamId, ladder: Ladder, told: Live, parts: Arc<Parts>) -> Self {
        let epoch = parts.epochs.take(SystemTime::now());
        let by_clock = epoch::first_sequence(epoch.epoch());
        let first = parts.origin.first_sequence(&id, by_clock);
        let segmenter = Segmenter::new(parts.settings.load().segmenter.clone(), first);
        Self {
            lane: parts.dispatcher.open(id.clone()),
            lookout: Lookout::new(parts.directory.clone(), id.clone()),
            standing: Standing::new(),
            id,
            ladder,
            told,
            parts,
            timeline: Timeline::default(),
            segmenter,
            epoch,
            cut: Vec::new(),
            life: None,
            told_of_drop: false,
            out: TaskTracker::new(),
            goes_on_elsewhere: false,
        }
    }

    pub(super) async fn run(mut self, mut attaches: mpsc::Receiver<Attach>) {
        let first = attaches.recv().await;
        let mut next = self.accept(first);
        while let Some(feed) = next {
            let over = self.live(feed, &mut attaches).await;
            self.note(&over);
            next = match over {
                Over::Replaced(feed) => {
                    self.pause();
                    Some(feed)
                }
                Over::Lost => {
                    self.pause();
                    self.waiting(&mut attaches).await
                }
                Over::MovedOn | Over::Drained => {
                    self.goes_on_elsewhere = true;
                    None
                }
                Over::Finished | Over::ShutDown => None,
            };
        }
        // From here on a publisher makes a new stream.
        attaches.close();
        self.end().await;
    }

    /// Takes what the publisher sends.
    async fn live(&mut self, mut feed: Feed, attaches: &mut mpsc::Receiver<Attach>) -> Over {
        let shutdown = self.parts.shutdown.clone();
        let leaving = self.parts.leaving.clone();
        let mut orders = self.parts.orders.clone();
        let drained = drain::overdue(&mut orders);
        tokio::pin!(drained);
        let (mut pace, mut wait, mut slowed) = (Pace::default(), None, false);
        self.standing.begins();
        self.lookout.hurry();
        if let Some(life) = &self.life {
            life.is_back();
        }
        loop {
            let (standing, life) = (&self.standing, &self.life);
            let wanted =
                || standing.wants_a_look() || life.as_ref().is_some_and(Life::is_challenged);
            tokio::select! {
                input = feed.recv(), if wait.is_none() => match input {
                    Some(Input::Media(event)) => {
                        self.take(event);
                        wait = self.ahead(&mut pace).map(Instant::into);
                        if wait.is_some() && !std::mem::replace(&mut slowed, true) {
                            self.slowed();
                        }
                    }
                    Some(Input::Finish) => return Over::Finished,
                    None => return Over::Lost,
                },
                Some(second) = attaches.recv() => match self.second_publisher() {
                    SecondPublisher::Refuse => {
                        let _ = second.reply.send(Err(Refused::Taken(self.id.clone())));
                    }
                    SecondPublisher::TakeOver => {
                        log::info!(
                            rackcast_stream = self.id.to_string(),
                            rackcast_peer = second.peer.to_string();
                            "another publisher takes the stream over"
                        );
                        if let Some(next) = self.accept(Some(second)) {
                            feed.end(Ended::TakenOver);
                            return Over::Replaced(next);
                        }
                    }
                },
                () = sleep_until(wait.unwrap_or_else(tokio::time::Instant::now)), if wait.is_some() => {
                    wait = None;
                }
                seen = self.lookout.next(wanted) => self.heard(&seen),
                () = &mut drained => {
                    feed.end(Ended::Drained);
                    return Over::Drained;
                }
                () = leaving.cancelled() => {
                    feed.end(Ended::Replaced);
                    return Over::MovedOn;
                }
                () = shutdown.cancelled() => {
                    feed.end(Ended::ShuttingDown);
                    return Over::ShutDown;
                }
            }
        }
    }

    fn second_publisher(&self) -> SecondPublisher {
        self.parts.settings.load().config.second_publisher
    }

    fn take(&mut self, event: MediaEvent) {
        let event = self
            .timeline
            .place(event, Instant::now(), SystemTime::now());
        let pushed = self.segmenter.push(event, &mut self.cut);
        self.hand_out();
        if let Err(e) = pushed {
            self.dropped(&e);
        }
    }

    /// Until when the publisher is to wait for the clock.
    fn ahead(&self, pace: &mut Pace) -> Option<Instant> {
        let most = self.parts.settings.load().config.max_ahead;
        let now = tokio::time::Instant::now().into_std();
        pace.came(self.timeline.end(), now, most)
    }

    fn slowed(&self) {
        self.parts.metrics.slowed.inc();
        log::info!(
            rackcast_stream = self.id.to_string();
            "it is published faster than it plays: the publisher waits (stream.max_ahead)"
        );
    }

    /// Between two publications: what is there becomes a segment, and what comes next is a
    /// discontinuity.
    fn pause(&mut self) {
        self.segmenter.flush(&mut self.cut);
        self.hand_out();
        self.segmenter.resume();
        self.timeline.rebase();
        self.told_of_drop = false;
    }

    async fn end(mut self) {
        self.segmenter.flush(&mut self.cut);
        self.hand_out();
        self.out.close();
        // A stream that another ingest may carry on must not be declared over.
        let mut over = !self.goes_on_elsewhere && !self.parts.shutdown.is_cancelled();
        if let Some(life) = self.life.as_ref().filter(|_| !over) {
            life.is_lost();
        }
        let out = self.out.clone();
        let look = async {
            if over && self.life.is_some() {
                let seen = self.lookout.look().await;
                if self.judge(Here::Waiting, &seen) == Some(Verdict::GiveWay) {
                    self.gives_way();
                    over = false;
                }
            }
        };
        // Bounded: dispatch settles every rendition by its deadline.
        tokio::join!(out.wait(), look);
        match self.life {
            Some(life) if over => life.end(),
            Some(life) => life.linger(self.parts.origin.retention()),
            None => {}
        }
    }

    fn hand_out(&mut self) {
        if self.standing.stands_by() {
            self.cut.clear();
        }
        for segment in self.cut.drain(..) {
            let life = match self.life.take() {
                Some(life) if life.fits(&segment) => life,
                _ => {
                    let next = self.parts.epochs.take(SystemTime::now());
                    let epoch = std::mem::replace(&mut self.epoch, next).into_use();
                    let last = self.standing.discontinuity();
                    let life =
                        Life::begin(&self.id, epoch, last, &self.ladder, &segment, &self.parts);
                    self.told
                        .begins(epoch, life.token().clone(), life.renditions());
                    self.standing.has(epoch);
                    life
                }
            };
            let wall = self.timeline.wall(segment.start);
            self.life
                .insert(life)
                .segment(&segment, wall, &self.lane, &self.out);
        }
    }

    /// An event that does not fit is dropped and the stream goes on. A publisher that sends
    /// one often sends many: the first of a publication is told, all are counted.
    fn dropped(&mut self, why: &SegmenterError) {
        self.parts.metrics.dropped_events.inc();
        if !std::mem::replace(&mut self.told_of_drop, true) {
            log::warn!(rackcast_stream = self.id.to_string(); "dropped from the stream: {why}");
        }
    }

    fn note(&self, over: &Over) {
        let reason = match over {
            Over::Finished => "finished",
            Over::Lost => "lost",
            Over::Replaced(_) => "taken-over",
            Over::MovedOn => "moved-on",
            Over::Drained => "drained",
            Over::ShutDown => "shut-down",
        };
        self.parts
            .metrics
            .publication_ends
            .with_label_values(&[reason])
            .inc();
        log::info!(
            rackcast_stream = self.id.to_string(), rackcast_reason = reason;
            "publication over"
        );
    }

    /// Answers a publisher; `None` if it left meanwhile.
    pub(super) fn accept(&self, attach: Option<Attach>) -> Option<Feed> {
        let attach = attach?;
        attach.reply.send(Ok(())).ok()?;
        self.told.is_published(attach.peer, SystemTime::now());
        Some(attach.feed)
    }
}
