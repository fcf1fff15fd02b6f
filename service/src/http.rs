//! The small HTTP server behind the status socket and the admin address: GET, a handful of paths,
//! bounded in connections and in time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections at a time; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 64;
/// How long a peer may take to send a request, or to send none on an open connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may live: answers are small and immediate.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause after a failed accept (no file descriptors left), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A whole answer, at hand.
pub type Answer = Response<Full<Bytes>>;

/// A source of connections.
pub(crate) trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;
    async fn accept(&self) -> io::Result<Self::Stream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;
    async fn accept(&self) -> io::Result<Self::Stream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// Answers requests until `shutdown`; then drops what is open.
pub(crate) async fn serve<L, F, A>(listener: L, answer: F, shutdown: CancellationToken)
where
    L: Listener,
    F: Fn(Uri) -> A + Send + Sync + 'static,
    A: Future<Output = Option<Answer>> + Send,
{
    let answer = Arc::new(answer);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = async {
        // The semaphore is never closed, so there is always a permit to wait for.
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            match listener.accept().await {
                Ok(stream) => {
                    let (answer, shutdown) = (Arc::clone(&answer), shutdown.clone());
                    tokio::spawn(async move {
                        shutdown
                            .run_until_cancelled(connection(stream, answer))
                            .await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    log::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(accepting).await;
}

async fn connection<S, F, A>(stream: S, answer: Arc<F>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Uri) -> A + Send + Sync + 'static,
    A: Future<Output = Option<Answer>> + Send,
{
    let service = service_fn(|request: Request<Incoming>| {
        let answer = Arc::clone(&answer);
        let (asked, _) = request.into_parts();
        async move {
            let answer = respond(&asked.method, asked.uri, answer.as_ref()).await;
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that goes away or talks nonsense is its own affair.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, serving).await;
}

async fn respond<A: Future<Output = Option<Answer>>>(
    method: &Method,
    uri: Uri,
    answer: &impl Fn(Uri) -> A,
) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return text(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is understood here\n",
        );
    }
    answer(uri)
        .await
        .unwrap_or_else(|| text(StatusCode::NOT_FOUND, "there is nothing at this address\n"))
}

/// An answer of one line, or some.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    content(status, "text/plain; charset=utf-8", body)
}

/// An answer of the media type `kind`.
pub fn content(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    answer
}
