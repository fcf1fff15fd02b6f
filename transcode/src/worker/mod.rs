//! Worker processes: what decodes and encodes, apart from what listens.
//!
//! Codecs parse what a stranger sent, and crash, hang or leak over it. So each worker is a
//! process with one job at a time ([`child`]), and the supervisor keeps one task for each
//! ([`supervise`]): it starts the process, gives it jobs, hears its heartbeat, kills it when it
//! hangs beyond a job's deadline, and starts the next with a growing delay. A worker's death
//! fails the job that it had, and nothing else.

pub mod child;
mod life;
pub mod protocol;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rackcast_service::process::Backoff;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::pipeline::EncoderConfig;
use crate::scheduler::Scheduler;

/// What every worker of a node is started with.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// The program; this one.
    pub program: PathBuf,
    /// Limits of the process.
    pub worker: config::Worker,
    /// How it encodes.
    pub encoder: EncoderConfig,
    /// How much it logs.
    pub log_level: log::LevelFilter,
}

/// Keeps one worker running until `shutdown`.
pub async fn supervise(
    number: usize,
    blueprint: Arc<Blueprint>,
    scheduler: Arc<Scheduler>,
    shutdown: CancellationToken,
) {
    let backoff = Backoff::default();
    let mut failures = 0;
    loop {
        let started = Instant::now();
        let end = shutdown
            .run_until_cancelled(life::live(&blueprint, &scheduler))
            .await;
        let Some(end) = end else { return };
        scheduler
            .metrics
            .worker_ends
            .with_label_values(&[end.reason()])
            .inc();
        if end.is_expected() {
            log::info!(
                rackcast_worker = number, rackcast_reason = end.reason();
                "the worker is replaced: {end}"
            );
            failures = 0;
            continue;
        }
        failures = backoff.failures_after(failures, started.elapsed());
        let delay = backoff.delay(failures, rand::random());
        log::error!(
            rackcast_worker = number, rackcast_reason = end.reason();
            "the worker is gone: {end}; the next starts in {delay:?}"
        );
        if shutdown
            .run_until_cancelled(tokio::time::sleep(delay))
            .await
            .is_none()
        {
            return;
        }
    }
}
