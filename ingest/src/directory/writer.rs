//! The task that writes the ledger to Consul, at its own pace.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use rackcast_consul::client::{Client, Error, HealthQuery};
use rackcast_consul::directory::{self, Place};
use rackcast_segment::id::StreamId;
use rackcast_service::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::ledger::{Due, Live};
use super::{Config, Directory, Metrics};

/// Delays after failures.
const RETRY: Backoff = Backoff::between(Duration::from_millis(250), Duration::from_secs(10));
/// How often the ledger is looked at without news.
const LOOK: Duration = Duration::from_secs(1);
/// Longest time to take the entries out when the process ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// The ingest as others are told of it.
#[derive(Debug, Clone)]
pub struct Who {
    /// As the catalog calls it.
    pub ingest: String,
    /// The service that it is an instance of.
    pub service: String,
    /// Its machine.
    pub node: String,
    /// Its zone.
    pub zone: String,
    /// Where it listens for players.
    pub http: SocketAddr,
}

/// Writes the directory.
#[derive(Debug)]
pub struct Writer {
    directory: Directory,
    client: Client,
    who: Who,
    config: Config,
    metrics: Metrics,
    /// `HOST:PORT`, once known.
    address: Option<String>,
    session: Option<Session>,
    failures: u32,
}

#[derive(Debug)]
struct Session {
    id: String,
    renewed: Instant,
}

impl Writer {
    /// A writer of what `directory` is told.
    pub fn new(
        directory: Directory,
        client: Client,
        who: Who,
        config: Config,
        metrics: Metrics,
    ) -> Self {
        // One that listens everywhere is known by the address that its agent has registered.
        let address = (!who.http.ip().is_unspecified()).then(|| who.http.to_string());
        Self {
            directory,
            client,
            who,
            config,
            metrics,
            address,
            session: None,
            failures: 0,
        }
    }

    /// Writes until `shutdown`, then takes everything out.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let working = async {
            loop {
                let pause = match self.step().await {
                    Ok(wrote) => {
                        if self.failures > 0 {
                            log::info!("the directory of streams can be written again");
                        }
                        self.failures = 0;
                        match wrote {
                            true => Duration::from_secs(1) / self.config.writes_per_second,
                            false => {
                                let _ = tokio::time::timeout(LOOK, self.directory.news()).await;
                                continue;
                            }
                        }
                    }
                    Err(error) => self.failed(&error),
                };
                tokio::time::sleep(pause).await;
            }
        };
        shutdown.run_until_cancelled(working).await;
        if let Some(session) = self.session.take() {
            let over = self.client.session_destroy(&session.id);
            // If it cannot be said, Consul finds out by itself.
            let _ = tokio::time::timeout(FAREWELL, over).await;
        }
    }

    /// Does one thing that is due; false if nothing is.
    async fn step(&mut self) -> Result<bool, Error> {
        let now = Instant::now();
        let (due, empty) = {
            let ledger = self.directory.ledger();
            self.metrics
                .entered
                .set(i64::try_from(ledger.len()).unwrap_or(i64::MAX));
            (ledger.due(now, self.config.refresh), ledger.is_empty())
        };
        if !empty {
            self.keep_session(now).await?;
        }
        let Some(due) = due else { return Ok(false) };
        let done = match due {
            Due::Enter(stream, live) => {
                let Some(place) = self.place(&live).await? else {
                    return Ok(false);
                };
                let session = self.session.as_ref().map_or("", |session| &session.id);
                self.directory.ledger().trying(&stream, live.epoch);
                let entered = directory::enter(&self.client, &stream, &place, session).await;
                if matches!(entered, Ok(false)) {
                    log::warn!(rackcast_stream = stream.to_string();
                        "another ingest has entered the epoch {}", live.epoch);
                }
                if entered.is_ok() {
                    self.directory.ledger().entered(&stream, &live, now);
                    self.look(&stream, &live).await;
                }
                entered.map(drop)
            }
            Due::Remove(stream, epoch) => directory::remove(&self.client, &stream, epoch)
                .await
                .map(|()| self.directory.ledger().removed(&stream, epoch)),
        };
        self.metrics
            .wrote(if done.is_ok() { "ok" } else { "failed" });
        // Perhaps the session is over: the next step finds out.
        if matches!(done, Err(Error::Server { .. }))
            && let Some(session) = &mut self.session
        {
            session.renewed = now.checked_sub(self.config.ttl).unwrap_or(now);
        }
        done.map(|()| true)
    }

    /// Begins a session, or keeps the one that there is.
    async fn keep_session(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(session) = &mut self.session {
            if now.saturating_duration_since(session.renewed) < self.config.ttl / 3 {
                return Ok(());
            }
            if self.client.session_renew(&session.id).await? {
                session.renewed = now;
                return Ok(());
            }
            log::warn!("the directory of streams forgot this ingest; all are entered again");
        }
        self.session = None;
        self.directory.ledger().lost();
        let id = self
            .client
            .session_create(&self.who.ingest, self.config.ttl)
            .await?;
        self.session = Some(Session { id, renewed: now });
        Ok(())
    }

    /// The entry of a stream; `None` while nobody knows where this ingest can be reached.
    async fn place(&mut self, live: &Live) -> Result<Option<Place>, Error> {
        if self.address.is_none() {
            self.address = self.registered().await?;
        }
        let Some(internal) = self.address.clone() else {
            return Ok(None);
        };
        let public = match &self.config.public {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{internal}"),
        };
        Ok(Some(Place {
            ingest: self.who.ingest.clone(),
            node: self.who.node.clone(),
            zone: self.who.zone.clone(),
            epoch: live.epoch,
            sequence: live.sequence,
            discontinuity: Some(live.discontinuity),
            waiting: live.waiting,
            public,
            internal,
            since: live.since,
            at: SystemTime::now(),
        }))
    }

    /// Looks whether another ingest, or another generation of this one, has entered the stream too,
    /// while it is being published here.
    async fn look(&mut self, stream: &StreamId, live: &Live) {
        // Without an answer nothing is known, and the next write looks again.
        if let Ok(found) = directory::find(&self.client, stream).await {
            let newest = found.iter().map(|p| p.epoch).max().unwrap_or(0);
            self.directory.ledger().seen(stream, live.epoch, newest);
        }
    }

    /// The address that this ingest's agent has registered.
    async fn registered(&self) -> Result<Option<String>, Error> {
        let query = HealthQuery {
            service: &self.who.service,
            ..HealthQuery::default()
        };
        let found = self.client.health_service(&query).await?.value;
        let own = found
            .into_iter()
            .find(|instance| instance.id == self.who.ingest);
        Ok(own.map(|own| {
            let host = own.meta.get("http-address").unwrap_or(&own.address);
            match host.contains(':') {
                true => format!("[{host}]:{}", self.who.http.port()),
                false => format!("{host}:{}", self.who.http.port()),
            }
        }))
    }

    /// Notes a failure; the pause after it.
    fn failed(&mut self, error: &Error) -> Duration {
        if self.failures == 0 {
            log::warn!(rackcast_reason = error.to_string();
                "the directory of streams cannot be written: {error}");
        }
        self.failures = self.failures.saturating_add(1);
        RETRY.delay(self.failures, rand::random())
    }
}
