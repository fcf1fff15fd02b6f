//! The world's chance, as a function of what it is about.
//!
//! How long a segment takes on a node must not depend on who asks, or in which order: a policy
//! would be judged in a world of its own. So nothing is drawn from a stream of random numbers;
//! each figure is a hash of the seed and of what it belongs to.

use std::f64::consts::TAU;

/// What a figure is for; keeps figures of the same segment and node apart.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum For {
    Service = 1,
    Content,
    There,
    Back,
    Fault,
    Phase,
    Calibration,
    Catalog,
    Probe,
    Poison,
    Target,
}

/// Chance for one seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5eed_0f7a_c3c4_5711))
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(self, what: For, a: u64, b: u64) -> f64 {
        unit(self.hash(what, a, b))
    }

    /// Log-normal with mean 1; `sigma` is the deviation of its logarithm.
    pub(crate) fn around_one(self, sigma: f64, what: For, a: u64, b: u64) -> f64 {
        if sigma <= 0.0 {
            return 1.0;
        }
        let h = self.hash(what, a, b);
        // Box and Muller, 1958.
        let radius = (-2.0 * (1.0 - unit(h)).ln()).sqrt();
        let normal = radius * (TAU * unit(mix(h))).cos();
        (sigma * normal - sigma * sigma / 2.0).exp()
    }

    pub(crate) fn hash(self, what: For, a: u64, b: u64) -> u64 {
        mix(mix(mix(self.0 ^ what as u64) ^ a) ^ b)
    }
}

/// The 53 bits that a double holds.
fn unit(h: u64) -> f64 {
    (h >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64's step (Steele, Lea and Flood, 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u64 = 100_000;

    fn moments(f: impl Fn(u64) -> f64) -> (f64, f64) {
        let mean = (0..N).map(&f).sum::<f64>() / N as f64;
        let variance = (0..N).map(|i| (f(i) - mean).powi(2)).sum::<f64>() / N as f64;
        (mean, variance)
    }

    #[test]
    fn uniform_has_the_moments_of_one() {
        let noise = Noise::new(1);
        let (mean, variance) = moments(|i| noise.uniform(For::Fault, i, 7));
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.002, "{variance}");
    }

    #[test]
    fn log_normal_has_mean_one_and_its_variance() {
        let noise = Noise::new(2);
        let sigma = 0.3f64;
        let (mean, variance) = moments(|i| noise.around_one(sigma, For::Service, i, 7));
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let expected = (sigma * sigma).exp() - 1.0;
        assert!((variance / expected - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn the_same_question_has_the_same_answer_and_another_seed_another() {
        let at = |seed, what, a, b| Noise::new(seed).hash(what, a, b);
        assert_eq!(at(1, For::Back, 2, 3), at(1, For::Back, 2, 3));
        for other in [
            at(2, For::Back, 2, 3),
            at(1, For::There, 2, 3),
            at(1, For::Back, 3, 2),
        ] {
            assert_ne!(at(1, For::Back, 2, 3), other);
        }
    }
}
