//! AAC: the configuration that precedes it and the ADTS header that frames it in MPEG-TS.
//!
//! RTMP carries raw AAC frames and, once, an AudioSpecificConfig; MPEG-TS carries each frame
//! behind a seven-byte ADTS header. [`AudioConfig`] is what both sides mean. Only what ADTS
//! can express is accepted, so that a stream that was taken in can always be served.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use bytes::Bytes;

use crate::media::AudioConfig;

/// Bytes of an ADTS header without checksum, the one that is written.
pub const ADTS_HEADER: usize = 7;
/// The most bytes of one raw frame that an ADTS header can announce.
pub const MAX_FRAME: usize = 8191 - ADTS_HEADER;

/// Samples a second by `samplingFrequencyIndex`.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// An index that says: the rate follows in 24 bits.
const EXPLICIT_RATE: u32 = 15;
const AAC_LC: u8 = 2;
const SBR: u8 = 5;
const PARAMETRIC_STEREO: u8 = 29;

/// Why bytes are not AAC that Rackcast can carry. The input is at fault: a retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AacError {
    /// The input ends inside of the configuration or of a frame.
    #[error("the {0} is cut short")]
    Truncated(&'static str),
    /// An object type that ADTS cannot name.
    #[error("AAC object type {0} is not supported; send AAC-LC or HE-AAC")]
    ObjectType(u8),
    /// A sample rate that ADTS cannot name.
    #[error("{0} samples a second are not supported; send 48000 or 44100")]
    SampleRate(u32),
    /// A channel configuration that ADTS cannot name.
    #[error("AAC channel configuration {0} is not supported; send mono, stereo or 5.1")]
    Channels(u8),
    /// Frames of 960 samples, as in digital radio.
    #[error("AAC frames of 960 samples are not supported; send frames of 1024")]
    FrameLength,
    /// No ADTS header where one should be.
    #[error("there is no ADTS header where a frame should begin")]
    NoSync,
}

/// Reads an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
///
/// HE-AAC is reported as object type 5 with the rate of its core codec.
///
/// # Errors
/// A configuration that is cut short, or that ADTS cannot express.
pub fn parse_audio_specific_config(asc: &[u8]) -> Result<AudioConfig, AacError> {
    let mut bits = Bits { bytes: asc, at: 0 };
    let mut object_type = bits.object_type()?;
    let sample_rate = bits.sample_rate()?;
    let channels = bits.channels()?;
    let mut core = object_type;
    if matches!(object_type, SBR | PARAMETRIC_STEREO) {
        // Explicit signalling: the extension's rate, then the core's object type.
        bits.sample_rate()?;
        core = bits.object_type()?;
        object_type = SBR;
    }
    if !(1..=4).contains(&core) {
        return Err(AacError::ObjectType(core));
    }
    if bits.take(1)? == 1 {
        return Err(AacError::FrameLength);
    }
    if !SAMPLE_RATES.contains(&sample_rate) {
        return Err(AacError::SampleRate(sample_rate));
    }
    Ok(AudioConfig {
        asc: Bytes::copy_from_slice(asc),
        object_type,
        sample_rate,
        channels,
    })
}

/// The codec as `CODECS` of a playlist names it (RFC 6381): `mp4a.40.2`.
pub fn codec_string(config: &AudioConfig) -> String {
    format!("mp4a.40.{}", config.object_type)
}

/// The ADTS header of a raw frame of `len` bytes; `None` if it is longer than [`MAX_FRAME`] or
/// the configuration is not one that [`parse_audio_specific_config`] yields.
pub fn adts_header(config: &AudioConfig, len: usize) -> Option<[u8; ADTS_HEADER]> {
    let rate = SAMPLE_RATES.iter().position(|&r| r == config.sample_rate)?;
    let rate = u8::try_from(rate).ok()?;
    let channels = match config.channels {
        n @ 1..=6 => n,
        8 => 7,
        _ => return None,
    };
    let core = match config.object_type {
        SBR => AAC_LC,
        n @ 1..=4 => n,
        _ => return None,
    };
    if len > MAX_FRAME {
        return None;
    }
    let [_, _, high, low] = u32::try_from(len.saturating_add(ADTS_HEADER))
        .ok()?
        .to_be_bytes();
    Some([
        0xff,
        0xf1, // MPEG-4, no checksum
        (core.saturating_sub(1) << 6) | (rate << 2) | (channels >> 2),
        (channels << 6) | (high >> 3),
        (high << 5) | (low >> 3),
        (low << 5) | 0x1f, // buffer fullness: variable rate
        0xfc,
    ])
}

/// One frame that stands behind an ADTS header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdtsFrame {
    /// AAC object type.
    pub object_type: u8,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
    /// Bytes of the header, 7 or 9.
    pub header: usize,
    /// Bytes of header and frame together; more than `header`.
    pub len: usize,
}

