//! Which elements there must be, and the packages that bring them.

use crate::pipeline::chain::{Chain, Wanted};
use crate::pipeline::config::EncoderConfig;
use crate::pipeline::element::exists;
use crate::pipeline::error::PipelineError;

/// Those of every pipeline.
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
pub(in crate::pipeline) fn probe(config: &EncoderConfig) -> Result<(), PipelineError> {
    let on_cpu = OF_CPU.into_iter().chain([config.encoder.element()]);
    let on_cpu = on_cpu.filter(|_| config.encoder.is_of_cpu());
    let mut all = ELEMENTS.into_iter().chain(on_cpu);
    if let Some((factory, package)) = all.find(|(factory, _)| !exists(factory)) {
        return Err(PipelineError::Missing(factory, package));
    }
    Chain::of(config, &Wanted::LEAST, exists).map(drop)
}
