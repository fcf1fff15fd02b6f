//! The HTTP face of the origin: everything under `/<app>/<stream>/`.
//!
//! What changes is cached for about as long as it stays the same, what never changes for
//! long, and what is not there (yet) for a moment, so that a CDN shields the origin in all
//! three cases and nobody sees a stream late. Every answer may be read by a page of any
//! origin.

mod address;
mod range;

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use rackcast_segment::id::Epoch;

use super::muxed::{Halves, Key};
use super::presentation::{Page, Text};
use super::{Origin, lock};
use crate::relay::Claim;
use address::{Address, What};
use range::Asked;

const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
const MPEG_TS: HeaderValue = HeaderValue::from_static("video/mp2t");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Accept-Ranges, Content-Length, Content-Range, Date, ETag");
const ASKED: HeaderValue = HeaderValue::from_static("If-None-Match, If-Range, Range");
/// How long a browser may remember what it was told of the methods, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// What an address leads to.
enum Answer {
    Here(Found),
    /// Another address, relative to the one that was asked for.
    There(String),
}

/// Something that is there.
struct Found {
    body: Body,
    tag: String,
    content_type: HeaderValue,
    max_age: Duration,
    immutable: bool,
}

/// What is sent of it.
enum Body {
    Whole(Bytes),
    /// To be made, once it is sure that somebody wants it and without the stream's lock.
    Muxed(Box<(Key, Halves)>),
}

/// What the origin says to a request.
#[derive(Debug)]
pub struct Reply {
    kind: &'static str,
    claim: Option<Claim>,
    response: Response<Full<Bytes>>,
}

impl Reply {
    /// How much the answer counts where another process has one too; `None` if nothing is here.
    pub fn claim(&self) -> Option<Claim> {
        self.claim
    }

    /// The answer, which is counted as given.
    pub fn take(self, origin: &Origin) -> Response<Full<Bytes>> {
        count(origin, self.kind, &self.response);
        self.response
    }
}

/// Answers one request. Never waits: what is asked for is in memory, or not there.
pub fn handle<B>(origin: &Origin, request: &Request<B>) -> Response<Full<Bytes>> {
    reply(origin, request).take(origin)
}

/// The same, for who may find a better answer elsewhere.
pub fn reply<B>(origin: &Origin, request: &Request<B>) -> Reply {
    let address = Address::parse(request.uri().path());
    let kind = address.as_ref().map_or("other", Address::kind);
    let (claim, mut response) = match *request.method() {
        Method::GET | Method::HEAD => match address.and_then(|a| find(origin, &a)) {
            Some((claim, Answer::Here(found))) => match answer(origin, found, request) {
                Some(response) => (Some(claim), response),
                None => (None, missing(origin)),
            },
            Some((claim, Answer::There(path))) => (Some(claim), elsewhere(origin, path, request)),
            None => (None, missing(origin)),
        },
        Method::OPTIONS => (Some(Claim::Strong), preflight()),
        _ => (Some(Claim::Strong), not_allowed()),
    };
    let headers = response.headers_mut();
    let any = HeaderValue::from_static("*");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    Reply {
        kind,
        claim,
        response,
    }
}

/// The playlist at this address is another process's: what is held here never carries it on.
pub fn is_elsewhere(origin: &Origin, path: &str) {
    if let Some(Address {
        id,
        what: What::Media(first, _),
        ..
    }) = Address::parse(path)
        && let Some(stream) = origin.find(&id)
    {
        lock(&stream).is_elsewhere(first);
    }
}

/// The newest epoch that is held of the stream whose playlist this is the address of.
pub fn newest_epoch(origin: &Origin, path: &str) -> Option<Epoch> {
    let address = Address::parse(path)?;
    let what = Some(address.what).filter(|what| !matches!(what, What::Segment(..)));
    let stream = what.and_then(|_| origin.find(&address.id))?;
    let epoch = lock(&stream).now().window.epoch();
    Some(epoch)
}

fn count(origin: &Origin, kind: &str, response: &Response<Full<Bytes>>) {
    let sent = http_body::Body::size_hint(response.body()).exact();
    let sent = usize::try_from(sent.unwrap_or(0)).unwrap_or(usize::MAX);
    let status = response.status().as_u16();
    origin.memory.metrics.request(kind, status, sent);
}

