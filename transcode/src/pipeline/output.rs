//! The end of a branch: a pad that collects an encoder's pictures.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;

use super::error::PipelineError;

/// One picture as the encoder put it out.
pub(super) struct Coded {
    /// Presentation time since the segment's start. x264enc lays its own time 1000 hours
    /// later; the running time is free of that.
    pub(super) running: Option<gst::ClockTime>,
    pub(super) data: Bytes,
}

/// All pictures of one rendition, in decoding order.
pub(super) struct Finished {
    /// The rendition's place in the job.
    pub(super) index: usize,
    pub(super) pictures: Vec<Coded>,
}

#[derive(Default)]
struct Collected {
    segment: Option<gst::FormattedSegment<gst::ClockTime>>,
    pictures: Vec<Coded>,
}

/// A sink pad that sends what it has at the end of the stream, and forgets it on a flush.
pub(super) fn pad(
    index: usize,
    done: SyncSender<Finished>,
    progress: Arc<AtomicU32>,
) -> Result<gst::Pad, PipelineError> {
    let state = Arc::new(Mutex::new(Collected::default()));
    let collected = state.clone();
    // Without a template it would take nothing but what the first segment was: the colours that GStreamer
    // guesses of a small rung and of a large one, which no source has at once.
    let any = gst::Caps::new_any();
    let presence = gst::PadPresence::Always;
    let template = gst::PadTemplate::new("output", gst::PadDirection::Sink, presence, &any)?;
    let pad = gst::Pad::builder_from_template(&template)
        .chain_function(move |_, _, buffer| {
            progress.fetch_add(1, Ordering::Relaxed);
            let mut state = lock(&collected);
            let running = buffer.pts().and_then(|pts| {
                state
                    .segment
                    .as_ref()?
                    .to_running_time_full(pts)?
                    .positive()
            });
            let data = buffer
                .into_mapped_buffer_readable()
                .map_err(|_| gst::FlowError::Error)?;
            state.pictures.push(Coded {
                running,
                data: Bytes::from_owner(data),
            });
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| {
            let mut state = lock(&state);
            match event.view() {
                gst::EventView::Segment(e) => {
                    state.segment = e.segment().downcast_ref::<gst::ClockTime>().cloned();
                }
                gst::EventView::Eos(_) => {
                    let pictures = std::mem::take(&mut state.pictures);
                    // The channel has room for one message of each output.
                    let _ = done.try_send(Finished { index, pictures });
                }
                gst::EventView::FlushStop(_) => state.pictures.clear(),
                _ => {}
            }
            true
        })
        .build();
    Ok(pad)
}

fn lock(state: &Mutex<Collected>) -> std::sync::MutexGuard<'_, Collected> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
