//! The kinds of devices.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pipeline::Encoder;

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Cores of this machine.
    Cpu,
    /// An NVIDIA GPU, by NVDEC, CUDA and NVENC.
    Nvidia,
    /// A GPU of Intel or AMD, by VA-API.
    Vaapi,
    /// One that only takes time, for tests.
    Simulated,
}

impl Kind {
    /// As it stands in the configuration, in names and tags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Nvidia => "nvidia",
            Self::Vaapi => "vaapi",
            Self::Simulated => "simulated",
        }
    }

    /// The encoders that it has, the default first.
    pub fn encoders(self) -> &'static [Encoder] {
        match self {
            Self::Cpu => &[Encoder::X264, Encoder::Openh264],
            Self::Nvidia => &[Encoder::Nvh264],
            Self::Vaapi => &[Encoder::Vah264],
            Self::Simulated => &[],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
