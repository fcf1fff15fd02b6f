//! Messages in, bytes out.

use bytes::{BufMut, BytesMut};

use super::{EXTENDED, INITIAL_CHUNK_SIZE, Message, kind};

/// Cuts messages into chunks, in the plainest legal form: a full header, then continuations.
/// A server that only takes publishers says little.
#[derive(Debug)]
pub struct Writer {
    chunk_size: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            chunk_size: INITIAL_CHUNK_SIZE,
        }
    }
}

impl Writer {
    /// Tells the peer of a larger chunk size and uses it from here on.
    pub fn set_chunk_size(&mut self, size: u16, out: &mut BytesMut) {
        let message = Message {
            kind: kind::SET_CHUNK_SIZE,
            stream: 0,
            timestamp: 0,
            payload: u32::from(size).to_be_bytes().to_vec().into(),
        };
        self.message(2, &message, out);
        self.chunk_size = usize::from(size.max(1));
    }

    /// Appends one message on a chunk stream whose id, 2 to 63, fits into one byte.
    pub fn message(&self, id: u8, message: &Message, out: &mut BytesMut) {
        let id = id & 0x3f;
        let extended = message.timestamp >= EXTENDED;
        for (i, chunk) in pieces(&message.payload, self.chunk_size).enumerate() {
            if i == 0 {
                out.put_u8(id);
                out.put_uint(u64::from(message.timestamp.min(EXTENDED)), 3);
                out.put_uint(u64::try_from(message.payload.len()).unwrap_or(0), 3);
                out.put_u8(message.kind);
                out.put_u32_le(message.stream);
            } else {
                out.put_u8(0xc0 | id);
            }
            if extended {
                out.put_u32(message.timestamp);
            }
            out.put_slice(chunk);
        }
    }
}

/// Like `chunks`, but one empty piece for an empty payload.
fn pieces(payload: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    let empty = payload.is_empty().then_some(payload);
    empty.into_iter().chain(payload.chunks(size.max(1)))
}
