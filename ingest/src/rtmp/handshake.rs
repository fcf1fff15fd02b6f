//! The handshake: three blobs each way, and after it the chunk stream.
//!
//! Only the plain form of the specification. The digest form (Flash Player 9) is what a
//! server must offer before Flash *plays* H.264; publishers take the plain form when the
//! server's version field is zero.

use bytes::{BufMut, BytesMut};

/// Bytes in each of C1, C2, S1 and S2.
pub const BLOB: usize = 1536;
/// The only version there is.
const VERSION: u8 = 3;

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first byte is not version 3: not RTMP, or RTMPE.
    #[error("version {0}; only plain RTMP, version 3, is spoken here")]
    Version(u8),
}

/// The server's side of the handshake. No I/O.
#[derive(Debug)]
pub struct Handshake {
    random: u64,
    answered: bool,
}

impl Handshake {
    /// `random` fills the blob whose echo nobody checks.
    pub fn new(random: u64) -> Self {
        Self {
            random,
            answered: false,
        }
    }

    /// Takes what the handshake needs off the front of `input`, and appends what the peer is
    /// due. True when the handshake is over and the rest of `input` is chunks.
    ///
    /// # Errors
    /// [`HandshakeError`], on the first byte.
    pub fn advance(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<bool, HandshakeError> {
        if !self.answered {
            match input.first() {
                Some(&VERSION) | None => {}
                Some(&other) => return Err(HandshakeError::Version(other)),
            }
            if input.len() <= BLOB {
                return Ok(false);
            }
            let c0_c1 = input.split_to(BLOB.saturating_add(1));
            self.answer(c0_c1.get(1..).unwrap_or_default(), out);
            self.answered = true;
        }
        if input.len() < BLOB {
            return Ok(false);
        }
        // C2 should echo S1. Publishers are known that send something else.
        let _ = input.split_to(BLOB);
        Ok(true)
    }

    /// S0, S1 (time zero, version zero, filler) and S2 (the echo of C1).
    fn answer(&mut self, c1: &[u8], out: &mut BytesMut) {
        out.reserve(BLOB.saturating_mul(2).saturating_add(1));
        out.put_u8(VERSION);
        out.put_u64(0);
        let mut word = self.random | 1;
        for _ in 1..BLOB.div_ceil(8) {
            // xorshift: filler, not a secret.
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            out.put_u64(word);
        }
        out.put_slice(c1);
    }
}
