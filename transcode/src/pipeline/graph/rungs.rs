//! The rungs of a ladder: each scaled from the one above it, encoded, and collected at an output.

use std::str::FromStr;

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::wire::job::JobSpec;

use super::key::Key;
use crate::pipeline::chain::Chain;
use crate::pipeline::element::{filter, make, pad};
use crate::pipeline::encoder;
use crate::pipeline::error::PipelineError;
use crate::pipeline::frames;
use crate::pipeline::told::Told;

/// Pictures that wait in front of each encoder.
const QUEUE_BUFFERS: u32 = 8;

/// The encoder of a rung and what is around it.
pub(super) struct Branch {
    queue: gst::Element,
    encoder: gst::Element,
    spec: RenditionSpec,
    told: Told,
    /// Where its pictures are collected.
    pub(super) output: gst::Pad,
}

/// What a rung can hang from: pictures of this size come out of it.
#[derive(Clone)]
struct Above {
    element: gst::Element,
    width: u32,
    height: u32,
}

/// Rungs that are being hung into a pipeline.
pub(super) struct Rungs<'a> {
    pipeline: &'a gst::Pipeline,
    chain: &'a Chain,
    key: &'a Key,
    above: Above,
    /// The same of half the frame rate, once there is one.
    above_half: Option<Above>,
}

impl<'a> Rungs<'a> {
    /// None yet, below an element from which the source's pictures come.
    pub(super) fn below(
        source: gst::Element,
        pipeline: &'a gst::Pipeline,
        chain: &'a Chain,
        key: &'a Key,
    ) -> Self {
        Self {
            pipeline,
            chain,
            key,
            above: Above {
                element: source,
                width: key.width,
                height: key.height,
            },
            above_half: None,
        }
    }

    /// All rungs of the job, which came out too large so many times. `output` makes the end of the one
    /// that has this place in the job.
    pub(super) fn hang(
        mut self,
        job: &JobSpec,
        again: u32,
        output: impl Fn(usize) -> Result<gst::Pad, PipelineError>,
    ) -> Result<Vec<Branch>, PipelineError> {
        let mut branches = Vec::new();
        for (index, spec) in by_size(&self.key.renditions) {
            let above = self.above(spec)?;
            let scaled = self.scale(&above, spec)?;
            let tee = make("tee")?;
            self.pipeline.add(&tee)?;
            scaled.link(&tee)?;
            let told = Told::of(&self.key.encoder, spec, job, again);
            branches.push(self.encode(&tee, spec, told, output(index)?)?);
            let rung = Above {
                element: tee,
                width: spec.width,
                height: spec.height,
            };
            match spec.half_rate {
                true => self.above_half = Some(rung),
                false => self.above = rung,
            }
        }
        Ok(branches)
    }

    /// From where a rung comes. The first of half the rate has every second picture of the one above it.
    fn above(&self, spec: &RenditionSpec) -> Result<Above, PipelineError> {
        match (spec.half_rate, &self.above_half) {
            (false, _) => Ok(self.above.clone()),
            (true, Some(half)) => Ok(half.clone()),
            (true, None) => {
                let halver = frames::halver(self.key.frame_rate)?;
                self.pipeline.add(&halver)?;
                self.above.element.link(&halver)?;
                Ok(Above {
                    element: halver,
                    ..self.above.clone()
                })
            }
        }
    }

    /// The scaler to a rung, where it has another size than what is above it.
    fn scale(&self, above: &Above, spec: &RenditionSpec) -> Result<gst::Element, PipelineError> {
        if (above.width, above.height) == (spec.width, spec.height) {
            return Ok(above.element.clone());
        }
        let scaler = make(&self.chain.scaler)?;
        if self.chain.scaler == "videoscale" {
            scaler.set_property_from_str("method", "catrom");
        }
        if scaler.find_property("add-borders").is_some() {
            scaler.set_property("add-borders", false);
        }
        let aspect = self.key.shape.sample_aspect;
        let size = format!(
            "{},width={},height={},pixel-aspect-ratio={}/{}",
            self.chain.raw,
            spec.width,
            spec.height,
            aspect.num(),
            aspect.den()
        );
        let size = filter(&gst::Caps::from_str(&size)?)?;
        self.pipeline.add_many([&scaler, &size])?;
        gst::Element::link_many([&above.element, &scaler, &size])?;
        Ok(size)
    }

    /// A queue, an encoder that is told this, and the output.
    fn encode(
        &self,
        from: &gst::Element,
        spec: &RenditionSpec,
        told: Told,
        output: gst::Pad,
    ) -> Result<Branch, PipelineError> {
        let Key { encoder, shape, .. } = self.key;
        let queue = make("queue")?;
        queue.set_property("max-size-buffers", QUEUE_BUFFERS);
        queue.set_property("max-size-bytes", 0u32);
        queue.set_property("max-size-time", 0u64);
        let coded = filter(&encoder::caps(encoder, spec))?;
        let encoder = encoder::build(encoder, self.chain, spec, shape, told)?;
        self.pipeline.add_many([&queue, &encoder, &coded])?;
        gst::Element::link_many([from, &queue, &encoder, &coded])?;
        output.set_active(true)?;
        pad(&coded, "src")?.link(&output)?;
        Ok(Branch {
            queue,
            encoder,
            spec: spec.clone(),
            told,
            output,
        })
    }
}

impl Branch {
    /// Tells the encoder what it is to do of the next segment. The pipeline must be at rest.
    pub(super) fn tell(&mut self, key: &Key, job: &JobSpec) -> Result<(), PipelineError> {
        let told = Told::of(&key.encoder, &self.spec, job, 0);
        if told == self.told {
            return Ok(());
        }
        // Stopped it has forgotten what it was sent of the stream; a new link sends it again.
        self.queue.unlink(&self.encoder);
        self.encoder.set_state(gst::State::Ready)?;
        encoder::tell(&self.encoder, &key.encoder, &self.spec, &key.shape, told);
        self.queue.link(&self.encoder)?;
        self.encoder.sync_state_with_parent()?;
        self.told = told;
        Ok(())
    }
}

/// Largest first, with the place in the job.
fn by_size(renditions: &[RenditionSpec]) -> Vec<(usize, &RenditionSpec)> {
    let mut order: Vec<_> = renditions.iter().enumerate().collect();
    order.sort_by_key(|(_, r)| std::cmp::Reverse(u64::from(r.width) * u64::from(r.height)));
    order
}
