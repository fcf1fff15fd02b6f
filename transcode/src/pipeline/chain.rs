//! Which elements decode, scale and encode, on which kind of hardware.
//!
//! | | CPU | NVIDIA | VA-API |
//! |---|---|---|---|
//! | decode | avdec_h264 | nvh264dec | vah264dec |
//! | convert, scale | videoconvert, videoscale | cudaconvertscale, else cudaconvert and cudascale | vapostproc |
//! | encode | x264enc, openh264enc | nvcudah264enc, else nvh264enc | vah264enc, else vah264lpenc |
//!
//! On a GPU pictures stay in its memory from decoder to encoder. Only where GStreamer brings no
//! scaler for NVIDIA do they come down to be scaled and go up again.
//!
//! Pure over an answer to "is there such an element?". **The columns of GPUs were never run**: they
//! are linked and set by what the elements' documentation says, and each worker tests itself by a
//! real transcode before it serves.

use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::shape::{Profile, Shape};

use super::encoder::{Encoder, EncoderConfig};
use super::error::PipelineError;

/// What an NVIDIA GPU cannot do without.
pub const NVIDIA_ELEMENTS: [&str; 2] = ["nvh264dec", "nvh264enc"];

const CUDA: &str = "video/x-raw(memory:CUDAMemory),format=NV12";
const VA: &str = "video/x-raw(memory:VAMemory),format=NV12";
const BAD: &str = "gstreamer1.0-plugins-bad, and a driver for the GPU";

/// The elements of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) decoder: String,
    /// From what the decoder puts out to what scalers and encoders take.
    pub(super) converter: String,
    pub(super) scaler: String,
    pub(super) encoder: String,
    /// Pictures between them, but for their size.
    pub(super) raw: &'static str,
}

/// How the plug-in calls the elements of a render node: those of the first that works have the plain
/// names, every other's have its own.
pub fn va_prefix(node: u32, has: impl Fn(&str) -> bool) -> Option<String> {
    let own = format!("varenderD{node}");
    let all = |prefix: &str| va_elements(prefix).iter().all(|name| has(name));
    let own = Some(own).filter(|own| all(own));
    own.or_else(|| all("va").then(|| "va".to_owned()))
}

/// What a VA-API device cannot do without.
pub fn va_elements(prefix: &str) -> [String; 3] {
    ["h264dec", "postproc", "h264enc"].map(|what| format!("{prefix}{what}"))
}

impl Chain {
    /// The best that there is for this encoder.
    pub(super) fn of(
        config: &EncoderConfig,
        has: impl Fn(&str) -> bool,
    ) -> Result<Self, PipelineError> {
        let need = |factory: &'static str| match has(factory) {
            true => Ok(factory.to_owned()),
            false => Err(PipelineError::Missing(factory, BAD)),
        };
        match config.encoder {
            Encoder::X264 | Encoder::Openh264 => Ok(Self {
                decoder: "avdec_h264".to_owned(),
                converter: "videoconvert".to_owned(),
                scaler: "videoscale".to_owned(),
                encoder: config.encoder.element().0.to_owned(),
                raw: "video/x-raw,format=I420",
            }),
            Encoder::Nvh264 => {
                let (converter, scaler, raw) = match () {
                    () if has("cudaconvertscale") => ("cudaconvertscale", "cudaconvertscale", CUDA),
                    () if has("cudaconvert") && has("cudascale") => {
                        ("cudaconvert", "cudascale", CUDA)
                    }
                    () => ("videoconvert", "videoscale", "video/x-raw,format=NV12"),
                };
                let encoder = match raw == CUDA && has("nvcudah264enc") {
                    true => "nvcudah264enc".to_owned(),
                    false => need("nvh264enc")?,
                };
                Ok(Self {
                    decoder: need("nvh264dec")?,
                    converter: converter.to_owned(),
                    scaler: scaler.to_owned(),
                    encoder,
                    raw,
                })
            }
            Encoder::Vah264 => {
                let prefix = va_prefix(config.render_node.unwrap_or(0), &has);
                let prefix = prefix.ok_or(PipelineError::Missing("vah264enc", BAD))?;
                let [decoder, postproc, encoder] = va_elements(&prefix);
                Ok(Self {
                    decoder,
                    converter: postproc.clone(),
                    scaler: postproc,
                    encoder,
                    raw: VA,
                })
            }
        }
    }

    /// The elements, each once.
    pub(super) fn elements(&self) -> [&str; 4] {
        [&self.decoder, &self.converter, &self.scaler, &self.encoder]
    }
}

