//! The bit rate of a rendition, over segments that unlike machines make.
//!
//! An encoder that sees two seconds of a stream and nothing before them cannot hold a mean: it spends
//! too much on one segment and too little on another, and begins each in ignorance of what the pictures
//! need. So what is known travels. The ingest keeps an [`Account`] for each rendition; from it every job
//! carries a [`Rate`]: the bits that this segment is to have, the most that it may have, and what the
//! pictures [demand](Demand), as the last results showed. Any node can follow any other, since the node
//! itself keeps nothing.
//!
//! Encoders of two kinds fit together so. One that takes a *quality* is told what quality will need the
//! asked bits: the same over the whole segment, from its first picture on. One that only takes a *bit rate*
//! is told that. The ingest measures what came; of a node it believes no more than the encoder's name.
//!
//! Pure and deterministic.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod account;
mod bandwidth;
mod demand;

use serde::{Deserialize, Serialize};

use crate::ladder::BITRATE_RANGE;
use crate::time::Ticks;

pub use account::{Account, Limit, Policy};
pub use bandwidth::{expected_bandwidth, expected_mean, most_video};
pub use demand::{Demand, EncoderName, MAX_ENCODERS, QUALITY_RANGE};

/// What an encoder is told of one rendition of one segment. Travels between versions: what a later
/// one adds is left out of account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Bits of video a second that this segment is to have.
    pub bitrate: u32,
    /// Bits of video a second that it may not exceed, so that it stays within the `BANDWIDTH` of the
    /// master playlist.
    pub peak: u32,
    /// What the pictures need.
    pub demand: Demand,
}

impl Rate {
    /// The quality at which this encoder is to make the segment, in hundredths of an H.264 quantiser step
    /// on the scale of x264's CRF.
    pub fn quality(&self, encoder: &EncoderName) -> u32 {
        self.demand.quality(encoder, self.bitrate)
    }

    /// What to tell an encoder that made `got` bits a second of this, more than it may: so much less that it
    /// comes below.
    #[must_use]
    pub fn after(&self, got: f64) -> Self {
        let less = (f64::from(self.peak) * BELOW / got.max(1.0)).min(1.0);
        let scaled = |rate: u32| ((f64::from(rate) * less) as u32).max(1_000);
        Self {
            bitrate: scaled(self.bitrate),
            peak: scaled(self.peak),
            demand: self.demand.clone(),
        }
    }

    /// Whether these are values that an ingest can mean.
    pub(crate) fn is_sane(&self) -> bool {
        // The account asks for at most twice the mean.
        let most = BITRATE_RANGE.end().saturating_mul(4);
        self.bitrate >= 1000
            && self.bitrate <= self.peak
            && self.peak <= most
            && self.demand.is_sane()
    }
}

/// Where in what it may have a second attempt is aimed.
const BELOW: f64 = 0.9;

/// Bits a second.
fn per_second(bits: u64, duration: Ticks) -> f64 {
    bits as f64 / duration.seconds().max(0.001)
}
