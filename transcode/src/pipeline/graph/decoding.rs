//! From coded pictures to decoded ones, and whose fault it is when they do not get through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gst::prelude::*;
use gstreamer as gst;
use rackcast_segment::media::Codec;

use super::key::Key;
use crate::pipeline::chain::{Chain, SOFTWARE_DECODERS};
use crate::pipeline::config::EncoderConfig;
use crate::pipeline::decoded::Decoded;
use crate::pipeline::element::{make, pad};
use crate::pipeline::error::PipelineError;

/// Elements whose failure says something about the segment, not about this node.
pub(super) struct Decoding {
    pub(super) bin: gst::Bin,
    /// Where coded pictures go in.
    pub(super) entry: gst::GhostPad,
    parser: gst::Element,
    pub(super) decoder: gst::Element,
}

impl Decoding {
    /// Parser and decoder; what comes out is `decoded`, and is progress.
    pub(super) fn build(
        key: &Key,
        chain: &Chain,
        decoded: Decoded,
        progress: Arc<AtomicU32>,
    ) -> Result<Self, PipelineError> {
        let parser = make(match key.codec {
            Codec::H264 => "h264parse",
            Codec::Hevc => "h265parse",
        })?;
        let decoder = make(&chain.decoder)?;
        if SOFTWARE_DECODERS.contains(&chain.decoder.as_str()) {
            decoder.set_property("max-threads", 1i32);
            // As `auto` is here, where nothing is live: no picture comes before one that is shown earlier.
            decoder.set_property_from_str("std-compliance", "strict");
        }
        on_its_node(&decoder, &key.encoder)?;
        let bin = gst::Bin::builder().name("decoding").build();
        bin.add_many([&parser, &decoder])?;
        parser.link(&decoder)?;
        let exit = pad(&decoder, "src")?;
        exit.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            decoded.add(info.buffer().and_then(|picture| picture.pts()));
            progress.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        bin.add_pad(&gst::GhostPad::with_target(&exit)?)?;
        let entry = gst::GhostPad::builder_with_target(&pad(&parser, "sink")?)?
            .name("in")
            .build();
        bin.add_pad(&entry)?;
        Ok(Self {
            bin,
            entry,
            parser,
            decoder,
        })
    }

    /// Whether it is one of these that speaks.
    pub(super) fn has(&self, speaker: &gst::Object) -> bool {
        let bin: &gst::Object = self.bin.upcast_ref();
        speaker == bin || speaker.has_as_ancestor(bin)
    }

    /// Why a picture was not taken, when no element has said it. It was the last one that did not pass its
    /// failure on from behind.
    pub(super) fn refusal(&self, picture: usize, flow: gst::FlowError) -> PipelineError {
        let who = if self.is_behind(&self.decoder) {
            None
        } else if self.is_behind(&self.parser) {
            Some(&self.decoder)
        } else {
            Some(&self.parser)
        };
        let name = |element: &gst::Element| {
            let factory = element.factory();
            factory.map_or_else(|| element.name(), |factory| factory.name())
        };
        let name = who.map(name);
        let name = name.as_deref().unwrap_or("what follows the decoder");
        let text = format!("{name} did not take picture {picture} and does not say why: {flow}");
        match flow {
            // What was stopped, or has ended, did not look at the picture.
            gst::FlowError::Flushing | gst::FlowError::Eos => PipelineError::Internal(text),
            _ if who.is_none() => PipelineError::Internal(text),
            _ => PipelineError::Undecodable(text),
        }
    }

    /// Whether what came out of the element was not taken.
    fn is_behind(&self, element: &gst::Element) -> bool {
        let out = element.static_pad("src");
        out.is_some_and(|pad| pad.last_flow_result().is_err())
    }
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