fn find(origin: &Origin, address: &Address) -> Option<(Claim, Answer)> {
    let config = origin.config.load();
    if address.muxed && !config.muxed {
        return None;
    }
    let stream = origin.find(&address.id)?;
    let mut stream = lock(&stream);
    let playlist = |text: Text, max_age| Found {
        body: Body::Whole(text.body),
        tag: text.tag,
        content_type: PLAYLIST,
        max_age,
        immutable: false,
    };
    let newest = match stream.now().is_published() {
        true => Claim::Strong,
        false => Claim::Left,
    };
    let (claim, found) = match &address.what {
        What::Master(page) => {
            let text = stream.shown().page(page)?;
            (newest, playlist(text, config.master_max_age))
        }
        What::Newest(name) => {
            let shown = stream.shown();
            shown.page(&Page::Media(name.clone()))?;
            let path = format!("{}/{name}.m3u8", shown.first);
            return Some((newest, Answer::There(path)));
        }
        What::Media(first, page) => {
            let presentation = stream.begun_with(*first)?;
            let text = presentation.page(page)?;
            let claim = presentation.claim(*first);
            (claim, playlist(text, config.playlist_max_age))
        }
        What::Segment(epoch, name, sequence) => {
            let body = stream.presentations().find_map(|p| match address.muxed {
                true => {
                    let key = (address.id.clone(), *epoch, name.clone(), *sequence);
                    let halves = p.window.halves(*epoch, name, *sequence)?;
                    Some(Body::Muxed(Box::new((key, halves))))
                }
                false => p.window.media(*epoch, name, *sequence).map(Body::Whole),
            })?;
            let muxed = if address.muxed { "m" } else { "" };
            let found = Found {
                body,
                tag: format!("\"{epoch}-{name}-{sequence}{muxed}\""),
                content_type: MPEG_TS,
                max_age: config.segment_max_age,
                immutable: true,
            };
            (Claim::Strong, found)
        }
    };
    Some((claim, Answer::Here(found)))
}

/// 200, 206, 304 or 416; `None` if what was to be made of it cannot be.
fn answer<B>(origin: &Origin, found: Found, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
    let asked = request.headers();
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    put(headers, header::ETAG, &found.tag);
    let age = found.max_age.as_secs();
    let immutable = if found.immutable { ", immutable" } else { "" };
    let cache = format!("public, max-age={age}{immutable}");
    put(headers, header::CACHE_CONTROL, &cache);
    if range::matches(asked.get_all(header::IF_NONE_MATCH), &found.tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Some(response);
    }
    let whole = match found.body {
        Body::Whole(body) => body,
        Body::Muxed(muxed) => {
            let (key, halves) = *muxed;
            origin.muxed.of(key, &halves)?
        }
    };
    headers.insert(header::CONTENT_TYPE, found.content_type);
    let bytes = HeaderValue::from_static("bytes");
    headers.insert(header::ACCEPT_RANGES, bytes);
    let len = whole.len();
    let asked = match *request.method() {
        Method::GET => range::asked(asked, &found.tag, len),
        _ => Asked::Whole,
    };
    let body = match asked {
        Asked::Whole => whole,
        Asked::Part(part) => {
            let said = format!("bytes {}-{}/{len}", part.start, part.end.saturating_sub(1));
            put(headers, header::CONTENT_RANGE, &said);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            whole.slice(part)
        }
        Asked::Outside => {
            put(headers, header::CONTENT_RANGE, &format!("bytes */{len}"));
            headers.remove(header::CONTENT_TYPE);
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            Bytes::new()
        }
    };
    let length = HeaderValue::from(body.len());
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    if request.method() != Method::HEAD {
        *response.body_mut() = Full::new(body);
    }
    Some(response)
}

/// To the playlist of the newest presentation. A redirection and not the playlist itself,
/// since a player must never see one playlist go on behind its end.
fn elsewhere<B>(origin: &Origin, mut path: String, request: &Request<B>) -> Response<Full<Bytes>> {
    if let Some(query) = request.uri().query() {
        path = format!("{path}?{query}");
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    put(headers, header::LOCATION, &path);
    let age = origin.config.load().playlist_max_age.as_secs();
    let cache = format!("public, max-age={age}");
    put(headers, header::CACHE_CONTROL, &cache);
    response
}

fn missing(origin: &Origin) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("not here (yet)\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, text);
    let age = origin.config.load().missing_max_age.as_secs();
    let cache = format!("public, max-age={age}");
    put(headers, header::CACHE_CONTROL, &cache);
    response
}

fn preflight() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ASKED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    response
}

fn not_allowed() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, METHODS);
    response
}

/// Sets a header whose value is made of numbers, checked names and parts of a request's own
/// address, which is always valid.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
