//! What is remembered, and for how long. Pure: the time comes in.
//!
//! Four limits hold at once: segments of a stream, streams, bytes of all, and the age of a
//! stream that has no new segments. Whatever goes is the oldest of its kind.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rackcast_segment::id::{Sequence, StreamId};

use super::Config;
use super::record::Record;

/// Why something was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Segments,
    Streams,
    Bytes,
    Age,
}

impl Limit {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Streams => "streams",
            Self::Bytes => "bytes",
            Self::Age => "age",
        }
    }
}

#[derive(Debug)]
struct Kept {
    /// Oldest first, each with its number and its size.
    segments: VecDeque<(u64, usize, Arc<Record>)>,
    touched: Instant,
}

/// The records, by stream.
#[derive(Debug, Default)]
pub(super) struct Store {
    streams: HashMap<StreamId, Kept>,
    segments: usize,
    bytes: usize,
    /// Number of the next record: the least one is the oldest of all.
    next: u64,
}

impl Store {
    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn segments(&self) -> usize {
        self.segments
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record; `dropped` hears how many others had to go, and why.
    pub(super) fn add(
        &mut self,
        record: Arc<Record>,
        config: &Config,
        now: Instant,
        mut dropped: impl FnMut(Limit, usize),
    ) {
        if !self.streams.contains_key(&record.stream) && self.streams.len() >= config.max_streams {
            let silent = self.streams.iter().min_by_key(|(_, kept)| kept.touched);
            if let Some(id) = silent.map(|(id, _)| id.clone()) {
                dropped(Limit::Streams, self.forget(&id));
            }
        }
        let size = record.bytes();
        let kept = self
            .streams
            .entry(record.stream.clone())
            .or_insert_with(|| Kept {
                segments: VecDeque::new(),
                touched: now,
            });
        kept.touched = now;
        kept.segments.push_back((self.next, size, record));
        self.next = self.next.saturating_add(1);
        self.segments += 1;
        self.bytes += size;
        if kept.segments.len() > config.segments_per_stream
            && let Some((_, size, _)) = kept.segments.pop_front()
        {
            self.segments -= 1;
            self.bytes -= size;
            dropped(Limit::Segments, 1);
        }
        while self.bytes > config.max_bytes && self.drop_oldest() {
            dropped(Limit::Bytes, 1);
        }
    }

    /// Drops the oldest record of all; false if there is none.
    fn drop_oldest(&mut self) -> bool {
        let age = |kept: &Kept| kept.segments.front().map_or(u64::MAX, |(n, ..)| *n);
        let oldest = self.streams.iter_mut().min_by_key(|(_, kept)| age(kept));
        let Some((id, kept)) = oldest else {
            return false;
        };
        if let Some((_, size, _)) = kept.segments.pop_front() {
            self.segments -= 1;
            self.bytes -= size;
        }
        if kept.segments.is_empty() {
            let id = id.clone();
            self.streams.remove(&id);
        }
        true
    }

    /// Forgets the streams without a new segment for `config.keep`; how many segments that were.
    pub(super) fn sweep(&mut self, config: &Config, now: Instant) -> usize {
        let old = |kept: &Kept| now.saturating_duration_since(kept.touched) >= config.keep;
        let ids = self.streams.iter().filter(|(_, kept)| old(kept));
        let ids: Vec<_> = ids.map(|(id, _)| id.clone()).collect();
        ids.iter().map(|id| self.forget(id)).sum()
    }

    fn forget(&mut self, id: &StreamId) -> usize {
        let Some(kept) = self.streams.remove(id) else {
            return 0;
        };
        self.segments -= kept.segments.len();
        self.bytes -= kept.segments.iter().map(|(_, size, _)| size).sum::<usize>();
        kept.segments.len()
    }

    /// All records of a stream in the order of their segments, or `None` if it is not known.
    /// Segments end in any order, so the order of their records is not that.
    pub(super) fn of(&self, id: &StreamId) -> Option<Vec<Arc<Record>>> {
        let kept = self.streams.get(id)?;
        let records = kept.segments.iter().map(|(.., record)| Arc::clone(record));
        let mut records: Vec<_> = records.collect();
        records.sort_by_key(|r| (r.epoch, r.sequence));
        Some(records)
    }

    /// The streams, the one with the newest segment first: how many segments, the least and the
    /// greatest sequence number, and the newest record.
    pub(super) fn list(&self) -> Vec<(usize, Sequence, Arc<Record>)> {
        let mut list: Vec<_> = self.streams.values().filter_map(entry).collect();
        list.sort_by(|(.., a), (.., b)| (b.began, &b.stream).cmp(&(a.began, &a.stream)));
        list
    }
}

fn entry(kept: &Kept) -> Option<(usize, Sequence, Arc<Record>)> {
    let records = || kept.segments.iter().map(|(.., record)| record);
    let first = records().map(|r| r.sequence).min()?;
    let newest = records().max_by_key(|r| (r.epoch, r.sequence))?;
    Some((kept.segments.len(), first, Arc::clone(newest)))
}
