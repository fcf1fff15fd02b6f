//! Grey pictures as H.264: the least that a decoder takes for a rendition.
//!
//! A picture that refers to nothing, all of whose macroblocks are predicted from nothing and have
//! no residual, is mid-grey; one that skips all macroblocks repeats it (ITU-T H.264, 7.3). Decoding
//! order is showing order.

use bytes::Bytes;
use rackcast_segment::h264::escape;

use super::bits::BitWriter;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// `frame_num` has so many bits.
const FRAME_NUM_BITS: u32 = 8;

/// Writes the pictures of one segment.
pub(super) struct Grey {
    width: u32,
    height: u32,
    number: u32,
}

impl Grey {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let number = 0;
        Self {
            width,
            height,
            number,
        }
    }

    /// The next access unit; the first one is the IDR and has the parameter sets.
    pub(super) fn picture(&mut self) -> Bytes {
        let mut out = Vec::new();
        if self.number == 0 {
            unit(&mut out, 0x67, self.sequence());
            unit(&mut out, 0x68, parameters());
            unit(&mut out, 0x65, self.idr());
        } else {
            unit(&mut out, 0x41, self.repeat());
        }
        self.number = self.number.wrapping_add(1);
        out.into()
    }

    fn macroblocks(&self) -> (u32, u32) {
        (
            self.width.div_ceil(16).max(1),
            self.height.div_ceil(16).max(1),
        )
    }

    fn sequence(&self) -> BitWriter {
        let (across, down) = self.macroblocks();
        let mut w = BitWriter::default();
        // Constrained baseline; a level that is written anew.
        w.bits(66, 8);
        w.bits(0xc0, 8);
        w.bits(10, 8);
        w.ue(0);
        w.ue(FRAME_NUM_BITS - 4);
        // Showing order is decoding order; one reference; no gaps.
        w.ue(2);
        w.ue(1);
        w.bit(false);
        w.ue(across - 1);
        w.ue(down - 1);
        // Frames only, and how macroblocks would be predicted in time.
        w.bits(0b11, 2);
        let right = (across * 16).saturating_sub(self.width) / 2;
        let bottom = (down * 16).saturating_sub(self.height) / 2;
        w.bit(right > 0 || bottom > 0);
        if right > 0 || bottom > 0 {
            for edge in [0, right, 0, bottom] {
                w.ue(edge);
            }
        }
        w.bit(false);
        w
    }

    fn idr(&self) -> BitWriter {
        let mut w = self.slice(7);
        // The first IDR of its kind, kept for no longer than the next.
        w.ue(0);
        w.bits(0, 2);
        end_of_header(&mut w);
        let (across, down) = self.macroblocks();
        for _ in 0..across * down {
            // Intra 16x16 predicted as DC, luma and chroma, quantised as before, no coefficient.
            w.ue(3);
            w.bits(0b111, 3);
        }
        w
    }

    fn repeat(&self) -> BitWriter {
        let mut w = self.slice(5);
        // As many references as stated, in their order; none is marked.
        w.bits(0, 3);
        end_of_header(&mut w);
        let (across, down) = self.macroblocks();
        w.ue(across * down);
        w
    }

    /// The head of a slice that is the whole picture.
    fn slice(&self, kind: u32) -> BitWriter {
        let mut w = BitWriter::default();
        w.ue(0);
        w.ue(kind);
        w.ue(0);
        w.bits(self.number % (1 << FRAME_NUM_BITS), FRAME_NUM_BITS);
        w
    }
}

/// No other quantiser, and no deblocking.
fn end_of_header(w: &mut BitWriter) {
    w.ue(0);
    w.ue(1);
}

fn parameters() -> BitWriter {
    let mut w = BitWriter::default();
    w.ue(0);
    w.ue(0);
    // CAVLC; no order of fields; one slice group; one reference in either list; no weights.
    w.bits(0, 2);
    w.ue(0);
    w.ue(0);
    w.ue(0);
    w.bits(0, 3);
    // Quantisers of 26, and of chroma alike.
    for _ in 0..3 {
        w.ue(0);
    }
    // Deblocking is said by each slice; any neighbour predicts; no redundant pictures.
    w.bits(0b100, 3);
    w
}

fn unit(out: &mut Vec<u8>, header: u8, payload: BitWriter) {
    out.extend_from_slice(&START_CODE);
    out.push(header);
    escape(&payload.finish(), out);
}
