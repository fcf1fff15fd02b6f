//! Asks the directory of streams beside what the stream's task does.

use std::pin::Pin;
use std::time::Duration;

use rackcast_segment::id::StreamId;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::directory::{Directory, Seen};

/// How often, where it matters.
pub(super) const EVERY: Duration = Duration::from_secs(1);

type Asking = Pin<Box<dyn Future<Output = Seen> + Send>>;

/// Looks where else one stream is.
pub(super) struct Lookout {
    directory: Directory,
    stream: StreamId,
    ticks: Interval,
    asking: Option<Asking>,
}

impl Lookout {
    /// Looks for the first time as soon as it is asked.
    pub(super) fn new(directory: Directory, stream: StreamId) -> Self {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            directory,
            stream,
            ticks,
            asking: None,
        }
    }

    /// The next look begins at once.
    pub(super) fn hurry(&mut self) {
        self.ticks.reset_immediately();
    }

    /// The next look that is due and `wanted`. What is dropped meanwhile goes on at the next call.
    pub(super) async fn next(&mut self, wanted: impl Fn() -> bool) -> Seen {
        while self.asking.is_none() {
            self.ticks.tick().await;
            if wanted() {
                break;
            }
        }
        self.look().await
    }

    /// Looks now.
    pub(super) async fn look(&mut self) -> Seen {
        let (directory, stream) = (&self.directory, &self.stream);
        let asking = self.asking.get_or_insert_with(|| {
            let (directory, stream) = (directory.clone(), stream.clone());
            Box::pin(async move { directory.look(&stream).await })
        });
        let seen = asking.await;
        self.asking = None;
        seen
    }
}
