//! The one thread that forks, and never ends. See the module documentation of `process`.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel, sync_channel};

type Job = Box<dyn FnOnce() + Send>;

/// Runs `job` on the thread that forks and returns what it returned.
///
/// # Errors
/// The thread could not be started, or has ended, which only a panic within a job could cause.
pub(super) fn on_forker<T, F>(job: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    static FORKER: OnceLock<Result<Sender<Job>, io::ErrorKind>> = OnceLock::new();
    let jobs = FORKER
        .get_or_init(start)
        .as_ref()
        .map_err(|kind| io::Error::from(*kind))?;
    let (answer, answered) = sync_channel(1);
    let gone = |_| io::Error::other("the thread that starts processes has ended");
    jobs.send(Box::new(move || {
        // The caller waits below, so a failure to answer cannot happen while it cares.
        let _ = answer.send(job());
    }))
    .map_err(|_| gone(()))?;
    answered.recv().map_err(|_| gone(()))?
}

fn start() -> Result<Sender<Job>, io::ErrorKind> {
    // As many jobs as there are callers blocked in `on_forker`: bounded by the threads.
    let (jobs, queue) = channel::<Job>();
    std::thread::Builder::new()
        .name("forker".to_owned())
        .spawn(move || queue.into_iter().for_each(|job| job()))
        .map_err(|error| error.kind())?;
    Ok(jobs)
}
