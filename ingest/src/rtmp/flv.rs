//! The bodies of audio and video messages: FLV tags, plain and in the form of Enhanced RTMP.
//!
//! H.264 and AAC in either form are taken. Every other codec has a name here, so that a
//! publisher that sends one is told which.

use bytes::{Buf, Bytes};

/// What a video message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Video {
    /// An `AVCDecoderConfigurationRecord`.
    Config(Bytes),
    /// A picture.
    Picture {
        /// Presentation minus decoding time, in milliseconds.
        composition: i32,
        /// NAL units with length prefixes.
        data: Bytes,
    },
    /// Nothing to be decoded: the end of a sequence, a command to a player, metadata.
    Nothing,
}

/// What an audio message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audio {
    /// An `AudioSpecificConfig`.
    Config(Bytes),
    /// One raw AAC frame.
    Frame(Bytes),
    /// Nothing to be decoded.
    Nothing,
}

/// Why a tag is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// The tag ends inside its header.
    #[error("an FLV tag is cut short")]
    Truncated,
    /// A codec, or a use of one, that is not served: say so to the publisher.
    #[error("{0} is not supported; publish H.264 video with AAC audio")]
    Unsupported(String),
}

fn unsupported(what: impl Into<String>) -> FlvError {
    FlvError::Unsupported(what.into())
}

/// Reads a video message.
///
/// # Errors
/// [`FlvError`].
pub fn video(tag: &Bytes) -> Result<Video, FlvError> {
    const COMMAND_FRAME: u8 = 5;
    let mut rest = tag.clone();
    let Ok(first) = rest.try_get_u8() else {
        // Some publishers send an empty tag to keep the connection alive.
        return Ok(Video::Nothing);
    };
    if first & 0x80 != 0 {
        return enhanced_video(first & 0x0f, (first >> 4) & 0x07, rest);
    }
    match (first & 0x0f, first >> 4) {
        (7, COMMAND_FRAME) => Ok(Video::Nothing),
        (7, _) => match rest.try_get_u8().map_err(|_| FlvError::Truncated)? {
            0 => {
                composition(&mut rest)?;
                Ok(Video::Config(rest))
            }
            1 => picture(rest),
            _ => Ok(Video::Nothing),
        },
        (2, _) => Err(unsupported("Sorenson H.263 video")),
        (3 | 6, _) => Err(unsupported("Screen video")),
        (4 | 5, _) => Err(unsupported("VP6 video")),
        (12, _) => Err(unsupported("HEVC (H.265) video")),
        (13, _) => Err(unsupported("AV1 video")),
        (id, _) => Err(unsupported(format!("video codec {id}"))),
    }
}

fn enhanced_video(packet: u8, frame: u8, mut rest: Bytes) -> Result<Video, FlvError> {
    const METADATA: u8 = 4;
    match packet {
        6 => return Err(unsupported("multitrack video")),
        7 => return Err(unsupported("a modified video packet (ModEx)")),
        _ => {}
    }
    if frame == 5 && packet != METADATA {
        return Ok(Video::Nothing);
    }
    match &fourcc(&mut rest)? {
        b"avc1" => match packet {
            0 => Ok(Video::Config(rest)),
            1 => picture(rest),
            3 => Ok(Video::Picture {
                composition: 0,
                data: rest,
            }),
            2 | METADATA => Ok(Video::Nothing),
            other => Err(unsupported(format!("video packet type {other}"))),
        },
        b"hvc1" => Err(unsupported("HEVC (H.265) video")),
        b"av01" => Err(unsupported("AV1 video")),
        b"vp08" => Err(unsupported("VP8 video")),
        b"vp09" => Err(unsupported("VP9 video")),
        b"vvc1" => Err(unsupported("VVC (H.266) video")),
        other => Err(unsupported(format!("video codec {}", other.escape_ascii()))),
    }
}

fn picture(mut rest: Bytes) -> Result<Video, FlvError> {
    let composition = composition(&mut rest)?;
    Ok(Video::Picture {
        composition,
        data: rest,
    })
}

/// Signed, 24 bits.
fn composition(rest: &mut Bytes) -> Result<i32, FlvError> {
    let value = rest.try_get_int(3).map_err(|_| FlvError::Truncated)?;
    i32::try_from(value).map_err(|_| FlvError::Truncated)
}

fn fourcc(rest: &mut Bytes) -> Result<[u8; 4], FlvError> {
    let code = rest.try_get_u32().map_err(|_| FlvError::Truncated)?;
    Ok(code.to_be_bytes())
}

/// Reads an audio message.
///
/// # Errors
/// [`FlvError`].
pub fn audio(tag: &Bytes) -> Result<Audio, FlvError> {
    let mut rest = tag.clone();
    let Ok(first) = rest.try_get_u8() else {
        return Ok(Audio::Nothing);
    };
    match first >> 4 {
        10 => match rest.try_get_u8().map_err(|_| FlvError::Truncated)? {
            0 => Ok(Audio::Config(rest)),
            1 => Ok(frame(rest)),
            _ => Ok(Audio::Nothing),
        },
        9 => enhanced_audio(first & 0x0f, rest),
        0 | 3 => Err(unsupported("PCM audio")),
        1 => Err(unsupported("ADPCM audio")),
        2 | 14 => Err(unsupported("MP3 audio")),
        4..=6 => Err(unsupported("Nellymoser audio")),
        7 | 8 => Err(unsupported("G.711 audio")),
        11 => Err(unsupported("Speex audio")),
        13 => Err(unsupported("Opus audio")),
        other => Err(unsupported(format!("audio codec {other}"))),
    }
}

fn enhanced_audio(packet: u8, mut rest: Bytes) -> Result<Audio, FlvError> {
    match packet {
        5 => return Err(unsupported("multitrack audio")),
        7 => return Err(unsupported("a modified audio packet (ModEx)")),
        _ => {}
    }
    match &fourcc(&mut rest)? {
        b"mp4a" => match packet {
            0 => Ok(Audio::Config(rest)),
            1 => Ok(frame(rest)),
            _ => Ok(Audio::Nothing),
        },
        b"Opus" => Err(unsupported("Opus audio")),
        b"fLaC" => Err(unsupported("FLAC audio")),
        b"ac-3" => Err(unsupported("AC-3 audio")),
        b"ec-3" => Err(unsupported("E-AC-3 audio")),
        b".mp3" => Err(unsupported("MP3 audio")),
        other => Err(unsupported(format!("audio codec {}", other.escape_ascii()))),
    }
}

fn frame(rest: Bytes) -> Audio {
    if rest.is_empty() {
        Audio::Nothing
    } else {
        Audio::Frame(rest)
    }
}
