//! One segment through one pipeline.
//!
//! Access units in, the end of the stream, renditions out, flush: the flush leaves every
//! element as if it were new, without the cost of that. What went wrong halfway is flushed
//! away by the same means.

use std::time::Duration;

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::id::RenditionName;
use rackcast_segment::media::AccessUnit;
use rackcast_segment::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::error::PipelineError;
use super::graph::Graph;
use super::output::{Coded, Finished};
use super::spent::Clocks;
use super::{clock, finish};

/// How often a wait for the encoders looks for a cancellation or a failure.
const POLL: Duration = Duration::from_millis(20);

/// One rendition of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Its name in the job.
    pub name: RenditionName,
    /// Its pictures, in decoding order; the first is the only IDR.
    pub pictures: Vec<AccessUnit>,
}

/// Sends `units` through and gives each rendition to `emit` as soon as it is finished.
pub(super) fn run(
    graph: &mut Graph,
    units: &[AccessUnit],
    cancel: &CancellationToken,
    mut emit: impl FnMut(Rendition),
) -> Result<u32, PipelineError> {
    graph.decoded.clear();
    graph.meter.take();
    let begun = Clocks::now();
    let base = units
        .iter()
        .map(|u| u.pts.min(u.dts))
        .min()
        .ok_or_else(|| PipelineError::Undecodable("it has no pictures".to_owned()))?;
    let mut times: Vec<Timestamp> = units.iter().map(|u| u.pts).collect();
    times.sort_unstable();

    feed(graph, units, base, cancel)?;
    let fed = Clocks::now();
    for _ in 0..graph.key.renditions.len() {
        let done = wait(graph, cancel)?;
        let rendition = collect(graph, done, base, &times)?;
        emit(rendition);
    }
    graph.spent = begun.spent(fed, &graph.meter);
    Ok(u32::try_from(graph.decoded.count()).unwrap_or(u32::MAX))
}

/// Makes the pipeline ready for any other segment, wherever this one stopped. False if an element had
/// failed meanwhile, unseen: that would be told of the next segment.
pub(super) fn flush(graph: &Graph) -> bool {
    graph.input.push_event(gst::event::FlushStart::new());
    graph.input.push_event(gst::event::FlushStop::new(true));
    while graph.finished.try_recv().is_ok() {}
    graph.failure().is_none()
}

fn feed(
    graph: &Graph,
    units: &[AccessUnit],
    base: Timestamp,
    cancel: &CancellationToken,
) -> Result<(), PipelineError> {
    graph
        .input
        .push_event(gst::event::StreamStart::new("segment"));
    graph.input.push_event(gst::event::Caps::new(&graph.caps));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    graph.input.push_event(gst::event::Segment::new(&segment));
    for (i, unit) in units.iter().enumerate() {
        if cancel.is_cancelled() {
            return Err(PipelineError::Cancelled);
        }
        let mut buffer = gst::Buffer::from_slice(unit.data.clone());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(clock::to_clock(unit.pts - base));
            buffer.set_dts(clock::to_clock(unit.dts - base));
            if !unit.idr {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        if let Err(flow) = graph.input.push(buffer) {
            return Err(graph.refusal(i, flow));
        }
    }
    graph.input.push_event(gst::event::Eos::new());
    Ok(())
}

fn wait(graph: &Graph, cancel: &CancellationToken) -> Result<Finished, PipelineError> {
    loop {
        if let Ok(finished) = graph.finished.recv_timeout(POLL) {
            return Ok(finished);
        }
        if cancel.is_cancelled() {
            return Err(PipelineError::Cancelled);
        }
        if let Some(failure) = graph.failure() {
            return Err(failure);
        }
    }
}

/// Puts the pictures of a finished branch back on the segment's timeline.
fn collect(
    graph: &Graph,
    done: Finished,
    base: Timestamp,
    times: &[Timestamp],
) -> Result<Rendition, PipelineError> {
    let spec = graph
        .key
        .renditions
        .get(done.index)
        .ok_or_else(|| PipelineError::Internal("an output that nobody asked for".to_owned()))?;
    graph.decoded.check(base, times)?;
    let shown = done
        .pictures
        .iter()
        .map(|p| p.running.map(|t| base + clock::to_ticks(t)))
        .collect::<Option<Vec<_>>>()
        .unwrap_or_default();
    let mut sorted = shown.clone();
    sorted.sort_unstable();
    let times: Vec<_> = spec.pick(times.iter().copied()).collect();
    if sorted != times {
        let text = format!(
            "{}: {} pictures of {}, or at other times",
            spec.name,
            shown.len(),
            times.len()
        );
        return Err(PipelineError::Internal(text));
    }
    let pictures = finish::pictures(
        shown
            .into_iter()
            .zip(done.pictures.into_iter().map(|Coded { data, .. }| data)),
        spec,
        &graph.key,
    )?;
    Ok(Rendition {
        name: spec.name.clone(),
        pictures,
    })
}
