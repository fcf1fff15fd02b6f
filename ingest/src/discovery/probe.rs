//! Asks nodes for their load while no answer tells it.
//!
//! The table says which nodes are idle; each is asked at most once a second. A probe runs over
//! the connections that segments use, so it keeps them warm and its round trip is the network's
//! part of a segment's time. A node that refuses the connection is ejected before a segment
//! finds out, and one that was ejected for that is on trial as soon as a probe gets through. A
//! probe that is slow or odd is told to the table too, but only work makes a node bad.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode};
use rackcast_route::Endpoint;
use rackcast_route::table::{FailureKind, NodeRef};
use rackcast_segment::wire;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Config, metrics::Metrics};
use crate::dispatch::Dispatcher;
use crate::dispatch::link::LinkError;

/// How often the table is asked for silent nodes at most.
const LEAST_PAUSE: Duration = Duration::from_millis(25);
/// The most bytes of a load report.
const MAX_REPORT: usize = 64 << 10;

/// Probes for ever. Nodes that do not answer keep others waiting only while they have all places.
pub(super) async fn run(config: Config, dispatcher: Arc<Dispatcher>, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(config.probe_concurrency));
    let (mut probes, mut asked) = (JoinSet::new(), HashSet::new());
    let mut next = Instant::now();
    loop {
        tokio::select! {
            Some(probed) = probes.join_next() => match probed {
                Ok(node) => {
                    asked.remove(&node);
                }
                Err(e) if e.is_panic() => resume_unwind(e.into_panic()),
                Err(_) => {}
            },
            () = sleep_until(next) => {
                // The table knows whose turn it is; looking more often keeps it from being a whole
                // interval late.
                let pause = dispatcher.router().config().route.probe_interval / 4;
                next = Instant::now() + pause.max(LEAST_PAUSE);
                for (node, endpoint) in dispatcher.to_probe() {
                    if !asked.insert(node) {
                        continue;
                    }
                    let (places, dispatcher) = (Arc::clone(&places), Arc::clone(&dispatcher));
                    let (metrics, limit) = (Arc::clone(&metrics), config.probe_timeout);
                    probes.spawn(async move {
                        if let Ok(_place) = places.acquire().await {
                            let result = probe(&dispatcher, node, &endpoint, limit).await;
                            metrics.probes.with_label_values(&[result]).inc();
                        }
                        node
                    });
                }
            }
        }
    }
}

/// One probe; the result as the metric calls it.
async fn probe(
    dispatcher: &Dispatcher,
    node: NodeRef,
    endpoint: &Endpoint,
    limit: Duration,
) -> &'static str {
    let began = Instant::now();
    let answer = timeout(limit, ask(dispatcher, endpoint)).await;
    let (kind, result) = match answer {
        Ok(Ok(load)) => {
            dispatcher.probed(node, began.elapsed(), &load);
            return "answered";
        }
        Ok(Err(e)) => {
            log::debug!(rackcast_peer = endpoint.as_str(), rackcast_reason = e.to_string();
                "the probe failed");
            match e {
                ProbeError::Link(LinkError::Down { .. }) => (FailureKind::Connect, "refused"),
                ProbeError::Link(LinkError::Broken { .. }) => (FailureKind::Broken, "failed"),
                _ => (FailureKind::Protocol, "failed"),
            }
        }
        Err(_) => (FailureKind::TimedOut, "timed-out"),
    };
    dispatcher.probe_failed(node, kind);
    result
}

#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the request cannot be built: {0}")]
    Request(#[from] http::Error),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("the report cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("the report is not a load: {0}")]
    Json(#[from] serde_json::Error),
}

async fn ask(dispatcher: &Dispatcher, endpoint: &Endpoint) -> Result<wire::load::Load, ProbeError> {
    let uri = format!("{}://{endpoint}{}", endpoint.scheme(), wire::LOAD_PATH);
    let request = Request::get(uri).body(Full::<Bytes>::default())?;
    let link = dispatcher.pool().link(endpoint);
    let response = link.send(request).await?;
    if response.status() != StatusCode::OK {
        return Err(ProbeError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_REPORT);
    let body = body.collect().await.map_err(ProbeError::Body)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}
