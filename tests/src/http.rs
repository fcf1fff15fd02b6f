//! The little HTTP that a player needs.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// How long an answer may take where nothing else is said.
pub const LIMIT: Duration = Duration::from_secs(10);

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    ///
    /// # Panics
    /// It is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header's value, or the empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
    }
}

/// A client that keeps its connections.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    http2: bool,
    limit: Duration,
}

fn client(http2: bool) -> Client<HttpConnector, Full<Bytes>> {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.http2_only(http2).build_http()
}

impl Default for Http {
    fn default() -> Self {
        Self::of(false)
    }
}

impl Http {
    /// A client that speaks HTTP/2 without being asked.
    pub fn prior_knowledge() -> Self {
        Self::of(true)
    }

    fn of(http2: bool) -> Self {
        Self {
            client: client(http2),
            http2,
            limit: LIMIT,
        }
    }

    /// The same, with its connections, but an answer may take so long.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self {
            client: self.client.clone(),
            http2: self.http2,
            limit,
        }
    }

    /// `GET`. Where the connection ends before the answer begins, it is sent once more on a connection of
    /// its own: a server may close one that idles just as it is used again (RFC 9112, 9.3.1).
    ///
    /// # Errors
    /// No answer: refused, broken off or not within the limit.
    pub async fn get(&self, url: &str) -> Result<Answer, String> {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }

    /// Any request.
    ///
    /// # Errors
    /// No answer: refused, broken off or not within the limit.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let again = method == Method::GET;
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|e| format!("{url}: {e}"))?;
        let answer = async {
            let response = match self.client.request(request.clone()).await {
                Err(e) if again && !e.is_connect() => client(self.http2).request(request).await,
                response => response,
            };
            let (head, body) = response.map_err(|e| format!("{url}: {e:?}"))?.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|e| format!("{url}: {e}"))?
                .to_bytes();
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        let limit = self.limit;
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or_else(|_| Err(format!("{url}: no answer within {limit:?}")))
    }
}
