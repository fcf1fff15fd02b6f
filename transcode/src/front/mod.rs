//! The front: HTTP/2 with prior knowledge and HTTP/1.1 on one port, behind TLS if there is a
//! [`Door`], which lets nobody in but this fleet's ingests.
//!
//! A request is judged by its headers, before a byte of its body is read ([`segments`]): the
//! sender of a segment that will not be transcoded keeps its bandwidth and its time. The
//! answer grows as renditions are finished ([`answer`]). A client that goes away at any point
//! takes its job with it, since the job's [`Place`](crate::scheduler::Place) is owned by the
//! request, and hyper drops a request that nobody waits for.

mod answer;
mod refuse;
mod segments;
mod untaken;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use rackcast_segment::wire::{LOAD_PATH, SEGMENTS_PATH};
use rackcast_service::patient::Patient;
use rackcast_service::tls::{Door, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::admission::Caller;
use crate::config;
use crate::scheduler::Scheduler;
use untaken::Untaken;

/// Pause after a failed accept (no file descriptors left), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer that is silently gone is noticed by this, and its jobs are cancelled.
const PING: Duration = Duration::from_secs(5);

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
struct Peer {
    caller: Caller,
    untaken: Arc<Untaken>,
}

/// What every request needs.
pub struct Front {
    config: config::Front,
    door: Option<Door>,
    scheduler: Arc<Scheduler>,
}

impl Front {
    /// A front for these workers; cleartext without a door.
    pub fn new(config: config::Front, door: Option<Door>, scheduler: Arc<Scheduler>) -> Arc<Self> {
        Arc::new(Self {
            config,
            door,
            scheduler,
        })
    }

    /// Serves until `shutdown`; then says goodbye and gives open answers `grace` to end.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: CancellationToken,
        grace: Duration,
    ) {
        let server = self.server();
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(self.config.max_connections));
        let accepting = async {
            // The semaphore is never closed, so there is always a permit to wait for.
            while let Ok(permit) = room.clone().acquire_owned().await {
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(e) => {
                        log::warn!("cannot accept a connection: {e}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let (front, server) = (self.clone(), server.clone());
                let (watcher, shutdown) = (graceful.watcher(), shutdown.clone());
                tokio::spawn(async move {
                    let open = &front.scheduler.metrics.connections;
                    open.inc();
                    let entering = front.enter(stream, peer);
                    if let Some(Some(stream)) = shutdown.run_until_cancelled(entering).await {
                        // What was agreed on need not be guessed; and an ingest waits for the
                        // first word before it counts itself as let in.
                        let server = match stream.is_h2() {
                            true => server.http2_only(),
                            false => server,
                        };
                        let from = Peer {
                            caller: caller(&stream, peer),
                            untaken: Arc::default(),
                        };
                        let untaken = Arc::clone(&from.untaken);
                        // Pings end a connection that takes nothing at all.
                        let first = front.config.header_timeout;
                        let stream = Patient::new(stream, first, Duration::MAX);
                        let connection = front.connection(&server, stream, from).into_owned();
                        tokio::select! {
                            ended = watcher.watch(connection) => if let Err(e) = ended {
                                log::debug!("a connection ended: {e}");
                            },
                            () = untaken.overdue() => {
                                front.scheduler.metrics.untaken.inc();
                                log::warn!(
                                    rackcast_peer = peer.to_string();
                                    "a connection ends: its peer does not take an answer"
                                );
                            }
                        }
                    }
                    open.dec();
                    drop(permit);
                });
            }
        };
        shutdown.run_until_cancelled(accepting).await;
        drop(listener);
        if tokio::time::timeout(grace, graceful.shutdown())
            .await
            .is_err()
        {
            log::warn!("answers were cut off: their clients did not take them in time");
        }
    }

    fn server(&self) -> auto::Builder<TokioExecutor> {
        let config = &self.config;
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .max_buf_size(config.max_header_bytes as usize);
        server
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(config.stream_window)
            .initial_connection_window_size(config.connection_window)
            .max_concurrent_streams(config.max_streams)
            .max_header_list_size(config.max_header_bytes)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        server
    }

    /// Past the door, if there is one and it opens.
    async fn enter(&self, stream: TcpStream, peer: SocketAddr) -> Option<Stream> {
        if let Err(e) = stream.set_nodelay(true) {
            log::debug!("TCP_NODELAY cannot be set: {e}");
        }
        match &self.door {
            // Who was refused, and why, the door has told.
            Some(door) => door.accept(stream, peer).await.ok(),
            None => Some(stream.into()),
        }
    }

    fn connection<'a>(
        self: &Arc<Self>,
        server: &'a auto::Builder<TokioExecutor>,
        stream: Patient<Stream>,
        peer: Peer,
    ) -> auto::Connection<
        'a,
        TokioIo<Patient<Stream>>,
        impl hyper::service::Service<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send,
        > + use<>,
        TokioExecutor,
    > {
        let front = self.clone();
        let service = service_fn(move |request| {
            let (front, peer) = (front.clone(), peer.clone());
            async move { Ok::<_, Infallible>(front.answer(peer, request).await) }
        });
        server.serve_connection(TokioIo::new(stream), service)
    }

    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, SEGMENTS_PATH) => segments::handle(self, peer, request).await,
            (&Method::GET, LOAD_PATH) => json(StatusCode::OK, &self.scheduler.load()),
            (_, SEGMENTS_PATH) => plain(StatusCode::METHOD_NOT_ALLOWED, "send a POST\n"),
            (_, LOAD_PATH) => plain(StatusCode::METHOD_NOT_ALLOWED, "send a GET\n"),
            _ => plain(StatusCode::NOT_FOUND, "there is nothing at this address\n"),
        }
    }
}

/// Whose jobs these are, when slots are shared out: a member's, or those of an address.
fn caller(stream: &Stream, peer: SocketAddr) -> Caller {
    match stream.peer() {
        Some(identity) => identity.to_string().into(),
        None => peer.ip().to_canonical().to_string().into(),
    }
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => content(status, "application/json", body),
        Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    content(status, "text/plain; charset=utf-8", text)
}

fn content(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
