//! The frame rate that a stream is said to have.
//!
//! The mean rate of a segment wavers: RTMP rounds times to milliseconds, a cut falls a frame
//! earlier or later. An encoder writes the rate that it is told into its parameter sets, and a
//! warm pipeline is bound to it, so a wavering rate would rebuild the pipeline and change the
//! parameter sets at every segment. The ingest therefore names one rate for all segments of a
//! format. Rate control goes by timestamps and loses nothing.

use super::Ratio;

/// Rates of cameras and films, in frames a second.
const USUAL: [(u32, u32); 14] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (100, 1),
    (120, 1),
];
/// How far a measured rate may lie from a stated or usual one to be taken for it.
const TOLERANCE: f64 = 0.02;

impl Ratio {
    /// The rate of pictures that come at `mean` a second: what the parameter sets state if
    /// that is near, else the nearest usual rate, else whole frames a second.
    pub fn nominal_rate(mean: f64, stated: Option<Self>) -> Self {
        let error = |r: &Self| (r.as_f64() / mean - 1.0).abs();
        if let Some(stated) = stated.filter(|r| error(r) < TOLERANCE) {
            return stated;
        }
        USUAL
            .iter()
            .filter_map(|(num, den)| Self::new(*num, *den))
            .min_by(|a, b| error(a).total_cmp(&error(b)))
            .filter(|r| error(r) < TOLERANCE)
            .or_else(|| Self::new(mean.round().clamp(1.0, 1000.0) as u32, 1))
            .unwrap_or(Self::ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(stated: Option<(u32, u32)>, mean: f64) -> (u32, u32) {
        let stated = stated.and_then(|(num, den)| Ratio::new(num, den));
        Ratio::nominal_rate(mean, stated).into()
    }

    #[test]
    fn a_wavering_mean_is_one_rate() {
        for mean in [29.97, 29.90, 30.0] {
            assert_eq!(rate(Some((30_000, 1001)), mean), (30_000, 1001));
        }
        assert_eq!(rate(None, 30.001), (30, 1));
        assert_eq!(rate(None, 59.95), (60_000, 1001));
    }

    #[test]
    fn a_rate_that_the_pictures_contradict_is_not_believed() {
        assert_eq!(rate(Some((60, 1)), 25.0), (25, 1));
        assert_eq!(rate(Some((60, 1)), 7.1), (7, 1));
        assert_eq!(rate(None, 0.1), (1, 1));
        assert_eq!(rate(None, f64::INFINITY), (1000, 1));
        assert_eq!(rate(None, f64::NAN), (1, 1));
    }
}
