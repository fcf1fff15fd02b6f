//! Counts what a daemon asks of Consul: an HTTP/1.1 proxy in front of a Consul agent that passes
//! everything on, questions that wait for a change included, and writes down every request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// One request.
#[derive(Debug, Clone)]
pub struct Counted {
    /// When it came.
    pub at: Instant,
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: String,
}

/// A meter at work; ends when dropped.
#[derive(Debug)]
pub struct Meter {
    /// Base address, to be used in the place of the agent's own.
    pub url: String,
    requests: Arc<Mutex<Vec<Counted>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Meter {
    /// A meter in front of the Consul agent at this address.
    ///
    /// # Panics
    /// There is no free address.
    pub async fn start(consul: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::default();
        let serving = tokio::spawn(serve(listener, consul, Arc::clone(&requests)));
        Self {
            url,
            requests,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// All requests since a moment.
    pub fn since(&self, from: Instant) -> Vec<Counted> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|r| r.at >= from).cloned().collect()
    }

    /// The requests of the stretch of this length, since a moment, that has the most.
    pub fn busiest(&self, from: Instant, length: Duration) -> Vec<Counted> {
        let all = self.since(from);
        let within = |first: &Counted| {
            let stretch = first.at..first.at + length;
            let inside = all.iter().filter(|r| stretch.contains(&r.at));
            inside.cloned().collect::<Vec<_>>()
        };
        let stretches = all.iter().map(within);
        stretches.max_by_key(Vec::len).unwrap_or_default()
    }
}

async fn serve(listener: TcpListener, consul: SocketAddr, requests: Arc<Mutex<Vec<Counted>>>) {
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build_http();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (client, requests) = (client.clone(), Arc::clone(&requests));
                let service = service_fn(move |request| {
                    let (client, requests) = (client.clone(), Arc::clone(&requests));
                    async move { Ok::<_, Infallible>(pass(&client, consul, &requests, request).await) }
                });
                connections.spawn(
                    http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(
    client: &Client<HttpConnector, Incoming>,
    consul: SocketAddr,
    requests: &Mutex<Vec<Counted>>,
    mut request: Request<Incoming>,
) -> Response<UnsyncBoxBody<Bytes, hyper::Error>> {
    let target = request.uri().to_string();
    requests.lock().unwrap().push(Counted {
        at: Instant::now(),
        method: request.method().clone(),
        target: target.clone(),
    });
    *request.uri_mut() = format!("http://{consul}{target}").parse().unwrap();
    match client.request(request).await {
        Ok(response) => response.map(BodyExt::boxed_unsync),
        Err(_) => {
            let never = |e: Infallible| match e {};
            let mut response = Response::new(Empty::new().map_err(never).boxed_unsync());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}
