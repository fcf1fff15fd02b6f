//! Connections to the nodes: a few HTTP/2 connections each, kept up by a task of their own.
//!
//! A connection over TLS is up once the node has proved who it is and has accepted this ingest;
//! a refusal is a node that cannot be connected to.
//!
//! A request never waits for a pause between attempts to connect: while every connection of a
//! node is down it fails at once, so that the segment goes elsewhere. Losing a connection
//! loses the requests on it and nothing else; its task connects again, at first at once, then
//! with growing, jittered pauses.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rackcast_route::Endpoint;
use rackcast_service::process::Backoff;
use rackcast_service::tls::Stream;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{LinkConfig, Security};

/// Bytes that the kernel takes on before it can send them. By default it takes megabytes, which
/// is a whole segment: once there, one that the node refused or that was cancelled would still be
/// sent, in front of the next. What HTTP/2 still has can be dropped.
const UNSENT: u32 = 64 << 10;

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No connection; the request was not sent.
    #[error("cannot connect to {endpoint}: {reason}")]
    Down {
        endpoint: Endpoint,
        reason: Arc<str>,
    },
    /// The connection or the request broke off; the node may have begun to work on it.
    #[error("the request to {endpoint} broke off: {source}")]
    Broken {
        endpoint: Endpoint,
        source: hyper::Error,
    },
}

/// The links to all nodes, made when they are first needed.
#[derive(Debug)]
pub struct Pool {
    config: LinkConfig,
    security: Arc<Security>,
    links: Mutex<HashMap<Endpoint, Arc<Link>>>,
}

impl Pool {
    /// No links yet.
    pub fn new(config: LinkConfig, security: Arc<Security>) -> Self {
        Self {
            config,
            security,
            links: Mutex::default(),
        }
    }

    /// Forgets the links to nodes that are gone; they close when their last request is done.
    pub fn retain(&self, keep: impl Fn(&Endpoint) -> bool) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|endpoint, _| keep(endpoint));
    }

    /// The link to a node. Whoever holds it keeps its connections open.
    pub(crate) fn link(&self, endpoint: &Endpoint) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(endpoint) {
            return Arc::clone(link);
        }
        let link = Arc::new(Link::open(
            endpoint.clone(),
            self.config.clone(),
            &self.security,
        ));
        links.insert(endpoint.clone(), Arc::clone(&link));
        link
    }
}

#[derive(Debug, Clone)]
enum State {
    Connecting,
    Up(SendRequest<Full<Bytes>>),
    Down(Arc<str>),
}

impl State {
    fn usable(&self) -> Option<SendRequest<Full<Bytes>>> {
        match self {
            Self::Up(sender) if !sender.is_closed() => Some(sender.clone()),
            _ => None,
        }
    }

    fn down(&self) -> Option<Arc<str>> {
        match self {
            Self::Down(reason) => Some(Arc::clone(reason)),
            _ => None,
        }
    }
}

/// A few connections to one node.
#[derive(Debug)]
pub(crate) struct Link {
    endpoint: Endpoint,
    states: watch::Receiver<Vec<State>>,
    turn: AtomicUsize,
    _keepers: Vec<AbortOnDropHandle<()>>,
}

impl Link {
    fn open(endpoint: Endpoint, config: LinkConfig, security: &Arc<Security>) -> Self {
        let count = config.connections.max(1);
        let (tx, states) = watch::channel(vec![State::Connecting; count]);
        let config = Arc::new(config);
        let keepers = (0..count)
            .map(|i| {
                let (config, security) = (Arc::clone(&config), Arc::clone(security));
                let keeper = keep_up(endpoint.clone(), config, security, tx.clone(), i);
                AbortOnDropHandle::new(tokio::spawn(keeper))
            })
            .collect();
        Self {
            endpoint,
            states,
            turn: AtomicUsize::new(0),
            _keepers: keepers,
        }
    }

    /// Sends a request. Dropping the future, or the answer's body, cancels it at the node.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, LinkError> {
        loop {
            let mut sender = self.connection().await?;
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                // The connection closed before it took the request: nothing was sent.
                Err(mut e) => match e.take_message() {
                    Some(unsent) => request = unsent,
                    None => {
                        return Err(LinkError::Broken {
                            endpoint: self.endpoint.clone(),
                            source: e.into_error(),
                        });
                    }
                },
            }
        }
    }

    /// The next connection in turn that is up; waits while one is being made.
    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, LinkError> {
        let mut states = self.states.clone();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        loop {
            let down = {
                let all = states.borrow_and_update();
                let in_turn = all.iter().cycle().skip(turn % all.len().max(1));
                let up = in_turn.take(all.len()).find_map(State::usable);
                if let Some(sender) = up {
                    return Ok(sender);
                }
                // All down: then any of the reasons will do.
                all.iter().map(State::down).collect::<Option<Vec<_>>>()
            };
            let reason = match down {
                Some(reasons) => reasons.into_iter().next().unwrap_or_default(),
                None if states.changed().await.is_ok() => continue,
                None => "the link is closed".into(),
            };
            return Err(LinkError::Down {
                endpoint: self.endpoint.clone(),
                reason,
            });
        }
    }
}

/// Keeps connection `i` of a link up until the task is aborted.
async fn keep_up(
    endpoint: Endpoint,
    config: Arc<LinkConfig>,
    security: Arc<Security>,
    states: watch::Sender<Vec<State>>,
    i: usize,
) {
    let backoff = Backoff {
        first: Duration::from_millis(50),
        max: config.reconnect_max,
        steady: Duration::from_secs(5),
    };
    let publish = |state: State| {
        states.send_modify(|all| {
            if let Some(slot) = all.get_mut(i) {
                *slot = state;
            }
        });
    };
    let mut failures = 0;
    loop {
        publish(State::Connecting);
        let began = Instant::now();
        let (was_up, reason) = match connect(&endpoint, &config, &security).await {
            Ok((sender, connection)) => {
                publish(State::Up(sender));
                let end = connection.await;
                let end = end.map_or_else(|e| e.to_string(), |()| "closed by the node".into());
                (true, end)
            }
            Err(e) => (false, e.to_string()),
        };
        failures = backoff.failures_after(failures, began.elapsed());
        log::debug!(rackcast_peer = endpoint.as_str(), rackcast_reason = reason;
            "connection {i} to the node is down");
        // A node that closes a connection (a restart, a GOAWAY) is not gone: requests wait for
        // the next attempt to connect. They wait for no pause between attempts.
        if !was_up || failures > 1 {
            publish(State::Down(reason.into()));
            sleep(backoff.delay(failures, rand::random())).await;
        }
    }
}

type Connection = http2::Connection<TokioIo<Stream>, Full<Bytes>, TokioExecutor>;

async fn connect(
    endpoint: &Endpoint,
    config: &LinkConfig,
    security: &Security,
) -> io::Result<(SendRequest<Full<Bytes>>, Connection)> {
    let handshake = async {
        let stream = TcpStream::connect(endpoint.as_str()).await?;
        stream.set_nodelay(true)?;
        socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
        let stream = security.secure(stream, endpoint).await?;
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(config.stream_window)
            .initial_connection_window_size(config.connection_window)
            .adaptive_window(false)
            .keep_alive_interval(config.keepalive_interval)
            .keep_alive_timeout(config.keepalive_timeout)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)
    };
    timeout(config.connect_timeout, handshake)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
