//! A thin client of the agent's HTTP API over hyper.
//!
//! Every request has one deadline over connecting, headers **and** body, so that a peer
//! which stops in the middle of an answer cannot hold the caller; every answer has a size
//! limit, before and after decompression. The client never retries: those who call it
//! ([`crate::reconcile`], [`crate::watch`]) know what a failure means to them.

mod admin;
mod agent;
mod answer;
mod config;
mod connect;
mod error;
mod health;
mod kv;
mod request;
mod session;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rackcast_service::config::credential;
use rackcast_service::reload::Live;
use rackcast_service::tls::{Credentials, Metrics, Use};
use serde::de::DeserializeOwned;

pub use admin::{Installed, Policy};
pub use agent::{AgentCheck, AgentService, Hashed};
pub use config::{Address, Config, Tls};
pub use error::Error;
pub use health::{Health, HealthQuery, Indexed, Instance};
pub use kv::{Entry, Write};

use answer::Answer;
use connect::Connector;
use request::Request;

/// A connection nobody used for so long is closed; agents close theirs later.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// An agent takes 200 connections from one address, and those of all our processes count.
const IDLE_CONNECTIONS: usize = 4;
/// A token is a UUID; anything much longer is the wrong file.
const TOKEN_LIMIT: usize = 1024;

/// Stands for a token; see [`Client::token_mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenMark(u64);

/// A client of one Consul agent. Clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: legacy::Client<Connector, Full<Bytes>>,
    /// Scheme and authority of every request.
    base: String,
    certificates: Option<Arc<Credentials>>,
    config: Config,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client")
            .field(&self.inner.config.address)
            .finish()
    }
}

impl Client {
    /// A client of the agent that `config` names. Nothing is connected yet. With `https`, the
    /// certificates are read now, which blocks; [`Self::certificates`] keeps them fresh.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let metrics = Metrics::new().map_err(|error| Error::Config(error.to_string()))?;
        Self::observed(config, metrics)
    }

    /// The same, whose TLS is counted here.
    pub fn observed(config: &Config, metrics: Metrics) -> Result<Self, Error> {
        config.check().map_err(Error::Config)?;
        let address: Address = config.address.parse().map_err(Error::Config)?;
        let connector = Connector::new(&address, &config.tls, metrics)?;
        let certificates = connector.credentials();
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        let base = match address {
            Address::Tcp(authority) => format!("http://{authority}"),
            Address::Tls { authority, .. } => format!("https://{authority}"),
            Address::Unix(_) => "http://localhost".to_owned(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                base,
                certificates,
                config: config.clone(),
            }),
        })
    }

    /// Tells one token from another without telling what it is: it changes when the file does.
    /// `None` where there is no token file, or it cannot be used.
    pub async fn token_mark(&self) -> Option<TokenMark> {
        let token = read_token(self.inner.config.token_file.as_deref()?)
            .await
            .ok()?;
        let mut hasher = DefaultHasher::new();
        token.as_bytes().hash(&mut hasher);
        Some(TokenMark(hasher.finish()))
    }

    /// The certificates of an `https` address. They are replaced when whoever holds them says so:
    /// spawn [`Credentials::watch`].
    pub fn certificates(&self) -> Option<Arc<Credentials>> {
        self.inner.certificates.clone()
    }

    /// Has a reload of the daemon's configuration read the certificates anew, if there are any.
    /// `own` is where the configuration of this client stands in the daemon's. (A token is read
    /// for every request.)
    pub fn reload_with<C: DeserializeOwned + 'static>(
        &self,
        live: &mut Live<C>,
        own: fn(&C) -> &Config,
    ) {
        if let Some(certificates) = self.certificates() {
            let named = move |config: &C| Some(own(config).tls.files().files(Use::Caller));
            live.part(certificates.part("consul.tls", named));
        }
    }

    /// Sends one request; an answer that is not 2xx is an error.
    async fn send(&self, request: Request) -> Result<Answer, Error> {
        let answer = self.send_any(request).await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(Error::from_answer(answer.status, &answer.body)),
        }
    }

    /// Sends one request and returns whatever the status of its answer is.
    async fn send_any(&self, request: Request) -> Result<Answer, Error> {
        let limit = self.inner.config.answer_limit;
        let deadline = request.deadline.unwrap_or(self.inner.config.timeout);
        let exchange = async {
            let token = match &self.inner.config.token_file {
                Some(path) => Some(read_token(path).await?),
                None => None,
            };
            let mut http = http::Request::builder()
                .method(request.method)
                .uri(format!("{}{}", self.inner.base, request.target))
                .header(ACCEPT_ENCODING, "gzip");
            if let Some(token) = token {
                http = http.header("X-Consul-Token", token);
            }
            if request.body.is_some() {
                http = http.header(CONTENT_TYPE, "application/json");
            }
            let http = http
                .body(Full::new(request.body.unwrap_or_default()))
                .map_err(|error| Error::Config(error.to_string()))?;
            let response = self
                .inner
                .http
                .request(http)
                .await
                .map_err(|error| Error::from_loss(&error))?;
            Answer::read(response, limit).await
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Error::TimedOut(deadline)),
        }
    }
}

/// Reads the token as a header value that no log prints.
async fn read_token(path: &Path) -> Result<HeaderValue, Error> {
    let path = credential(path);
    let fail = |why: &dyn std::fmt::Display| Error::Token(format!("{}: {why}", path.display()));
    let text = tokio::fs::read_to_string(&path)
        .await
        .map_err(|error| fail(&error))?;
    let token = text.trim();
    if token.is_empty() || token.len() > TOKEN_LIMIT {
        return Err(fail(&"does not hold one token"));
    }
    let mut value =
        HeaderValue::from_str(token).map_err(|_| fail(&"holds characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}
