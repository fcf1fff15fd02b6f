//! Bytes in, messages out.

use std::collections::HashMap;

use bytes::{Buf, BytesMut};

use super::{EXTENDED, INITIAL_CHUNK_SIZE, Limits, Message, kind};

/// The most that is set aside for a message before its bytes have come.
const FIRST_ALLOCATION: usize = 4096;
/// The most that the 24 bits of a message's length can say.
const LONGEST_MESSAGE: u32 = 0x00ff_ffff;

/// Why the bytes are not a chunk stream, or not one that is served. The connection is lost:
/// what follows cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk of type 1, 2 or 3 that has nothing to refer to.
    #[error("a chunk of type {format} on chunk stream {id}, which has no chunk before it")]
    NoPredecessor {
        /// Chunk type.
        format: u8,
        /// Chunk stream id.
        id: u32,
    },
    /// A new message header before the message of its chunk stream was complete.
    #[error("a new message on chunk stream {0} in the middle of another")]
    HeaderInsideMessage(u32),
    /// A chunk size of zero or above the limit.
    #[error("a chunk size of {0} bytes")]
    ChunkSize(u32),
    /// A message above the limit.
    #[error("a message of {length} bytes; at most {limit} are taken")]
    MessageTooLong {
        /// What the header claims.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More chunk streams than the limit.
    #[error("more than {0} chunk streams")]
    TooManyChunkStreams(usize),
    /// More unfinished messages than the limit.
    #[error("more than {0} messages begun and not finished")]
    TooManyHalfOpen(usize),
    /// More bytes in unfinished messages than the limit.
    #[error("more than {0} bytes in messages begun and not finished")]
    TooManyHalfOpenBytes(usize),
    /// A protocol control message too short for its field.
    #[error("a protocol control message of type {0} is too short")]
    ShortControl(u8),
}

impl ChunkError {
    /// A stable word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPredecessor { .. } => "no-predecessor",
            Self::HeaderInsideMessage(_) => "header-inside-message",
            Self::ChunkSize(_) => "chunk-size",
            Self::MessageTooLong { .. } => "message-too-long",
            Self::TooManyChunkStreams(_) => "chunk-streams",
            Self::TooManyHalfOpen(_) => "half-open",
            Self::TooManyHalfOpenBytes(_) => "half-open-bytes",
            Self::ShortControl(_) => "short-control",
        }
    }
}

/// What the last message header of a chunk stream said.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// The message's time, in wrapping milliseconds.
    timestamp: u32,
    /// The timestamp field: a time after type 0, a step after types 1 and 2. What a chunk of
    /// type 3 that begins a message repeats.
    field: u32,
    /// The field did not fit into 24 bits.
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
}

#[derive(Debug)]
struct ChunkStream {
    header: Header,
    partial: Option<BytesMut>,
}

/// A chunk's header, and how many bytes of input it took.
struct Chunk {
    id: u32,
    header: Header,
    size: usize,
}

/// Puts messages together again. No I/O: [`push`](Self::push) what was read, then call
/// [`next`](Self::next) until it has no more.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: usize,
    input: BytesMut,
    streams: HashMap<u32, ChunkStream>,
    /// The chunk whose payload is being read, and how much of it is to come.
    current: Option<(u32, usize)>,
    half_open: usize,
    half_open_bytes: usize,
}

