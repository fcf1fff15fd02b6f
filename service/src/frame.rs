//! Messages between a supervisor and its workers, over a unix stream.
//!
//! A frame is a JSON header and a payload of raw bytes, each with its length before it (two
//! big-endian 32-bit numbers, then header, then payload). JSON keeps the headers readable and
//! lets either side of an upgrade ignore fields that it does not know; the payload carries media
//! without a copy. Both lengths are capped before anything is allocated.
//!
//! Receiving may be cancelled at any point (in a `select!`): what has arrived stays in the buffer.
//! Sending may not, and says so: after a send that was dropped half-way the stream is broken and
//! every later send fails with [`FrameError::Broken`].

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

const LENGTHS: usize = 8;
/// How much is asked for at a time, whatever length a peer announces.
const READ_AHEAD: usize = 64 * 1024;

/// The largest frame that is sent or accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the JSON header.
    pub header: usize,
    /// Bytes of the payload.
    pub payload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: 256 * 1024,
            payload: 64 * 1024 * 1024,
        }
    }
}

/// Why a frame was not sent or received. None of these can be helped by trying again on the
/// same stream, except [`FrameError::TooLarge`] and [`FrameError::Encode`] when sending, which
/// leave the stream as it was.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed.
    #[error("the stream to the other process failed: {0}")]
    Io(#[from] io::Error),
    /// The stream ended within a frame: the other process died while it wrote.
    #[error("the other process ended in the middle of a message")]
    Truncated,
    /// A part of the frame is longer than its limit.
    #[error("a message's {part} has {length} bytes; at most {limit} are allowed")]
    TooLarge {
        /// `header` or `payload`.
        part: &'static str,
        /// Bytes, as announced.
        length: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// The header cannot be written as JSON.
    #[error("a message's header cannot be encoded: {0}")]
    Encode(serde_json::Error),
    /// The header is not what was expected.
    #[error("a message's header is not understood: {0}")]
    Decode(serde_json::Error),
    /// An earlier frame was written in part only.
    #[error("an earlier message was cut off half-way; the stream cannot be used any more")]
    Broken,
}

/// Both directions of a stream.
#[derive(Debug)]
pub struct Framed {
    sender: Sender<OwnedWriteHalf>,
    receiver: Receiver<OwnedReadHalf>,
}

impl Framed {
    /// Frames over `stream`, with the default [`Limits`].
    pub fn new(stream: UnixStream) -> Self {
        Self::with_limits(stream, Limits::default())
    }

    /// Frames over `stream`, with other limits.
    pub fn with_limits(stream: UnixStream, limits: Limits) -> Self {
        let (read, write) = stream.into_split();
        Self {
            sender: Sender::new(write, limits),
            receiver: Receiver::new(read, limits),
        }
    }

    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn send(
        &mut self,
        header: &impl Serialize,
        payload: Bytes,
    ) -> Result<(), FrameError> {
        self.sender.send(header, payload).await
    }

    /// As [`Receiver::recv`].
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub async fn recv<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, FrameError> {
        self.receiver.recv().await
    }

    /// Frames over `stream`, of whose bytes these were read before.
    pub fn resume(stream: UnixStream, read: &[u8]) -> Self {
        let mut framed = Self::new(stream);
        framed.receiver.buffer.extend_from_slice(read);
        framed
    }

    /// Another descriptor of the stream, and the bytes of a frame that has not come whole: for
    /// [`resume`](Self::resume) in another program of this process.
    ///
    /// # Errors
    /// An earlier frame was written in part only, or the system has no descriptor left.
    pub fn parts(&self) -> Result<(OwnedFd, Vec<u8>), FrameError> {
        if self.sender.broken {
            return Err(FrameError::Broken);
        }
        let stream: &UnixStream = self.receiver.read.as_ref();
        let fd = stream.as_fd().try_clone_to_owned()?;
        Ok((fd, self.receiver.buffer.to_vec()))
    }

    /// The two directions apart, for use in two tasks.
    pub fn split(self) -> (Sender<OwnedWriteHalf>, Receiver<OwnedReadHalf>) {
        (self.sender, self.receiver)
    }
}

/// The writing direction.
#[derive(Debug)]
pub struct Sender<W> {
    write: W,
    limits: Limits,
    broken: bool,
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    /// Frames to `write`.
    pub fn new(write: W, limits: Limits) -> Self {
        Self {
            write,
            limits,
            broken: false,
        }
    }

    /// Sends one frame. Not to be cancelled: see the module documentation.
    ///
    /// # Errors
    /// The frame is over a limit (nothing was written), or the stream failed.
    pub async fn send(
        &mut self,
        header: &impl Serialize,
        payload: Bytes,
    ) -> Result<(), FrameError> {
        if self.broken {
            return Err(FrameError::Broken);
        }
        let header = serde_json::to_vec(header).map_err(FrameError::Encode)?;
        let header_length = within("header", header.len(), self.limits.header)?;
        let payload_length = within("payload", payload.len(), self.limits.payload)?;
        let mut head = BytesMut::with_capacity(LENGTHS.saturating_add(header.len()));
        head.put_u32(header_length);
        head.put_u32(payload_length);
        head.put_slice(&header);
        self.broken = true;
        self.write.write_all_buf(&mut head.chain(payload)).await?;
        self.write.flush().await?;
        self.broken = false;
        Ok(())
    }
}

/// The reading direction.
#[derive(Debug)]
pub struct Receiver<R> {
    read: R,
    limits: Limits,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    /// Frames from `read`.
    pub fn new(read: R, limits: Limits) -> Self {
        Self {
            read,
            limits,
            buffer: BytesMut::new(),
        }
    }

    /// The next frame; `None` when the other side closed the stream between two frames. May be
    /// cancelled without losing anything.
    ///
    /// # Errors
    /// The frame is over a limit or not understood, or the stream failed or ended within it.
    pub async fn recv<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, FrameError> {
        loop {
            let missing = match self.lengths()? {
                None => LENGTHS,
                Some((header, payload)) => {
                    let whole = LENGTHS.saturating_add(header).saturating_add(payload);
                    match whole.saturating_sub(self.buffer.len()) {
                        0 => return self.take(header, payload).map(Some),
                        missing => missing,
                    }
                }
            };
            self.buffer.reserve(missing.min(READ_AHEAD));
            if self.read.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(FrameError::Truncated)
                };
            }
        }
    }

    /// The lengths of the frame at the buffer's start, once they are there.
    fn lengths(&self) -> Result<Option<(usize, usize)>, FrameError> {
        let mut lengths = self.buffer.as_ref();
        if lengths.len() < LENGTHS {
            return Ok(None);
        }
        let header = to_usize(lengths.get_u32());
        let payload = to_usize(lengths.get_u32());
        within("header", header, self.limits.header)?;
        within("payload", payload, self.limits.payload)?;
        Ok(Some((header, payload)))
    }

    /// The frame at the buffer's start, all of which is there.
    fn take<T: DeserializeOwned>(
        &mut self,
        header: usize,
        payload: usize,
    ) -> Result<(T, Bytes), FrameError> {
        self.buffer.advance(LENGTHS);
        let header = self.buffer.split_to(header);
        let payload = self.buffer.split_to(payload).freeze();
        let header = serde_json::from_slice(&header).map_err(FrameError::Decode)?;
        Ok((header, payload))
    }
}

fn to_usize(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn within(part: &'static str, length: usize, limit: usize) -> Result<u32, FrameError> {
    match u32::try_from(length) {
        Ok(short) if length <= limit => Ok(short),
        _ => Err(FrameError::TooLarge {
            part,
            length,
            limit,
        }),
    }
}
