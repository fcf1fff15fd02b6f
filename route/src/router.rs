//! All that one ingest knows of its fleet, and all that it may spend.

use std::time::{Duration, Instant};

use crate::degrade::Reduction;
use crate::plan::Renditions;
use crate::table::{self, Table};

/// A stream that a [`Router`] knows; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub(crate) u64);

/// The constants of the whole policy.
#[derive(Debug, Clone, Default)]
pub struct RouterConfig {
    /// Who gets a segment: `[route]`.
    pub route: table::Config,
}

/// What a stream may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// These renditions.
    pub asked: Renditions,
    /// Why not all of them.
    pub why: Option<Reduction>,
}

/// What one ingest knows and may spend. Plans talk to nothing else.
#[derive(Debug)]
pub struct Router {
    table: Table,
    streams: u64,
}

impl Router {
    /// An empty table and fresh budgets. `identity` names this ingest.
    pub fn new(config: RouterConfig, identity: &str, now: Instant) -> Self {
        let _ = now;
        Self {
            table: Table::new(config.route, identity),
            streams: 0,
        }
    }

    /// A stream begins.
    pub fn open(&mut self, precious: bool, now: Instant) -> StreamKey {
        let _ = (precious, now);
        self.streams += 1;
        StreamKey(self.streams)
    }

    /// A stream is over. Plans of it may still run.
    pub fn close(&mut self, stream: StreamKey) {
        let _ = stream;
    }

    /// Who gets it.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Who gets it, to tell it of members and probes.
    pub fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// What may be asked for at all, for a ladder of `works` output pixels (top rung first)
    /// and a segment of this duration. Called once a segment, before its plan is made.
    pub fn allowance(
        &mut self,
        stream: StreamKey,
        works: &[u64],
        media: Duration,
        now: Instant,
    ) -> Allowance {
        let _ = (stream, media, now);
        Allowance {
            asked: Renditions::first(works.len()),
            why: None,
        }
    }
}
