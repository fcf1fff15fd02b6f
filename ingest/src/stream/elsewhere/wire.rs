//! What is said between the generation with the publisher and the one with the stream.

use std::net::SocketAddr;

use bytes::Bytes;
use rackcast_segment::id::StreamId;
use rackcast_segment::media::{
    AccessUnit, AudioConfig, AudioFrame, MediaEvent, VideoConfig, VideoFormat,
};
use rackcast_segment::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::publication::Ended;

/// First of all, from the one with the publisher.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    /// A publisher for this stream, which was let in.
    pub(super) stream: StreamId,
    /// Its address.
    pub(super) peer: SocketAddr,
}

/// The answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub(super) enum Answer {
    /// Send what it publishes.
    Welcome,
    /// The stream is not here.
    NotHere,
    /// It is here, and has a publisher that stays.
    Taken,
    /// It is here, and cannot take it now.
    Refused {
        /// For the publisher.
        why: String,
    },
}

/// One input after the other; media is the payload.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "kebab-case")]
pub(super) enum Message {
    /// The payload is the SPS; what a generation of an earlier version sends behind it is not needed.
    VideoConfig {
        format: VideoFormat,
        sps: usize,
    },
    /// The payload is the AudioSpecificConfig.
    AudioConfig {
        object_type: u8,
        sample_rate: u32,
        channels: u8,
    },
    Video {
        pts: Timestamp,
        dts: Timestamp,
        idr: bool,
    },
    Audio {
        pts: Timestamp,
    },
    /// The publisher ended the stream.
    Finish,
}

impl Message {
    /// An event as it is sent.
    pub(super) fn of(event: MediaEvent) -> (Self, Bytes) {
        match event {
            MediaEvent::VideoConfig(config) => {
                let (format, sps) = (config.format, config.sps.len());
                (Self::VideoConfig { format, sps }, config.sps)
            }
            MediaEvent::AudioConfig(config) => {
                let message = Self::AudioConfig {
                    object_type: config.object_type,
                    sample_rate: config.sample_rate,
                    channels: config.channels,
                };
                (message, config.asc)
            }
            MediaEvent::Video(AccessUnit {
                pts,
                dts,
                idr,
                data,
            }) => (Self::Video { pts, dts, idr }, data),
            MediaEvent::Audio(AudioFrame { pts, data }) => (Self::Audio { pts }, data),
        }
    }

    /// The event that came; `None`: the stream is over.
    pub(super) fn event(self, mut payload: Bytes) -> Option<MediaEvent> {
        Some(match self {
            Self::VideoConfig { format, sps } => {
                let sps = payload.split_to(sps.min(payload.len()));
                MediaEvent::VideoConfig(VideoConfig { sps, format })
            }
            Self::AudioConfig {
                object_type,
                sample_rate,
                channels,
            } => MediaEvent::AudioConfig(AudioConfig {
                asc: payload,
                object_type,
                sample_rate,
                channels,
            }),
            Self::Video { pts, dts, idr } => MediaEvent::Video(AccessUnit {
                pts,
                dts,
                idr,
                data: payload,
            }),
            Self::Audio { pts } => MediaEvent::Audio(AudioFrame { pts, data: payload }),
            Self::Finish => return None,
        })
    }
}

/// From the one with the stream: the publisher is to go.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Away {
    pub(super) taken_over: bool,
}

impl From<&Ended> for Away {
    fn from(why: &Ended) -> Self {
        Self {
            taken_over: *why == Ended::TakenOver,
        }
    }
}

impl From<Away> for Ended {
    fn from(away: Away) -> Self {
        if away.taken_over {
            Self::TakenOver
        } else {
            Self::Replaced
        }
    }
}
