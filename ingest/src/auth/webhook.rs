//! An HTTP service that decides.
//!
//! `POST {"app", "stream", "query", "peer", "protocol"}`. The answer `200 {"name", "ladder"}`
//! (both optional) grants, `401` or `403 {"reason"}` refuses, anything else means that the
//! service is not available and the publisher may try again. Nothing is cached: a revoked key
//! is revoked at the next publish.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rackcast_segment::id::StreamName;
use rackcast_segment::ladder::Ladder;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{AuthRequest, Denied, Grant, WebhookConfig};

/// The longest reason that is passed on to a publisher, in characters.
const MAX_REASON: usize = 200;

#[derive(Debug)]
pub(super) struct Webhook {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    timeout: Duration,
    turns: Semaphore,
    max_response: usize,
}

#[derive(Serialize)]
struct Question<'a> {
    app: &'a str,
    stream: &'a str,
    query: Option<&'a str>,
    peer: SocketAddr,
    protocol: &'a str,
}

#[derive(Default, Deserialize)]
struct Granted {
    name: Option<StreamName>,
    ladder: Option<Ladder>,
}

#[derive(Deserialize)]
struct Refusal {
    reason: String,
}

impl Webhook {
    pub(super) fn new(config: &WebhookConfig) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: config
                .url
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            timeout: config.timeout,
            turns: Semaphore::new(config.concurrency),
            max_response: config.max_response,
        }
    }

    pub(super) async fn authorise(&self, request: &AuthRequest<'_>) -> Result<Grant, Denied> {
        let call = async {
            let _turn = self.turns.acquire().await.map_err(unavailable)?;
            self.ask(request).await
        };
        let (status, body) = tokio::time::timeout(self.timeout, call)
            .await
            .map_err(|_| Denied::Unavailable("the webhook did not answer in time".to_owned()))??;
        answer(status, &body, request)
    }

    async fn ask(&self, request: &AuthRequest<'_>) -> Result<(StatusCode, Bytes), Denied> {
        let question = Question {
            app: request.app.as_str(),
            stream: request.path(),
            query: request.query(),
            peer: request.peer,
            protocol: request.protocol,
        };
        let body = serde_json::to_vec(&question).map_err(unavailable)?;
        let post = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(unavailable)?;
        let response = self.client.request(post).await.map_err(unavailable)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.max_response).collect().await;
        let body = body.map_err(|e| {
            log::warn!("the authorisation webhook's answer cannot be read: {e}");
            Denied::Unavailable("the webhook's answer could not be read".to_owned())
        })?;
        Ok((head.status, body.to_bytes()))
    }
}

/// The details are for the operator's log; the publisher learns that it may try again.
fn unavailable(error: impl std::error::Error) -> Denied {
    let cause = error.source().map(|c| format!(": {c}")).unwrap_or_default();
    log::warn!("the authorisation webhook cannot be asked: {error}{cause}");
    Denied::Unavailable("the webhook could not be reached".to_owned())
}

fn answer(status: StatusCode, body: &[u8], request: &AuthRequest<'_>) -> Result<Grant, Denied> {
    match status {
        StatusCode::OK => {
            let granted = if body.is_empty() {
                Granted::default()
            } else {
                serde_json::from_slice(body).map_err(|e| {
                    log::warn!("the authorisation webhook's answer is not understood: {e}");
                    Denied::Unavailable("the webhook's answer was not understood".to_owned())
                })?
            };
            let name = match granted.name {
                Some(name) => name,
                // What came alone may be a key, and a key never becomes a public name.
                None if request.query().is_none() => {
                    log::warn!("the authorisation webhook grants a bare name without naming it");
                    return Err(Denied::Unavailable(
                        "the webhook did not say which stream this opens".to_owned(),
                    ));
                }
                None => request.path().parse()?,
            };
            Ok(Grant {
                name,
                ladder: granted.ladder,
            })
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let reason = serde_json::from_slice::<Refusal>(body).map(|r| r.reason);
            let reason = reason.unwrap_or_else(|_| "refused".to_owned());
            let printable = reason.chars().filter(|c| !c.is_control());
            Err(Denied::Refused(printable.take(MAX_REASON).collect()))
        }
        other => {
            log::warn!("the authorisation webhook answered {other}");
            Err(Denied::Unavailable(format!("the webhook answered {other}")))
        }
    }
}
