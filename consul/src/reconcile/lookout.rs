//! Waits, for each service, until the agent holds something else than before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rackcast_service::backoff::Backoff;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::client::{Client, Error};

/// How long the agent may hold a question.
const WAIT: Duration = Duration::from_secs(60);
/// An agent that is restarted may have lost its state: it is found again within a quarter of a
/// second, which leaves the rest of a second for a machine that is busy.
const AWAY: Backoff = Backoff::between(Duration::from_millis(100), Duration::from_millis(250));
/// Other failures, and a service that the agent does not have although it was just reported.
const FAILING: Backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(30));

/// One hash watch for each service.
pub(super) struct Lookout {
    client: Client,
    drift: Arc<Notify>,
    watches: BTreeMap<String, AbortHandle>,
}

impl Lookout {
    /// Notifies `drift` whenever a service that it watches is found changed or lost.
    pub(super) fn new(client: Client, drift: Arc<Notify>) -> Self {
        Self {
            client,
            drift,
            watches: BTreeMap::new(),
        }
    }

    /// Watches `ids` and no others.
    pub(super) fn set<'a>(&mut self, ids: impl Iterator<Item = &'a String>) {
        let mut before = std::mem::take(&mut self.watches);
        for id in ids {
            let watch = before.remove(id).unwrap_or_else(|| {
                let watch = watch(self.client.clone(), id.clone(), Arc::clone(&self.drift));
                tokio::spawn(watch).abort_handle()
            });
            self.watches.insert(id.clone(), watch);
        }
        before.values().for_each(AbortHandle::abort);
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.watches.values().for_each(AbortHandle::abort);
    }
}

async fn watch(client: Client, id: String, drift: Arc<Notify>) {
    let mut hash: Option<String> = None;
    let mut failures = 0_u32;
    let mut before = FAILING;
    loop {
        let backoff = match client.agent_service(&id, hash.as_deref(), WAIT).await {
            Ok(Some(found)) if found.hash.is_some() => {
                failures = 0;
                if found.hash != hash {
                    drift.notify_one();
                    hash = found.hash;
                }
                continue;
            }
            // An agent that sends no hash cannot be waited for; the comparisons remain.
            Ok(Some(_)) => FAILING,
            Ok(None) => {
                drift.notify_one();
                FAILING
            }
            Err(Error::Unreachable(_)) => AWAY,
            Err(_) => FAILING,
        };
        hash = None;
        // An agent that is back but empty is no continuation of its absence.
        failures = match backoff == before {
            true => failures.saturating_add(1),
            false => 1,
        };
        before = backoff;
        let delay = backoff.delay(failures, rand::random());
        tokio::time::sleep(delay).await;
    }
}
