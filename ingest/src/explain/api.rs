//! `GET /v1/explain...` on the admin address: reads, never changes anything.
//!
//! | Address | Answers |
//! |---|---|
//! | `/v1/explain` | the streams that are known: [`Streams`] |
//! | `/v1/explain/APP/STREAM` | their segments: [`Story`] |
//! | `...?segment=N`, `...?last=K` | one of them; the newest of them |
//! | `/v1/nodes` | the table of nodes: [`Nodes`] |
//! | `/v1/streams` | the streams that are here now: [`LiveStreams`] |
//!
//! What does not fit into `explain.max_answer` bytes is left out, the oldest first, and counted.

use std::sync::Arc;
use std::time::SystemTime;

use http::{StatusCode, Uri};
use rackcast_segment::id::{InvalidName, StreamId};
use rackcast_service::explain::{
    Answer, EXPLAIN_PATH, Ingest, LiveStream, LiveStreams, NODES_PATH, Nodes, Outcome, Problem,
    STREAMS_PATH, Segment, Story, Stream, Streams, VERSION,
};
use rackcast_service::http as server;
use serde::Serialize;

use super::Trails;
use super::record::Record;
use super::story::{self, unix_ms};
use super::summary::summary;

/// Of how many segments the health of a stream is told.
const RECENT: usize = 30;
/// The most characters of a question that a refusal repeats.
const MAX_ECHO: usize = 100;

/// Answers for one ingest.
pub struct Api {
    trails: Arc<Trails>,
    nodes: Box<dyn Fn() -> Nodes + Send + Sync>,
    live: Box<dyn Fn() -> Vec<LiveStream> + Send + Sync>,
    ingest: Ingest,
}

/// Which segments of a stream are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Last(usize),
    One(u64),
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}: {1}")]
    Name(String, InvalidName),
    #[error("{0}: only segment=N or last=K is understood, one of them, once, as a whole number")]
    Query(String),
    #[error("{0}: nothing can be asked here")]
    NoQuery(String),
    #[error("this ingest knows no segment of {0}")]
    Stream(StreamId),
    #[error("segment {wanted} of {stream} is not remembered; {first} to {last} are")]
    Segment {
        stream: StreamId,
        wanted: u64,
        first: u64,
        last: u64,
    },
    #[error("the answer cannot be written: {0}")]
    Internal(#[from] serde_json::Error),
}

