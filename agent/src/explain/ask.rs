//! Asks ingests, all at once, each within a limit of time and size.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::StatusCode;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rackcast_service::explain::VERSION;
use serde_json::Value;

use super::find::Ingest;

/// How long an ingest may take: it has the answer at hand, but may be far away.
const TIMEOUT: Duration = Duration::from_secs(4);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// Ingests that are asked at a time.
const AT_ONCE: usize = 64;

/// Another ingest answered at an address on loopback.
const OWN_MACHINE_ONLY: &str = "its admin address can be reached from its own machine only: \
                                see listen.admin in rackcast-ingest.toml";

/// What came of asking an ingest.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What it is called.
    pub(crate) name: String,
    /// What it said.
    pub(crate) reply: Reply,
}

/// See [`Asked`].
#[derive(Debug)]
pub(crate) enum Reply {
    /// An answer.
    Known(Value),
    /// It does not know what it was asked about.
    Unknown {
        /// `unknown-stream`, `unknown-segment`.
        code: String,
        /// In its own words.
        message: String,
    },
    /// It gave none.
    Failed(String),
}

type Http = Client<HttpConnector, Empty<Bytes>>;

/// Asks all of them the same question.
pub(crate) async fn all(ingests: Vec<Ingest>, target: &str) -> Vec<Asked> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(TIMEOUT));
    let http: Http = Client::builder(TokioExecutor::new()).build(connector);
    let asking = ingests.into_iter().map(|ingest| {
        let http = &http;
        async move {
            let reply = match tokio::time::timeout(TIMEOUT, one(http, &ingest, target)).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(why)) => Reply::Failed(format!("{}: {why}", ingest.base)),
                Err(_) => Reply::Failed(format!("{}: no answer within {TIMEOUT:?}", ingest.base)),
            };
            Asked {
                name: ingest.name,
                reply,
            }
        }
    });
    stream::iter(asking).buffered(AT_ONCE).collect().await
}

async fn one(http: &Http, ingest: &Ingest, target: &str) -> Result<Reply, String> {
    let uri = format!("{}{target}", ingest.base);
    let uri = uri.parse().map_err(|e| format!("no address: {e}"))?;
    let answer = http.get(uri).await.map_err(|e| chain(&e))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|e| e.to_string())?.to_bytes();
    let value = match serde_json::from_slice::<Value>(&body) {
        Ok(value) if !value["version"].is_null() => value,
        _ => return Err(format!("{status}: is it an ingest that can explain?")),
    };
    if value["version"] != VERSION {
        let version = &value["version"];
        return Err(format!(
            "it speaks version {version}, this program version {VERSION}"
        ));
    }
    if ingest
        .expect
        .as_ref()
        .is_some_and(|id| value["ingest"]["id"] != **id)
    {
        return Err(OWN_MACHINE_ONLY.to_owned());
    }
    let said = |key: &str| value[key].as_str().unwrap_or("unspecified").to_owned();
    match status {
        StatusCode::OK => Ok(Reply::Known(value)),
        StatusCode::NOT_FOUND => Ok(Reply::Unknown {
            code: said("code"),
            message: said("message"),
        }),
        _ => Err(said("message")),
    }
}

/// hyper hides "connection refused" two levels down.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
