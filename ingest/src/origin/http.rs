//! The HTTP face of the origin: everything under `/<app>/<stream>/`.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;

use super::Origin;

/// Answers one request. Never waits: whatever is asked for is in memory or not there.
pub fn handle<B>(origin: &Origin, request: &Request<B>) -> Response<Full<Bytes>> {
    let _ = (origin, request.uri());
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
