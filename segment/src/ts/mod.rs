//! MPEG-TS (ISO/IEC 13818-1): the format in which segments travel and are served.
//!
//! Three things happen to a transport stream here. [`Writer`] makes a segment of access units
//! and audio frames. [`read`] takes a segment apart again, whoever wrote it. [`restamp`] lets
//! segments from unlike machines follow one another: it rewrites the continuity counters in
//! place and leaves everything else alone.
//!
//! The reader expects the worst: lost packets, doubled packets, tables that change in
//! mid-stream, clocks that jump, lengths that lie. It never fails on damage; it skips to the
//! next unit that can be read whole and counts what it lost in [`Damage`], so that the caller
//! decides whether a damaged segment is still of use. It does fail on input above its
//! [`Limits`] and on input that is no transport stream of H.264, HEVC or AAC at all.

mod adts;
mod bounds;
mod packet;
mod pes;
mod psi;
mod read;
mod restamp;
mod stream;
mod wrap;
mod write;

pub use bounds::{Damage, Limits};
pub use read::{Demuxed, read};
pub use restamp::{Counters, restamp};
pub use write::{AUDIO_PID, Layout, VIDEO_PID, Writer};

/// Bytes of a transport packet.
pub const PACKET: usize = 188;
/// First byte of every packet.
const SYNC: u8 = 0x47;
/// The PID of stuffing packets.
const NULL_PID: u16 = 0x1fff;
/// PIDs up to this one are for what receivers are told of networks and services; no program's
/// streams have them (ISO/IEC 13818-1, ETSI EN 300 468).
const LAST_SERVICE_PID: u16 = 0x1f;
/// Timestamps count modulo this.
const WRAP: i64 = 1 << 33;

/// Why bytes are not a transport stream that Rackcast can carry. The input is at fault: a
/// retry cannot help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TsError {
    /// The input is larger than [`Limits::bytes`].
    #[error("{got} bytes of MPEG-TS; at most {limit} are allowed")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// The size.
        got: usize,
    },
    /// No packet, or not whole packets where they are required.
    #[error("not a sequence of 188-byte MPEG-TS packets")]
    NoSync,
    /// No program map with H.264, HEVC or AAC was found.
    #[error("no program with H.264 or HEVC video or AAC audio was found")]
    NoProgram,
    /// More access units or audio frames than [`Limits`] allow.
    #[error("more than {0} access units or audio frames")]
    TooMany(usize),
    /// An access unit above [`Limits::access_unit`].
    #[error("an access unit is larger than {0} bytes")]
    AccessUnitTooLarge(usize),
    /// More PIDs than one program can need.
    #[error("more than {0} PIDs")]
    TooManyPids(usize),
}
