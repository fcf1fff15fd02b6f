//! Streams whose segments run several times in parallel.

use rackcast_route::plan::Precious;
use rackcast_segment::id::StreamId;
use serde::Deserialize;

use crate::glob::glob;

/// `[dispatch.precious]`: where capacity is cheap, a copy on another node buys certainty.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreciousConfig {
    /// Which streams, as `APP/STREAM` with `*` for any run of characters.
    pub streams: Vec<String>,
    /// Nodes that each of their segments is sent to at once.
    pub copies: u32,
}

impl Default for PreciousConfig {
    fn default() -> Self {
        Self {
            streams: Vec::new(),
            copies: Precious::default().copies,
        }
    }
}

impl From<&PreciousConfig> for Precious {
    fn from(config: &PreciousConfig) -> Self {
        let copies = config.copies;
        Self { copies }
    }
}

impl PreciousConfig {
    /// Whether this stream is one of them.
    pub(super) fn has(&self, stream: &StreamId) -> bool {
        self.streams.iter().any(|pattern| {
            pattern.split_once('/').is_some_and(|(app, name)| {
                glob(app, stream.app.as_str()) && glob(name, stream.name.as_str())
            })
        })
    }

    /// # Errors
    /// The first pattern that fits no stream, and why.
    pub(super) fn check(&self) -> Result<(), String> {
        for pattern in &self.streams {
            if let Err(e) = pattern.replace('*', "x").parse::<StreamId>() {
                return Err(format!("streams: {pattern:?}: {e}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_streams_of_an_application() {
        let config = PreciousConfig {
            streams: vec!["live/show".to_owned(), "vip/*".to_owned()],
            ..PreciousConfig::default()
        };
        assert_eq!(config.check(), Ok(()));
        for (stream, precious) in [
            ("live/show", true),
            ("live/show2", false),
            ("vip/anything", true),
            ("vip2/anything", false),
        ] {
            assert_eq!(config.has(&stream.parse().unwrap()), precious, "{stream}");
        }
    }

    #[test]
    fn what_can_be_no_stream_is_refused() {
        for pattern in ["", "show", "/", "live/", "live/a b", "a/b/c"] {
            let config = PreciousConfig {
                streams: vec![pattern.to_owned()],
                ..PreciousConfig::default()
            };
            assert!(config.check().is_err(), "{pattern}");
        }
    }
}
