//! Which pictures reach the encoders: whole ones, and all of them or every second.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::shape::Ratio;

use super::element::{fraction, make, pad};
use super::error::PipelineError;

/// Makes a picture of each pair of fields, in time with the upper one.
///
/// GStreamer's own detection of what is interlaced, and in which order, leaves pictures out and shows
/// others twice where a segment begins (1.22). So it is told: the decoder says whether it has fields,
/// and then each picture is taken for a pair of them, upper field first. As many pictures come out as
/// went in, in their order, but the first and the last with the times of others: each is given its own.
pub(super) fn deinterlacer() -> Result<gst::Element, PipelineError> {
    let element = make("deinterlace")?;
    element.set_property_from_str("method", "yadif");
    element.set_property_from_str("fields", "top");
    element.set_property_from_str("tff", "tff");
    element.set_property_from_str("mode", "interlaced");
    let times = Arc::new(Mutex::new(VecDeque::new()));
    let sent = times.clone();
    let what = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad(&element, "sink")?.add_probe(what, move |pad, info| {
        match &info.data {
            Some(gst::PadProbeData::Buffer(picture)) => lock(&sent).push_back(picture.pts()),
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Segment(_) => lock(&sent).clear(),
                gst::EventView::Caps(caps) => follow(pad, caps.caps()),
                _ => {}
            },
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    pad(&element, "src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(picture) = info.buffer_mut() {
            picture
                .make_mut()
                .set_pts(lock(&times).pop_front().flatten());
        }
        gst::PadProbeReturn::Ok
    });
    Ok(element)
}

/// Pictures that are whole may be coded by means that allow for fields: they pass.
fn follow(sink: &gst::Pad, caps: &gst::CapsRef) {
    let mode = caps.structure(0).and_then(|s| s.get("interlace-mode").ok());
    let whole = mode.is_none_or(|mode: &str| mode == "progressive");
    if let Some(element) = sink.parent_element() {
        element.set_property_from_str("mode", if whole { "disabled" } else { "interlaced" });
    }
}

fn lock<T>(times: &Mutex<T>) -> MutexGuard<'_, T> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes every second picture on, from a segment's first, as a stream of half the rate.
pub(super) fn halver(rate: Ratio) -> Result<gst::Element, PipelineError> {
    let element = make("identity")?;
    let skips = AtomicBool::new(false);
    let halved = fraction(rate.half());
    let what = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad(&element, "sink")?.add_probe(what, move |_, info| {
        let event = match &info.data {
            Some(gst::PadProbeData::Buffer(_)) => {
                if !skips.fetch_xor(true, Ordering::Relaxed) {
                    return gst::PadProbeReturn::Ok;
                }
                info.data = None;
                return gst::PadProbeReturn::Handled;
            }
            Some(gst::PadProbeData::Event(event)) => event,
            _ => return gst::PadProbeReturn::Ok,
        };
        match event.view() {
            gst::EventView::Segment(_) => skips.store(false, Ordering::Relaxed),
            gst::EventView::Caps(caps) => {
                let mut caps = caps.caps_owned();
                caps.make_mut().set("framerate", halved);
                info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    Ok(element)
}
