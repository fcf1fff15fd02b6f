//! A task for each slot that keeps a worker in it and gives that worker jobs.

use std::sync::Arc;
use std::time::Instant;

use rackcast_segment::wire::reply::RefusalCode;
use rackcast_service::process::Backoff;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Blueprint;
use super::end::End;
use super::post::Post;
use super::process::{Outcome, Process, Role};
use super::quarantine::{self, Because};
use super::slot::Slot;
use crate::scheduler::{Assignment, Scheduler};

/// Keeps a worker in the slot until `shutdown`.
pub async fn supervise(
    post: Post,
    blueprint: Arc<Blueprint>,
    scheduler: Arc<Scheduler>,
    shutdown: CancellationToken,
) {
    let slot = Slot {
        post,
        blueprint,
        scheduler,
    };
    shutdown.run_until_cancelled(slot.keep()).await;
}

impl Slot {
    async fn keep(&self) {
        let backoff = Backoff::default();
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let end = match self.start(Role::Serving(self.post)).await {
                Ok(process) => self.serve(process).await,
                Err(end) => end,
            };
            self.count(&end);
            if end.is_expected() {
                self.scheduler
                    .worker_down(self.post.id, end.to_string(), false);
                failures = 0;
                continue;
            }
            failures = backoff.failures_after(failures, started.elapsed());
            // One death says little of a device; a second one soon after, or a worker that never
            // came up, does.
            let failed = failures > 1 || end.is_of_start();
            self.scheduler
                .worker_down(self.post.id, end.to_string(), failed);
            let delay = backoff.delay(failures, rand::random());
            log::info!(rackcast_worker = self.post.number; "the next worker starts in {delay:?}");
            self.alive(tokio::time::sleep(delay)).await;
        }
    }

    /// Gives a worker jobs, and its successors after it, until one ends.
    async fn serve(&self, mut process: Process) -> End {
        let _up = self.scheduler.worker_up(self.post.id, process.hevc);
        loop {
            match self.share(&mut process).await {
                Ok(successor) => {
                    let mut old = std::mem::replace(&mut process, successor);
                    self.scheduler.worker_changed(self.post.id, process.hevc);
                    self.count(&old.close(End::Recycled).await);
                }
                Err(end) => return end,
            }
        }
    }

    /// Gives a worker its share of jobs, and more until its successor is warm. After an error
    /// nothing is left of the worker.
    async fn share(&self, process: &mut Process) -> Result<Process, End> {
        let mut jobs = 0;
        let mut successor = JoinSet::new();
        loop {
            if jobs >= self.blueprint.worker.recycle_after && successor.is_empty() {
                let role = Role::Serving(self.post);
                let (blueprint, scheduler) = (self.blueprint.clone(), self.scheduler.clone());
                successor.spawn(Process::start(blueprint, scheduler, role));
            }
            tokio::select! {
                biased;
                end = process.idle() => return Err(process.close(end).await),
                Some(started) = successor.join_next() => match flatten(started) {
                    Ok(successor) => return Ok(successor),
                    Err(end) => {
                        self.count(&end);
                        // Another share of jobs is the delay before the next try.
                        jobs = 0;
                    }
                },
                job = self.scheduler.next(self.post.id) => {
                    self.work(process, job).await?;
                    jobs += 1;
                }
            }
        }
    }

    /// Sees a job to its end, in this worker or in one of its own.
    async fn work(&self, process: &mut Process, mut job: Assignment) -> Result<(), End> {
        if job.job.quarantine {
            return self.apart(process, job, Because::Asked).await;
        }
        match process.run(&mut job).await {
            Ok(Outcome::Done { frames, spent }) => job.done(frames, Some(spent)),
            Ok(Outcome::Unwanted) => {}
            // It lives and has passed its self-test: whether it was the worker or the segment,
            // a fresh worker will tell.
            Ok(Outcome::Failed {
                code: RefusalCode::Internal,
                message,
            }) => return self.apart(process, job, Because::Failed(message)).await,
            Ok(Outcome::Failed { code, message }) => job.fail(code, message),
            Err(end) => {
                // What is left of it must not share the CPU with the next.
                let end = process.close(end).await;
                if job.is_open() {
                    quarantine::run(self, job, Because::Died(end.to_string())).await;
                }
                return Err(end);
            }
        }
        Ok(())
    }

    /// Runs a job in quarantine while this slot's own worker idles: it is the same slot's time.
    async fn apart(&self, process: &mut Process, job: Assignment, why: Because) -> Result<(), End> {
        let apart = quarantine::run(self, job, why);
        tokio::pin!(apart);
        tokio::select! {
            () = &mut apart => Ok(()),
            end = process.idle() => {
                let end = process.close(end).await;
                apart.await;
                Err(end)
            }
        }
    }
}

fn flatten(started: Result<Result<Process, End>, JoinError>) -> Result<Process, End> {
    started.unwrap_or_else(|e| Err(End::Start(std::io::Error::other(e))))
}
