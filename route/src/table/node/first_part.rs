//! After which part of a job's time its first rendition comes: nodes differ in that, by what they
//! encode with and by the way that the large renditions have to go.

/// Weight of one job in the average.
const GAIN: f64 = 1.0 / 16.0;
/// Jobs after which it is known.
const KNOWN: u32 = 8;

/// The average of one node's jobs of several renditions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstPart {
    mean: f64,
    count: u32,
}

impl FirstPart {
    /// The first of several came after this part of the time of a job.
    pub(super) fn observe(&mut self, part: f64) {
        let part = part.clamp(0.0, 1.0);
        self.count = self.count.saturating_add(1);
        let equal = 1.0 / f64::from(self.count);
        self.mean += (part - self.mean) * equal.max(GAIN);
    }

    /// The part, once it is known.
    pub(super) fn get(&self) -> Option<f64> {
        (self.count >= KNOWN).then_some(self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_after_some_jobs_and_follows_them() {
        let mut part = FirstPart::default();
        for _ in 0..KNOWN {
            assert_eq!(part.get(), None);
            part.observe(0.5);
        }
        assert_eq!(part.get(), Some(0.5));
        for _ in 0..100 {
            part.observe(0.9);
        }
        assert!(part.get().is_some_and(|p| (p - 0.9).abs() < 0.01));
    }
}
