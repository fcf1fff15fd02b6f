//! What a publisher's pictures are coded by.
//!
//! The configuration record says it, and so may any picture. All parameter sets are kept, since a
//! slice names its own by number, and stand in front of each IDR. To the stream only the SPS matters:
//! it is announced when an IDR uses another one, since it can change nowhere else, and PPS change
//! without anybody's notice.

use bytes::Bytes;
use rackcast_segment::h264::{AvcConfig, H264Error, ParameterSets, before_picture, parse_sps};
use rackcast_segment::media::VideoConfig;

/// The parameter sets of one publication.
#[derive(Debug)]
pub(super) struct Coding {
    record: AvcConfig,
    sets: ParameterSets,
    /// What the stream was told last.
    announced: VideoConfig,
}

impl Coding {
    /// From the first record, which is to be announced.
    pub(super) fn new(record: AvcConfig) -> Self {
        Self {
            sets: record.sets.clone(),
            announced: record.video.clone(),
            record,
        }
    }

    /// Bytes of the length in front of every NAL unit.
    pub(super) fn length_size(&self) -> usize {
        self.record.length_size
    }

    /// Another record, or the same one again: what is to be announced, if pictures are coded anew
    /// from here on.
    ///
    /// # Errors
    /// More parameter sets than are kept; the others are known.
    pub(super) fn record(&mut self, record: AvcConfig) -> Result<Option<VideoConfig>, H264Error> {
        if record == self.record {
            return Ok(None);
        }
        let anew = !record.sets.same_sps(&self.record.sets);
        let (sets, video) = (record.sets.clone(), record.video.clone());
        self.record = record;
        if anew {
            self.sets = sets;
            let announce = video != self.announced;
            self.announced.clone_from(&video);
            return Ok(announce.then_some(video));
        }
        // What pictures said of the SPS since then is newer.
        sets.all_pps().try_for_each(|pps| self.sets.learn(pps))?;
        Ok(None)
    }

    /// Learns what stands in front of a picture.
    ///
    /// # Errors
    /// The first that cannot be used, or has no room; the others are known.
    pub(super) fn learn(&mut self, annex_b: &[u8]) -> Result<(), H264Error> {
        let sets = before_picture(annex_b).filter(|nal| ParameterSets::is_one(nal));
        let mut all = Ok(());
        for set in sets {
            let learned = self.sets.learn(set);
            all = all.and(learned);
        }
        all
    }

    /// An IDR: what is to be announced before it.
    ///
    /// # Errors
    /// Its SPS cannot be read; what was announced stays.
    pub(super) fn idr(&mut self, annex_b: &[u8]) -> Result<Option<VideoConfig>, H264Error> {
        let sps = self.sets.active_sps(annex_b);
        let Some(sps) = sps.filter(|sps| **sps != self.announced.sps) else {
            return Ok(None);
        };
        self.announced = VideoConfig {
            format: parse_sps(sps)?,
            sps: sps.clone(),
        };
        Ok(Some(self.announced.clone()))
    }

    /// An IDR with all that it may need in front.
    pub(super) fn complete(&self, annex_b: Bytes) -> Bytes {
        self.sets.in_front_of(annex_b)
    }
}
