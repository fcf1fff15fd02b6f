//! `[directory]`.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

/// How this ingest tells others of its streams, and finds theirs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Off: nobody finds the streams of this ingest but by asking it.
    pub enabled: bool,
    /// Base address that players are given for this ingest; none for the address in the catalog.
    pub public: Option<Url>,
    /// Send players to the ingest that has the stream, instead of fetching it from there.
    pub redirect: bool,
    /// How long Consul keeps the entries of an ingest that is silent; up to twice that.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How old the number of the newest segment may become.
    #[serde(with = "humantime_serde")]
    pub refresh: Duration,
    /// Writes in a second, at most.
    pub writes_per_second: u32,
    /// Questions in a second, at most, for streams that are not here; and as many for those that are,
    /// and may be elsewhere too.
    pub lookups_per_second: u32,
    /// How long an answer is good.
    #[serde(with = "humantime_serde")]
    pub remember: Duration,
    /// Answers that are remembered.
    pub max_remembered: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            public: None,
            redirect: false,
            ttl: Duration::from_secs(15),
            refresh: Duration::from_secs(10),
            writes_per_second: 20,
            lookups_per_second: 50,
            remember: Duration::from_secs(2),
            max_remembered: 10_000,
        }
    }
}

impl Config {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The key and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let second = Duration::from_secs(1);
        if self.ttl < 10 * second || self.ttl > 3600 * second {
            return Err("directory.ttl must be from 10s to 1h: Consul takes no less".to_owned());
        }
        if self.refresh < second {
            return Err("directory.refresh must be 1s at least".to_owned());
        }
        if self.writes_per_second == 0 || self.lookups_per_second == 0 {
            return Err(
                "directory.writes_per_second and directory.lookups_per_second must be above 0"
                    .to_owned(),
            );
        }
        if self.max_remembered == 0 {
            return Err("directory.max_remembered must be above 0".to_owned());
        }
        match &self.public {
            Some(url) if !matches!(url.scheme(), "http" | "https") => Err(format!(
                "directory.public is {url}: it must begin with http:// or https://"
            )),
            _ => Ok(()),
        }
    }
}
