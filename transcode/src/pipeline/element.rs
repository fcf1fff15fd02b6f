//! Elements and their pads, by name.

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::shape::Ratio;

use super::error::PipelineError;

/// Whether there is such an element on this machine.
pub(super) fn exists(factory: &str) -> bool {
    gst::ElementFactory::find(factory).is_some()
}

pub(super) fn make(factory: &str) -> Result<gst::Element, PipelineError> {
    Ok(gst::ElementFactory::make(factory).build()?)
}

pub(super) fn filter(caps: &gst::Caps) -> Result<gst::Element, PipelineError> {
    let filter = make("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}

pub(super) fn signed(v: u32) -> i32 {
    i32::try_from(v).unwrap_or(i32::MAX)
}

pub(super) fn fraction(r: Ratio) -> gst::Fraction {
    gst::Fraction::new(signed(r.num()), signed(r.den()))
}

pub(super) fn pad(element: &gst::Element, name: &str) -> Result<gst::Pad, PipelineError> {
    element
        .static_pad(name)
        .ok_or_else(|| PipelineError::Internal(format!("{} has no pad {name}", element.name())))
}
