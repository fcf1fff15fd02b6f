use std::time::{Duration, Instant};

use super::circuit::Circuit;
use super::{IDLE_LEAST, IDLE_SEGMENTS};
use crate::degrade::Group;
use crate::plan::Renditions;
use crate::table::Home;

/// A stream that a [`Router`](super::Router) knows; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub(super) u64);

/// What is known of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) precious: bool,
    pub(super) group: Group,
    pub(super) home: Option<Home>,
    pub(super) circuit: Circuit,
    works: Vec<u64>,
    media: Duration,
    last: Instant,
}

impl Stream {
    pub(super) fn new(key: StreamKey, precious: bool, now: Instant) -> Self {
        Self {
            precious,
            group: Group::of(key.0),
            home: None,
            circuit: Circuit::default(),
            works: Vec::new(),
            media: Duration::ZERO,
            last: now,
        }
    }

    /// A segment wants this.
    pub(super) fn demands(&mut self, works: &[u64], media: Duration, now: Instant) {
        let works = works.get(..Renditions::MAX).unwrap_or(works);
        if self.works != works {
            self.works.clear();
            self.works.extend_from_slice(works);
        }
        self.media = media;
        self.last = now;
    }

    pub(super) fn rungs(&self) -> usize {
        self.works.len()
    }

    /// Whether another segment of it is to be expected.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        let idle = IDLE_LEAST.max(self.media.saturating_mul(IDLE_SEGMENTS));
        now.saturating_duration_since(self.last) < idle
    }

    /// Output pixels a second of some of its renditions.
    pub(super) fn rate(&self, renditions: Renditions) -> f64 {
        let seconds = self.media.as_secs_f64().max(0.1);
        renditions.work(&self.works) as f64 / seconds
    }
}
