//! A connection with or without TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use super::identity::Identity;

/// A connection of any of the kinds that there are.
#[derive(Debug)]
pub enum Stream {
    /// Cleartext.
    Plain(TcpStream),
    /// TLS, and the peer called.
    Server(Box<server::TlsStream<TcpStream>>),
    /// TLS, and the peer was called. What came with the end of the handshake waits in the buffer.
    Client(Box<BufReader<client::TlsStream<TcpStream>>>),
}

impl Stream {
    /// Whom the peer's certificate names, if it showed one that does.
    pub fn peer(&self) -> Option<Identity> {
        let certificates = match self {
            Self::Plain(_) => None,
            Self::Server(tls) => tls.get_ref().1.peer_certificates(),
            Self::Client(tls) => tls.get_ref().get_ref().1.peer_certificates(),
        };
        Identity::of(certificates?.first()?).ok()
    }

    /// Whether both sides agreed on HTTP/2.
    pub fn is_h2(&self) -> bool {
        let protocol = match self {
            Self::Plain(_) => None,
            Self::Server(tls) => tls.get_ref().1.alpn_protocol(),
            Self::Client(tls) => tls.get_ref().get_ref().1.alpn_protocol(),
        };
        protocol == Some(H2)
    }
}

/// HTTP/2 and HTTP/1.1 as they are called in a handshake.
pub(super) const H2: &[u8] = b"h2";
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self::Plain(socket)
    }
}

/// Calls the same method on whichever it is.
macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(inner) => {
                let $stream = Pin::new(inner);
                $call
            }
            Stream::Server(inner) => {
                let $stream = Pin::new(inner.as_mut());
                $call
            }
            Stream::Client(inner) => {
                let $stream = Pin::new(inner.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(inner) => inner.is_write_vectored(),
            Self::Server(inner) => inner.is_write_vectored(),
            Self::Client(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(cx))
    }
}
