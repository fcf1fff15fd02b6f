//! Follows all keys under a prefix.

use std::time::Duration;

use rackcast_service::backoff::Backoff;

use crate::client::{Client, Entry, Error};
use crate::watch::next_index;

/// How long Consul may hold a question.
const WAIT: Duration = Duration::from_secs(60);
/// Delays after failures.
const RETRY: Backoff = Backoff::between(Duration::from_millis(250), Duration::from_secs(10));

/// A folder of keys, followed by blocking queries.
#[derive(Debug)]
pub(crate) struct Folder {
    client: Client,
    prefix: String,
    index: u64,
    failures: u32,
}

impl Folder {
    pub(crate) fn new(client: Client, prefix: impl Into<String>) -> Self {
        Self {
            client,
            prefix: prefix.into(),
            index: 0,
            failures: 0,
        }
    }

    /// What is in it, once something may have changed; after a failure not before a pause, and
    /// whatever it was.
    pub(crate) async fn next(&mut self) -> Result<Vec<Entry>, Error> {
        if self.failures > 0 {
            tokio::time::sleep(RETRY.delay(self.failures, rand::random())).await;
        }
        match self.client.kv_list(&self.prefix, self.index, WAIT).await {
            Ok(answer) => {
                self.failures = 0;
                self.index = next_index(self.index, answer.index);
                Ok(answer.value)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.index = 0;
                Err(error)
            }
        }
    }
}
