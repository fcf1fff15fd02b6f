//! Tasks without which a daemon is no use.
//!
//! A task that panics takes nothing with it: the process lives on, half dead, and looks well. So what
//! works for as long as the daemon does is [started](spawn) as vital, by name. When one of them ends
//! before it is told to, the [process](or_ended) ends too, with an error that names it and a status that
//! is not 0, and whoever started it (systemd, a supervisor) starts it anew.
//!
//! What one connection, one stream or one segment needs is not vital.

use std::sync::LazyLock;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Names a task that shall panic as soon as it runs, so that tests can see what follows. Whoever can set
/// it could kill the process as well.
pub const PANIC: &str = "RACKCAST_TEST_PANIC";

/// A vital task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} has ended, without which nothing works here: the process ends too, to be started anew"
)]
pub struct Ended(&'static str);

/// The first vital task of a process that ended before its time.
#[derive(Debug)]
struct First(watch::Sender<Option<Ended>>);

static OF_THIS_PROCESS: LazyLock<First> = LazyLock::new(First::none);

/// Starts a task that is vital until this token is cancelled.
pub fn spawn<F>(name: &'static str, until: &CancellationToken, task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(vital(name, until, task))
}

/// The same, for whoever starts it otherwise.
pub fn vital<F>(
    name: &'static str,
    until: &CancellationToken,
    task: F,
) -> impl Future<Output = ()> + Send + use<F>
where
    F: Future<Output = ()> + Send + 'static,
{
    OF_THIS_PROCESS.watch(name, until.clone(), task)
}

/// What the daemon does, unless a vital task of this process ends before.
///
/// # Errors
/// One has.
pub async fn or_ended<T>(daemon: impl Future<Output = T>) -> Result<T, Ended> {
    tokio::select! {
        biased;
        out = daemon => Ok(out),
        ended = OF_THIS_PROCESS.ended() => Err(ended),
    }
}

impl First {
    fn none() -> Self {
        Self(watch::Sender::new(None))
    }

    fn watch(
        &'static self,
        name: &'static str,
        until: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let guard = Guard {
            first: self,
            name,
            until,
        };
        async move {
            // Dropped whichever way the task ends, by a panic too.
            let _guard = guard;
            if std::env::var_os(PANIC).is_some_and(|asked| asked == name) {
                log::error!("{PANIC} asks for the end of {name}");
                std::panic::resume_unwind(Box::new(PANIC));
            }
            task.await;
        }
    }

    async fn ended(&self) -> Ended {
        let mut first = self.0.subscribe();
        match first.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(ended)) => *ended,
            _ => std::future::pending().await,
        }
    }
}

struct Guard {
    first: &'static First,
    name: &'static str,
    until: CancellationToken,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.until.is_cancelled() {
            self.first.0.send_if_modified(|first| {
                first.get_or_insert(Ended(self.name));
                true
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first() -> &'static First {
        Box::leak(Box::new(First::none()))
    }

    #[tokio::test]
    async fn a_task_that_ends_or_panics_before_it_is_told_to_is_named_and_the_first_counts() {
        let (first, until) = (first(), CancellationToken::new());
        let panics = tokio::spawn(first.watch("the first", until.clone(), async { panic!() }));
        assert!(panics.await.is_err());
        tokio::spawn(first.watch("the second", until, async {}))
            .await
            .unwrap();
        let ended = first.ended().await;
        assert_eq!(ended, Ended("the first"));
        assert!(ended.to_string().starts_with("the first has ended"));
    }

    #[tokio::test]
    async fn a_task_that_was_told_to_end_may() {
        let (first, until) = (first(), CancellationToken::new());
        let (token, told) = (until.clone(), until.clone());
        let task = first.watch("it", token, async move { told.cancelled().await });
        until.cancel();
        tokio::spawn(task).await.unwrap();
        assert_eq!(*first.0.borrow(), None);
    }

    #[tokio::test]
    async fn a_daemon_that_comes_to_its_end_gives_its_result() {
        assert_eq!(or_ended(async { 7 }).await, Ok(7));
    }
}
