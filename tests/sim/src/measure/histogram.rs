/// Buckets of equal width on a logarithmic scale: a quantile is off by at most a half of this.
const WIDTH: f64 = 0.001;
/// The least that is told apart, in seconds.
const LEAST: f64 = 0.001;

/// Times, pooled over runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn add(&mut self, seconds: f64) {
        let bucket = ((seconds.max(LEAST) / LEAST).ln() / WIDTH) as usize;
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// The nearest rank: the least time that this share of all is not above.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(LEAST * ((bucket as f64 + 0.5) * WIDTH).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks_within_a_thousandth() {
        let mut a = Histogram::default();
        let mut b = Histogram::default();
        for i in 1..=1000 {
            let h = if i % 2 == 0 { &mut a } else { &mut b };
            h.add(f64::from(i) / 100.0);
        }
        a.merge(&b);
        for (share, expected) in [(0.5, 5.0), (0.99, 9.9), (0.999, 9.99), (1.0, 10.0)] {
            let got = a.quantile(share).unwrap();
            assert!((got / expected - 1.0).abs() < 0.001, "{share}: {got}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
