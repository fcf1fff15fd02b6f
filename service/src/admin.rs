//! The admin address: `/metrics` for Prometheus, `/healthz` and `/readyz` for Consul and people.
//!
//! `/healthz` says whether the service works: 503 with the reason when its health is critical.
//! `/readyz` says whether it should be given new work: 503 as well while it starts or drains. A
//! daemon adds pages of its own with [`serve_with`].

use std::sync::Arc;

use http::{StatusCode, Uri};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::{self as server, Answer, content, text};
use crate::metrics;
use crate::status::{HealthState, ServiceStatus};
use crate::vital;

/// Serves the admin endpoints until `shutdown`. Must be called within a tokio runtime.
pub fn serve(
    listener: TcpListener,
    registry: Registry,
    status: watch::Receiver<ServiceStatus>,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let none = |_| std::future::ready(None);
    serve_with(listener, registry, status, none, shutdown)
}

/// The same, and before it `pages`: what they know, they answer to GET and HEAD; `None` is left to
/// the others, and is 404 if none of them knows it either.
pub fn serve_with<P>(
    listener: TcpListener,
    registry: Registry,
    status: watch::Receiver<ServiceStatus>,
    pages: impl Fn(Uri) -> P + Send + Sync + 'static,
    shutdown: CancellationToken,
) -> JoinHandle<()>
where
    P: Future<Output = Option<Answer>> + Send + 'static,
{
    let own = move |uri: &Uri| match uri.path() {
        "/metrics" => Some(exposition(&registry)),
        "/healthz" => Some(healthz(&status.borrow())),
        "/readyz" => Some(readyz(&status.borrow())),
        _ => None,
    };
    let own = Arc::new(own);
    let answer = move |uri: Uri| {
        let (page, own) = (pages(uri.clone()), Arc::clone(&own));
        async move { page.await.or_else(|| own(&uri)) }
    };
    let until = shutdown.clone();
    let serving = server::serve(listener, answer, shutdown);
    vital::spawn("the admin server", &until, serving)
}

fn exposition(registry: &Registry) -> Answer {
    match metrics::encode(registry) {
        Ok((body, kind)) => content(StatusCode::OK, kind, body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn healthz(status: &ServiceStatus) -> Answer {
    let code = match status.health.state {
        HealthState::Passing | HealthState::Warning => StatusCode::OK,
        HealthState::Critical => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(
        code,
        format!("{}: {}\n", status.health.state, status.health.summary),
    )
}

fn readyz(status: &ServiceStatus) -> Answer {
    if status.health.state == HealthState::Critical {
        return healthz(status);
    }
    match (status.draining, status.ready) {
        (true, _) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining: takes no new work\n",
        ),
        (_, false) => text(StatusCode::SERVICE_UNAVAILABLE, "starting: not ready yet\n"),
        (false, true) => text(StatusCode::OK, "ready\n"),
    }
}
