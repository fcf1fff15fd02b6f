//! What a segment's pictures are coded in, and all that hangs on it where no picture is decoded.

use crate::h264::{self, H264Error};
use crate::h265::{self, H265Error};
use crate::media::{Codec, VideoFormat};

/// Why parameter sets are of no use. The input is at fault: a retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Those of H.264.
    #[error(transparent)]
    H264(#[from] H264Error),
    /// Those of HEVC.
    #[error(transparent)]
    Hevc(#[from] H265Error),
}

impl CodecError {
    /// They are legal, and say what no decoder here takes.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::H264(H264Error::Unsupported(_)) | Self::Hevc(H265Error::Unsupported(_))
        )
    }
}

impl Codec {
    /// Whether nothing after the access unit refers to anything before it.
    pub fn is_idr(self, annex_b: &[u8]) -> bool {
        match self {
            Self::H264 => h264::is_idr(annex_b),
            Self::Hevc => {
                let mut kinds = h264::headers(annex_b).map(h265::NalType::of);
                kinds.find(|kind| kind.is_picture()) == Some(h265::NalType::Idr)
            }
        }
    }

    /// Whether the access unit holds a picture at all.
    pub fn has_picture(self, annex_b: &[u8]) -> bool {
        match self {
            Self::H264 => h264::has_picture(annex_b),
            Self::Hevc => h264::headers(annex_b).any(|h| h265::NalType::of(h).is_picture()),
        }
    }

    /// Whether a NAL unit, by its first byte, is a sequence parameter set.
    pub fn is_sps(self, header: u8) -> bool {
        match self {
            Self::H264 => h264::NalType::of(header) == h264::NalType::Sps,
            Self::Hevc => h265::NalType::of(header) == h265::NalType::Sps,
        }
    }

    /// Whether a NAL unit, by its first byte, is an access unit delimiter.
    pub fn is_delimiter(self, header: u8) -> bool {
        match self {
            Self::H264 => h264::NalType::of(header) == h264::NalType::Delimiter,
            Self::Hevc => h265::NalType::of(header) == h265::NalType::Delimiter,
        }
    }

    /// An access unit delimiter that allows for slices of any kind, with its start code.
    pub fn delimiter(self) -> &'static [u8] {
        match self {
            Self::H264 => &[0, 0, 0, 1, 9, 0xf0],
            Self::Hevc => &[0, 0, 0, 1, 0x46, 1, 0x50],
        }
    }

    /// The access unit without the delimiter that may stand in front.
    pub fn strip_delimiter(self, annex_b: &[u8]) -> &[u8] {
        h264::strip(annex_b, |header| self.is_delimiter(header))
    }

    /// The parameter sets in front of the first slice that a decoder cannot begin without, each by its
    /// name and as far as it is there.
    pub fn parameter_sets(self, annex_b: &[u8]) -> Vec<(&'static str, Option<&[u8]>)> {
        if self == Self::H264 {
            let (sps, pps) = h264::parameter_sets(annex_b);
            return vec![("SPS", sps), ("PPS", pps)];
        }
        let kind = |nal: &[u8]| nal.first().map(|header| h265::NalType::of(*header));
        let before = || {
            h264::nal_units(annex_b).take_while(|nal| !kind(nal).is_some_and(|k| k.is_picture()))
        };
        let find = |wanted| before().find(|nal| kind(nal) == Some(wanted));
        vec![
            ("SPS", find(h265::NalType::Sps)),
            ("PPS", find(h265::NalType::Pps)),
            ("VPS", find(h265::NalType::Vps)),
        ]
    }

    /// Reads a sequence parameter set: one NAL unit without start code.
    ///
    /// # Errors
    /// [`h264::parse_sps`], [`h265::parse_sps`].
    pub fn parse_sps(self, nal: &[u8]) -> Result<VideoFormat, CodecError> {
        Ok(match self {
            Self::H264 => h264::parse_sps(nal)?,
            Self::Hevc => h265::parse_sps(nal)?,
        })
    }

    /// The same, and finds fault with all that the standard does.
    ///
    /// # Errors
    /// [`h264::check_sps`], [`h265::parse_sps`].
    pub fn check_sps(self, nal: &[u8]) -> Result<VideoFormat, CodecError> {
        Ok(match self {
            Self::H264 => h264::check_sps(nal)?,
            Self::Hevc => h265::parse_sps(nal)?,
        })
    }
}

impl VideoFormat {
    /// As `CODECS` of a playlist names it.
    pub fn codec_string(&self) -> String {
        match self.codec {
            Codec::H264 => h264::codec_string(self),
            Codec::Hevc => h265::codec_string(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_told_by_their_own_headers() {
        let h264 = [
            0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 1, 0, 0, 1, 0x65, 2,
        ];
        let hevc = [
            0, 0, 0, 1, 0x46, 1, 0x50, 0, 0, 1, 0x40, 1, 7, 0, 0, 1, 0x42, 1, 7, 0, 0, 1, 0x44, 1,
            7, 0, 0, 1, 0x26, 1, 2,
        ];
        for (codec, au, sets) in [(Codec::H264, &h264[..], 2), (Codec::Hevc, &hevc[..], 3)] {
            assert!(codec.is_idr(au) && codec.has_picture(au));
            let stripped = codec.strip_delimiter(au);
            assert_eq!(stripped.len(), au.len() - codec.delimiter().len());
            let found = codec.parameter_sets(au);
            assert_eq!(found.len(), sets);
            assert!(found.iter().all(|(_, set)| set.is_some()), "{found:?}");
        }
        assert!(!Codec::Hevc.is_idr(&[0, 0, 1, 0x2a, 1, 2]), "CRA");
        assert!(Codec::Hevc.has_picture(&[0, 0, 1, 0x2a, 1, 2]));
    }
}
