//! Runs the checks: TTLs expire, HTTP and TCP checks are polled, and services that stay
//! critical are removed. Tasks hold the store weakly, so they end with it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::RngExt;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::shared::Shared;
use super::wire::{HttpPoll, Kind, TcpPoll};
use crate::register::Status;

/// Polls are no closer together, as in Consul.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// As much of an answer as a check keeps.
const ANSWER_LIMIT: usize = 4096;

/// Starts to run a check. It stops when the handle is dropped.
pub(super) fn start(shared: &Arc<Shared>, id: &str, kind: &Kind) -> Option<AbortOnDropHandle<()>> {
    let shared = Arc::downgrade(shared);
    let id = id.to_owned();
    let task = match kind.clone() {
        Kind::Maintenance => return None,
        Kind::Ttl(ttl) => tokio::spawn(expire(shared, id, ttl)),
        Kind::Http(poll) => {
            let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
            tokio::spawn(poll_forever(
                shared,
                id,
                poll.interval,
                Poller::Http(Box::new(client), poll),
            ))
        }
        Kind::Tcp(poll) => tokio::spawn(poll_forever(shared, id, poll.interval, Poller::Tcp(poll))),
    };
    Some(AbortOnDropHandle::new(task))
}

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Asks once, each time it is told to.
enum Poller {
    Http(Box<HttpClient>, HttpPoll),
    Tcp(TcpPoll),
}

impl Poller {
    async fn poll(&self) -> (Status, String) {
        match self {
            Self::Http(client, poll) => ask_http(client, poll).await,
            Self::Tcp(poll) => connect(poll).await,
        }
    }
}

/// Waits out one TTL; each report starts a new task in place of this one.
async fn expire(shared: Weak<Shared>, id: String, ttl: Duration) {
    tokio::time::sleep(ttl).await;
    if let Some(shared) = shared.upgrade() {
        shared.write(|store| store.set_status(&id, Status::Critical, "TTL expired"));
    }
}

async fn poll_forever(shared: Weak<Shared>, id: String, interval: Duration, poller: Poller) {
    let interval = interval.max(SHORTEST_INTERVAL);
    // The first poll is anywhere within the interval, so that many checks spread.
    let first = interval.mul_f64(rand::rng().random_range(0.0..1.0));
    tokio::time::sleep(first).await;
    loop {
        let (status, output) = poller.poll().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.write(|store| {
            let Some(check) = store.checks.get_mut(&id) else {
                return;
            };
            if check.value.counts(status) {
                store.set_status(&id, status, &output);
            }
        });
        drop(shared);
        tokio::time::sleep(interval).await;
    }
}

impl super::entry::Check {
    /// Counts a result; whether enough of its like came in a row.
    fn counts(&mut self, status: Status) -> bool {
        match status {
            Status::Passing | Status::Warning => {
                self.successes = self.successes.saturating_add(1);
                self.failures = 0;
                self.successes >= self.success_before_passing
            }
            Status::Critical => {
                self.failures = self.failures.saturating_add(1);
                self.successes = 0;
                self.failures >= self.failures_before_critical
            }
        }
    }
}

/// 2xx is passing, 429 warning, anything else critical.
async fn ask_http(client: &HttpClient, poll: &HttpPoll) -> (Status, String) {
    let critical = |why: String| (Status::Critical, format!("Get \"{}\": {why}", poll.url));
    let mut request = http::Request::builder()
        .method(poll.method.as_str())
        .uri(&poll.url)
        .header("User-Agent", "Consul Health Check")
        .header("Accept", "text/plain, text/*, */*");
    for (name, values) in &poll.header {
        for value in values {
            request = request.header(name, value);
        }
    }
    let request = match request.body(Full::new(Bytes::from(poll.body.clone()))) {
        Ok(request) => request,
        Err(error) => return critical(error.to_string()),
    };
    let exchange = async {
        let response = client
            .request(request)
            .await
            .map_err(|error| match error.is_connect() {
                true => "connection refused or unreachable".to_owned(),
                false => error.to_string(),
            })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT)
            .collect()
            .await;
        let body = body
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        Ok::<_, String>((status, body))
    };
    match tokio::time::timeout(poll.timeout, exchange).await {
        Err(_) => critical(format!("no answer within {:?}", poll.timeout)),
        Ok(Err(why)) => critical(why),
        Ok(Ok((code, body))) => {
            let status = match code.as_u16() {
                200..=299 => Status::Passing,
                429 => Status::Warning,
                _ => Status::Critical,
            };
            let body = String::from_utf8_lossy(&body);
            (
                status,
                format!("HTTP {} {}: {code} Output: {body}", poll.method, poll.url),
            )
        }
    }
}

async fn connect(poll: &TcpPoll) -> (Status, String) {
    match tokio::time::timeout(poll.timeout, TcpStream::connect(&poll.address)).await {
        Ok(Ok(_)) => (
            Status::Passing,
            format!("TCP connect {}: Success", poll.address),
        ),
        Ok(Err(error)) => (
            Status::Critical,
            format!("dial tcp {}: {error}", poll.address),
        ),
        Err(_) => (
            Status::Critical,
            format!("dial tcp {}: i/o timeout", poll.address),
        ),
    }
}

/// Removes services that were critical for longer than one of their checks allows.
pub(super) async fn reap(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let (interval, least) = (
            strong.limits.reap_interval,
            strong.limits.deregister_after_min,
        );
        strong.write(|store| {
            let doomed: Vec<String> = store
                .checks
                .values()
                .filter(|check| {
                    let after = check.value.deregister_after.map(|after| after.max(least));
                    let since = check.value.critical_since;
                    after
                        .zip(since)
                        .is_some_and(|(after, since)| since.elapsed() >= after)
                })
                .map(|check| check.value.service_id.clone())
                .collect();
            for id in doomed {
                if store.remove_service(&id) {
                    log::warn!("development catalog: {id} was critical for too long: removed");
                }
            }
        });
        drop(strong);
        tokio::time::sleep(interval).await;
    }
}
