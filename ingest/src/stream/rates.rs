//! The accounts of a stream's renditions, and what is told of them.
//!
//! Asked when a segment is sent, told what became of it when it is settled: by what is published, once,
//! whichever attempt it came from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rackcast_segment::id::{RenditionName, Sequence};
use rackcast_segment::ladder::{MAX_RUNGS, RenditionSpec};
use rackcast_segment::rate::{Account, Limit, Policy, Rate};
use rackcast_segment::shape::Ratio;
use rackcast_segment::time::Ticks;

use super::metrics::RateMetrics;
use crate::dispatch::Made;

/// The accounts of one epoch's renditions; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Rates(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    policy: Policy,
    accounts: BTreeMap<RenditionName, Entry>,
    metrics: RateMetrics,
}

#[derive(Debug)]
struct Entry {
    /// What it was opened for: another size or target has another account.
    spec: RenditionSpec,
    rung: usize,
    account: Account,
}

impl Rates {
    pub(super) fn new(policy: Policy, metrics: RateMetrics) -> Self {
        Self(Arc::new(Mutex::new(State {
            policy,
            accounts: BTreeMap::new(),
            metrics,
        })))
    }

    /// What a segment's renditions are to be told.
    pub(super) fn ask(
        &self,
        sequence: Sequence,
        duration: Ticks,
        renditions: &[RenditionSpec],
        frame_rate: Ratio,
    ) -> BTreeMap<RenditionName, Rate> {
        let mut state = self.lock();
        let State {
            policy,
            accounts,
            metrics,
        } = &mut *state;
        let asked = renditions.iter().take(MAX_RUNGS).enumerate();
        let asked = asked.map(|(rung, spec)| {
            let open = || Entry {
                spec: spec.clone(),
                rung,
                account: Account::new(*policy, spec, frame_rate),
            };
            let entry = accounts.entry(spec.name.clone()).or_insert_with(open);
            if entry.spec != *spec {
                *entry = open();
            }
            let (rate, limit) = entry.account.ask(sequence, duration);
            met(metrics, limit);
            (spec.name.clone(), rate)
        });
        asked.collect()
    }

    /// A rendition was published.
    pub(super) fn came(&self, sequence: Sequence, rendition: &RenditionName, made: &Made) {
        let mut state = self.lock();
        let State {
            accounts, metrics, ..
        } = &mut *state;
        let Some(entry) = accounts.get_mut(rendition) else {
            return;
        };
        let by = made.encoder.as_ref();
        if let Some((due, limit)) = entry.account.came(sequence, made.bits, by) {
            metrics.delivered(entry.rung, made.bits, due);
            met(metrics, limit);
        }
    }

    /// A rendition will not come, or came and was not published.
    pub(super) fn lost(&self, sequence: Sequence, rendition: &RenditionName) {
        if let Some(entry) = self.lock().accounts.get_mut(rendition) {
            entry.account.lost(sequence);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn met(metrics: &RateMetrics, limit: Option<Limit>) {
    if let Some(limit) = limit {
        metrics.limited.with_label_values(&[limit.as_str()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackcast_segment::shape::Profile;

    const TWO: Ticks = Ticks(180_000);

    fn spec(name: &str, bitrate: u32) -> RenditionSpec {
        RenditionSpec {
            name: name.parse().unwrap(),
            width: 640,
            height: 360,
            bitrate,
            profile: Profile::High,
            level_idc: 30,
            half_rate: false,
            codec: Default::default(),
        }
    }

    fn made(bits: u64) -> Made {
        Made {
            bits,
            encoder: None,
        }
    }

    #[test]
    fn each_rendition_has_its_account_and_is_counted_by_its_rung() {
        let metrics = RateMetrics::register(&prometheus::Registry::new()).unwrap();
        let rates = Rates::new(Policy::default(), metrics.clone());
        let ladder = [spec("high", 1_000_000), spec("low", 200_000)];
        let thirty = Ratio::new(30, 1).unwrap();
        let ask = |n, ladder: &[RenditionSpec]| rates.ask(Sequence(n), TWO, ladder, thirty);
        let bitrate = |rates: &BTreeMap<RenditionName, Rate>, name: &str| {
            rates.get(&name.parse().unwrap()).map(|r| r.bitrate)
        };
        let (high, low) = ("high".parse().unwrap(), "low".parse().unwrap());

        let first = ask(1, &ladder);
        assert_eq!(bitrate(&first, "high"), Some(1_000_000));
        rates.came(Sequence(1), &high, &made(2_600_000));
        rates.lost(Sequence(1), &low);
        // What is settled is settled.
        rates.came(Sequence(1), &high, &made(9_000_000));
        rates.came(Sequence(1), &low, &made(9_000_000));
        rates.came(Sequence(1), &"none".parse().unwrap(), &made(9_000_000));

        let second = ask(2, &ladder);
        assert_eq!(bitrate(&second, "high"), Some(850_000));
        assert_eq!(bitrate(&second, "low"), Some(200_000));
        let other = ask(3, &[spec("high", 800_000)]);
        assert_eq!(bitrate(&other, "high"), Some(800_000), "another account");
        assert_eq!(bitrate(&other, "low"), None);

        let count = |kind: &prometheus::IntCounterVec, rung| kind.with_label_values(&[rung]).get();
        assert_eq!(count(&metrics.got, "1"), 2_600_000 / 8);
        assert_eq!(count(&metrics.due, "1"), 2_000_000 / 8);
        assert_eq!(count(&metrics.got, "2"), 0);
    }
}
