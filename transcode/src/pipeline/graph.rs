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

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{Codec, Samples};
use rackcast_segment::shape::{Ratio, Shape};
use rackcast_segment::wire::job::JobSpec;

use super::chain::{Chain, IN_MEMORY, SOFTWARE_DECODERS, Wanted};
use super::config::EncoderConfig;
use super::decoded::Decoded;
use super::element::{exists, filter, fraction, make, pad, signed};
use super::encoder;
use super::error::PipelineError;
use super::frames;
use super::output::{self, Finished};
use super::spent::{Meter, Spent};
use super::told::Told;

/// Pictures that wait in front of each encoder.
const QUEUE_BUFFERS: u32 = 8;
/// Elements whose failure says something about the segment, not about this node.
const DECODING: &str = "decoding";

/// What a pipeline is bound to; jobs that agree in it share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) codec: Codec,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) interlaced: bool,
    pub(super) samples: Samples,
    pub(super) frame_rate: Ratio,
    pub(super) renditions: Vec<RenditionSpec>,
    pub(super) shape: Shape,
    pub(super) encoder: EncoderConfig,
}

impl Key {
    pub(super) fn of(job: &JobSpec, encoder: &EncoderConfig) -> Self {
        Self {
            codec: job.source.format.codec,
            width: job.source.format.width,
            height: job.source.format.height,
            interlaced: job.source.format.interlaced,
            samples: job.source.format.samples,
            frame_rate: job.source.frame_rate,
            renditions: job.renditions.clone(),
            shape: job.shape,
            encoder: encoder.clone(),
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            source: self.codec,
            simple: !self.interlaced && self.samples.is_plain(),
            hevc: self.renditions.iter().any(|r| r.codec == Codec::Hevc),
        }
    }

    /// Whether a flush leaves its pipeline as new; of x265 that was not looked at.
    pub(super) fn is_reusable(&self) -> bool {
        self.encoder.encoder.is_reusable() && !self.wanted().hevc
    }

    fn input_caps(&self) -> gst::Caps {
        gst::Caps::builder(encoder::media(self.codec))
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("width", signed(self.width))
            .field("height", signed(self.height))
            .field("framerate", fraction(self.frame_rate))
            .field("pixel-aspect-ratio", fraction(self.shape.sample_aspect))
            .build()
    }
}

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
    outputs: Vec<gst::Pad>,
    branches: Vec<Branch>,
}

