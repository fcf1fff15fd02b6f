//! The chunk layer: messages of many chunk streams, cut up and interleaved on one connection.
//!
//! Every chunk stream has a reassembly buffer of its own, so that any legal interleaving comes
//! out right, and what a peer can make us hold is bounded three times over: by message, by
//! the number of messages begun and not finished, and by their bytes together. Nothing is
//! allocated on the strength of a length that the peer only claims.

mod reader;
mod writer;

use bytes::Bytes;

pub use reader::{ChunkError, Reader};
pub use writer::Writer;

/// The chunk size that both sides start with, in bytes.
const INITIAL_CHUNK_SIZE: usize = 128;
/// The value of a 24-bit timestamp field that announces a 32-bit one.
const EXTENDED: u32 = 0x00ff_ffff;

/// One RTMP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Message type id; see [`kind`].
    pub kind: u8,
    /// Message stream id; 0 is the connection itself.
    pub stream: u32,
    /// Milliseconds, wrapping at 32 bits.
    pub timestamp: u32,
    /// The message's body.
    pub payload: Bytes,
}

/// Message type ids.
pub mod kind {
    /// Protocol control: the sender's chunk size from here on.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Protocol control: a half-sent message will not be finished.
    pub const ABORT: u8 = 2;
    /// Protocol control: how many bytes the sender has received.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// Events of a message stream, and pings.
    pub const USER_CONTROL: u8 = 4;
    /// Protocol control: after how many bytes to acknowledge.
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Protocol control: limits the peer's output.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// An audio tag of FLV.
    pub const AUDIO: u8 = 8;
    /// A video tag of FLV.
    pub const VIDEO: u8 = 9;
    /// Metadata, AMF3.
    pub const DATA_AMF3: u8 = 15;
    /// A command, AMF3.
    pub const COMMAND_AMF3: u8 = 17;
    /// Metadata, AMF0.
    pub const DATA_AMF0: u8 = 18;
    /// A command, AMF0.
    pub const COMMAND_AMF0: u8 = 20;
    /// Several FLV tags in one message.
    pub const AGGREGATE: u8 = 22;
}

/// What a peer may make a [`Reader`] hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest chunk size the peer may set, in bytes.
    pub chunk_size: usize,
    /// Largest message, in bytes.
    pub message: usize,
    /// Most chunk streams a connection may ever use.
    pub chunk_streams: usize,
    /// Most messages that may be begun and not finished.
    pub half_open: usize,
    /// Most bytes that the unfinished messages may hold together.
    pub half_open_bytes: usize,
}
