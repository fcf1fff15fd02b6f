//! Which encoder a worker has, and how it is set.

use rackcast_segment::rate::EncoderName;
use serde::Deserialize;

/// An H.264 encoder, and what goes with it where HEVC is asked for: x265 with those of the CPU, the
/// GPU's own else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Default, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Encoder {
    /// x264: the better picture, B-frames, the default.
    #[default]
    X264,
    /// openh264: no B-frames; where x264's licence does not fit, and as the unlike neighbour
    /// in tests.
    Openh264,
    /// An NVIDIA GPU's.
    Nvh264,
    /// That of a GPU with VA-API.
    Vah264,
}

/// How encoders are set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Which one.
    pub encoder: Encoder,
    /// Threads of one encoder. More than one costs up to 3 % of CPU and takes 10 % off the
    /// time that a segment takes.
    pub threads: u32,
    /// x264's preset, `ultrafast` to `placebo`.
    pub preset: String,
    /// The number of the render node that it is on, with VA-API.
    #[serde(skip)]
    pub render_node: Option<u32>,
}

impl Encoder {
    /// As it stands in the configuration and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X264 => "x264",
            Self::Openh264 => "openh264",
            Self::Nvh264 => "nvh264",
            Self::Vah264 => "vah264",
        }
    }

    /// The element and the package that brings it.
    pub(super) fn element(self) -> (&'static str, &'static str) {
        match self {
            Self::X264 => ("x264enc", "gstreamer1.0-plugins-ugly"),
            Self::Openh264 => ("openh264enc", "gstreamer1.0-plugins-bad"),
            Self::Nvh264 => ("nvh264enc", "gstreamer1.0-plugins-bad"),
            Self::Vah264 => ("vah264enc", "gstreamer1.0-plugins-bad"),
        }
    }

    /// It needs no GPU.
    pub fn is_of_cpu(self) -> bool {
        matches!(self, Self::X264 | Self::Openh264)
    }

    /// Whether a flush leaves it as new. openh264enc 1.22 goes on with the old sequence: the
    /// next segment would not begin with an IDR. Those of GPUs were never run: they have a new
    /// pipeline for each segment, which is slower and cannot be wrong.
    pub fn is_reusable(self) -> bool {
        self == Self::X264
    }
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            encoder: Encoder::X264,
            threads: 1,
            preset: "veryfast".to_owned(),
            render_node: None,
        }
    }
}

impl EncoderConfig {
    /// Says what is wrong with the values, if anything is.
    pub fn check(&self) -> Result<(), String> {
        const PRESETS: [&str; 10] = [
            "ultrafast",
            "superfast",
            "veryfast",
            "faster",
            "fast",
            "medium",
            "slow",
            "slower",
            "veryslow",
            "placebo",
        ];
        if !PRESETS.contains(&self.preset.as_str()) {
            return Err(format!(
                "preset {:?} is none of {}",
                self.preset,
                PRESETS.join(", ")
            ));
        }
        if !self.encoder.is_of_cpu() {
            return Err(format!(
                "encoder {} is a GPU's; declare the GPU as a [[device]]",
                self.encoder.as_str()
            ));
        }
        if !(1..=64).contains(&self.threads) {
            return Err("threads must be between 1 and 64".to_owned());
        }
        Ok(())
    }

    /// What tells the bits of this encoder apart from those of another at the same quality; `None` of one
    /// that is told a bit rate.
    pub fn rate_name(&self) -> Option<EncoderName> {
        let name = format!("{}/{}", self.encoder.as_str(), self.preset);
        Some(name)
            .filter(|_| self.encoder == Encoder::X264)
            .and_then(|name| name.parse().ok())
    }
}
