//! A connection whose peer has only so much time.
//!
//! A server's own limits begin with the first byte of a request and end with the last that it was
//! given to send. Before the one and after the other a peer that does nothing would hold its place
//! for ever: this gives it a limit there, and ends the connection with
//! [`TimedOut`](io::ErrorKind::TimedOut) when that has passed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection with limits on its peer's silence.
#[derive(Debug)]
pub struct Patient<S> {
    inner: S,
    /// When the first byte must be there; none once it is.
    first: Option<Pin<Box<Sleep>>>,
    /// How long the peer may take nothing of what it is sent.
    write: Duration,
    /// When it must have taken something; none while it takes all.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// The peer must send something within `first`, and must not leave what it is sent untaken for
    /// `write`.
    pub fn new(inner: S, first: Duration, write: Duration) -> Self {
        Self {
            inner,
            first: Some(Box::pin(sleep(first))),
            write,
            stalled: None,
        }
    }
}

impl<S: Unpin> Patient<S> {
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.inner), cx) {
            self.stalled = None;
            return Poll::Ready(done);
        }
        let limit = self.write;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(done) = Pin::new(&mut this.inner).poll_read(cx, buffer) {
            this.first = None;
            return Poll::Ready(done);
        }
        let Some(timer) = &mut this.first else {
            return Poll::Pending;
        };
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write(cx, |inner, cx| inner.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write(cx, |inner, cx| inner.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().write(cx, |inner, cx| inner.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .write(cx, |inner, cx| inner.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    const FIRST: Duration = Duration::from_secs(30);
    const WRITE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_left_and_who_has_spoken_may_be_silent() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Patient::new(ours, FIRST, WRITE);
        let began = Instant::now();
        let error = ours.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), FIRST);

        let (ours, mut spoken) = duplex(16);
        let mut ours = Patient::new(ours, FIRST, WRITE);
        spoken.write_u8(1).await.unwrap();
        assert_eq!(ours.read_u8().await.unwrap(), 1);
        let silent = tokio::time::timeout(10 * FIRST, ours.read_u8());
        assert!(silent.await.is_err(), "no limit of ours");
        theirs.shutdown().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_left_and_who_takes_little_is_not() {
        let (ours, mut theirs) = duplex(1);
        let mut ours = Patient::new(ours, FIRST, WRITE);
        let began = Instant::now();
        let slow = tokio::spawn(async move {
            for _ in 0..3 {
                sleep(WRITE - Duration::from_secs(1)).await;
                theirs.read_u8().await.unwrap();
            }
            theirs
        });
        let error = ours.write_all(&[0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let _theirs = slow.await.unwrap();
        assert_eq!(
            began.elapsed(),
            3 * (WRITE - Duration::from_secs(1)) + WRITE
        );
    }
}
