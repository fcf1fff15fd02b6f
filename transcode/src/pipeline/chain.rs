//! Which elements decode, scale and encode, on which kind of hardware.
//!
//! | | CPU | NVIDIA | VA-API |
//! |---|---|---|---|
//! | decode | avdec_h264, avdec_h265 | nvh264dec, nvh265dec | vah264dec, vah265dec |
//! | convert, scale | videoconvert, [our own](super::scaler) | cudaconvertscale, else cudaconvert and cudascale | vapostproc |
//! | encode | x264enc, openh264enc | nvcudah264enc, else nvh264enc | vah264enc |
//! | encode HEVC | x265enc | nvcudah265enc, else nvh265enc | vah265enc |
//!
//! On a GPU pictures stay in its memory from decoder to encoder. Only where GStreamer brings no
//! scaler for NVIDIA do they come down to be scaled and go up again. What a GPU may not decode, or not
//! make whole pictures of (more than 8 bits, more colour than 4:2:0, fields), is decoded on the CPU
//! and goes up from there.
//!
//! Pure over an answer to "is there such an element?". **The columns of GPUs were never run**: they
//! are linked and set by what the elements' documentation says, and each worker tests itself by a
//! real transcode before it serves.

use rackcast_segment::ladder::RenditionSpec;
use rackcast_segment::media::Codec;
use rackcast_segment::shape::Shape;

use super::config::{Encoder, EncoderConfig};
use super::error::PipelineError;
use super::scaler::SCALER;
use super::x265;

/// What an NVIDIA GPU cannot do without.
pub const NVIDIA_ELEMENTS: [&str; 2] = ["nvh264dec", "nvh264enc"];

const CUDA: &str = "video/x-raw(memory:CUDAMemory),format=NV12";
const VA: &str = "video/x-raw(memory:VAMemory),format=NV12";
/// Pictures as the CPU makes them for a GPU.
pub(super) const IN_MEMORY: &str = "video/x-raw,format=NV12";
/// Decode whatever there is.
pub(super) const SOFTWARE_DECODERS: [&str; 2] = ["avdec_h264", "avdec_h265"];
const BAD: &str = "gstreamer1.0-plugins-bad, and a driver for the GPU";

/// The elements of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) decoder: String,
    /// From what the decoder puts out to what scalers and encoders take.
    pub(super) converter: String,
    /// Takes pictures that were decoded on the CPU up to the GPU.
    pub(super) upload: Option<String>,
    pub(super) scaler: String,
    pub(super) encoder: String,
    /// Of HEVC, where that is wanted.
    pub(super) hevc: Option<String>,
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

/// What is to be decoded, and made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) source: Codec,
    /// The source's pictures are 4:2:0 in 8 bits and have no fields.
    pub(super) simple: bool,
    /// Any rendition is in HEVC.
    pub(super) hevc: bool,
}

impl Wanted {
    /// H.264 and no more.
    pub(super) const LEAST: Self = Self {
        source: Codec::H264,
        simple: true,
        hevc: false,
    };
    /// HEVC in and out.
    pub(super) const HEVC: Self = Self {
        source: Codec::Hevc,
        simple: true,
        hevc: true,
    };
}

impl Chain {
    /// The best that there is for this encoder.
    pub(super) fn of(
        config: &EncoderConfig,
        wanted: &Wanted,
        has: impl Fn(&str) -> bool,
    ) -> Result<Self, PipelineError> {
        let mut chain = Self::of_h264(config, &has)?;
        let cpu = config.encoder.is_of_cpu();
        if wanted.hevc {
            chain.hevc = Some(chain.hevc_encoder(config, &has)?);
        }
        let own = match config.encoder {
            Encoder::Nvh264 => Some("nvh265dec".to_owned()),
            Encoder::Vah264 => Some(chain.decoder.replace("h264", "h265")),
            Encoder::X264 | Encoder::Openh264 => None,
        };
        let [h264, hevc] = SOFTWARE_DECODERS;
        let (software, own) = match wanted.source {
            Codec::H264 => (h264, Some(chain.decoder.clone())),
            Codec::Hevc => (hevc, own.filter(|own| has(own))),
        };
        if let Some(own) = own.filter(|_| wanted.simple || cpu) {
            chain.decoder = own;
            return Ok(chain);
        }
        if wanted.source == Codec::Hevc && !has(software) {
            return Err(unsupported(software));
        }
        software.clone_into(&mut chain.decoder);
        if !cpu {
            chain.upload = Some(match config.encoder {
                Encoder::Vah264 => chain.converter,
                _ if chain.raw == CUDA => "cudaupload".to_owned(),
                _ => "identity".to_owned(),
            });
            chain.converter = "videoconvert".to_owned();
        }
        Ok(chain)
    }

    fn hevc_encoder(
        &self,
        config: &EncoderConfig,
        has: impl Fn(&str) -> bool,
    ) -> Result<String, PipelineError> {
        let best = match config.encoder {
            Encoder::X264 | Encoder::Openh264 => x265::ELEMENT.to_owned(),
            Encoder::Nvh264 if self.raw == CUDA && has("nvcudah265enc") => {
                "nvcudah265enc".to_owned()
            }
            Encoder::Nvh264 => "nvh265enc".to_owned(),
            Encoder::Vah264 => self.encoder.replace("h264", "h265"),
        };
        match has(&best) {
            true => Ok(best),
            false => Err(unsupported(&best)),
        }
    }

