//! SIGHUP, and what is said of a reload.

use std::io;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Live, Metrics, Outcome, Refused};
use crate::notify;

/// The SIGHUPs of this process. From its making on, none of them ends the process.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Begins to listen. Must be called within a tokio runtime, before the service is ready.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// The next one; several that come at once are one. May be cancelled.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // Only when the runtime ends.
            std::future::pending::<()>().await;
        }
    }

    /// Reloads at every one, until `shutdown`: for daemons that are one process.
    pub async fn reload<C>(
        mut self,
        live: Arc<Live<C>>,
        metrics: Metrics,
        shutdown: CancellationToken,
    ) where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let waiting = live.waiting();
        while shutdown.run_until_cancelled(self.next()).await.is_some() {
            notify::reloading();
            let live = Arc::clone(&live);
            // Files are read: keys, certificates.
            let result = tokio::task::spawn_blocking(move || live.reload()).await;
            match result {
                Ok(result) => {
                    metrics.count(&result);
                    metrics.wait(&waiting.borrow());
                    tell(&result);
                }
                Err(e) => log::error!("the reload broke off: {e}"),
            }
            notify::ready();
        }
    }
}

/// Tells log and systemd how a reload went.
pub fn tell(result: &Result<Outcome, Refused>) {
    match result {
        Ok(outcome) => {
            for (key, takes) in &outcome.applied {
                log::info!(rackcast_key = key.as_str(); "{key} changed: it {takes}");
            }
            for (key, takes) in &outcome.waiting {
                log::warn!(rackcast_key = key.as_str(); "{key} is not in force yet: it {takes}");
            }
            let said = outcome.summary();
            log::info!("the configuration was reloaded: {said}");
            notify::status(&format!("configuration reloaded: {said}"));
        }
        Err(refused) => {
            log::error!(
                rackcast_reason = refused.to_string();
                "the new configuration is refused and the old one stays in force: {refused}"
            );
            notify::status(&format!("new configuration refused: {refused}"));
        }
    }
}

impl Outcome {
    /// In a few words.
    pub fn summary(&self) -> String {
        let mut said = Vec::new();
        match self.applied.len() {
            0 => {}
            n => said.push(format!("{n} keys changed")),
        }
        if !self.renewed.is_empty() {
            said.push(format!("replaced: {}", self.renewed.join(", ")));
        }
        if !self.waiting.is_empty() {
            let keys: Vec<_> = self.waiting.keys().map(String::as_str).collect();
            said.push(format!("{} wait ({})", keys.len(), keys.join(", ")));
        }
        match said.is_empty() {
            true => "nothing changed".to_owned(),
            false => said.join(", "),
        }
    }
}
