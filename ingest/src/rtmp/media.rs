//! From FLV tags to what the rest of the ingest knows: access units and audio frames.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rackcast_segment::aac::{AacError, parse_audio_specific_config};
use rackcast_segment::h264::{
    AvcConfig, H264Error, avcc_to_annex_b, has_picture, is_idr, parse_avc_decoder_config,
};
use rackcast_segment::media::{AccessUnit, AudioConfig, AudioFrame, MediaEvent, VideoConfig};
use rackcast_segment::time::{Ticks, Timestamp};

use super::clock::{Clock, SampleGrid, Track};
use super::coding::Coding;
use super::flv::{self, FlvError};

/// The furthest that a picture may be shown before it is decoded, in milliseconds: some
/// publishers shift no DTS to make room for B-frames.
const MIN_COMPOSITION: i32 = -1_000;
/// The furthest that a picture may be shown after it is decoded, in milliseconds.
const MAX_COMPOSITION: i32 = 10_000;

/// Why a publisher is sent away; the text is meant for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// A codec that is not served.
    #[error(transparent)]
    Codec(FlvError),
    /// A video configuration that cannot be used.
    #[error("the H.264 configuration cannot be used: {0}")]
    Video(#[from] H264Error),
    /// An audio configuration that cannot be used.
    #[error("the AAC configuration cannot be used: {0}")]
    Audio(#[from] AacError),
}

/// Something that was mended or dropped; the publication goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// Dropped.
    #[error("video before its configuration is dropped")]
    VideoBeforeConfig,
    /// Dropped.
    #[error("audio before its configuration is dropped")]
    AudioBeforeConfig,
    /// Dropped.
    #[error("a malformed message is dropped: {0}")]
    Malformed(String),
    /// Dropped: it has no place on the timeline.
    #[error("an audio frame is dropped: the publisher sends more sound than time passes")]
    AudioAhead,
    /// Mended: samples after it follow on those before.
    #[error("the publisher's {track} clock was set anew; moved by {} s to follow on", by.seconds())]
    ClockStep {
        /// `audio` or `video`.
        track: &'static str,
        /// What is added to the publisher's time from here on, in addition.
        by: Ticks,
    },
    /// Mended: all pictures from here on are shown later.
    #[error("pictures shown before they are decoded; all are shown {} s later", .0.seconds())]
    Shifted(Ticks),
}

impl Notice {
    /// A stable word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::VideoBeforeConfig => "video-before-config",
            Self::AudioBeforeConfig => "audio-before-config",
            Self::Malformed(_) => "malformed",
            Self::AudioAhead => "audio-ahead",
            Self::ClockStep { .. } => "clock-step",
            Self::Shifted(_) => "composition-shift",
        }
    }
}

/// What a message became.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Goes to the stream.
    Media(MediaEvent),
    /// Goes to the log.
    Notice(Notice),
}

impl From<Notice> for Output {
    fn from(notice: Notice) -> Self {
        Self::Notice(notice)
    }
}

/// One publication's tracks.
#[derive(Debug)]
pub struct Media {
    clock: Clock,
    max_picture: usize,
    video: Option<Coding>,
    video_track: Track,
    last_dts: Option<Timestamp>,
    shift: Ticks,
    audio: Option<(AudioConfig, SampleGrid)>,
    audio_track: Track,
}

impl Media {
    /// `max_picture` bounds an access unit in bytes; `max_gap` is as in [`Clock::new`].
    pub fn new(max_picture: usize, max_gap: Duration) -> Self {
        Self {
            clock: Clock::new(max_gap),
            max_picture,
            video: None,
            video_track: Track::default(),
            last_dts: None,
            shift: Ticks(0),
            audio: None,
            audio_track: Track::default(),
        }
    }

    /// Takes a video message.
    ///
    /// # Errors
    /// [`MediaError`]: the publisher sends what cannot be served.
    pub fn video(
        &mut self,
        timestamp: u32,
        tag: &Bytes,
        out: &mut VecDeque<Output>,
    ) -> Result<(), MediaError> {
        match flv::video(tag) {
            Ok(flv::Video::Config(record)) => match parse_avc_decoder_config(&record) {
                Ok(record) => self.video_config(record, out),
                // What is in force stays.
                Err(error) if self.video.is_some() || record.is_empty() => {
                    out.push_back(malformed(&error));
                }
                Err(error) => return Err(error.into()),
            },
            Ok(flv::Video::Picture { composition, data }) => {
                self.picture(timestamp, composition, &data, out);
            }
            Ok(flv::Video::Nothing) => {}
            Err(FlvError::Truncated) => out.push_back(malformed(&FlvError::Truncated)),
            Err(unsupported) => return Err(MediaError::Codec(unsupported)),
        }
        Ok(())
    }