    fn of_h264(config: &EncoderConfig, has: impl Fn(&str) -> bool) -> Result<Self, PipelineError> {
        let need = |factory: &'static str| match has(factory) {
            true => Ok(factory.to_owned()),
            false => Err(PipelineError::Missing(factory, BAD)),
        };
        match config.encoder {
            Encoder::X264 | Encoder::Openh264 => Ok(Self {
                decoder: SOFTWARE_DECODERS[0].to_owned(),
                converter: "videoconvert".to_owned(),
                upload: None,
                hevc: None,
                scaler: SCALER.to_owned(),
                encoder: config.encoder.element().0.to_owned(),
                raw: "video/x-raw,format=I420",
            }),
            Encoder::Nvh264 => {
                let (converter, scaler, raw) = match () {
                    () if has("cudaconvertscale") => ("cudaconvertscale", "cudaconvertscale", CUDA),
                    () if has("cudaconvert") && has("cudascale") => {
                        ("cudaconvert", "cudascale", CUDA)
                    }
                    () => ("videoconvert", "videoscale", IN_MEMORY),
                };
                let encoder = match raw == CUDA && has("nvcudah264enc") {
                    true => "nvcudah264enc".to_owned(),
                    false => need("nvh264enc")?,
                };
                Ok(Self {
                    decoder: need("nvh264dec")?,
                    converter: converter.to_owned(),
                    upload: None,
                    hevc: None,
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
                    upload: None,
                    hevc: None,
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

/// For want of an element that only HEVC takes.
fn unsupported(element: &str) -> PipelineError {
    PipelineError::Unsupported(format!("HEVC takes the GStreamer element {element}"))
}

/// More pictures than the GOP of any segment has, for those that know no endless one.
const VA_LONGEST_GOP: &str = "1024";

/// How an encoder on a GPU is set; what its version does not know is left out.
pub(super) fn settings(
    config: &EncoderConfig,
    spec: &RenditionSpec,
    shape: &Shape,
    bits: u32,
) -> Vec<(&'static str, String)> {
    let kbits = (bits / 1000).max(1).to_string();
    // One B-frame or two that none refers to: reordered by one.
    let b_frames = if spec.reorder_depth(shape) > 0 {
        "2"
    } else {
        "0"
    };
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
        Chain::of(&config, &Wanted::LEAST, |name| elements.contains(&name))
    }

    #[test]
    fn hevc_takes_elements_of_its_own() {
        let of = |encoder, has: &[&str]| {
            let config = EncoderConfig {
                encoder,
                ..EncoderConfig::default()
            };
            let chain = Chain::of(&config, &Wanted::HEVC, |name| has.contains(&name))?;
            Ok::<_, PipelineError>((chain.decoder, chain.upload, chain.hevc.unwrap()))
        };
        let some = |decoder: &str, upload: Option<&str>, encoder: &str| {
            let upload = upload.map(str::to_owned);
            Ok((decoder.to_owned(), upload, encoder.to_owned()))
        };
        let cpu = ["avdec_h265", "x265enc"];
        assert_eq!(of(Encoder::X264, &cpu), some("avdec_h265", None, "x265enc"));
        let without = of(Encoder::X264, &cpu[..1]).unwrap_err();
        assert_eq!(without.code().status(), 415, "{without}");
        let nvidia = ["nvh264dec", "nvh264enc", "nvh265dec", "nvh265enc"];
        assert_eq!(
            of(Encoder::Nvh264, &nvidia),
            some("nvh265dec", None, "nvh265enc")
        );
        let va = [
            "vah264dec",
            "vapostproc",
            "vah264enc",
            "vah265enc",
            "avdec_h265",
        ];
        let expected = some("avdec_h265", Some("vapostproc"), "vah265enc");
        assert_eq!(of(Encoder::Vah264, &va), expected);
    }

    #[test]
    fn what_a_gpu_may_not_decode_is_decoded_on_the_cpu() {
        let there = ["nvh264dec", "nvh264enc", "cudaconvertscale"];
        let of = |encoder, has: &[&str]| {
            let config = EncoderConfig {
                encoder,
                ..EncoderConfig::default()
            };
            let wanted = Wanted {
                simple: false,
                ..Wanted::LEAST
            };
            let chain = Chain::of(&config, &wanted, |name| has.contains(&name)).unwrap();
            (chain.decoder, chain.converter, chain.upload, chain.raw)
        };
        let expected = |upload: Option<&str>, raw| {
            let upload = upload.map(str::to_owned);
            (
                SOFTWARE_DECODERS[0].to_owned(),
                "videoconvert".to_owned(),
                upload,
                raw,
            )
        };
        assert_eq!(
            of(Encoder::Nvh264, &there),
            expected(Some("cudaupload"), CUDA)
        );
        let bare = &there[..2];
        assert_eq!(
            of(Encoder::Nvh264, bare),
            expected(Some("identity"), IN_MEMORY)
        );
        let va = ["vah264dec", "vapostproc", "vah264enc"];
        assert_eq!(of(Encoder::Vah264, &va), expected(Some("vapostproc"), VA));
        let (.., upload, raw) = of(Encoder::X264, &[]);
        assert_eq!((upload, raw), (None, "video/x-raw,format=I420"));
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
