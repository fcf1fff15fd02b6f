//! One slot: what all of its workers, those that serve and those in quarantine, have in common.

use std::sync::Arc;
use std::time::Duration;

use super::Blueprint;
use super::end::End;
use super::post::Post;
use super::process::{Process, Role};
use crate::scheduler::Scheduler;

/// How often a slot without a worker says that it lives; workers say it as often.
const BEAT: Duration = Duration::from_millis(200);

/// What every worker of a slot shares.
pub(super) struct Slot {
    pub(super) post: Post,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) scheduler: Arc<Scheduler>,
}

impl Slot {
    /// A worker that has passed its self-test.
    pub(super) async fn start(&self, role: Role) -> Result<Process, End> {
        self.alive(Process::start(
            self.blueprint.clone(),
            self.scheduler.clone(),
            role,
        ))
        .await
    }

    /// Has the node's progress move while this slot waits within its limits for a worker.
    pub(super) async fn alive<T>(&self, waiting: impl Future<Output = T>) -> T {
        tokio::pin!(waiting);
        let mut beats = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                done = &mut waiting => return done,
                _ = beats.tick() => self.scheduler.heartbeat(),
            }
        }
    }

    /// Counts and logs a worker's end.
    pub(super) fn count(&self, end: &End) {
        let reason = end.reason();
        let device = self.scheduler.device_name(self.post.id);
        self.scheduler.metrics.workers.end(device, reason);
        let level = if end.is_expected() {
            log::Level::Info
        } else {
            log::Level::Error
        };
        log::log!(
            level, rackcast_worker = self.post.number, rackcast_reason = reason;
            "a worker is gone: {end}"
        );
    }
}
