use std::time::{Duration, Instant};

use super::circuit::Circuit;
use super::purse::{Entry, Purse};
use super::{IDLE_LEAST, IDLE_SEGMENTS};
use crate::degrade::{self, Group, Level};
use crate::member::NodeId;
use crate::renditions::Renditions;
use crate::table::{Home, Residence, Table};

/// A segment that is off its time by more than this tells nothing of the next.
const REGULAR: Duration = Duration::from_millis(250);
/// No segment counts as shorter than this many seconds.
const LEAST_SECONDS: f64 = 0.1;

/// A stream that a [`Router`](super::Router) knows; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub(super) u64);

/// What is known of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) group: Group,
    home: Option<(Home, NodeId)>,
    pub(super) circuit: Circuit,
    works: Vec<u64>,
    media: Duration,
    /// Output pixels a second when so many rungs are left out: from none to all.
    rates: Vec<f64>,
    last: Instant,
    /// When its next segment should come.
    pub(super) next: Option<Instant>,
    /// Where that stands in the calendar, once its segments come when they should.
    pub(super) due: Option<Entry>,
    /// Where it lives, while its next segment is to come.
    pub(super) lives: Option<Residence>,
}

impl Stream {
    pub(super) fn new(key: StreamKey, now: Instant) -> Self {
        Self {
            group: Group::of(key.0),
            home: None,
            circuit: Circuit::default(),
            works: Vec::new(),
            media: Duration::ZERO,
            rates: Vec::new(),
            last: now,
            next: None,
            due: None,
            lives: None,
        }
    }

    pub(super) fn home(&self) -> Option<Home> {
        self.home.as_ref().map(|(home, _)| *home)
    }

    /// Its home from now on, and how that is called; the home that it moves away from.
    pub(super) fn set_home(&mut self, home: Home, id: &NodeId) -> Option<NodeId> {
        match &mut self.home {
            Some((before, _)) if before.node() == home.node() => {
                *before = home;
                None
            }
            before => before.replace((home, id.clone())).map(|(_, id)| id),
        }
    }

    /// What was due has come, or will not.
    pub(super) fn no_longer_due(&mut self, purse: &mut Purse, table: &mut Table) {
        if let Some(entry) = self.due.take() {
            purse.unexpect(entry);
        }
        if let Some(residence) = self.lives.take() {
            table.unexpect(&residence);
        }
    }

    /// The segment that comes now comes when it should.
    pub(super) fn is_regular(&self, now: Instant) -> bool {
        self.next.is_some_and(|at| {
            let off = now.max(at).saturating_duration_since(now.min(at));
            off <= REGULAR
        })
    }

    /// A segment wants this.
    pub(super) fn demands(&mut self, works: &[u64], media: Duration, order: &[u8], now: Instant) {
        self.last = now;
        let works = works.get(..Renditions::MAX).unwrap_or(works);
        if self.works == works && self.media == media {
            return;
        }
        self.works.clear();
        self.works.extend_from_slice(works);
        self.media = media;
        let seconds = media.as_secs_f64().max(LEAST_SECONDS);
        let rate = |drops| degrade::left(works.len(), drops, order).work(works) as f64 / seconds;
        self.rates.clear();
        self.rates.extend((0..=works.len()).map(rate));
    }

    /// The order in which rungs are left out has changed: what it demands is reckoned again with its next
    /// segment.
    pub(super) fn demand_anew(&mut self) {
        self.media = Duration::ZERO;
    }

    pub(super) fn rungs(&self) -> usize {
        self.works.len()
    }

    /// Whether another segment of it is to be expected.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        let idle = IDLE_LEAST.max(self.media.saturating_mul(IDLE_SEGMENTS));
        now.saturating_duration_since(self.last) < idle
    }

    /// Output pixels a second that it asks for at a level.
    pub(super) fn rate(&self, level: Level, deepest: u32) -> f64 {
        let drops = degrade::drops(self.rungs(), level, self.group, deepest);
        self.rates.get(drops).copied().unwrap_or(0.0)
    }
}
