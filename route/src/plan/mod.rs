//! What next for one segment.
//!
//! The inside is being built; the signatures are those to build on.

mod job;
mod reason;
mod renditions;
mod trail;

use std::time::Instant;

use rand::Rng;

pub use job::{Action, AttemptId, End, Event, Job};
pub use reason::GiveUp;
pub use renditions::Renditions;
pub use trail::{
    CancelReason, Cause, Ending, Entry, MAX_STEPS, NotHedged, Sent, Step, Trail, Wait,
};

use crate::router::Router;

/// One segment on its way: told what happens, it says what to do.
///
/// Whoever runs it must tell it its end: until [`Plan::is_over`], a plan that is dropped
/// without [`Event::Abandoned`] leaves its nodes looking busy for ever.
#[derive(Debug)]
pub struct Plan {
    job: Job,
    trail: Trail,
    over: bool,
}

impl Plan {
    /// A segment that begins now. The first event must be [`Event::Begin`].
    pub fn new(job: Job, now: Instant) -> Self {
        Self {
            job,
            trail: Trail::new(now),
            over: false,
        }
    }

    /// Takes an event in; what is to be done for it is appended to `actions`, in this order.
    pub fn step(
        &mut self,
        router: &mut Router,
        event: Event,
        now: Instant,
        rng: &mut impl Rng,
        actions: &mut Vec<Action>,
    ) {
        let _ = (router, event, now, rng);
        self.over = true;
        actions.push(Action::GiveUp {
            renditions: self.job.asked,
            reason: GiveUp::Attempts,
        });
    }

    /// When [`Event::Wake`] is due at the latest; `None` once it is over.
    pub fn wake(&self) -> Option<Instant> {
        None
    }

    /// What was decided so far, and why.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The segment.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Every rendition is answered and nothing is in flight: no event matters any more.
    pub fn is_over(&self) -> bool {
        self.over
    }
}
