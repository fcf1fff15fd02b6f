//! How long a class of work takes: what is slow, and when a hedge is due.
//!
//! Work of the same power of two of output pixels is a class. Each has a histogram over
//! buckets that grow by a fifth (2^(1/4)), whose counts fade with a half-life, so that it
//! follows the fleet as it is now. Bounded: 64 classes of 56 buckets.

use std::time::{Duration, Instant};

use crate::plan::Hedge;

/// Upper edge of the first bucket in seconds.
const FIRST: f64 = 0.01;
/// Buckets to each doubling.
const PER_DOUBLING: f64 = 4.0;
/// The last one ends at about 2 min, and takes what is beyond.
const BUCKETS: usize = 56;
/// How stale the fading may be: it costs a pass over the buckets.
const FADE_EVERY: Duration = Duration::from_millis(500);

/// Histograms of what each class of work took.
#[derive(Debug)]
pub(crate) struct Latency {
    classes: Vec<Option<Box<Histogram>>>,
}

#[derive(Debug)]
struct Histogram {
    counts: [f32; BUCKETS],
    total: f32,
    faded: Instant,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self {
            classes: Vec::new(),
        }
    }

    /// Work of `work` pixels took so long, or had taken so long when it was cancelled.
    pub(crate) fn observe(&mut self, work: u64, elapsed: Duration, config: &Hedge, now: Instant) {
        let class = class(work);
        if self.classes.len() <= class {
            self.classes.resize_with(class + 1, || None);
        }
        let Some(slot) = self.classes.get_mut(class) else {
            return;
        };
        let histogram = slot.get_or_insert_with(|| {
            Box::new(Histogram {
                counts: [0.0; BUCKETS],
                total: 0.0,
                faded: now,
            })
        });
        histogram.fade(config.half_life, now);
        if let Some(count) = histogram.counts.get_mut(bucket(elapsed)) {
            *count += 1.0;
            histogram.total += 1.0;
        }
    }

    /// What only so few of the class take longer than; `None` while too little is known.
    pub(crate) fn quantile(&self, work: u64, config: &Hedge) -> Option<Duration> {
        let histogram = self.classes.get(class(work))?.as_ref()?;
        if f64::from(histogram.total) < f64::from(config.min_samples) {
            return None;
        }
        let wanted = f64::from(histogram.total) * config.quantile;
        let mut below = 0.0;
        for (i, count) in histogram.counts.iter().enumerate() {
            let inside = f64::from(*count);
            if below + inside >= wanted && inside > 0.0 {
                let part = ((wanted - below) / inside).clamp(0.0, 1.0);
                let (low, high) = (edge(i) / 2f64.powf(1.0 / PER_DOUBLING), edge(i));
                return Some(Duration::from_secs_f64(low + (high - low) * part));
            }
            below += inside;
        }
        Some(Duration::from_secs_f64(edge(BUCKETS - 1)))
    }
}

impl Histogram {
    fn fade(&mut self, half_life: Duration, now: Instant) {
        let age = now.saturating_duration_since(self.faded);
        if age < FADE_EVERY {
            return;
        }
        let keep = 0.5f32.powf(age.as_secs_f32() / half_life.as_secs_f32().max(f32::MIN_POSITIVE));
        self.total = 0.0;
        for count in &mut self.counts {
            *count *= keep;
            self.total += *count;
        }
        self.faded = now;
    }
}

fn class(work: u64) -> usize {
    work.max(1).ilog2() as usize
}

fn bucket(elapsed: Duration) -> usize {
    let doublings = (elapsed.as_secs_f64() / FIRST).max(1.0).log2();
    ((doublings * PER_DOUBLING).ceil() as usize).min(BUCKETS - 1)
}

/// Upper edge of a bucket in seconds.
fn edge(bucket: usize) -> f64 {
    FIRST * 2f64.powf(bucket as f64 / PER_DOUBLING)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_quantile_is_where_it_should_be_within_a_fifth() {
        let (t0, config) = (Instant::now(), Hedge::default());
        let mut latency = Latency::new();
        for i in 1..=1000 {
            latency.observe(1 << 20, MS * i, &config, t0);
        }
        let p95 = latency.quantile(1 << 20, &config).unwrap();
        assert!(p95 > MS * 900 && p95 < MS * 1000, "{p95:?}");
        assert_eq!(latency.quantile(1 << 22, &config), None, "another class");
        assert_eq!(latency.quantile((1 << 20) + 5, &config), Some(p95));
    }

    #[test]
    fn too_few_tell_nothing_and_old_ones_fade() {
        let (t0, config) = (Instant::now(), Hedge::default());
        let mut latency = Latency::new();
        for _ in 0..19 {
            latency.observe(100, MS * 200, &config, t0);
        }
        assert_eq!(latency.quantile(100, &config), None);
        for _ in 0..200 {
            latency.observe(100, MS * 200, &config, t0);
        }
        assert!(latency.quantile(100, &config).is_some_and(|q| q < MS * 240));
        let later = t0 + 4 * config.half_life;
        for _ in 0..40 {
            latency.observe(100, MS * 800, &config, later);
        }
        assert!(latency.quantile(100, &config).is_some_and(|q| q > MS * 600));
    }

    #[test]
    fn extremes_have_a_bucket() {
        let (t0, config) = (Instant::now(), Hedge::default());
        let mut latency = Latency::new();
        for _ in 0..50 {
            latency.observe(0, Duration::MAX, &config, t0);
            latency.observe(u64::MAX, Duration::ZERO, &config, t0);
        }
        assert!(
            latency
                .quantile(0, &config)
                .is_some_and(|q| q > MS * 60_000)
        );
        assert!(
            latency
                .quantile(u64::MAX, &config)
                .is_some_and(|q| q <= MS * 10)
        );
    }
}
