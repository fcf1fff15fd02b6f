//! One stream's way to the nodes.

use std::sync::Arc;

use rackcast_route::degrade::Reduction;
use rackcast_route::plan::{GiveUp, Job, Plan, Renditions, Step, Trail};
use rackcast_route::{Allowance, StreamKey};
use rackcast_segment::id::StreamId;
use tokio::sync::{Semaphore, mpsc};

use super::answers::Answers;
use super::record::record;
use super::run::Run;
use super::{Dispatcher, Order, Outcome, now};

/// What a stream sends its segments by. The router knows the stream (its home, its circuit, its
/// share of what the fleet can carry) from [`Dispatcher::open`] until this is dropped.
#[derive(Debug)]
pub struct Lane {
    dispatcher: Arc<Dispatcher>,
    stream: StreamId,
    key: StreamKey,
    precious: bool,
    slots: Arc<Semaphore>,
}

impl Lane {
    pub(super) fn open(dispatcher: Arc<Dispatcher>, stream: StreamId) -> Self {
        let config = dispatcher.config.load_full();
        let precious = config.precious.has(&stream);
        let key = dispatcher.router().open(now());
        Self {
            dispatcher,
            stream,
            key,
            precious,
            slots: Arc::new(Semaphore::new(config.max_segments_per_stream)),
        }
    }

    /// Takes a segment on. The receiver yields exactly one [`Outcome`] for each rendition, by
    /// the deadline, and then ends; dropping it cancels what is still in flight. What may not
    /// be asked for is answered at once.
    ///
    /// Must be called within a Tokio runtime.
    pub fn submit(&self, order: Order) -> mpsc::Receiver<Outcome> {
        let (mut answers, outcomes) = Answers::new(&order.spec);
        let (dispatcher, all, now) = (&self.dispatcher, answers.left(), now());
        let slots = [
            (&self.slots, "max_segments_per_stream"),
            (&dispatcher.slots, "max_segments_in_flight"),
        ];
        let slots =
            slots.map(|(slots, key)| Arc::clone(slots).try_acquire_owned().map_err(|_| key));
        let [Ok(own), Ok(slot)] = slots else {
            let key = slots.iter().find_map(|slot| slot.as_ref().err());
            let reason = GiveUp::TooManyInFlight;
            let lost = answers.missing(all, reason);
            dispatcher.metrics.lost(reason, lost);
            log::warn!(
                rackcast_stream = self.stream.to_string(),
                rackcast_segment = order.sequence.0, rackcast_reason = reason.as_str();
                "the segment is not sent: dispatch.{} are out", key.copied().unwrap_or_default());
            let mut trail = Trail::new(now);
            let renditions = all;
            trail.push(Step::GaveUp { renditions, reason }, now);
            let record = record(&self.stream, &order, Renditions::NONE, trail);
            dispatcher.trails.record(record);
            return outcomes;
        };
        let works: Vec<_> = order.spec.works().collect();
        let media = order.spec.source.duration.to_duration();
        let Allowance { asked, why } = dispatcher.router().allowance(self.key, &works, media, now);
        if let Some(why) = why {
            let reason = match why {
                Reduction::Overload { .. } => GiveUp::Degraded,
                Reduction::Circuit { .. } => GiveUp::Circuit,
            };
            let lost = answers.missing(all.minus(asked), reason);
            dispatcher.metrics.lost(reason, lost);
        }
        let job = Job {
            stream: self.key,
            sequence: order.sequence.0,
            works,
            asked,
            reduced: why,
            media,
            deadline: order.deadline,
            input_bytes: order.body.len() as u64,
            precious: self.precious,
        };
        let plan = Plan::new(job, now);
        let run = Run::new(
            Arc::clone(dispatcher),
            self.stream.clone(),
            order,
            plan,
            answers,
        );
        tokio::spawn(async move {
            run.run().await;
            drop((own, slot));
        });
        outcomes
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.dispatcher.router().close(self.key);
    }
}
