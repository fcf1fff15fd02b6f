//! The encoders and how each is set so that its segments fit those of every other.
//!
//! Common to all: one closed GOP with its only IDR at the start, no scene cut, no more
//! reordering than the shape allows, parameter sets in band.

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::Codec;
use rackcast_segment::shape::{Profile, Shape};
use serde::Deserialize;

use super::chain::{self, Chain};
use super::element::make;
use super::error::PipelineError;
use super::told::{Told, tell_x264};
use super::x265;

/// An H.264 encoder, and what goes with it where HEVC is asked for: x265 with those of the CPU, the
/// GPU's own else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Default, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Encoder {
    /// x264: the better picture, B-frames, the default.
    #[default]
    X264,
    /// openh264: no B-frames; where x264's licence does not fit, and as the unlike neighbour
    /// in tests.
    Openh264,
    /// An NVIDIA GPU's.
    Nvh264,
    /// That of a GPU with VA-API.
    Vah264,
}

/// How encoders are set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Which one.
    pub encoder: Encoder,
    /// Threads of one encoder. More than one costs up to 3 % of CPU and takes 10 % off the
    /// time that a segment takes.
    pub threads: u32,
    /// x264's preset, `ultrafast` to `placebo`.
    pub preset: String,
    /// The number of the render node that it is on, with VA-API.
    #[serde(skip)]
    pub render_node: Option<u32>,
}

impl Encoder {
    /// As it stands in the configuration and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X264 => "x264",
            Self::Openh264 => "openh264",
            Self::Nvh264 => "nvh264",
            Self::Vah264 => "vah264",
        }
    }

    /// The element and the package that brings it.
    pub(super) fn element(self) -> (&'static str, &'static str) {
        match self {
            Self::X264 => ("x264enc", "gstreamer1.0-plugins-ugly"),
            Self::Openh264 => ("openh264enc", "gstreamer1.0-plugins-bad"),
            Self::Nvh264 => ("nvh264enc", "gstreamer1.0-plugins-bad"),
            Self::Vah264 => ("vah264enc", "gstreamer1.0-plugins-bad"),
        }
    }

    /// It needs no GPU.
    pub fn is_of_cpu(self) -> bool {
        matches!(self, Self::X264 | Self::Openh264)
    }

    /// Whether a flush leaves it as new. openh264enc 1.22 goes on with the old sequence: the
    /// next segment would not begin with an IDR. Those of GPUs were never run: they have a new
    /// pipeline for each segment, which is slower and cannot be wrong.
    pub(super) fn is_reusable(self) -> bool {
        self == Self::X264
    }
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            encoder: Encoder::X264,
            threads: 1,
            preset: "veryfast".to_owned(),
            render_node: None,
        }
    }
}

impl EncoderConfig {
    /// Says what is wrong with the values, if anything is.
    pub fn check(&self) -> Result<(), String> {
        const PRESETS: [&str; 10] = [
            "ultrafast",
            "superfast",
            "veryfast",
            "faster",
            "fast",
            "medium",
            "slow",
            "slower",
            "veryslow",
            "placebo",
        ];
        if !PRESETS.contains(&self.preset.as_str()) {
            return Err(format!(
                "preset {:?} is none of {}",
                self.preset,
                PRESETS.join(", ")
            ));
        }
        if !self.encoder.is_of_cpu() {
            return Err(format!(
                "encoder {} is a GPU's; declare the GPU as a [[device]]",
                self.encoder.as_str()
            ));
        }
        if !(1..=64).contains(&self.threads) {
            return Err("threads must be between 1 and 64".to_owned());
        }
        Ok(())
    }
}

/// More pictures than any segment has: the encoder never starts a GOP by itself.
const NEVER: u32 = 1 << 30;
pub(super) fn build(
    config: &EncoderConfig,
    chain: &Chain,
    spec: &RenditionSpec,
    shape: &Shape,
    told: Told,
) -> Result<gst::Element, PipelineError> {
    let hevc = chain.hevc.as_ref().filter(|_| spec.codec == Codec::Hevc);
    let (bits, finest) = match told {
        Told::BitRate { bits, finest } => (bits, finest),
        Told::Quality { .. } => (spec.bitrate, 0),
    };
    match config.encoder {
        Encoder::X264 | Encoder::Openh264 if hevc.is_some() => {
            x265::build(config, spec, shape, bits)
        }
        Encoder::X264 => {
            let element = x264(config, spec, shape)?;
            tell(&element, config, spec, shape, told);
            Ok(element)
        }
        Encoder::Openh264 => openh264(config, bits, finest),
        Encoder::Nvh264 | Encoder::Vah264 => {
            let element = make(hevc.unwrap_or(&chain.encoder))?;
            for (name, value) in chain::settings(config, spec, shape, bits) {
                set(&element, name, &value)?;
            }
            Ok(element)
        }
    }
}

