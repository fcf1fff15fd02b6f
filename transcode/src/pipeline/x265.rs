//! HEVC on the CPU: x265, set as x264 is.

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::shape::Shape;

use super::config::EncoderConfig;
use super::element::make;
use super::error::PipelineError;

pub(super) const ELEMENT: &str = "x265enc";
/// More pictures than any segment has.
const NEVER: i32 = 1 << 30;

pub(super) fn build(
    config: &EncoderConfig,
    spec: &RenditionSpec,
    shape: &Shape,
    bits: u32,
) -> Result<gst::Element, PipelineError> {
    let element = make(ELEMENT)?;
    let kbits = (bits / 1000).max(1);
    element.set_property_from_str("speed-preset", &config.preset);
    element.set_property("bitrate", kbits);
    element.set_property("key-int-max", NEVER);
    element.set_property("option-string", options(config, spec, shape, kbits));
    Ok(element)
}

/// One closed GOP with its parameter sets in band and no more reordering than the shape allows; the
/// buffer of a second, half full; what the shape says of colour. The aspect comes with the pictures.
fn options(config: &EncoderConfig, spec: &RenditionSpec, shape: &Shape, kbits: u32) -> String {
    let reorder = spec.reorder_depth(shape);
    let b_frames = if reorder == 0 { 0 } else { 3 };
    let pyramid = u8::from(reorder >= 2);
    let colour = shape.colour;
    let range = if colour.full_range { "full" } else { "limited" };
    // One thread works as one thread only without a pool.
    let threads = match config.threads {
        1 => "pools=none:frame-threads=1".to_owned(),
        more => format!("pools={more}:frame-threads=1"),
    };
    format!(
        "scenecut=0:open-gop=0:bframes={b_frames}:b-pyramid={pyramid}:{threads}:repeat-headers=1:\
         aud=0:info=0:hrd=0:level-idc={}.{}:vbv-maxrate={kbits}:vbv-bufsize={kbits}:vbv-init=0.5:\
         colorprim={}:transfer={}:colormatrix={}:range={range}",
        spec.level_idc / 30,
        spec.level_idc % 30 / 3,
        colour.primaries,
        colour.transfer,
        colour.matrix,
    )
}
