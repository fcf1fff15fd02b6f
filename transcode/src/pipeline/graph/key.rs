//! What a pipeline is bound to.

use gstreamer as gst;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::{Codec, Samples};
use rackcast_segment::shape::{Ratio, Shape};
use rackcast_segment::wire::job::JobSpec;

use crate::pipeline::chain::Wanted;
use crate::pipeline::config::EncoderConfig;
use crate::pipeline::element::{fraction, signed};
use crate::pipeline::encoder;

/// What a pipeline is bound to; jobs that agree in it share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct Key {
    pub(in crate::pipeline) codec: Codec,
    pub(in crate::pipeline) width: u32,
    pub(in crate::pipeline) height: u32,
    pub(in crate::pipeline) interlaced: bool,
    pub(in crate::pipeline) samples: Samples,
    pub(in crate::pipeline) frame_rate: Ratio,
    pub(in crate::pipeline) renditions: Vec<RenditionSpec>,
    pub(in crate::pipeline) shape: Shape,
    pub(in crate::pipeline) encoder: EncoderConfig,
}

impl Key {
    pub(in crate::pipeline) fn of(job: &JobSpec, encoder: &EncoderConfig) -> Self {
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

    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            source: self.codec,
            simple: !self.interlaced && self.samples.is_plain(),
            hevc: self.renditions.iter().any(|r| r.codec == Codec::Hevc),
        }
    }

    /// Whether a flush leaves its pipeline as new; of x265 that was not looked at.
    pub(in crate::pipeline) fn is_reusable(&self) -> bool {
        self.encoder.encoder.is_reusable() && !self.wanted().hevc
    }

    pub(super) fn input_caps(&self) -> gst::Caps {
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