    fn video_config(&mut self, record: AvcConfig, out: &mut VecDeque<Output>) {
        let announce = match &mut self.video {
            Some(coding) => coding.record(record),
            None => {
                let video = record.video.clone();
                self.video = Some(Coding::new(record));
                Ok(Some(video))
            }
        };
        announced(announce, out);
    }

    fn picture(
        &mut self,
        timestamp: u32,
        composition: i32,
        data: &[u8],
        out: &mut VecDeque<Output>,
    ) {
        let Some(coding) = &mut self.video else {
            return out.push_back(Notice::VideoBeforeConfig.into());
        };
        if !(MIN_COMPOSITION..=MAX_COMPOSITION).contains(&composition) {
            let what = format!("a composition time of {composition} ms");
            return out.push_back(malformed(&what));
        }
        let data = match avcc_to_annex_b(data, coding.length_size(), self.max_picture) {
            Ok(data) => data.freeze(),
            Err(error) => return out.push_back(malformed(&error)),
        };
        if let Err(error) = coding.learn(&data) {
            out.push_back(malformed(&error));
        }
        if !has_picture(&data) {
            return;
        }
        let idr = is_idr(&data);
        let data = if idr {
            announced(coding.idr(&data), out);
            coding.complete(data)
        } else {
            data
        };

        let placed = self.clock.place(&mut self.video_track, timestamp);
        step("video", placed.step, out);
        let dts = match self.last_dts {
            Some(last) => placed.at.max(last + Ticks(1)),
            None => placed.at,
        };
        self.last_dts = Some(dts);
        let composition = Ticks::from_millis(i64::from(composition));
        if composition + self.shift < Ticks(0) {
            self.shift = Ticks(0) - composition;
            out.push_back(Notice::Shifted(self.shift).into());
        }
        let pts = (placed.at + composition + self.shift).max(dts);
        let picture = AccessUnit {
            pts,
            dts,
            idr,
            data,
        };
        out.push_back(Output::Media(MediaEvent::Video(picture)));
    }

    /// Takes an audio message.
    ///
    /// # Errors
    /// [`MediaError`]: the publisher sends what cannot be served.
    pub fn audio(
        &mut self,
        timestamp: u32,
        tag: &Bytes,
        out: &mut VecDeque<Output>,
    ) -> Result<(), MediaError> {
        match flv::audio(tag) {
            Ok(flv::Audio::Config(asc)) => match parse_audio_specific_config(&asc) {
                Ok(config) => self.audio_config(config, out),
                Err(error) if self.audio.is_some() || asc.is_empty() => {
                    out.push_back(malformed(&error));
                }
                Err(error) => return Err(error.into()),
            },
            Ok(flv::Audio::Frame(data)) => {
                let Some((_, grid)) = &mut self.audio else {
                    out.push_back(Notice::AudioBeforeConfig.into());
                    return Ok(());
                };
                let placed = self.clock.place(&mut self.audio_track, timestamp);
                step("audio", placed.step, out);
                out.push_back(match grid.place(placed.at) {
                    Some(pts) => Output::Media(MediaEvent::Audio(AudioFrame { pts, data })),
                    None => Notice::AudioAhead.into(),
                });
            }
            Ok(flv::Audio::Nothing) => {}
            Err(FlvError::Truncated) => out.push_back(malformed(&FlvError::Truncated)),
            Err(unsupported) => return Err(MediaError::Codec(unsupported)),
        }
        Ok(())
    }

    fn audio_config(&mut self, config: AudioConfig, out: &mut VecDeque<Output>) {
        let known = self.audio.as_ref();
        if known.is_none_or(|(known, _)| *known != config) {
            out.push_back(Output::Media(MediaEvent::AudioConfig(config.clone())));
            let grid = SampleGrid::new(config.sample_rate);
            self.audio = Some((config, grid));
        }
    }
}

/// What an attempt to follow the pictures' coding is to tell.
fn announced(video: Result<Option<VideoConfig>, H264Error>, out: &mut VecDeque<Output>) {
    match video {
        Ok(Some(video)) => out.push_back(Output::Media(MediaEvent::VideoConfig(video))),
        Ok(None) => {}
        Err(error) => out.push_back(malformed(&error)),
    }
}

fn step(track: &'static str, by: Option<Ticks>, out: &mut VecDeque<Output>) {
    if let Some(by) = by {
        out.push_back(Notice::ClockStep { track, by }.into());
    }
}

fn malformed(what: &impl ToString) -> Output {
    Notice::Malformed(what.to_string()).into()
}
