//! One segment's task: carries out what the segment's [`Plan`] decides.
//!
//! The plan is told what happens and says what to do; it neither waits nor sends. This task
//! waits for what can happen next (a node's answer, a timer, a node that becomes free, a
//! receiver that is dropped), tells the plan under the router's lock, and does as it is told
//! after the lock is released. It ends when the plan is over; dropping it cancels what is out.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use rackcast_route::Endpoint;
use rackcast_route::plan::{Action, AttemptId, End, Event, Plan, Renditions};
use rackcast_route::table::FailureKind;
use rackcast_segment::id::StreamId;
use rackcast_segment::wire::job::{Job, JobSpec};
use tokio::time::sleep_until;

use super::answer::{Ended, failed};
use super::answers::Answers;
use super::attempt::{Attempt, Progress};
use super::record::record;
use super::{Dispatcher, Made, Order, note, now};
use crate::explain::{About, Record, Remark};

/// A segment that is out.
pub(super) struct Run {
    dispatcher: Arc<Dispatcher>,
    stream: StreamId,
    order: Order,
    plan: Plan,
    attempts: Vec<Running>,
    answers: Answers,
    /// When it began, until every rendition has its answer.
    unanswered: Option<Instant>,
    /// What the plan does not know of its attempts.
    remarks: Vec<Remark>,
    /// Reused between steps.
    actions: Vec<Action>,
}

/// An attempt that has not ended.
struct Running {
    id: AttemptId,
    /// Positions in the segment of the renditions that its job asks for.
    asked: Vec<u8>,
    progress: Pin<Box<dyn Stream<Item = Progress> + Send>>,
}

