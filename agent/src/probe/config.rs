//! `[probe]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// `[probe]`: what the agent looks at itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How well the clock is kept.
    pub clock: Clock,
    /// Whether the Consul agent answers.
    pub consul: Consul,
    /// Room on file systems.
    pub disk: Disk,
    /// Links.
    pub network: Network,
    /// What services say of their GPUs.
    pub gpu: Gpu,
}

/// How often a probe looks, and when it believes what it sees.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    /// Time between two looks.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// A look that takes longer is bad news.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Bad findings in a row until they are believed.
    pub worse_after: u32,
    /// Good findings in a row until they are.
    pub better_after: u32,
}

/// `[probe.clock]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clock {
    /// A clock that is kept and further off is a warning.
    #[serde(with = "humantime_serde")]
    pub max_offset: Duration,
    /// When.
    pub pace: Pace,
}

/// `[probe.consul]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consul {
    /// When.
    pub pace: Pace,
}

/// `[probe.disk]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// Folders whose file systems are looked at; those that are not there are not.
    pub paths: Vec<PathBuf>,
    /// A file system with less than this part of it free is nearly full, ...
    pub min_free_percent: u8,
    /// ... unless this many bytes are.
    pub enough_bytes: u64,
    /// When.
    pub pace: Pace,
}

/// `[probe.network]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Interfaces that must be up; none for every card whose link was up since the agent started.
    pub interfaces: Vec<String>,
    /// When.
    pub pace: Pace,
}

/// `[probe.gpu]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gpu {
    /// A GPU that is this hot, in degrees Celsius, is a warning, and one that is as hot as its
    /// driver slows it down at.
    pub max_temperature_c: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            worse_after: 2,
            better_after: 3,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            max_offset: Duration::from_millis(100),
            pace: Pace::default(),
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            paths: ["/", "/run/rackcast", "/var/lib/rackcast", "/var/log"]
                .map(PathBuf::from)
                .into(),
            min_free_percent: 5,
            enough_bytes: 5 << 30,
            pace: Pace::default(),
        }
    }
}

impl Default for Gpu {
    fn default() -> Self {
        Self {
            max_temperature_c: 90,
        }
    }
}

impl Config {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// What, and what would.
    pub fn check(&self) -> Result<(), String> {
        let paces = [
            ("clock", self.clock.pace),
            ("consul", self.consul.pace),
            ("disk", self.disk.pace),
            ("network", self.network.pace),
        ];
        for (name, pace) in paces {
            if pace.interval < Duration::from_millis(100) || pace.timeout.is_zero() {
                return Err(format!(
                    "probe.{name}.pace: interval must be 100ms at least, and timeout longer than 0"
                ));
            }
            if pace.worse_after == 0 || pace.better_after == 0 {
                return Err(format!(
                    "probe.{name}.pace: worse_after and better_after must be 1 at least"
                ));
            }
        }
        if self.disk.min_free_percent > 99 {
            return Err("probe.disk.min_free_percent must be 99 at most".to_owned());
        }
        Ok(())
    }
}