impl Refusal {
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Name(..) | Self::Query(_) | Self::NoQuery(_) => {
                (StatusCode::BAD_REQUEST, "bad-request")
            }
            Self::Stream(_) => (StatusCode::NOT_FOUND, "unknown-stream"),
            Self::Segment { .. } => (StatusCode::NOT_FOUND, "unknown-segment"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl Api {
    /// Answers from `trails`, how the nodes stand from `nodes`, and which streams are here from
    /// `live`, in the name of `ingest`.
    pub fn new(
        trails: Arc<Trails>,
        nodes: impl Fn() -> Nodes + Send + Sync + 'static,
        live: impl Fn() -> Vec<LiveStream> + Send + Sync + 'static,
        ingest: Ingest,
    ) -> Self {
        Self {
            trails,
            nodes: Box::new(nodes),
            live: Box::new(live),
            ingest,
        }
    }

    /// The answer to a GET, if it asks for anything here.
    pub fn answer(&self, uri: &Uri) -> Option<server::Answer> {
        let query = uri.query().unwrap_or_default();
        let answer = match uri.path() {
            EXPLAIN_PATH => plain(query).and_then(|()| self.streams()),
            STREAMS_PATH => plain(query).and_then(|()| self.live()),
            NODES_PATH => plain(query).and_then(|()| self.nodes((self.nodes)())),
            path => {
                let name = path.strip_prefix(EXPLAIN_PATH)?.strip_prefix('/')?;
                self.story(name, query)
            }
        };
        Some(answer.unwrap_or_else(|refusal| {
            let (status, code) = refusal.parts();
            let problem = Problem {
                code: code.to_owned(),
                message: refusal.to_string(),
            };
            self.say(status, problem)
        }))
    }

    /// The streams that are here, with what is remembered of the last segments of each.
    fn live(&self) -> Result<server::Answer, Refusal> {
        let zones = self.trails.zones();
        let streams = (self.live)().into_iter().map(|mut stream| {
            let id = stream.stream.parse().ok();
            let records = id.and_then(|id: StreamId| self.trails.of(&id));
            let records = records.unwrap_or_default();
            let recent = records.get(records.len().saturating_sub(RECENT)..);
            for record in recent.unwrap_or_default() {
                stream.recent += 1;
                stream.complete += u64::from(record.outcome() == Outcome::Complete);
            }
            let last = records.iter().rev().find_map(|record| record.sent().next());
            stream.node = last.map(|sent| zones.node(&sent.node));
            stream.last = records.last().map(|record| record.sequence.0);
            stream
        });
        let (streams, omitted) = self.fit(streams.collect::<Vec<_>>().into_iter())?;
        Ok(self.say(StatusCode::OK, LiveStreams { streams, omitted }))
    }

    fn nodes(&self, mut nodes: Nodes) -> Result<server::Answer, Refusal> {
        let (fit, omitted) = self.fit(std::mem::take(&mut nodes.nodes).into_iter())?;
        nodes.nodes = fit;
        nodes.omitted = omitted;
        Ok(self.say(StatusCode::OK, nodes))
    }

    fn streams(&self) -> Result<server::Answer, Refusal> {
        let zones = self.trails.zones();
        let list = self.trails.store().list();
        let streams = list.iter().map(|(segments, first, newest)| {
            let sent = newest.sent().next();
            Stream {
                stream: newest.stream.to_string(),
                segments: u64::try_from(*segments).unwrap_or(u64::MAX),
                first: first.0,
                last: newest.sequence.0,
                last_at_ms: unix_ms(newest.began),
                node: sent.map(|sent| zones.node(&sent.node)),
            }
        });
        let (streams, omitted) = self.fit(streams)?;
        Ok(self.say(StatusCode::OK, Streams { streams, omitted }))
    }

    fn story(&self, name: &str, query: &str) -> Result<server::Answer, Refusal> {
        let name_is = |e| Refusal::Name(echo(name), e);
        let id: StreamId = name.parse().map_err(name_is)?;
        let which = which(query)?;
        let records = self
            .trails
            .of(&id)
            .filter(|records| !records.is_empty())
            .ok_or_else(|| Refusal::Stream(id.clone()))?;
        let zones = self.trails.zones();
        let told = |record: &Arc<Record>| story::segment(record, &zones);
        let summary = summary(&records, &zones);
        let wanted: Vec<_> = match which {
            Which::All => records.iter().collect(),
            Which::Last(k) => records.iter().rev().take(k).rev().collect(),
            Which::One(n) => records.iter().filter(|r| r.sequence.0 == n).collect(),
        };
        if let (Which::One(wanted_one), []) = (which, &wanted[..]) {
            return Err(Refusal::Segment {
                stream: id,
                wanted: wanted_one,
                first: summary.first,
                last: summary.last,
            });
        }
        let newest_first = wanted.iter().rev().map(|record| told(record));
        let (mut segments, omitted): (Vec<Segment>, _) = self.fit(newest_first)?;
        segments.reverse();
        let story = Story {
            stream: id.to_string(),
            summary,
            segments,
            omitted,
        };
        Ok(self.say(StatusCode::OK, story))
    }

    /// As many of these as an answer may have bytes, and how many more there were.
    fn fit<T: Serialize>(
        &self,
        items: impl ExactSizeIterator<Item = T>,
    ) -> Result<(Vec<T>, u64), Refusal> {
        let total = items.len();
        let (mut fit, mut room) = (Vec::new(), self.trails.config.load().max_answer);
        for item in items {
            let size = serde_json::to_vec(&item)?.len() + 1;
            let Some(left) = room.checked_sub(size) else {
                break;
            };
            room = left;
            fit.push(item);
        }
        let omitted = u64::try_from(total - fit.len()).unwrap_or(u64::MAX);
        if omitted > 0 {
            self.trails.metrics.shortened();
        }
        Ok((fit, omitted))
    }

    fn say<T: Serialize>(&self, status: StatusCode, content: T) -> server::Answer {
        let answer = Answer {
            version: VERSION,
            ingest: self.ingest.clone(),
            asked_at_ms: unix_ms(SystemTime::now()),
            content,
        };
        match serde_json::to_vec(&answer) {
            Ok(body) => server::content(status, "application/json", body),
            Err(e) => server::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")),
        }
    }
}

fn plain(query: &str) -> Result<(), Refusal> {
    match query {
        "" => Ok(()),
        query => Err(Refusal::NoQuery(echo(query))),
    }
}

fn which(query: &str) -> Result<Which, Refusal> {
    if query.is_empty() {
        return Ok(Which::All);
    }
    let understood = match query.split_once('=') {
        Some(("segment", n)) => number(n).map(Which::One),
        Some(("last", k)) => number(k)
            .filter(|k| *k > 0)
            .map(|k| Which::Last(usize::try_from(k).unwrap_or(usize::MAX))),
        _ => None,
    };
    understood.ok_or_else(|| Refusal::Query(echo(query)))
}

/// Digits alone: `parse` would also take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn echo(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}