/// Sets a property that not every version of the element has.
fn set(element: &gst::Element, name: &str, value: &str) -> Result<(), PipelineError> {
    let Some(property) = element.find_property(name) else {
        return Ok(());
    };
    let value = gst::glib::Value::deserialize_with_pspec(value, &property)?;
    element.set_property_from_value(name, &value);
    Ok(())
}

fn x264(
    config: &EncoderConfig,
    spec: &RenditionSpec,
    shape: &Shape,
) -> Result<gst::Element, PipelineError> {
    let element = make(Encoder::X264.element().0)?;
    // A B-frame that none refers to is reordered by one, a pyramid by two.
    let reorder = spec.reorder_depth(shape);
    element.set_property_from_str("speed-preset", &config.preset);
    element.set_property("threads", config.threads);
    element.set_property("key-int-max", NEVER);
    element.set_property("bframes", if reorder == 0 { 0u32 } else { 3 });
    element.set_property("b-pyramid", reorder >= 2);
    element.set_property("byte-stream", true);
    element.set_property("aud", false);
    Ok(element)
}

/// Tells an encoder that takes more than one segment what the next one is to be. It may be in no other
/// state than NULL and READY.
pub(super) fn tell(
    element: &gst::Element,
    config: &EncoderConfig,
    spec: &RenditionSpec,
    shape: &Shape,
    told: Told,
) {
    if config.encoder != Encoder::X264 || spec.codec == Codec::Hevc {
        return;
    }
    let b_pyramid = if spec.reorder_depth(shape) >= 2 {
        "normal"
    } else {
        "none"
    };
    let level = format!("{}.{}", spec.level_idc / 10, spec.level_idc % 10);
    let options = format!("scenecut=0:open-gop=0:b-pyramid={b_pyramid}:level={level}");
    tell_x264(element, told, spec.height, &options);
}

fn openh264(config: &EncoderConfig, bits: u32, finest: u32) -> Result<gst::Element, PipelineError> {
    let element = make(Encoder::Openh264.element().0)?;
    element.set_property_from_str("rate-control", "bitrate");
    element.set_property_from_str("complexity", "low");
    element.set_property("bitrate", bits);
    element.set_property("qp-min", finest);
    element.set_property("gop-size", NEVER);
    element.set_property("multi-thread", config.threads);
    element.set_property("scene-change-detection", false);
    element.set_property("enable-frame-skip", false);
    Ok(element)
}

/// As GStreamer calls it.
pub(super) fn media(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "video/x-h264",
        Codec::Hevc => "video/x-h265",
    }
}

/// What the encoder is asked to put out. x264 takes the profile from here.
pub(super) fn caps(config: &EncoderConfig, spec: &RenditionSpec) -> gst::Caps {
    let media = media(spec.codec);
    let caps = gst::Caps::builder(media)
        .field("stream-format", "byte-stream")
        .field("alignment", "au");
    if spec.codec == Codec::Hevc {
        return caps.field("profile", "main").build();
    }
    match (config.encoder, spec.profile) {
        // One of these, by name; the constraint is written into it afterwards.
        (Encoder::Nvh264 | Encoder::Vah264, Profile::ConstrainedBaseline) => {
            let either = gst::List::new(["constrained-baseline", "baseline"]);
            caps.field("profile", either).build()
        }
        // Its own choice, rewritten afterwards.
        (Encoder::Openh264, _) => caps.build(),
        (Encoder::X264, Profile::ConstrainedBaseline) => {
            caps.field("profile", "constrained-baseline").build()
        }
        (_, Profile::Main) => caps.field("profile", "main").build(),
        (_, Profile::High) => caps.field("profile", "high").build(),
    }
}
