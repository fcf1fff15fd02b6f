//! One connector for all ways to an agent: TCP, TLS and a unix socket.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rackcast_service::tls::{self, Credentials, Dialler, Metrics, ServerName, Use};

use tokio::net::UnixStream;
use tower_service::Service;

use super::Error;
use super::config::{self, Address};

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A blocking query is silent for a minute: keepalive finds a peer that is gone.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens connections to one agent.
#[derive(Clone)]
pub(super) enum Connector {
    Tcp(HttpConnector),
    Tls(HttpConnector, Arc<Secure>),
    Unix(std::path::PathBuf),
}

/// What Consul is held to, and what it is shown.
pub(super) struct Secure {
    dialler: Dialler,
    name: ServerName<'static>,
}

impl Connector {
    /// Reads certificates, if the address asks for TLS.
    pub(super) fn new(
        address: &Address,
        tls: &config::Tls,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        const NAME: &str = "consul";
        Ok(match address {
            Address::Unix(path) => Self::Unix(path.clone()),
            Address::Tcp(_) => Self::Tcp(tcp()),
            Address::Tls { host, .. } => {
                let name = tls.name(host).map_err(Error::Config)?;
                let files = tls.files().files(Use::Caller);
                let credentials = Credentials::load(NAME, files, metrics.clone())
                    .map_err(|e| Error::Config(format!("tls: {e}")))?;
                let dialler = Dialler::new(NAME, credentials, metrics);
                let mut tcp = tcp();
                tcp.enforce_http(false);
                Self::Tls(tcp, Arc::new(Secure { dialler, name }))
            }
        })
    }

    /// The certificates, if there is TLS.
    pub(super) fn credentials(&self) -> Option<Arc<Credentials>> {
        match self {
            Self::Tls(_, secure) => Some(Arc::clone(secure.dialler.credentials())),
            _ => None,
        }
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(3));
    tcp.set_nodelay(true);
    tcp
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Self::Tcp(tcp) | Self::Tls(tcp, _) => tcp.poll_ready(cx).map_err(Into::into),
            Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Tcp(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async move {
                    let socket = connecting.await?.into_inner();
                    Ok(Stream::Net(TokioIo::new(socket.into())))
                })
            }
            Self::Tls(tcp, secure) => {
                let (connecting, secure) = (tcp.call(uri), Arc::clone(secure));
                Box::pin(async move {
                    let socket = connecting.await?.into_inner();
                    let handshake = secure.dialler.call_server(socket, secure.name.clone());
                    let stream = tokio::time::timeout(CONNECT_TIMEOUT, handshake).await??;
                    Ok(Stream::Net(TokioIo::new(stream)))
                })
            }
            Self::Unix(path) => {
                let path = path.clone();
                Box::pin(async move {
                    let stream =
                        tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await??;
                    Ok(Stream::Unix(TokioIo::new(stream)))
                })
            }
        }
    }
}

/// A connection of either kind.
pub(super) enum Stream {
    Net(TokioIo<tls::Stream>),
    Unix(TokioIo<UnixStream>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Calls the same method on whichever stream it is.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Net(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::Unix(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
        }
    };
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
