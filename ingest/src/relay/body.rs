//! The body of an answer: at hand, or on its way from another process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use prometheus::IntCounter;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

/// A body of either kind.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Full<Bytes>),
    Relayed(Box<Relayed>),
}

/// Passed on frame by frame; its reader's pace is its sender's.
#[derive(Debug)]
struct Relayed {
    body: Incoming,
    limit: Duration,
    /// When its sender has been silent for too long; runs only while something is waited for.
    late: Pin<Box<Sleep>>,
    waits: bool,
    sent: IntCounter,
    /// Given back with the last byte, or when the reader goes away.
    _permit: OwnedSemaphorePermit,
}

impl Body {
    pub(super) fn relayed(
        body: Incoming,
        limit: Duration,
        permit: OwnedSemaphorePermit,
        sent: IntCounter,
    ) -> Self {
        Self(Kind::Relayed(Box::new(Relayed {
            body,
            limit,
            late: Box::pin(sleep(limit)),
            waits: false,
            sent,
            _permit: permit,
        })))
    }
}

impl From<Full<Bytes>> for Body {
    fn from(body: Full<Bytes>) -> Self {
        Self(Kind::Whole(body))
    }
}

impl Relayed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waits = false;
                if let Some(Ok(frame)) = &frame {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.sent.inc_by(u64::try_from(bytes).unwrap_or(0));
                }
                Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
            }
            Poll::Pending => {
                if !std::mem::replace(&mut self.waits, true) {
                    let now = Instant::now();
                    let at = now.checked_add(self.limit).unwrap_or(now);
                    self.late.as_mut().reset(at);
                }
                let late = io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the other process fell silent for relay.body_timeout",
                );
                self.late.as_mut().poll(cx).map(|()| Some(Err(late)))
            }
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Kind::Relayed(relayed) => relayed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Relayed(relayed) => relayed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(body) => body.size_hint(),
            Kind::Relayed(relayed) => relayed.body.size_hint(),
        }
    }
}
