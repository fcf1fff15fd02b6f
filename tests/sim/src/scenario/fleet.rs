use std::time::Duration;

use serde::Deserialize;

/// Nodes of one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeGroup {
    /// What faults call them.
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) count: u32,
    #[serde(default = "default_zone")]
    pub(crate) zone: String,
    /// Segments side by side.
    pub(crate) slots: u32,
    /// Output pixels a second of one slot.
    pub(crate) slot_rate: f64,
    /// Nodes of the group differ in speed: deviation of the logarithm.
    #[serde(default)]
    pub(crate) spread: f64,
    /// A job's time varies on a node: deviation of the logarithm.
    #[serde(default = "default_noise")]
    pub(crate) noise: f64,
    /// With every slot busy, a job takes this much longer than alone on the node.
    #[serde(default)]
    pub(crate) contention: f64,
    /// What the catalog says of the speed is off: deviation of the logarithm.
    #[serde(default = "default_calibration")]
    pub(crate) calibration: f64,
    /// In the catalog from then on.
    #[serde(with = "humantime_serde", default)]
    pub(crate) from: Duration,
}

fn default_zone() -> String {
    "a".to_owned()
}

fn default_noise() -> f64 {
    0.15
}

fn default_calibration() -> f64 {
    0.1
}

impl NodeGroup {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.count == 0 || self.slots == 0 {
            return Err("count, slots: at least 1".to_owned());
        }
        if !(self.slot_rate.is_finite() && self.slot_rate >= 1.0) {
            return Err("slot_rate: at least 1 pixel a second".to_owned());
        }
        for (key, value) in [
            ("spread", self.spread),
            ("noise", self.noise),
            ("calibration", self.calibration),
        ] {
            amount(key, value, 2.0)?;
        }
        amount("contention", self.contention, 10.0)
    }
}

/// An ingest and what is published to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ingest {
    /// So many ingests like this one, each with `streams` of its own.
    #[serde(default = "one")]
    pub(crate) count: u32,
    #[serde(default = "default_zone")]
    pub(crate) zone: String,
    pub(crate) streams: u32,
    /// Renditions, top rung first, as `WIDTHxHEIGHT@RATE`.
    pub(crate) ladder: Vec<Rung>,
    /// How long a segment plays.
    #[serde(with = "humantime_serde", default = "default_segment")]
    pub(crate) segment: Duration,
    /// Bits a second of what is published.
    #[serde(default = "default_bitrate")]
    pub(crate) bitrate: f64,
    /// Segments differ in what they cost, on any node: deviation of the logarithm.
    #[serde(default = "default_content")]
    pub(crate) content: f64,
    /// The streams are published from then on ...
    #[serde(with = "humantime_serde", default)]
    pub(crate) from: Duration,
    /// ... until then.
    #[serde(with = "humantime_serde", default)]
    pub(crate) until: Option<Duration>,
    /// Belongs to the ingest above: no process of its own, only more streams.
    #[serde(default)]
    pub(crate) same: bool,
}

fn one() -> u32 {
    1
}

fn default_segment() -> Duration {
    Duration::from_secs(2)
}

fn default_bitrate() -> f64 {
    4e6
}

fn default_content() -> f64 {
    0.1
}

impl Ingest {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.count == 0 || self.streams == 0 {
            return Err("count, streams: at least 1".to_owned());
        }
        if self.ladder.is_empty() || self.ladder.len() > 16 {
            return Err("ladder: 1 to 16 rungs".to_owned());
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(20)).contains(&self.segment) {
            return Err("segment: 100 ms to 20 s".to_owned());
        }
        if self.until.is_some_and(|until| until <= self.from) {
            return Err("until: must be later than from".to_owned());
        }
        amount("bitrate", self.bitrate, 1e9)?;
        amount("content", self.content, 2.0)
    }

    pub(super) fn pixels_a_second(&self) -> f64 {
        let rungs: f64 = self.ladder.iter().map(|r| r.0).sum();
        f64::from(self.count) * f64::from(self.streams) * rungs
    }
}

/// Output pixels a second of one rendition.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Rung(pub(crate) f64);

impl TryFrom<String> for Rung {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = || {
            let (size, rate) = text.split_once('@')?;
            let (width, height) = size.split_once('x')?;
            let number = |s: &str| s.parse::<u32>().ok().filter(|n| *n > 0).map(f64::from);
            Some(number(width)? * number(height)? * number(rate)?)
        };
        parts()
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not WIDTHxHEIGHT@RATE"))
    }
}

/// What lies between ingests and nodes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// Round trip within a zone.
    #[serde(with = "humantime_serde")]
    pub(crate) near: Duration,
    /// Round trip between zones.
    #[serde(with = "humantime_serde")]
    pub(crate) far: Duration,
    /// Each way varies: deviation of the logarithm.
    pub(crate) jitter: f64,
    /// Bits a second of one transfer.
    pub(crate) bandwidth: f64,
    /// From a change in the catalog until an ingest has heard of it.
    #[serde(with = "humantime_serde")]
    pub(crate) watch: Duration,
    /// From a node's death until the catalog calls it critical.
    #[serde(with = "humantime_serde")]
    pub(crate) check: Duration,
    /// An ingest believes that there is no node at all only after this.
    #[serde(with = "humantime_serde")]
    pub(crate) empty_grace: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            near: Duration::from_millis(1),
            far: Duration::from_millis(20),
            jitter: 0.1,
            bandwidth: 1e9,
            watch: Duration::from_millis(300),
            check: Duration::from_secs(10),
            empty_grace: Duration::from_secs(30),
        }
    }
}

impl Network {
    pub(super) fn check(&self) -> Result<(), String> {
        amount("network.jitter", self.jitter, 2.0)?;
        if !(self.bandwidth.is_finite() && self.bandwidth >= 1e3) {
            return Err("network.bandwidth: at least 1000 bits a second".to_owned());
        }
        Ok(())
    }
}

pub(super) fn amount(key: &str, value: f64, most: f64) -> Result<(), String> {
    if value.is_finite() && (0.0..=most).contains(&value) {
        Ok(())
    } else {
        Err(format!("{key}: must be 0 to {most}, not {value}"))
    }
}
