//! Answers that their peer does not take.
//!
//! A body is asked for more only while its peer takes what there is. A peer that takes nothing, and
//! answers pings, would have its answers kept for as long as it likes, and so any number of them. An
//! answer cannot end itself, since nobody asks it; so its connection is told until when it should be
//! through, and ends with the first that is not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

/// The answers of a connection that are under way.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    open: Mutex<Open>,
    /// There is another that is to be through first.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Open {
    answers: BTreeSet<(Instant, u64)>,
    next: u64,
}

/// An answer under way; it is through when this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    among: Arc<Untaken>,
    entry: (Instant, u64),
}

impl Untaken {
    /// An answer begins, and is to be through by `until`.
    pub(super) fn begin(self: &Arc<Self>, until: Instant) -> UnderWay {
        let mut open = self.lock();
        let entry = (until, open.next);
        open.next = open.next.wrapping_add(1);
        open.answers.insert(entry);
        let first = open.answers.first() == Some(&entry);
        drop(open);
        if first {
            self.sooner.notify_one();
        }
        UnderWay {
            among: Arc::clone(self),
            entry,
        }
    }

    /// Ends when an answer is not through by its time.
    pub(super) async fn overdue(&self) {
        loop {
            let first = self.lock().answers.first().copied();
            let Some((until, _)) = first else {
                self.sooner.notified().await;
                continue;
            };
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(until.into()) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.among.lock().answers.remove(&self.entry);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LATER: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_first_that_is_not_through_in_time_is_told() {
        let untaken = Arc::new(Untaken::default());
        let waiting = tokio::spawn({
            let untaken = Arc::clone(&untaken);
            async move { untaken.overdue().await }
        });
        tokio::task::yield_now().await;
        let later = untaken.begin(Instant::now() + LATER);
        let _soon = untaken.begin(Instant::now() + SOON);
        timeout(LATER / 2, waiting)
            .await
            .expect("the sooner one")
            .unwrap();
        drop(later);
    }

    #[tokio::test]
    async fn what_is_through_is_forgotten() {
        let untaken = Arc::new(Untaken::default());
        drop(untaken.begin(Instant::now()));
        assert!(timeout(SOON, untaken.overdue()).await.is_err());
    }
}