/// What can be told something else for the next segment.
struct Branch {
    queue: gst::Element,
    encoder: gst::Element,
    spec: RenditionSpec,
    told: Told,
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
        let pipeline = gst::Pipeline::new();
        let parse = make(match key.codec {
            Codec::H264 => "h264parse",
            Codec::Hevc => "h265parse",
        })?;
        let chain = Chain::of(&key.encoder, &key.wanted(), exists)?;
        log::debug!("a pipeline of {}", chain.elements().join(", "));
        let decoder = make(&chain.decoder)?;
        if SOFTWARE_DECODERS.contains(&chain.decoder.as_str()) {
            decoder.set_property("max-threads", 1i32);
        }
        on_its_node(&decoder, &key.encoder)?;
        let decoding = gst::Bin::builder().name(DECODING).build();
        decoding.add_many([&parse, &decoder])?;
        parse.link(&decoder)?;
        let decoded = Decoded::default();
        let (count, alive) = (decoded.clone(), progress.clone());
        pad(&decoder, "src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            count.add(info.buffer().and_then(|picture| picture.pts()));
            alive.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        decoding.add_pad(&gst::GhostPad::with_target(&pad(&decoder, "src")?)?)?;
        let entry = gst::GhostPad::builder_with_target(&pad(&parse, "sink")?)?
            .name("in")
            .build();
        decoding.add_pad(&entry)?;

        pipeline.add(&decoding)?;
        let mut way = vec![make(&chain.converter)?];
        if let Some(upload) = &chain.upload {
            // On the CPU up to here.
            way.push(filter(&gst::Caps::from_str(IN_MEMORY)?)?);
            way.extend(key.interlaced.then(frames::deinterlacer).transpose()?);
            way.push(make(upload)?);
        }
        way.push(filter(&gst::Caps::from_str(chain.raw)?)?);
        if key.interlaced && chain.upload.is_none() {
            way.push(frames::deinterlacer()?);
        }
        way.push(make("tee")?);
        pipeline.add_many(&way)?;
        gst::Element::link_many(std::iter::once(decoding.upcast_ref()).chain(&way))?;

        // Every output announces its end once a segment; nobody else sends.
        let (sender, finished) = mpsc::sync_channel(key.renditions.len());
        let (mut outputs, mut branches) = (Vec::new(), Vec::new());
        let source = way.last().cloned();
        let source = source.ok_or_else(|| PipelineError::Internal("no elements".to_owned()))?;
        let mut above = (source, key.width, key.height);
        let mut above_half = None;
        for (index, spec) in by_size(&key.renditions) {
            let from = match (spec.half_rate, above_half.take()) {
                (true, Some(half)) => half,
                (true, None) => {
                    let halver = frames::halver(key.frame_rate)?;
                    pipeline.add(&halver)?;
                    above.0.link(&halver)?;
                    (halver, above.1, above.2)
                }
                (false, half) => {
                    above_half = half;
                    above.clone()
                }
            };
            let scaled = scale(&pipeline, &chain, &from, spec, &key.shape)?;
            let tee = make("tee")?;
            let queue = make("queue")?;
            queue.set_property("max-size-buffers", QUEUE_BUFFERS);
            queue.set_property("max-size-bytes", 0u32);
            queue.set_property("max-size-time", 0u64);
            let told = Told::of(&key.encoder, spec, job, again);
            let encoder = encoder::build(&key.encoder, &chain, spec, &key.shape, told)?;
            let coded = filter(&encoder::caps(&key.encoder, spec))?;
            pipeline.add_many([&tee, &queue, &encoder, &coded])?;
            gst::Element::link_many([&scaled, &tee, &queue, &encoder, &coded])?;

            let output = output::pad(index, sender.clone(), progress.clone())?;
            output.set_active(true)?;
            pad(&coded, "src")?.link(&output)?;
            outputs.push(output);
            branches.push(Branch {
                queue,
                encoder,
                spec: spec.clone(),
                told,
            });
            let rung = (tee, spec.width, spec.height);
            match spec.half_rate {
                true => above_half = Some(rung),
                false => above = rung,
            }
        }

        let meter = Meter::default();
        for element in pipeline.children() {
            let kind = element.factory().map(|factory| factory.name());
            if kind.is_some_and(|kind| kind == chain.converter || kind == chain.scaler) {
                meter.watch(&element)?;
            }
        }

        let input = gst::Pad::builder(gst::PadDirection::Src)
            .name("input")
            .build();
        input.set_active(true)?;
        input.link(&entry)?;
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
            outputs,
            branches,
        })
    }

    /// Tells each encoder what it is to do of the next segment. The pipeline must be at rest.
    pub(super) fn tell(&mut self, job: &JobSpec) -> Result<(), PipelineError> {
        let Key { encoder, shape, .. } = &self.key;
        for branch in &mut self.branches {
            let told = Told::of(encoder, &branch.spec, job, 0);
            if told == branch.told {
                continue;
            }
            // Stopped it has forgotten what it was sent of the stream; a new link sends it again.
            branch.queue.unlink(&branch.encoder);
            branch.encoder.set_state(gst::State::Ready)?;
            encoder::tell(&branch.encoder, encoder, &branch.spec, shape, told);
            branch.queue.link(&branch.encoder)?;
            branch.encoder.sync_state_with_parent()?;
            branch.told = told;
        }
        Ok(())
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
        let decoding = message.src().is_some_and(|s| {
            s.name() == DECODING || s.parent().is_some_and(|p| p.name() == DECODING)
        });
        // What its decoder lacks, memory or a session, is no fault of the segment.
        Some(if decoding && error.error().is::<gst::StreamError>() {
            PipelineError::Undecodable(text)
        } else {
            PipelineError::Internal(text)
        })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // Pads first: a streaming thread that is inside one comes back at once.
        for pad in std::iter::once(&self.input).chain(&self.outputs) {
            let _ = pad.set_active(false);
        }
        if self.pipeline.set_state(gst::State::Null).is_err() {
            log::error!("a GStreamer pipeline did not stop");
        }
    }
}

