//! Which ingest of the fleet has which stream.
//!
//! Every ingest enters its streams in [Consul](rackcast_consul::directory), so that any other that
//! is asked for one of them can pass the request on, and a publisher whose ingest died finds its
//! stream carried on by the next one, with numbers above those that players have seen.
//!
//! No stream waits for it. A stream's task tells the [`Directory`] what it does, which notes it
//! ([`ledger`], pure) and returns; one task writes at its own pace ([`writer`]). Players that ask
//! for what is not here cause a bounded number of questions ([`finder`]). When Consul is away,
//! what was found before goes on being used, and nothing else changes.
//!
//! A stream that more than one ingest has is the one's with the newest epoch. Its task
//! [looks](Directory::look) when its publisher comes and while it is away; while it publishes, each
//! write of its entry is followed by a look, and a newer entry [challenges](Entered::is_challenged) it.

mod config;
mod finder;
mod ledger;
mod look;
mod metrics;
mod peers;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rackcast_segment::id::{Epoch, Sequence, StreamId};
use tokio::sync::Notify;

pub use config::Config;
pub use finder::Finder;
pub use look::{Look, Seen};
pub use metrics::Metrics;
pub use peers::Peers;
pub use writer::{Who, Writer};

use ledger::Ledger;

/// What a stream tells of itself. Clones share one ledger; cheap and never waiting.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ledger: Mutex<Ledger>,
    news: Notify,
    others: Option<Arc<dyn Look>>,
}

impl Directory {
    /// A directory in which streams of other ingests are looked for so.
    pub fn new(others: Arc<dyn Look>) -> Self {
        Self(Arc::new(Shared {
            others: Some(others),
            ..Shared::default()
        }))
    }

    /// Asks now where else a stream is. Takes a second at most.
    pub async fn look(&self, stream: &StreamId) -> Seen {
        match &self.0.others {
            Some(others) => others.look(stream).await,
            None => Seen::default(),
        }
    }

    /// An epoch of a stream has begun, with this segment and discontinuity number. It is over
    /// when the value is dropped.
    pub fn begin(
        &self,
        stream: &StreamId,
        epoch: Epoch,
        sequence: Sequence,
        discontinuity: u64,
    ) -> Entered {
        let at = (sequence.0, discontinuity);
        let since = SystemTime::now();
        self.ledger().begin(stream, epoch.0, at, since);
        self.0.news.notify_one();
        Entered {
            directory: self.clone(),
            stream: stream.clone(),
            epoch,
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn news(&self) {
        self.0.news.notified().await;
    }
}

/// Stands for an epoch of a stream in the directory.
#[derive(Debug)]
pub struct Entered {
    directory: Directory,
    stream: StreamId,
    epoch: Epoch,
}

impl Entered {
    /// The newest segment, and its discontinuity number.
    pub fn at(&self, sequence: Sequence, discontinuity: u64) {
        let at = (sequence.0, discontinuity);
        self.directory.ledger().at(&self.stream, self.epoch.0, at);
    }
}

impl Entered {
    /// Its publisher was lost, or has returned.
    pub fn waits(&self, waiting: bool) {
        let (stream, epoch) = (&self.stream, self.epoch.0);
        self.directory.ledger().waits(stream, epoch, waiting);
        self.directory.0.news.notify_one();
    }

    /// Another ingest was seen to have a newer epoch of it.
    pub fn is_challenged(&self) -> bool {
        let ledger = self.directory.ledger();
        ledger.is_challenged(&self.stream, self.epoch.0)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.directory.ledger().over(&self.stream, self.epoch.0);
        self.directory.0.news.notify_one();
    }
}
