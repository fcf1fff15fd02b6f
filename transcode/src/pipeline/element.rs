//! Elements and their pads, by name.

use gst::prelude::*;
use gstreamer as gst;

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

pub(super) fn pad(element: &gst::Element, name: &str) -> Result<gst::Pad, PipelineError> {
    element
        .static_pad(name)
        .ok_or_else(|| PipelineError::Internal(format!("{} has no pad {name}", element.name())))
}
