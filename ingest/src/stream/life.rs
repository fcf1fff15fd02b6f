//! One epoch of a stream: what is fixed from its first segment on.
//!
//! Which tracks there are, which renditions, and the shape that every encoder must keep to. A
//! change of the pictures' format is carried within the epoch behind a discontinuity; tracks
//! that come or go make a new epoch, since the master playlist names them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rackcast_segment::id::{Epoch, StreamId, StreamToken};
use rackcast_segment::ladder::{Ladder, RenditionSpec};
use rackcast_segment::media::VideoConfig;
use rackcast_segment::shape::{Profile, REORDER_DEPTH, Ratio, Shape};
use rackcast_segment::wire::job::{JobSpec, Source};
use tokio_util::task::TaskTracker;

use super::parts::Parts;
use super::rates::Rates;
use super::{epoch, format, settle};
use crate::directory::Entered;
use crate::dispatch::{Lane, Order};
use crate::origin::{OriginStream, SegmentInfo, SourceVideo, StreamInfo};
use crate::segmenter::Segment;

/// An epoch of a stream.
pub(super) struct Life {
    token: StreamToken,
    epoch: Epoch,
    deadline_targets: f64,
    ladder: Ladder,
    tracks: Tracks,
    picture: Option<Picture>,
    rates: Rates,
    stream: Arc<OriginStream>,
    entered: Entered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tracks {
    video: bool,
    audio: bool,
}

impl Tracks {
    fn of(segment: &Segment) -> Self {
        Self {
            video: segment.video_config.is_some(),
            audio: segment.audio_config.is_some(),
        }
    }
}

/// What depends on the pictures' format.
struct Picture {
    config: Arc<VideoConfig>,
    rate: Ratio,
    shape: Shape,
    renditions: Vec<RenditionSpec>,
}

impl Picture {
    fn of(segment: &Segment, ladder: &Ladder, known: &[RenditionSpec]) -> Option<Self> {
        let config = segment.video_config.clone()?;
        let stated = config.format.frame_rate;
        let rate = format::frame_rate(segment.video.len(), segment.duration, stated);
        let renditions = format::renditions(ladder, known, &config.format, rate);
        let b_frames = renditions
            .iter()
            .any(|r| r.profile != Profile::ConstrainedBaseline);
        let pts: Vec<_> = segment.video.iter().map(|au| au.pts).collect();
        let depth = if b_frames { REORDER_DEPTH } else { 0 };
        let shape = Shape::choose(&config.format, &pts, depth);
        Some(Self {
            config,
            rate,
            shape,
            renditions,
        })
    }

    fn source(&self) -> SourceVideo {
        SourceVideo {
            format: self.config.format.clone(),
            frame_rate: Some(self.rate),
        }
    }

    fn job(&self, segment: &Segment, bytes: usize) -> Option<JobSpec> {
        let mut shown: Vec<_> = segment.video.iter().map(|au| au.pts).collect();
        shown.sort_unstable();
        let half = self.renditions.iter().find(|r| r.half_rate);
        let source = Source {
            format: self.config.format.clone(),
            frames: u32::try_from(segment.video.len()).ok()?,
            frame_rate: self.rate,
            first_pts: *shown.first()?,
            last_pts: *shown.last()?,
            last_half_pts: half.and_then(|r| r.pick(shown.iter().copied()).last()),
            duration: segment.duration,
            bytes: bytes as u64,
        };
        Some(JobSpec {
            source,
            renditions: self.renditions.clone(),
            shape: self.shape,
            rates: BTreeMap::new(),
        })
    }
}

impl Life {
    /// Begins an epoch with its first segment; `last` is the highest discontinuity number that
    /// another ingest had.
    pub(super) fn begin(
        id: &StreamId,
        epoch: Epoch,
        last: Option<u64>,
        ladder: &Ladder,
        first: &Segment,
        parts: &Parts,
    ) -> Self {
        let picture = Picture::of(first, ladder, &[]);
        let info = StreamInfo {
            video: picture.as_ref().map(Picture::source),
            audio: first.audio_config.clone(),
            ladder: picture
                .as_ref()
                .map(|p| p.renditions.clone())
                .unwrap_or_default(),
            sample_aspect: picture
                .as_ref()
                .map_or(Ratio::ONE, |p| p.shape.sample_aspect),
            target_duration: first.target_duration,
            first_sequence: first.sequence,
            first_discontinuity: epoch::first_discontinuity(epoch, last),
        };
        let token = token();
        log::info!(
            rackcast_stream = id.to_string(), rackcast_token = token.to_string(),
            rackcast_segment = first.sequence.0;
            "epoch {epoch} begins with {} renditions beside the source", info.ladder.len()
        );
        let settings = parts.settings.load();
        let stream = parts.origin.open(id.clone(), epoch, &info);
        let discontinuity = stream.discontinuity().unwrap_or(info.first_discontinuity);
        let directory = &parts.directory;
        Self {
            token,
            epoch,
            deadline_targets: settings.config.deadline_targets,
            rates: Rates::new(settings.config.rate, parts.metrics.rates.clone()),
            ladder: ladder.clone(),
            tracks: Tracks::of(first),
            stream,
            entered: directory.begin(id, epoch, first.sequence, discontinuity),
            picture,
        }
    }

