//! What the explain memory is given of a segment.

use std::time::SystemTime;

use rackcast_route::plan::{Renditions, Trail};
use rackcast_segment::id::StreamId;

use super::{Order, now};
use crate::explain::{Record, Rung};

/// What is remembered of a segment that is over.
pub(super) fn record(stream: &StreamId, order: &Order, asked: Renditions, trail: Trail) -> Record {
    let spec = &order.spec;
    let rungs = spec.renditions.iter().zip(spec.works());
    let since = now().saturating_duration_since(trail.begun());
    Record {
        stream: stream.clone(),
        epoch: order.epoch,
        sequence: order.sequence,
        began: SystemTime::now() - since,
        media: spec.source.duration.to_duration(),
        deadline: order.deadline.saturating_duration_since(trail.begun()),
        input_bytes: order.body.len() as u64,
        ladder: rungs
            .map(|(rendition, pixels)| Rung {
                name: rendition.name.clone(),
                pixels,
            })
            .collect(),
        asked,
        trail,
        remarks: Vec::new(),
    }
}
