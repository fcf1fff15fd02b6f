//! The admin address of an ingest of several generations: one answer for all of them.
//!
//! Metrics carry the label `generation`, so that each series lives and ends with the process that
//! counts it, and a sum over the label is the ingest. Decisions are asked of the newest generation
//! first and then of the older ones; the table of nodes is the newest's own.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::request::Parts;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use prometheus::{Registry, TEXT_FORMAT};
use rackcast_service::explain::{Answer, EXPLAIN_PATH, LiveStreams, STREAMS_PATH, Stream, Streams};
use rackcast_service::http::{self as server, content};
use rackcast_service::metrics;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::explain::api::Api;
use crate::relay::Relay;

/// Where a generation answers another one; no stream has such a name.
const INSIDE: &str = "/.rackcast";
const JSON: &str = "application/json";
/// The most that is read of another generation's answer, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// The pages of one generation, and through it of all.
pub(super) struct Pages {
    explain: Api,
    metrics: Registry,
    generations: Arc<ArcSwap<Vec<Relay>>>,
}

impl Pages {
    /// The pages of a generation; `generations` are the others, the newest first.
    pub(super) fn new(
        explain: Api,
        metrics: Registry,
        generations: Arc<ArcSwap<Vec<Relay>>>,
    ) -> Self {
        Self {
            explain,
            metrics,
            generations,
        }
    }

    /// Answers for the ingest as a whole.
    pub(super) async fn answer(&self, uri: Uri) -> Option<server::Answer> {
        let own = self.own(&uri)?;
        match uri.path() {
            "/metrics" => Some(self.all_metrics(own).await),
            EXPLAIN_PATH => Some(self.merged(&uri, own, explained).await),
            STREAMS_PATH => Some(self.merged(&uri, own, live).await),
            path if path.starts_with(EXPLAIN_PATH) && own.status() == StatusCode::NOT_FOUND => {
                let others = self.others(&uri).await;
                let found = others
                    .into_iter()
                    .find(|(status, _)| *status == StatusCode::OK);
                Some(found.map_or(own, |(status, body)| content(status, JSON, body)))
            }
            _ => Some(own),
        }
    }

    /// Answers another generation, for this one alone.
    pub(super) fn inside(&self, uri: &Uri) -> Option<server::Answer> {
        let rest = uri.path_and_query()?.as_str().strip_prefix(INSIDE)?;
        self.own(&rest.parse().ok()?)
    }

    fn own(&self, uri: &Uri) -> Option<server::Answer> {
        if uri.path() != "/metrics" {
            return self.explain.answer(uri);
        }
        let answer = match metrics::encode(&self.metrics) {
            Ok((body, kind)) => content(StatusCode::OK, kind, body),
            Err(e) => server::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")),
        };
        Some(answer)
    }

    async fn all_metrics(&self, own: server::Answer) -> server::Answer {
        let uri = Uri::from_static("/metrics");
        let others = self.others(&uri).await;
        if others.is_empty() {
            return own;
        }
        let mut texts = vec![whole(own).await];
        texts.extend(others.into_iter().map(|(_, body)| body));
        let texts: Vec<_> = texts.iter().map(|t| String::from_utf8_lossy(t)).collect();
        content(StatusCode::OK, TEXT_FORMAT, metrics::merge(&texts))
    }

    /// A list of streams with what other generations add to it; `join` takes one's list into that of
    /// the newer ones.
    async fn merged<T: Serialize + DeserializeOwned>(
        &self,
        uri: &Uri,
        own: server::Answer,
        join: impl Fn(&mut T, T),
    ) -> server::Answer {
        let others = self.others(uri).await;
        if others.is_empty() {
            return own;
        }
        let (status, body) = (own.status(), whole(own).await);
        let Ok(mut all) = serde_json::from_slice::<Answer<T>>(&body) else {
            return content(status, JSON, body);
        };
        for (_, other) in others {
            if let Ok(other) = serde_json::from_slice::<Answer<T>>(&other) {
                join(&mut all.content, other.content);
            }
        }
        match serde_json::to_vec(&all) {
            Ok(body) => content(StatusCode::OK, JSON, body),
            Err(_) => content(status, JSON, body),
        }
    }

    /// What the other generations answer; those that do not are left out.
    async fn others(&self, uri: &Uri) -> Vec<(StatusCode, Vec<u8>)> {
        let mut answers = Vec::new();
        let Some(asked) = inside(uri) else {
            return answers;
        };
        for relay in self.generations.load_full().iter() {
            let Ok(Some(response)) = relay.fetch(&asked).await else {
                continue;
            };
            let (head, body) = response.into_parts();
            match Limited::new(body, MAX_ANSWER).collect().await {
                Ok(body) => answers.push((head.status, body.to_bytes().to_vec())),
                Err(e) => log::warn!(
                    rackcast_peer = relay.place().to_string();
                    "the answer of another generation cannot be read: {e}"
                ),
            }
        }
        answers
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

fn explained(all: &mut Streams, other: Streams) {
    let known: BTreeSet<_> = all.streams.iter().map(|s| s.stream.clone()).collect();
    let new = |s: &Stream| !known.contains(&s.stream);
    all.streams.extend(other.streams.into_iter().filter(new));
    all.streams.sort_by_key(|s| Reverse(s.last_at_ms));
    all.omitted = all.omitted.saturating_add(other.omitted);
}

/// A publisher is with one generation only.
fn live(all: &mut LiveStreams, other: LiveStreams) {
    all.streams.extend(other.streams);
    all.streams.sort_by(|a, b| a.stream.cmp(&b.stream));
    all.omitted = all.omitted.saturating_add(other.omitted);
}

/// The same question to another generation.
fn inside(uri: &Uri) -> Option<Parts> {
    let path = uri.path_and_query()?;
    let request = Request::get(format!("{INSIDE}{path}")).body(()).ok()?;
    Some(request.into_parts().0)
}

async fn whole(answer: server::Answer) -> Vec<u8> {
    let body = answer.into_body().collect().await;
    body.map(|body| body.to_bytes().to_vec())
        .unwrap_or_default()
}