impl AdtsFrame {
    /// Reads the header at the front of `bytes`; `None` if more bytes are needed to tell.
    ///
    /// # Errors
    /// No sync word, a reserved rate, no channel count, or a length that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, AacError> {
        let &[a, b, c, d, e, f, _, ..] = bytes else {
            let sync = bytes.first().is_none_or(|&a| a == 0xff)
                && bytes.get(1).is_none_or(|&b| b & 0xf6 == 0xf0);
            return if sync {
                Ok(None)
            } else {
                Err(AacError::NoSync)
            };
        };
        // Twelve bits of sync and the layer, always 0.
        if a != 0xff || b & 0xf6 != 0xf0 {
            return Err(AacError::NoSync);
        }
        let header = if b & 1 == 1 { ADTS_HEADER } else { 9 };
        let index = (c >> 2) & 0xf;
        let sample_rate = *SAMPLE_RATES
            .get(usize::from(index))
            .ok_or(AacError::NoSync)?;
        let channels = match ((c & 1) << 2) | (d >> 6) {
            0 => return Err(AacError::Channels(0)),
            7 => 8,
            n => n,
        };
        let len = (usize::from(d & 3) << 11) | (usize::from(e) << 3) | usize::from(f >> 5);
        if len <= header {
            return Err(AacError::NoSync);
        }
        Ok(Some(Self {
            object_type: (c >> 6).saturating_add(1),
            sample_rate,
            channels,
            header,
            len,
        }))
    }

    /// The configuration that this header stands for.
    pub fn config(&self) -> AudioConfig {
        let rate = SAMPLE_RATES
            .iter()
            .position(|&r| r == self.sample_rate)
            .unwrap_or(0);
        let rate = u8::try_from(rate).unwrap_or(0);
        let channels = if self.channels == 8 { 7 } else { self.channels };
        let asc = [
            (self.object_type << 3) | (rate >> 1),
            (rate << 7) | (channels << 3),
        ];
        AudioConfig {
            asc: Bytes::copy_from_slice(&asc),
            object_type: self.object_type,
            sample_rate: self.sample_rate,
            channels: self.channels,
        }
    }
}

/// Reads bits, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<u32, AacError> {
        let mut value = 0u32;
        for _ in 0..count {
            let byte = *self
                .bytes
                .get(self.at / 8)
                .ok_or(AacError::Truncated("configuration"))?;
            value = (value << 1) | u32::from((byte << (self.at % 8)) >> 7);
            self.at = self.at.saturating_add(1);
        }
        Ok(value)
    }

    fn object_type(&mut self) -> Result<u8, AacError> {
        let value = match self.take(5)? {
            31 => self.take(6)?.saturating_add(32),
            n => n,
        };
        Ok(u8::try_from(value).unwrap_or(u8::MAX))
    }

    fn sample_rate(&mut self) -> Result<u32, AacError> {
        match self.take(4)? {
            EXPLICIT_RATE => self.take(24),
            n => {
                let index = usize::try_from(n).unwrap_or(usize::MAX);
                SAMPLE_RATES
                    .get(index)
                    .copied()
                    .ok_or(AacError::SampleRate(0))
            }
        }
    }

    fn channels(&mut self) -> Result<u8, AacError> {
        match u8::try_from(self.take(4)?).unwrap_or(0) {
            n @ 1..=6 => Ok(n),
            7 => Ok(8),
            n => Err(AacError::Channels(n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_high_efficiency_configurations() {
        let lc = parse_audio_specific_config(&[0x12, 0x10]).unwrap();
        assert_eq!(
            (lc.object_type, lc.sample_rate, lc.channels),
            (2, 44_100, 2)
        );
        assert_eq!(codec_string(&lc), "mp4a.40.2");
        // Object type 5, 24 kHz core, stereo, 48 kHz, core type 2.
        let he = parse_audio_specific_config(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!(
            (he.object_type, he.sample_rate, he.channels),
            (5, 24_000, 2)
        );
    }

    #[test]
    fn what_adts_cannot_say_is_refused() {
        assert_eq!(
            parse_audio_specific_config(&[0x12]),
            Err(AacError::Truncated("configuration"))
        );
        assert_eq!(
            parse_audio_specific_config(&[0x12, 0x00]),
            Err(AacError::Channels(0))
        );
        assert_eq!(
            parse_audio_specific_config(&[0x3a, 0x10]),
            Err(AacError::ObjectType(7))
        );
        assert_eq!(
            parse_audio_specific_config(&[0x12, 0x14]),
            Err(AacError::FrameLength)
        );
    }

    #[test]
    fn headers_round_trip() {
        for asc in [[0x12u8, 0x10], [0x11, 0x88], [0x14, 0x38], [0x0a, 0x30]] {
            let config = parse_audio_specific_config(&asc).unwrap();
            let header = adts_header(&config, 371).unwrap();
            let frame = AdtsFrame::parse(&header).unwrap().unwrap();
            assert_eq!((frame.header, frame.len), (7, 378));
            assert_eq!(frame.config(), config);
        }
    }
}
