//! Requests taken apart and answers put together, as Consul does.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Answers smaller than this are not worth compressing.
const GZIP_FROM: usize = 1400;

/// A request, decoded.
pub(super) struct Ask {
    pub(super) method: Method,
    /// Decoded path after `/v1/`, split where the client wrote a slash.
    pub(super) path: Vec<String>,
    query: Vec<(String, String)>,
    gzip: bool,
    body: Incoming,
}

impl Ask {
    /// Takes a request apart; `None` if its path is not under `/v1/` or is not UTF-8.
    pub(super) fn new(request: http::Request<Incoming>) -> Option<Self> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix("/v1/")?;
        let path = path
            .split('/')
            .map(|part| {
                percent_decode_str(part)
                    .decode_utf8()
                    .ok()
                    .map(|text| text.into_owned())
            })
            .collect::<Option<_>>()?;
        let query = head.uri.query().unwrap_or_default();
        Some(Self {
            method: head.method,
            path,
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            gzip: accepts_gzip(&head.headers),
            body,
        })
    }

    /// A query parameter; empty if it has no value.
    pub(super) fn query(&self, key: &str) -> Option<&str> {
        self.queries(key).next()
    }

    /// All values of a query parameter.
    pub(super) fn queries(&self, key: &str) -> impl Iterator<Item = &str> {
        self.query
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// A query parameter that is `true` or `false`, or just there.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Reply> {
        match self.query(key) {
            None => Ok(false),
            Some("" | "1" | "t" | "true") => Ok(true),
            Some("0" | "f" | "false") => Ok(false),
            Some(_) => Err(Reply::text(
                StatusCode::BAD_REQUEST,
                format!("Invalid value for ?{key}"),
            )),
        }
    }

    pub(super) fn accepts_gzip(&self) -> bool {
        self.gzip
    }

    /// The body, within a limit.
    pub(super) async fn body(&mut self, limit: usize) -> Result<Bytes, Reply> {
        match Limited::new(&mut self.body, limit).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Reply::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("Request body too large, max size: {limit} bytes"),
            )),
            Err(error) => Err(Reply::text(StatusCode::BAD_REQUEST, error.to_string())),
        }
    }

    /// The body as JSON without unknown fields.
    pub(super) async fn json<T: DeserializeOwned>(&mut self, limit: usize) -> Result<T, Reply> {
        let body = self.body(limit).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Reply::text(
                StatusCode::BAD_REQUEST,
                format!("Request decode failed: {error}"),
            )
        })
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.contains("gzip"))
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Reply {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A line of text, as for every error.
    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            body: text.into().into(),
            ..Self::empty(status)
        }
    }

    /// A JSON value.
    pub(super) fn json(value: &Value) -> Self {
        Self {
            content_type: "application/json",
            ..Self::text(StatusCode::OK, value.to_string())
        }
    }

    /// Bytes as they are.
    pub(super) fn raw(body: Bytes) -> Self {
        Self {
            content_type: "text/plain",
            body,
            ..Self::empty(StatusCode::OK)
        }
    }

    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The response, compressed if that pays.
    pub(super) fn into_response(self, gzip: bool) -> Response<Full<Bytes>> {
        let mut response = Response::builder()
            .status(self.status)
            .header(CONTENT_TYPE, self.content_type)
            .header(VARY, "Accept-Encoding");
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let mut body = self.body;
        if gzip
            && body.len() >= GZIP_FROM
            && let Some(smaller) = compress(&body)
        {
            response = response.header(CONTENT_ENCODING, "gzip");
            body = smaller;
        }
        response.body(Full::new(body)).unwrap_or_else(|error| {
            // A header value that came from a name with control characters.
            let mut response = Response::new(Full::new(error.to_string().into()));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        })
    }
}

fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
