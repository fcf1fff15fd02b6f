//! Answers the other generations of this ingest, over a unix socket: what this one has of HLS, and
//! its part of the admin pages.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::pages::Pages;
use super::site::Site;
use crate::relay::Body;

/// Pause after a failed accept (no file descriptors left), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that it takes beyond the requests that a relay may have under way.
const SPARE: usize = 128;

/// Answers until `shutdown`.
pub(super) async fn serve(
    listener: UnixListener,
    site: Arc<Site>,
    pages: Arc<Pages>,
    max_requests: usize,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(max_requests.saturating_add(SPARE)));
    let accepting = async {
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(e) => {
                    log::warn!("another generation's connection cannot be accepted: {e}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (site, pages) = (Arc::clone(&site), Arc::clone(&pages));
            tokio::spawn(async move {
                let service = service_fn(|request| answer(&site, &pages, request));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(e) = connection.await {
                    log::debug!("another generation's connection ended: {e}");
                }
                drop(permit);
            });
        }
    };
    shutdown.run_until_cancelled(accepting).await;
}

async fn answer(
    site: &Site,
    pages: &Pages,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    Ok(match pages.inside(request.uri()) {
        Some(page) => page.map(Body::from),
        None => site.answer(request).await,
    })
}
