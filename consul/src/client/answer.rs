//! An answer, read whole within a limit and decompressed within the same limit.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::Error;

/// What Consul said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `X-Consul-Index`. It means nothing unless the answer is a success.
    pub(super) index: Option<u64>,
    /// `X-Consul-ContentHash`.
    pub(super) content_hash: Option<String>,
    /// Newer versions say when ACLs removed something from the answer.
    pub(super) filtered: bool,
    pub(super) body: Bytes,
}

impl Answer {
    /// Reads the whole answer.
    pub(super) async fn read(response: Response<Incoming>, limit: usize) -> Result<Self, Error> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            match error.is::<http_body_util::LengthLimitError>() {
                true => Error::TooLarge(limit),
                false => Error::from_loss(error.as_ref()),
            }
        })?;
        let mut body = body.to_bytes();
        if text(&head.headers, CONTENT_ENCODING.as_str()) == Some("gzip") {
            body = gunzip(&body, limit)?;
        }
        Ok(Self {
            status: head.status,
            index: text(&head.headers, "x-consul-index").and_then(|text| text.parse().ok()),
            content_hash: text(&head.headers, "x-consul-contenthash").map(str::to_owned),
            filtered: text(&head.headers, "x-consul-results-filtered-by-acls") == Some("true"),
            body,
        })
    }

    /// The body as JSON. Unknown fields are of newer versions and are ignored.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Malformed(error.to_string()))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Decompresses, but never past `limit` bytes: a small body can hold a very large one.
fn gunzip(body: &[u8], limit: usize) -> Result<Bytes, Error> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(body)
        .take(most)
        .read_to_end(&mut plain)
        .map_err(|error| Error::Malformed(format!("gzip: {error}")))?;
    match plain.len() > limit {
        true => Err(Error::TooLarge(limit)),
        false => Ok(plain.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_undone_within_the_limit() {
        assert_eq!(gunzip(&gzip(b"[]"), 2).unwrap(), &b"[]"[..]);
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert!(matches!(gunzip(&bomb, 1 << 20), Err(Error::TooLarge(_))));
        assert!(matches!(gunzip(b"not gzip", 10), Err(Error::Malformed(_))));
    }
}