impl Reader {
    /// At the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: INITIAL_CHUNK_SIZE,
            input: BytesMut::new(),
            streams: HashMap::new(),
            current: None,
            half_open: 0,
            half_open_bytes: 0,
        }
    }

    /// Other limits from here on: a peer that has shown its key may send more than one that
    /// has not.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Adds what was read from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next complete message, or `None` until more bytes have come. Chunk size and abort
    /// messages are obeyed here and not returned.
    ///
    /// # Errors
    /// [`ChunkError`]; the reader is of no use afterwards.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Message>, ChunkError> {
        loop {
            let (id, left) = match self.current {
                Some(current) => current,
                None => match self.chunk()? {
                    Some(begun) => begun,
                    None => return Ok(None),
                },
            };
            let taken = left.min(self.input.len());
            self.append(id, taken)?;
            let left = left.saturating_sub(taken);
            self.current = (left > 0).then_some((id, left));
            if left > 0 {
                return Ok(None);
            }
            if let Some(message) = self.complete(id)
                && let Some(message) = self.control(message)?
            {
                return Ok(Some(message));
            }
        }
    }

    /// Reads a chunk header and begins or continues its message: the chunk stream's id and the
    /// length of the chunk's payload.
    fn chunk(&mut self) -> Result<Option<(u32, usize)>, ChunkError> {
        let Some(chunk) = self.parse()? else {
            return Ok(None);
        };
        self.input.advance(chunk.size);
        let Chunk { id, header, .. } = chunk;
        let known = self.streams.len();
        let stream = match self.streams.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                if known >= self.limits.chunk_streams {
                    return Err(ChunkError::TooManyChunkStreams(self.limits.chunk_streams));
                }
                entry.insert(ChunkStream {
                    header,
                    partial: None,
                })
            }
        };
        stream.header = header;
        if stream.partial.is_none() {
            if header.length > self.limits.message {
                return Err(ChunkError::MessageTooLong {
                    length: header.length,
                    limit: self.limits.message,
                });
            }
            if self.half_open >= self.limits.half_open {
                return Err(ChunkError::TooManyHalfOpen(self.limits.half_open));
            }
            self.half_open = self.half_open.saturating_add(1);
        }
        let partial = stream
            .partial
            .get_or_insert_with(|| BytesMut::with_capacity(header.length.min(FIRST_ALLOCATION)));
        let missing = header.length.saturating_sub(partial.len());
        Ok(Some((id, missing.min(self.chunk_size))))
    }

    /// The header at the front of the input; `None` until all of it has come.
    fn parse(&self) -> Result<Option<Chunk>, ChunkError> {
        let Some((&first, rest)) = self.input.split_first() else {
            return Ok(None);
        };
        let format = first >> 6;
        let (id, rest) = match (first & 0x3f, rest) {
            (0, [low, rest @ ..]) => (u32::from(*low).saturating_add(64), rest),
            (1, [low, high, rest @ ..]) => (
                u32::from(u16::from_le_bytes([*low, *high])).saturating_add(64),
                rest,
            ),
            (0 | 1, _) => return Ok(None),
            (id, rest) => (u32::from(id), rest),
        };
        let previous = self.streams.get(&id);
        let begins = previous.is_none_or(|s| s.partial.is_none());
        if !begins && format != 3 {
            return Err(ChunkError::HeaderInsideMessage(id));
        }
        let parsed = match previous.map(|s| s.header) {
            None if format != 0 => return Err(ChunkError::NoPredecessor { format, id }),
            previous => header(format, begins, previous, rest),
        };
        Ok(parsed.map(|(header, rest)| Chunk {
            id,
            header,
            size: self.input.len().saturating_sub(rest.len()),
        }))
    }

    fn append(&mut self, id: u32, count: usize) -> Result<(), ChunkError> {
        if let Some(partial) = self.streams.get_mut(&id).and_then(|s| s.partial.as_mut()) {
            self.half_open_bytes = self.half_open_bytes.saturating_add(count);
            if self.half_open_bytes > self.limits.half_open_bytes {
                return Err(ChunkError::TooManyHalfOpenBytes(
                    self.limits.half_open_bytes,
                ));
            }
            if let Some(bytes) = self.input.get(..count) {
                partial.extend_from_slice(bytes);
            }
        }
        self.input.advance(count);
        Ok(())
    }

    /// The message of this chunk stream, if its last byte has come.
    fn complete(&mut self, id: u32) -> Option<Message> {
        let stream = self.streams.get_mut(&id)?;
        let header = stream.header;
        let payload = stream.partial.take_if(|p| p.len() >= header.length)?;
        self.close(payload.len());
        Some(Message {
            kind: header.kind,
            stream: header.stream,
            timestamp: header.timestamp,
            payload: payload.freeze(),
        })
    }

    /// Obeys what concerns the chunk layer itself; returns any other message.
    fn control(&mut self, message: Message) -> Result<Option<Message>, ChunkError> {
        let field = || {
            message
                .payload
                .first_chunk::<4>()
                .map(|b| u32::from_be_bytes(*b))
                .ok_or(ChunkError::ShortControl(message.kind))
        };
        match message.kind {
            kind::SET_CHUNK_SIZE => {
                let size = field()?;
                // The first bit is reserved, and no message is longer than 24 bits can say: all
                // sizes above that are the same (5.4.1).
                self.chunk_size = Some(size)
                    .filter(|size| size >> 31 == 0)
                    .and_then(|size| usize::try_from(size.min(LONGEST_MESSAGE)).ok())
                    .filter(|s| (1..=self.limits.chunk_size).contains(s))
                    .ok_or(ChunkError::ChunkSize(size))?;
                Ok(None)
            }
            kind::ABORT => {
                let id = field()?;
                if let Some(partial) = self.streams.get_mut(&id).and_then(|s| s.partial.take()) {
                    self.close(partial.len());
                }
                Ok(None)
            }
            _ => Ok(Some(message)),
        }
    }

    fn close(&mut self, bytes: usize) {
        self.half_open = self.half_open.saturating_sub(1);
        self.half_open_bytes = self.half_open_bytes.saturating_sub(bytes);
    }
}

/// The message header of a chunk, and the input after it.
fn header(
    format: u8,
    begins: bool,
    previous: Option<Header>,
    rest: &[u8],
) -> Option<(Header, &[u8])> {
    let mut header = previous.unwrap_or(Header {
        timestamp: 0,
        field: 0,
        extended: false,
        length: 0,
        kind: 0,
        stream: 0,
    });
    let mut rest = rest;
    if format <= 2 {
        (header.field, rest) = be24(rest)?;
        header.extended = header.field == EXTENDED;
    }
    if format <= 1 {
        let (length, after) = be24(rest)?;
        let (&kind, after) = after.split_first()?;
        header.length = usize::try_from(length).ok()?;
        header.kind = kind;
        rest = after;
    }
    if format == 0 {
        let (stream, after) = rest.split_first_chunk::<4>()?;
        header.stream = u32::from_le_bytes(*stream);
        rest = after;
    }
    if header.extended {
        let (field, after) = rest.split_first_chunk::<4>()?;
        let field = u32::from_be_bytes(*field);
        // A chunk of type 3 repeats the extended field. Some publishers leave it out; then
        // the next bytes are payload, and do not repeat the field.
        if format <= 2 {
            header.field = field;
            rest = after;
        } else if field == header.field {
            rest = after;
        }
    }
    if begins {
        header.timestamp = match format {
            0 => header.field,
            _ => header.timestamp.wrapping_add(header.field),
        };
    }
    Some((header, rest))
}

fn be24(input: &[u8]) -> Option<(u32, &[u8])> {
    let ([a, b, c], rest) = input.split_first_chunk::<3>()?;
    Some((u32::from_be_bytes([0, *a, *b, *c]), rest))
}
