//! The encoders and how each is set so that its segments fit those of every other.
//!
//! Common to all: one closed GOP with its only IDR at the start, no scene cut, no more
//! reordering than the shape allows, parameter sets in band.

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::Codec;
use rackcast_segment::shape::{Profile, Shape};

use super::chain::{self, Chain};
use super::config::{Encoder, EncoderConfig};
use super::element::make;
use super::error::PipelineError;
use super::told::{Told, tell_x264};
use super::x265;

/// More pictures than any segment has: the encoder never starts a GOP by itself.
const NEVER: u32 = 1 << 30;

/// The encoder of a rendition.
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
