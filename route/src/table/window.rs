//! Successes and failures of the last half minute, in buckets.

/// Six buckets of five seconds.
const BUCKETS: usize = 6;
const BUCKET: f64 = 5.0;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    number: u64,
    good: u32,
    bad: u32,
}

/// Counts results.
#[derive(Debug, Clone, Default)]
pub(super) struct Window([Bucket; BUCKETS]);

fn number(t: f64) -> u64 {
    (t.max(0.0) / BUCKET) as u64
}

impl Window {
    pub(super) fn add(&mut self, good: bool, t: f64) {
        let now = number(t);
        let at = usize::try_from(now % BUCKETS as u64).unwrap_or(0);
        let Some(bucket) = self.0.get_mut(at) else {
            return;
        };
        if bucket.number != now {
            *bucket = Bucket {
                number: now,
                ..Bucket::default()
            };
        }
        let count = if good {
            &mut bucket.good
        } else {
            &mut bucket.bad
        };
        *count = count.saturating_add(1);
    }

    /// Whether there are `samples` results, of which less than `share` are good.
    pub(super) fn is_below(&self, share: f64, samples: u32, t: f64) -> bool {
        let now = number(t);
        let fresh = self
            .0
            .iter()
            .filter(|b| now.saturating_sub(b.number) < BUCKETS as u64);
        let (good, bad) = fresh.fold((0u32, 0u32), |(good, bad), b| {
            (good.saturating_add(b.good), bad.saturating_add(b.bad))
        });
        let all = good.saturating_add(bad);
        all >= samples && f64::from(good) < share * f64::from(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_last_half_minute() {
        let mut w = Window::default();
        for i in 0..10u32 {
            w.add(i >= 3, 0.1 * f64::from(i));
        }
        assert!(w.is_below(0.8, 10, 1.0), "7 of 10");
        assert!(!w.is_below(0.7, 10, 1.0));
        assert!(!w.is_below(0.8, 11, 1.0), "too few");
        assert!(w.is_below(0.8, 10, 29.9));
        assert!(!w.is_below(0.8, 1, 30.0), "forgotten");
        w.add(false, 31.0);
        assert!(w.is_below(0.8, 1, 31.0) && !w.is_below(0.8, 2, 31.0));
    }
}
