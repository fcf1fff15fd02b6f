//! `[worker]`: the processes that do the work, and what each may use.

use std::time::Duration;

use serde::Deserialize;

use crate::device::Cpus;

/// The section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Worker processes, each with one job at a time: the node's slots. 0 for what a
    /// calibration found best, else half the cores.
    pub count: usize,
    /// Niceness, 0 to 19.
    pub nice: i32,
    /// CPUs of each worker, as `["0-3", "4-7"]`: the first worker has the first entry, and so on
    /// round and round. Without an entry they run where the system puts them.
    pub cpus: Vec<Cpus>,
    /// Pipelines that a worker keeps warm, one for each ladder and source size that it meets.
    pub warm_pipelines: usize,
    /// Jobs after which a worker is replaced, against leaks in what it links.
    pub recycle_after: u32,
    /// How long a worker may take to start and to pass its self-test.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
    /// Silence after which a worker is taken to be hung, and killed.
    #[serde(with = "humantime_serde")]
    pub heartbeat_timeout: Duration,
    /// How long a worker may be at a job without a picture through a decoder or an encoder
    /// before it is taken to be hung, and killed.
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// The same two for a worker that the machine does not let run; shorter waits make them longer by
    /// as much, up to this. One below them changes nothing.
    #[serde(with = "humantime_serde")]
    pub starved_after: Duration,
    /// How long a job may go on after its deadline or its cancellation before its worker is
    /// killed.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// Bytes of memory of its own that a worker may have (`RLIMIT_DATA`).
    pub max_memory_bytes: u64,
    /// Bytes of a file that a worker may write (`RLIMIT_FSIZE`).
    pub max_file_bytes: u64,
    /// Files, sockets and the like that a worker may have open (`RLIMIT_NOFILE`).
    pub max_open_files: u64,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            count: 0,
            nice: 5,
            cpus: Vec::new(),
            warm_pipelines: 4,
            recycle_after: 2_000,
            start_timeout: Duration::from_secs(20),
            heartbeat_timeout: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(2),
            starved_after: Duration::from_secs(10),
            grace: Duration::from_millis(500),
            max_memory_bytes: 4 << 30,
            max_file_bytes: 64 << 20,
            max_open_files: 512,
        }
    }
}

impl Worker {
    /// How many processes that is on this machine.
    pub fn processes(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.count == 0 {
            (cores() / 2).max(1)
        } else {
            self.count
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let rules = [
            (self.count <= 256, "count must be at most 256"),
            (
                (0..=19).contains(&self.nice),
                "nice must be between 0 and 19",
            ),
            (
                (1..=32).contains(&self.warm_pipelines),
                "warm_pipelines must be between 1 and 32",
            ),
            (self.recycle_after > 0, "recycle_after must be at least 1"),
            (
                self.heartbeat_timeout >= Duration::from_secs(1),
                "heartbeat_timeout must be at least 1s: workers report five times a second",
            ),
            (
                self.stall_timeout >= Duration::from_secs(1),
                "stall_timeout must be at least 1s: workers report five times a second",
            ),
            (
                self.max_memory_bytes >= 256 << 20,
                "max_memory_bytes must be at least 268435456: a worker's threads take that much",
            ),
            (
                self.max_open_files >= 64,
                "max_open_files must be at least 64: GStreamer takes some for each pipeline",
            ),
        ];
        rules
            .iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, why)| Err(*why))
    }
}
