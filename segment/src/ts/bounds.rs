//! What a reader may be given, and what it had to leave out.

/// The largest access unit: what fits into an RTMP message, which is below 16 MiB, and the parameter
/// sets in front of it.
const ACCESS_UNIT: usize = (16 << 20) + (128 << 10);

/// What a segment may cost its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the segment.
    pub bytes: usize,
    /// Bytes of one access unit, or of one PES unit of audio.
    pub access_unit: usize,
    /// Access units, and audio frames, each.
    pub units: usize,
}

impl Default for Limits {
    /// 64 MiB, 16 MiB and what parameter sets add, 8192: a segment of eight seconds at 60 Mb/s or at 1000 pictures a second.
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            access_unit: ACCESS_UNIT,
            units: 8192,
        }
    }
}

/// What the reader had to skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Runs of bytes that are no packets.
    pub lost_sync: u32,
    /// Packets that are marked as damaged, scrambled, or malformed.
    pub packets: u32,
    /// Places where the continuity counter says that packets are missing.
    pub gaps: u32,
    /// Table sections whose checksum does not hold.
    pub tables: u32,
    /// Units and frames that were begun and could not be read whole.
    pub units: u32,
}

impl Damage {
    /// Whether anything was skipped.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

pub(super) fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
