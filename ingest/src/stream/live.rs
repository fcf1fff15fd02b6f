//! What is told of a stream that is here: `rackcast streams`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rackcast_segment::id::{Epoch, StreamId, StreamToken};
use rackcast_service::drain::unix_ms;
use rackcast_service::explain::LiveStream;

/// A stream's own word on itself; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Live(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    since: SystemTime,
    publisher: Option<SocketAddr>,
    publisher_since: SystemTime,
    epoch: Option<(Epoch, StreamToken)>,
    renditions: Vec<String>,
}

impl Live {
    pub(super) fn new(now: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(State {
            since: now,
            publisher: None,
            publisher_since: now,
            epoch: None,
            renditions: Vec::new(),
        })))
    }

    pub(super) fn is_published(&self, by: SocketAddr, now: SystemTime) {
        let mut state = self.lock();
        state.publisher = Some(by);
        state.publisher_since = now;
    }

    /// It waits for its publisher to return.
    pub(super) fn is_lost(&self, now: SystemTime) {
        let mut state = self.lock();
        state.publisher = None;
        state.publisher_since = now;
    }

    pub(super) fn begins(&self, epoch: Epoch, token: StreamToken, renditions: Vec<String>) {
        let mut state = self.lock();
        state.epoch = Some((epoch, token));
        state.renditions = renditions;
    }

    pub(super) fn told(&self, id: &StreamId) -> LiveStream {
        let state = self.lock();
        LiveStream {
            stream: id.to_string(),
            since_ms: unix_ms(state.since),
            publisher: state.publisher.map(|peer| peer.to_string()),
            publisher_since_ms: unix_ms(state.publisher_since),
            epoch: state.epoch.as_ref().map(|(epoch, _)| epoch.to_string()),
            token: state.epoch.as_ref().map(|(_, token)| token.to_string()),
            renditions: state.renditions.clone(),
            recent: 0,
            complete: 0,
            last: None,
            node: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