/// The scaler to a rung, where it has another size than what is above it.
fn scale(
    pipeline: &gst::Pipeline,
    chain: &Chain,
    (above, width, height): &(gst::Element, u32, u32),
    spec: &RenditionSpec,
    shape: &Shape,
) -> Result<gst::Element, PipelineError> {
    if (*width, *height) == (spec.width, spec.height) {
        return Ok(above.clone());
    }
    let scaler = make(&chain.scaler)?;
    if chain.scaler == "videoscale" {
        scaler.set_property_from_str("method", "catrom");
    }
    if scaler.find_property("add-borders").is_some() {
        scaler.set_property("add-borders", false);
    }
    let aspect = shape.sample_aspect;
    let size = format!(
        "{},width={},height={},pixel-aspect-ratio={}/{}",
        chain.raw,
        spec.width,
        spec.height,
        aspect.num(),
        aspect.den()
    );
    let size = filter(&gst::Caps::from_str(&size)?)?;
    pipeline.add_many([&scaler, &size])?;
    gst::Element::link_many([above, &scaler, &size])?;
    Ok(size)
}

/// The plug-in gives the plain names to whichever device it opened first: another one than was meant
/// is an error, not a substitute.
fn on_its_node(decoder: &gst::Element, config: &EncoderConfig) -> Result<(), PipelineError> {
    let (Some(number), Some(_)) = (config.render_node, decoder.find_property("device-path")) else {
        return Ok(());
    };
    let path = decoder.property::<Option<String>>("device-path");
    let path = path.unwrap_or_default();
    match path.ends_with(&format!("renderD{number}")) {
        true => Ok(()),
        false => Err(PipelineError::Internal(format!(
            "GStreamer has no elements for renderD{number}, only for {path}"
        ))),
    }
}

/// Largest first, with the place in the job.
fn by_size(renditions: &[RenditionSpec]) -> Vec<(usize, &RenditionSpec)> {
    let mut order: Vec<_> = renditions.iter().enumerate().collect();
    order.sort_by_key(|(_, r)| std::cmp::Reverse(u64::from(r.width) * u64::from(r.height)));
    order
}

/// The elements of every pipeline, and the packages that bring them.
const ELEMENTS: [(&str, &str); 6] = [
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("h265parse", "gstreamer1.0-plugins-bad"),
    ("capsfilter", "libgstreamer1.0-0"),
    ("identity", "libgstreamer1.0-0"),
    ("tee", "libgstreamer1.0-0"),
    ("queue", "libgstreamer1.0-0"),
];
/// Those of every pipeline on the CPU.
const OF_CPU: [(&str, &str); 3] = [
    ("avdec_h264", "gstreamer1.0-libav"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("deinterlace", "gstreamer1.0-plugins-good"),
];

/// Whether all elements are there, before the first job needs them.
pub(super) fn probe(config: &EncoderConfig) -> Result<(), PipelineError> {
    let on_cpu = OF_CPU.into_iter().chain([config.encoder.element()]);
    let on_cpu = on_cpu.filter(|_| config.encoder.is_of_cpu());
    let mut all = ELEMENTS.into_iter().chain(on_cpu);
    if let Some((factory, package)) = all.find(|(factory, _)| !exists(factory)) {
        return Err(PipelineError::Missing(factory, package));
    }
    Chain::of(config, &Wanted::LEAST, exists).map(drop)
}
