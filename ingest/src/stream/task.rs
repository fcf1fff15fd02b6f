//! One stream's task: a small state machine with a function for each state.
//!
//! ```text
//!            ┌──── taken over ────┐
//! attach ──▶ live ── lost ──▶ waiting ── grace over ──▶ end
//!              └──── finished, moved on, shut down ─────▲
//! ```
//!
//! What makes it act: what the publisher sends, a second publisher, the grace timer, a
//! drain whose deadline is over, the
//! shutdown. It hands segments to the origin and to dispatch and waits for neither.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rackcast_segment::id::StreamId;
use rackcast_segment::ladder::Ladder;
use rackcast_segment::media::MediaEvent;
use rackcast_service::drain;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::SecondPublisher;
use super::epoch::{self, InHand};
use super::life::Life;
use super::live::Live;
use super::parts::Parts;
use super::publication::{Ended, Feed, Input, Refused};
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
    id: StreamId,
    ladder: Ladder,
    /// What is told of it.
    told: Live,
    parts: Arc<Parts>,
    timeline: Timeline,
    segmenter: Segmenter,
    /// Reused between pushes.
    cut: Vec<Segment>,
    /// The way to the nodes.
    lane: Lane,
    /// For the next life.
    epoch: InHand,
    /// From the first segment on.
    life: Option<Life>,
    /// The log has a line about what this publication sent in vain.
    told_of_drop: bool,
    /// Segments that are out.
    out: TaskTracker,
    /// The publisher was sent to a newer generation, or to another ingest.
    goes_on_elsewhere: bool,
}

impl StreamTask {
    pub(super) fn new(id: StreamId, ladder: Ladder, told: Live, parts: Arc<Parts>) -> Self {
        let epoch = parts.epochs.take(SystemTime::now());
        let listed = parts.origin.next_sequence(&id);
        let first = listed.unwrap_or_else(|| epoch::first_sequence(epoch.epoch()));
        let segmenter = Segmenter::new(parts.settings.load().segmenter.clone(), first);
        Self {
            lane: parts.dispatcher.open(id.clone()),
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
        let mut next = self.accept(attaches.recv().await);
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
        loop {
            tokio::select! {
                input = feed.recv() => match input {
                    Some(Input::Media(event)) => {
                        self.take(event);
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

    /// Waits for the publisher to return.
    async fn waiting(&mut self, attaches: &mut mpsc::Receiver<Attach>) -> Option<Feed> {
        self.told.is_lost(SystemTime::now());
        let shutdown = self.parts.shutdown.clone();
        let grace = self.parts.settings.load().config.grace;
        let returned = tokio::time::timeout(grace, async {
            loop {
                let feed = self.accept(attaches.recv().await);
                if feed.is_some() || attaches.is_closed() {
                    return feed;
                }
            }
        });
        let leaving = self.parts.leaving.clone();
        tokio::select! {
            returned = returned => returned.ok().flatten(),
            () = leaving.cancelled() => {
                self.goes_on_elsewhere = true;
                None
            }
            () = shutdown.cancelled() => None,
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
        // Bounded: dispatch settles every rendition by its deadline.
        self.out.wait().await;
        if let Some(life) = self.life
            && !self.goes_on_elsewhere
            && !self.parts.shutdown.is_cancelled()
        {
            // A stream that another ingest may carry on must not be declared over.
            life.end();
        }
    }

    fn hand_out(&mut self) {
        for segment in self.cut.drain(..) {
            let life = match self.life.take() {
                Some(life) if life.fits(&segment) => life,
                _ => {
                    let next = self.parts.epochs.take(SystemTime::now());
                    let epoch = std::mem::replace(&mut self.epoch, next).into_use();
                    let life = Life::begin(&self.id, epoch, &self.ladder, &segment, &self.parts);
                    self.told.begins(epoch, life.renditions());
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
    fn accept(&self, attach: Option<Attach>) -> Option<Feed> {
        let attach = attach?;
        attach.reply.send(Ok(())).ok()?;
        self.told.is_published(attach.peer, SystemTime::now());
        Some(attach.feed)
    }
}
