//! The elements of one pipeline and how they are linked.
//!
//! ```text
//! input ─ parser ─ decoder ─ convert ─ tee ─ [scale] ─ tee ─ queue ─ encoder ─ output 0
//!                                                           └─ [scale] ─ tee ─ queue ─ encoder ─ output 1
//!                                                                        └─ ...
//! ```
//! Interlaced pictures are made whole between `convert` and the first `tee`. Rungs of half the frame
//! rate hang below each other, on a branch of their own.
//!
//! Each rung is scaled from the one above it, not from the source: 20 % less CPU, and less
//! aliasing. Input and outputs are pads of our own: an `appsrc` stays at the end of the
//! stream after a flush, so that it could not be used twice, and pads need no clock.

mod decoding;
mod key;
mod needs;
mod rungs;
#[cfg(test)]
mod tests;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::wire::job::JobSpec;

use super::chain::{Chain, IN_MEMORY};
use super::decoded::Decoded;
use super::element::{exists, filter, make};
use super::error::PipelineError;
use super::frames;
use super::output::{self, Finished};
use super::spent::{Meter, Spent};

pub(super) use key::Key;
pub(super) use needs::probe;

use decoding::Decoding;
use rungs::{Branch, Rungs};

/// A pipeline that is playing and waits for a segment. Dropping it stops its threads.
pub(super) struct Graph {
    pub(super) key: Key,
    pub(super) caps: gst::Caps,
    pub(super) input: gst::Pad,
    pub(super) finished: mpsc::Receiver<Finished>,
    pub(super) decoded: Decoded,
    pub(super) meter: Meter,
    /// Of the last segment.
    pub(super) spent: Spent,
    pipeline: gst::Pipeline,
    decoding: Decoding,
    branches: Vec<Branch>,
}

impl Graph {
    /// A pipeline for jobs of this key, and what encoders are told for this one, which came out too large
    /// so many times.
    pub(super) fn build(
        key: Key,
        job: &JobSpec,
        again: u32,
        progress: &Arc<AtomicU32>,
    ) -> Result<Self, PipelineError> {
        let chain = Chain::of(&key.encoder, &key.wanted(), exists)?;
        log::debug!("a pipeline of {}", chain.elements().join(", "));
        let (pipeline, decoded) = (gst::Pipeline::new(), Decoded::default());
        let decoding = Decoding::build(&key, &chain, decoded.clone(), progress.clone())?;
        let pictures = prepare(&pipeline, &decoding, &chain, key.interlaced)?;
        // Every output announces its end once a segment; nobody else sends.
        let (sender, finished) = mpsc::sync_channel(key.renditions.len());
        let output = |index| output::pad(index, sender.clone(), progress.clone());
        let rungs = Rungs::below(pictures, &pipeline, &chain, &key);
        let branches = rungs.hang(job, again, output)?;
        let meter = metered(&pipeline, &chain)?;
        let input = input(&decoding.entry)?;
        pipeline.set_state(gst::State::Playing)?;
        Ok(Self {
            caps: key.input_caps(),
            key,
            input,
            finished,
            decoded,
            meter,
            spent: Spent::default(),
            pipeline,
            decoding,
            branches,
        })
    }

    /// Tells each encoder what it is to do of the next segment. The pipeline must be at rest.
    pub(super) fn tell(&mut self, job: &JobSpec) -> Result<(), PipelineError> {
        let Self { key, branches, .. } = self;
        let mut branches = branches.iter_mut();
        branches.try_for_each(|branch| branch.tell(key, job))
    }

    /// The first failure that an element has reported, if any has.
    pub(super) fn failure(&self) -> Option<PipelineError> {
        let message = self
            .pipeline
            .bus()?
            .pop_filtered(&[gst::MessageType::Error])?;
        let gst::MessageView::Error(error) = message.view() else {
            return None;
        };
        let text = error.error().to_string();
        let decoding = message.src().is_some_and(|s| self.decoding.has(s));
        // What its decoder lacks, memory or a session, is no fault of the segment.
        Some(if decoding && error.error().is::<gst::StreamError>() {
            PipelineError::Undecodable(text)
        } else {
            PipelineError::Internal(text)
        })
    }

    /// Why a picture was not taken.
    pub(super) fn refusal(&self, picture: usize, flow: gst::FlowError) -> PipelineError {
        let unsaid = || self.decoding.refusal(picture, flow);
        self.failure().unwrap_or_else(unsaid)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // Pads first: a streaming thread that is inside one comes back at once.
        let outputs = self.branches.iter().map(|branch| &branch.output);
        for pad in std::iter::once(&self.input).chain(outputs) {
            let _ = pad.set_active(false);
        }
        if self.pipeline.set_state(gst::State::Null).is_err() {
            log::error!("a GStreamer pipeline did not stop");
        }
    }
}

/// Makes whole pictures in the encoders' format of what is decoded; answers where they come out.
fn prepare(
    pipeline: &gst::Pipeline,
    decoding: &Decoding,
    chain: &Chain,
    interlaced: bool,
) -> Result<gst::Element, PipelineError> {
    let mut way = vec![make(&chain.converter)?];
    if let Some(upload) = &chain.upload {
        // On the CPU up to here.
        way.push(filter(&gst::Caps::from_str(IN_MEMORY)?)?);
        way.extend(interlaced.then(frames::deinterlacer).transpose()?);
        way.push(make(upload)?);
    }
    way.push(filter(&gst::Caps::from_str(chain.raw)?)?);
    if interlaced && chain.upload.is_none() {
        way.push(frames::deinterlacer()?);
    }
    let tee = make("tee")?;
    way.push(tee.clone());
    pipeline.add(&decoding.bin)?;
    pipeline.add_many(&way)?;
    gst::Element::link_many(std::iter::once(decoding.bin.upcast_ref()).chain(&way))?;
    Ok(tee)
}

/// Has the time counted that converting and scaling take.
fn metered(pipeline: &gst::Pipeline, chain: &Chain) -> Result<Meter, PipelineError> {
    let meter = Meter::default();
    for element in pipeline.children() {
        let kind = element.factory().map(|factory| factory.name());
        if kind.is_some_and(|kind| kind == chain.converter || kind == chain.scaler) {
            meter.watch(&element)?;
        }
    }
    Ok(meter)
}

/// The pad that coded pictures are pushed from.
fn input(entry: &gst::GhostPad) -> Result<gst::Pad, PipelineError> {
    let input = gst::Pad::builder(gst::PadDirection::Src)
        .name("input")
        .build();
    input.set_active(true)?;
    input.link(entry)?;
    Ok(input)
}