impl Run {
    pub(super) fn new(
        dispatcher: Arc<Dispatcher>,
        stream: StreamId,
        order: Order,
        plan: Plan,
        answers: Answers,
    ) -> Self {
        dispatcher.metrics.in_flight.inc();
        Self {
            dispatcher,
            stream,
            order,
            plan,
            attempts: Vec::new(),
            answers,
            unanswered: Some(now()),
            remarks: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// Sees the segment through.
    pub(super) async fn run(mut self) {
        let dispatcher = Arc::clone(&self.dispatcher);
        // Made before the step that may find no node, so that none becomes free unheard.
        let mut freed = pin!(dispatcher.freed.notified());
        self.step(Event::Begin, None, "");
        while !self.plan.is_over() {
            let wake = self.plan.wake().unwrap_or(self.order.deadline);
            tokio::select! {
                (at, progress) = next(&mut self.attempts) => self.progress(at, progress),
                () = freed.as_mut(), if self.plan.waits().is_some() => {
                    freed.set(dispatcher.freed.notified());
                    self.step(Event::Freed, None, "");
                }
                () = sleep_until(wake.into()) => self.step(Event::Wake, None, ""),
                () = self.answers.abandoned() => self.step(Event::Abandoned, None, ""),
            }
        }
    }

    /// An attempt came on.
    fn progress(&mut self, at: usize, progress: Progress) {
        match progress {
            Progress::Rendition {
                position,
                media,
                made,
            } => {
                let running = self.attempts.get(at);
                let index = running.and_then(|r| Some((r.id, *r.asked.get(position)?)));
                if let Some((attempt, index)) = index {
                    self.step(Event::Rendition { attempt, index }, Some((media, made)), "");
                }
            }
            Progress::Ended(Ended { end, detail }) => {
                let attempt = self.attempts.swap_remove(at).id;
                self.dispatcher.metrics.ended(&end);
                self.step(Event::Ended { attempt, end }, None, &detail);
                self.remark(attempt, &end, detail);
            }
        }
    }

    /// Tells the plan what happened and does what it says. `media` is the rendition of the
    /// event, `detail` what is known of a failure beyond its kind.
    fn step(&mut self, event: Event, mut media: Option<(Bytes, Made)>, detail: &str) {
        let mut actions = std::mem::take(&mut self.actions);
        let mut endpoints = Vec::new();
        {
            let mut router = self.dispatcher.router();
            let rng = &mut rand::rng();
            self.plan.step(&mut router, event, now(), rng, &mut actions);
            for action in &actions {
                if let Action::Send { attempt, node, .. } = action {
                    let member = router.table().member(*node);
                    endpoints.push((*attempt, member.map(|m| m.endpoint.clone())));
                }
            }
        }
        for action in actions.drain(..) {
            match action {
                Action::Send {
                    attempt,
                    renditions,
                    number,
                    suspect,
                    ..
                } => {
                    let endpoint = endpoints.iter().find(|(id, _)| *id == attempt);
                    let endpoint = endpoint.and_then(|(_, endpoint)| endpoint.clone());
                    let job = self.job(renditions, number, suspect);
                    self.send(attempt, endpoint, renditions, job);
                }
                Action::Cancel { attempt } => {
                    self.attempts.retain(|running| running.id != attempt);
                    self.dispatcher.metrics.cancelled();
                }
                Action::Deliver { index, .. } => {
                    if let Some((media, made)) = media.take() {
                        self.answers.ready(index, media, made);
                    }
                }
                Action::GiveUp { renditions, reason } => {
                    let lost = self.answers.missing(renditions, reason);
                    self.dispatcher.metrics.lost(reason, lost);
                }
                Action::NodeFreed => self.dispatcher.freed.notify_waiters(),
                Action::Level(shift) => note::level(shift),
                Action::Note(step) => note::tell(&self.stream, self.order.sequence, &step, detail),
            }
        }
        self.actions = actions;
        if self.answers.left().is_empty()
            && let Some(began) = self.unanswered.take()
        {
            let took = now().saturating_duration_since(began);
            let metrics = &self.dispatcher.metrics;
            metrics.answered(self.answers.result(), took);
        }
    }

    /// Keeps what only the attempt itself tells.
    fn remark(&mut self, attempt: AttemptId, end: &End, detail: String) {
        if let End::Complete {
            timing: Some(timing),
            ..
        } = end
        {
            let about = About::Timing(*timing);
            self.remarks.push(Remark { attempt, about });
        }
        if !detail.is_empty() {
            let about = About::Detail(detail.into());
            self.remarks.push(Remark { attempt, about });
        }
    }

    /// What is asked of a node.
    fn job(&self, renditions: Renditions, number: u32, suspect: bool) -> Job {
        let spec = &self.order.spec;
        let asked = spec.renditions.iter().zip(0u8..);
        let asked = asked.filter(|(_, index)| renditions.contains(*index));
        let asked: Vec<_> = asked.map(|(rendition, _)| rendition.clone()).collect();
        let rates = spec.rates.iter();
        let rates = rates.filter(|(name, _)| asked.iter().any(|r| r.name == **name));
        Job {
            stream: self.order.token.clone(),
            sequence: self.order.sequence,
            deadline: self.order.deadline.saturating_duration_since(now()),
            attempt: number,
            quarantine: suspect,
            spec: JobSpec {
                source: spec.source.clone(),
                rates: rates.map(|(n, rate)| (n.clone(), rate.clone())).collect(),
                renditions: asked,
                shape: spec.shape,
            },
        }
    }

    fn send(&mut self, id: AttemptId, to: Option<Endpoint>, renditions: Renditions, job: Job) {
        let progress = match to {
            Some(endpoint) => Attempt {
                dispatcher: Arc::clone(&self.dispatcher),
                endpoint,
                job,
                body: self.order.body.clone(),
            }
            .run()
            .boxed(),
            None => {
                let gone = failed(FailureKind::Connect, "the node left the catalog");
                stream::iter([Progress::Ended(gone)]).boxed()
            }
        };
        self.attempts.push(Running {
            id,
            asked: renditions.iter().collect(),
            progress,
        });
    }
}

impl Drop for Run {
    /// However this ends, the router hears that the nodes are free and the record is kept.
    fn drop(&mut self) {
        if !self.plan.is_over() {
            self.step(Event::Abandoned, None, "");
        }
        let metrics = &self.dispatcher.metrics;
        metrics.in_flight.dec();
        metrics.finished(self.plan.trail());
        self.dispatcher.trails.record(Record {
            remarks: std::mem::take(&mut self.remarks),
            ..record(
                &self.stream,
                &self.order,
                self.plan.job().asked,
                self.plan.trail().clone(),
            )
        });
    }
}

/// The next thing that comes of any attempt, and the attempt's place in the list.
async fn next(attempts: &mut [Running]) -> (usize, Progress) {
    std::future::poll_fn(|cx| {
        for (at, running) in attempts.iter_mut().enumerate() {
            if let Poll::Ready(Some(progress)) = running.progress.as_mut().poll_next(cx) {
                return Poll::Ready((at, progress));
            }
        }
        Poll::Pending
    })
    .await
}
