//! What a rendition was to have and what it got.
//!
//! What came beyond the target is owed, what is missing is to the good. The next segment is asked for so
//! that this would be even after a while. A segment that is out counts as if it came as it was asked for,
//! so that no two pay the same debt, whichever comes first. Its result replaces that; a segment that does
//! not come leaves no trace, neither bits nor time. Each segment counts once, by what was published: a
//! retry, a hedge or a doubled answer changes nothing.
//!
//! Debt is bounded, so that one burst does not starve a minute, and what is to the good as well: what a
//! still picture did not need is not spent on the next scene.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::id::Sequence;
use crate::ladder::RenditionSpec;
use crate::shape::Ratio;
use crate::time::{TICKS_PER_SECOND, Ticks};

use super::{Demand, EncoderName, Rate, most_video, per_second};

/// Segments that may be out at a time; more than any deadline lets be.
const MAX_OUT: usize = 64;
/// Beyond this share of the most that it may have, a segment was ended by that limit: x264 keeps the half of
/// its buffer for what it does not see yet.
const CAPPED: f64 = 0.78;
/// If it had this much more than it was asked to have, too.
const BEYOND: f64 = 1.05;

/// How a mean is kept.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Seconds of media over which what is owed is paid back.
    pub pay_back: f64,
    /// The most that a segment is asked to have, over the target.
    pub most: f64,
    /// The least.
    pub least: f64,
    /// The most that can be owed, in seconds of the target.
    pub max_debt: f64,
    /// The most that can be to the good, in seconds of the target.
    pub max_credit: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            pay_back: 4.0,
            most: 1.25,
            least: 0.6,
            max_debt: 4.0,
            max_credit: 2.0,
        }
    }
}

impl Policy {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The key, and what is allowed.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(1.0..=120.0).contains(&self.pay_back) {
            Err("pay_back must be between 1 and 120 seconds")
        } else if !(1.0..=1.45).contains(&self.most) {
            Err("most must be between 1 and 1.45")
        } else if !(0.1..=1.0).contains(&self.least) {
            Err("least must be between 0.1 and 1")
        } else if !(0.0..=60.0).contains(&self.max_debt) {
            Err("max_debt must be between 0 and 60 seconds")
        } else if !(0.0..=60.0).contains(&self.max_credit) {
            Err("max_credit must be between 0 and 60 seconds")
        } else {
            Ok(())
        }
    }
}

/// A bound of the [`Policy`] that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Policy::most`].
    Most,
    /// [`Policy::least`].
    Least,
    /// [`Policy::max_debt`].
    Debt,
    /// [`Policy::max_credit`].
    Credit,
}

impl Limit {
    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Most => "most",
            Self::Least => "least",
            Self::Debt => "debt",
            Self::Credit => "credit",
        }
    }
}

/// The account of one rendition of a stream.
#[derive(Debug, Clone)]
pub struct Account {
    policy: Policy,
    /// Bits a second.
    target: u32,
    /// Bits beyond the target; below zero, to the good.
    owed: i64,
    demand: Demand,
    /// What was asked for and has not come.
    out: BTreeMap<Sequence, Out>,
}

#[derive(Debug, Clone)]
struct Out {
    rate: Rate,
    duration: Ticks,
    /// Bits beyond the target that it was asked to have.
    beyond: i64,
}

impl Account {
    /// Of a rendition of which nothing came yet.
    pub fn new(policy: Policy, spec: &RenditionSpec, frame_rate: Ratio) -> Self {
        let halved = if spec.half_rate { 2.0 } else { 1.0 };
        let pictures = frame_rate.as_f64() / halved;
        let pixels = f64::from(spec.width) * f64::from(spec.height) * pictures;
        Self {
            policy,
            target: spec.bitrate,
            owed: 0,
            demand: Demand::typical(pixels),
            out: BTreeMap::new(),
        }
    }

    /// What a segment of this length is to be told, and the bound that was met by it.
    pub fn ask(&mut self, sequence: Sequence, duration: Ticks) -> (Rate, Option<Limit>) {
        let out: i64 = self.out.values().map(|out| out.beyond).sum();
        let target = f64::from(self.target);
        let wanted = target - self.owed.saturating_add(out) as f64 / self.policy.pay_back;
        let (least, most) = (target * self.policy.least, target * self.policy.most);
        let limit = match () {
            () if wanted > most => Some(Limit::Most),
            () if wanted < least => Some(Limit::Least),
            () => None,
        };
        let rate = Rate {
            bitrate: wanted.clamp(least, most).round() as u32,
            peak: most_video(self.target),
            demand: self.demand.clone(),
        };
        if self.out.len() >= MAX_OUT {
            self.out.pop_first();
        }
        let beyond = bits(rate.bitrate, duration).saturating_sub(bits(self.target, duration));
        let out = Out {
            rate: rate.clone(),
            duration,
            beyond,
        };
        self.out.insert(sequence, out);
        (rate, limit)
    }

    /// A segment came with so many bits of video; `by` an encoder that was told a quality, or another.
    /// Gives the bits that it was to have on average and the bound that was met; nothing where the segment
    /// was not out.
    pub fn came(
        &mut self,
        sequence: Sequence,
        got: u64,
        by: Option<&EncoderName>,
    ) -> Option<(u64, Option<Limit>)> {
        let Out { rate, duration, .. } = self.out.remove(&sequence)?;
        if let Some(encoder) = by {
            let bits = per_second(got, duration);
            let capped =
                bits > f64::from(rate.peak) * CAPPED && bits > f64::from(rate.bitrate) * BEYOND;
            let quality = rate.quality(encoder);
            self.demand.learn(encoder, quality, got, duration, capped);
        }
        let due = bits(self.target, duration);
        let beyond = i64::try_from(got).unwrap_or(i64::MAX).saturating_sub(due);
        let owed = self.owed.saturating_add(beyond);
        let seconds = |seconds: f64| (f64::from(self.target) * seconds) as i64;
        let (most, least) = (
            seconds(self.policy.max_debt),
            -seconds(self.policy.max_credit),
        );
        self.owed = owed.clamp(least, most);
        let limit = match () {
            () if owed > most => Some(Limit::Debt),
            () if owed < least => Some(Limit::Credit),
            () => None,
        };
        Some((u64::try_from(due).unwrap_or(0), limit))
    }

    /// A segment that was asked for will not come.
    pub fn lost(&mut self, sequence: Sequence) {
        self.out.remove(&sequence);
    }

    /// Bits beyond the target so far; below zero, to the good.
    pub fn owed(&self) -> i64 {
        self.owed
    }
}

fn bits(rate: u32, duration: Ticks) -> i64 {
    i64::from(rate).saturating_mul(duration.0.max(0)) / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests;
