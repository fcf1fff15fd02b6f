//! Asking where else a stream is, for the stream itself.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rackcast_consul::directory::Place;
use rackcast_segment::id::StreamId;

/// What the directory says of a stream, that it is here included.
#[derive(Debug, Clone)]
pub enum Seen {
    /// These have it, the newest epoch first; nobody if there is none.
    At(Arc<Vec<Place>>),
    /// It could not be asked.
    Unknown,
}

impl Default for Seen {
    fn default() -> Self {
        Self::At(Arc::default())
    }
}

/// Whoever can say where else a stream is.
pub trait Look: fmt::Debug + Send + Sync {
    /// Asks now, for a second at most.
    fn look<'a>(&'a self, stream: &'a StreamId) -> BoxFuture<'a, Seen>;
}
