//! Worker processes: what decodes and encodes, apart from what listens.
//!
//! Codecs parse what a stranger sent, and crash, hang or leak over it. So each worker is a
//! process with one job at a time, and one task for each *slot* ([`supervise()`]) keeps a worker
//! in it. The life of a worker:
//!
//! 1. **Start** ([`process`]): a child that dies with its parent, with limits on memory, files
//!    and core dumps, on its CPUs. It transcodes a small segment of its own ([`child`]): a
//!    worker whose self-test fails never serves, and one that has passed is warm. The slot
//!    counts as up from then on.
//! 2. **Service** ([`mod@supervise`]): jobs, one after another. It reports five times a second that it
//!    lives and how many pictures it has moved. After a job that failed it tests itself again
//!    before it says so: its word that a segment cannot be decoded counts only if it can still
//!    decode one that can.
//! 3. **Recycling**: after its share of jobs a successor is started beside it; only when that
//!    one is warm does it go. Nothing is refused meanwhile.
//! 4. **Death** ([`end`]): it crashes, is killed, runs out of memory, falls silent, or stands
//!    still at a job, though the machine lets it run ([`vigil`]). What is left of the process is killed and the next one is started, after
//!    a delay that grows while they keep dying.
//!
//! The job that a worker died over is tried once more, alone, in a *disposable* worker that
//! serves nobody else ([`quarantine`]), within its deadline, before its caller hears of
//! anything. If that one dies too the segment is to blame, and is refused as such. A job whose
//! sender has heard so from another node begins there.

pub mod child;
mod end;
mod post;
mod process;
pub mod protocol;
mod quarantine;
mod slot;
mod supervise;
mod vigil;

use std::path::PathBuf;

use crate::config;

pub use post::Post;
pub use process::MALLOC;
pub use supervise::supervise;

/// What every worker of a node is started with.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// The program; this one.
    pub program: PathBuf,
    /// Limits of the process.
    pub worker: config::Worker,
    /// How much it logs.
    pub log_level: log::LevelFilter,
}
