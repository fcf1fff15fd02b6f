//! What is slow: how much longer than predicted a class of work may take.
//!
//! Work of the same power of two of output pixels is a class. Nodes are unlike, and a slow one
//! that takes its time is not late; so what is kept is the ratio of what work took to what was
//! predicted for its node. Each class has a histogram over buckets that grow by a twelfth
//! (2^(1/8)), whose counts fade with a half-life, so that it follows the fleet as it is now.
//! Bounded: 64 classes of 72 buckets.

use std::time::{Duration, Instant};

use super::attempts::Hedge;

/// Upper edge of the first bucket.
const FIRST: f64 = 0.125;
/// Buckets to each doubling.
const PER_DOUBLING: f64 = 8.0;
/// The last one ends at about 59 times what was predicted, and takes what is beyond.
const BUCKETS: usize = 72;
/// Nothing is predicted to take less, in seconds.
const LEAST: f64 = 0.001;
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
    pub(crate) fn observe(
        &mut self,
        work: u64,
        elapsed: Duration,
        predicted: Duration,
        config: &Hedge,
        now: Instant,
    ) {
        let ratio = elapsed.as_secs_f64() / predicted.as_secs_f64().max(LEAST);
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
        if let Some(count) = histogram.counts.get_mut(bucket(ratio)) {
            *count += 1.0;
            histogram.total += 1.0;
        }
    }

    /// How many times what was predicted only so few of the class take longer than; `None`
    /// while too little is known.
    pub(crate) fn quantile(&self, work: u64, config: &Hedge) -> Option<f64> {
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
                return Some(low + (high - low) * part);
            }
            below += inside;
        }
        Some(edge(BUCKETS - 1))
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

fn bucket(ratio: f64) -> usize {
    let doublings = (ratio / FIRST).max(1.0).log2();
    ((doublings * PER_DOUBLING).ceil() as usize).min(BUCKETS - 1)
}

/// Upper edge of a bucket.
fn edge(bucket: usize) -> f64 {
    FIRST * 2f64.powf(bucket as f64 / PER_DOUBLING)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const WORK: u64 = 1 << 20;

    fn with(ratios: impl IntoIterator<Item = f64>, now: Instant) -> Latency {
        let mut latency = Latency::new();
        for (i, ratio) in (1..).zip(ratios) {
            // Nodes of any speed.
            let predicted = MS * (100 + i % 7 * 50);
            let elapsed = predicted.mul_f64(ratio);
            latency.observe(WORK, elapsed, predicted, &Hedge::default(), now);
        }
        latency
    }

    #[test]
    fn the_quantile_is_where_it_should_be_whatever_the_nodes_are() {
        let config = Hedge::default();
        let latency = with((1..=1000).map(|i| f64::from(i) / 500.0), Instant::now());
        let p95 = latency.quantile(WORK, &config).unwrap();
        assert!((1.85..1.95).contains(&p95), "{p95}");
        assert_eq!(latency.quantile(4 * WORK, &config), None, "another class");
        assert_eq!(latency.quantile(WORK + 5, &config), Some(p95));
    }

    #[test]
    fn too_few_tell_nothing_and_old_ones_fade() {
        let (t0, config) = (Instant::now(), Hedge::default());
        assert_eq!(with([1.0; 19], t0).quantile(WORK, &config), None);
        let mut latency = with([1.0; 200], t0);
        assert!(latency.quantile(WORK, &config).is_some_and(|q| q < 1.1));
        let later = t0 + 4 * config.half_life;
        for _ in 0..40 {
            latency.observe(WORK, MS * 400, MS * 100, &config, later);
        }
        assert!(latency.quantile(WORK, &config).is_some_and(|q| q > 3.5));
    }

    #[test]
    fn extremes_have_a_bucket() {
        let (t0, config) = (Instant::now(), Hedge::default());
        let mut latency = Latency::new();
        for _ in 0..50 {
            latency.observe(0, Duration::MAX, Duration::ZERO, &config, t0);
            latency.observe(u64::MAX, Duration::ZERO, Duration::MAX, &config, t0);
        }
        assert!(latency.quantile(0, &config).is_some_and(|q| q > 50.0));
        assert!(
            latency
                .quantile(u64::MAX, &config)
                .is_some_and(|q| q <= FIRST)
        );
    }
}