    /// What transcode nodes call the stream, in their logs too.
    pub(super) fn token(&self) -> &StreamToken {
        &self.token
    }

    /// Names of the renditions that are made.
    pub(super) fn renditions(&self) -> Vec<String> {
        let made = self.picture.iter().flat_map(|picture| &picture.renditions);
        made.map(|rendition| rendition.name.to_string()).collect()
    }

    /// Whether a segment has the tracks of this epoch.
    pub(super) fn fits(&self, segment: &Segment) -> bool {
        self.tracks == Tracks::of(segment)
    }

    /// Publishes a segment's source and sends it out to be transcoded.
    pub(super) fn segment(
        &mut self,
        segment: &Segment,
        wall: SystemTime,
        lane: &Lane,
        out: &TaskTracker,
    ) {
        self.follow_format(segment);
        let deadline = deadline(segment.target_duration, self.deadline_targets);
        let (source, audio) = self.stream.package(segment);
        let info = SegmentInfo {
            sequence: segment.sequence,
            start: segment.start,
            duration: segment.duration,
            discontinuity: segment.discontinuity,
            independent: segment.independent,
            program_date_time: wall,
        };
        self.stream.segment(info, source.clone(), audio);
        let discontinuity = self.stream.discontinuity().unwrap_or(0);
        self.entered.at(segment.sequence, discontinuity);
        let Some(picture) = self.picture.as_ref().filter(|_| segment.independent) else {
            return;
        };
        let order = source.and_then(|body| self.order(picture, segment, body, deadline));
        let outcomes = order.map(|order| lane.submit(order));
        let names = picture.renditions.iter().map(|r| r.name.clone()).collect();
        out.spawn(settle::settle(
            Arc::clone(&self.stream),
            segment.sequence,
            names,
            outcomes,
            self.rates.clone(),
        ));
    }

    /// The job that a segment is, if there is anything to transcode.
    fn order(
        &self,
        picture: &Picture,
        segment: &Segment,
        body: Bytes,
        deadline: Instant,
    ) -> Option<Order> {
        let mut spec = picture
            .job(segment, body.len())
            .filter(|s| !s.renditions.is_empty())?;
        let (duration, rate) = (segment.duration, picture.rate);
        let rates = &self.rates;
        spec.rates = rates.ask(segment.sequence, duration, &spec.renditions, rate);
        Some(Order {
            token: self.token.clone(),
            epoch: self.epoch,
            sequence: segment.sequence,
            spec,
            body,
            deadline,
        })
    }

    /// Its publisher was lost, or goes elsewhere.
    pub(super) fn is_lost(&self) {
        self.stream.waits();
        self.entered.waits(true);
    }

    /// It goes on elsewhere: its entry stays for as long as its segments can be fetched here.
    pub(super) fn linger(self, retention: Duration) {
        self.is_lost();
        let entered = self.entered;
        tokio::spawn(async move {
            tokio::time::sleep(retention).await;
            drop(entered);
        });
    }

    /// Its publisher has returned.
    pub(super) fn is_back(&self) {
        self.entered.waits(false);
    }

    /// Another ingest was seen to have a newer epoch.
    pub(super) fn is_challenged(&self) -> bool {
        self.entered.is_challenged()
    }

    /// The stream is over.
    pub(super) fn end(&self) {
        self.stream.end();
    }

    fn follow_format(&mut self, segment: &Segment) {
        let Some(picture) = &self.picture else { return };
        let unchanged = segment
            .video_config
            .as_ref()
            .is_none_or(|c| Arc::ptr_eq(c, &picture.config) || **c == *picture.config);
        // Where a publisher returned the choice may be mended: there is a discontinuity anyway.
        let frames = segment.video.len();
        let off = segment.discontinuity && format::is_off(picture.rate, frames, segment.duration);
        if unchanged && !off {
            return;
        }
        self.picture = Picture::of(segment, &self.ladder, &picture.renditions);
        if let Some(now) = &self.picture {
            let aspect = now.shape.sample_aspect;
            self.stream.describe(now.source(), &now.renditions, aspect);
        }
    }
}

fn deadline(target_duration: u32, targets: f64) -> Instant {
    Instant::now() + Duration::from_secs_f64(f64::from(target_duration) * targets)
}

/// What transcoders call the stream: random, so that it tells them nothing.
fn token() -> StreamToken {
    let opaque = format!("{:016x}", rand::random::<u64>());
    opaque.parse().unwrap_or_else(|_| unreachable!())
}