/// More pictures than the GOP of any segment has, for those that know no endless one.
const VA_LONGEST_GOP: &str = "1024";

/// How an encoder on a GPU is set; what its version does not know is left out.
pub(super) fn settings(
    config: &EncoderConfig,
    spec: &RenditionSpec,
    shape: &Shape,
) -> Vec<(&'static str, String)> {
    let kbits = (spec.bitrate / 1000).max(1).to_string();
    // One B-frame or two that none refers to: reordered by one.
    let reorders = spec.profile != Profile::ConstrainedBaseline && shape.reorder_depth > 0;
    let b_frames = if reorders { "2" } else { "0" };
    let common = [("bitrate", kbits.clone()), ("aud", "false".to_owned())];
    let own = match config.encoder {
        Encoder::Nvh264 => vec![
            ("rc-mode", "cbr".to_owned()),
            ("rate-control", "cbr".to_owned()),
            ("vbv-buffer-size", kbits),
            ("gop-size", "-1".to_owned()),
            ("strict-gop", "true".to_owned()),
            ("bframes", b_frames.to_owned()),
            ("b-frames", b_frames.to_owned()),
        ],
        Encoder::Vah264 => vec![
            ("rate-control", "cbr".to_owned()),
            ("cpb-size", kbits),
            ("key-int-max", VA_LONGEST_GOP.to_owned()),
            ("b-frames", b_frames.to_owned()),
            ("b-pyramid", "false".to_owned()),
        ],
        Encoder::X264 | Encoder::Openh264 => Vec::new(),
    };
    common.into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(encoder: Encoder, node: u32, elements: &[&str]) -> Result<Chain, PipelineError> {
        let config = EncoderConfig {
            encoder,
            render_node: Some(node),
            ..EncoderConfig::default()
        };
        Chain::of(&config, |name| elements.contains(&name))
    }

    #[test]
    fn nvidia_keeps_pictures_on_the_gpu_where_it_can() {
        let all = [
            "nvh264dec",
            "nvh264enc",
            "nvcudah264enc",
            "cudaconvertscale",
        ];
        let best = chain(Encoder::Nvh264, 0, &all).unwrap();
        let names = [
            "nvh264dec",
            "cudaconvertscale",
            "cudaconvertscale",
            "nvcudah264enc",
        ];
        assert_eq!((best.elements(), best.raw), (names, CUDA));

        let older = ["nvh264dec", "nvh264enc", "cudaconvert", "cudascale"];
        let older = chain(Encoder::Nvh264, 0, &older).unwrap();
        let names = ["nvh264dec", "cudaconvert", "cudascale", "nvh264enc"];
        assert_eq!((older.elements(), older.raw), (names, CUDA));

        let bare = chain(Encoder::Nvh264, 0, &NVIDIA_ELEMENTS).unwrap();
        let names = ["nvh264dec", "videoconvert", "videoscale", "nvh264enc"];
        assert_eq!(
            (bare.elements(), bare.raw),
            (names, "video/x-raw,format=NV12")
        );

        let error = chain(Encoder::Nvh264, 0, &["nvh264enc"]).unwrap_err();
        assert!(
            error.to_string().contains("nvh264dec is missing"),
            "{error}"
        );
    }

    #[test]
    fn a_render_node_has_elements_of_its_own() {
        let plain = ["vah264dec", "vapostproc", "vah264enc"];
        let own = [
            "varenderD129h264dec",
            "varenderD129postproc",
            "varenderD129h264enc",
        ];
        let both: Vec<_> = plain.into_iter().chain(own).collect();
        let names = |node| chain(Encoder::Vah264, node, &both).unwrap().encoder;
        assert_eq!(
            [names(128), names(129)],
            ["vah264enc", "varenderD129h264enc"]
        );
        assert!(chain(Encoder::Vah264, 128, &own).is_err());
    }
}
