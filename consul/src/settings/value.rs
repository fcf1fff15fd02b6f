//! What a setting may hold.

use std::fmt;
use std::time::Duration;

use rackcast_segment::ladder::Ladder;
use serde_json::Value;

/// Longest text of a value, in bytes.
const TEXT: usize = 4096;

/// A kind of value, with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Rungs as `720p@2800k,360p@800k`; empty for the source alone.
    Ladder,
    /// An `http://` or `https://` address.
    Url,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number, from and to.
    Count(u64, u64),
    /// A number, from and to.
    Number(f64, f64),
    /// A time such as `250ms` or `2m`, from and to.
    Span(Duration, Duration),
}

/// Why a value is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given} is not {wanted}")]
pub struct Invalid {
    given: String,
    wanted: String,
}

impl Kind {
    /// Reads a value as an operator types it.
    ///
    /// # Errors
    /// It is not of this kind, or out of bounds.
    pub fn read(&self, text: &str) -> Result<Value, Invalid> {
        let value = match self {
            Self::Ladder | Self::Url | Self::Choice(_) | Self::Span(..) => Value::from(text.trim()),
            // Numbers and switches are written as JSON writes them.
            Self::Switch | Self::Count(..) | Self::Number(..) => {
                serde_json::from_str(text.trim()).map_err(|_| self.refuse(text))?
            }
        };
        self.check(&value)?;
        Ok(value)
    }

    /// Looks at a value as it stands in Consul, and gives what a configuration file would hold.
    ///
    /// # Errors
    /// It is not of this kind, or out of bounds.
    pub fn check(&self, value: &Value) -> Result<toml::Value, Invalid> {
        self.understood(value).ok_or_else(|| self.refuse(value))
    }

    fn understood(&self, value: &Value) -> Option<toml::Value> {
        let text = || value.as_str().filter(|text| text.len() <= TEXT);
        Some(match self {
            Self::Ladder => {
                text()?.parse::<Ladder>().ok()?;
                text()?.into()
            }
            Self::Url => {
                let url: url::Url = text()?.parse().ok()?;
                let good = matches!(url.scheme(), "http" | "https") && url.has_host();
                good.then(|| text().map(toml::Value::from))??
            }
            Self::Switch => value.as_bool()?.into(),
            Self::Choice(words) => text().filter(|text| words.contains(text))?.into(),
            Self::Count(least, most) => {
                let count = value.as_u64().filter(|n| (*least..=*most).contains(n))?;
                i64::try_from(count).ok()?.into()
            }
            Self::Number(least, most) => {
                let number = value.as_f64().filter(|n| (*least..=*most).contains(n))?;
                number.into()
            }
            Self::Span(least, most) => {
                let span = humantime::parse_duration(text()?).ok()?;
                (*least..=*most)
                    .contains(&span)
                    .then(|| text().map(toml::Value::from))??
            }
        })
    }

    fn refuse(&self, given: impl fmt::Display) -> Invalid {
        let mut given = given.to_string();
        if given.chars().count() > 80 {
            given = given.chars().take(77).chain("...".chars()).collect();
        }
        Invalid {
            given: given
                .chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect(),
            wanted: self.to_string(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ladder => f.write_str(
                "a ladder: rungs such as 720p@2800k,360p@800k, the largest first, or nothing",
            ),
            Self::Url => f.write_str("an address that begins with http:// or https://"),
            Self::Switch => f.write_str("true or false"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Count(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Self::Span(least, most) => write!(
                f,
                "a time such as 250ms or 2m, from {} to {}",
                humantime::format_duration(*least),
                humantime::format_duration(*most)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_takes_its_own_and_nothing_else() {
        let second = Duration::from_secs(1);
        let span = Kind::Span(second, 60 * second);
        let level = Kind::Choice(&["info", "debug"]);
        let (count, number) = (Kind::Count(1, 9), Kind::Number(0.0, 1.0));
        for (kind, good, bad) in [
            (
                Kind::Ladder,
                vec!["", "720p@2800k", "720p@2800k,360p@800k"],
                vec!["720", "x@y"],
            ),
            (
                Kind::Url,
                vec!["http://h:1/p", "https://h"],
                vec!["", "ftp://h", "h:1", "http://"],
            ),
            (
                Kind::Switch,
                vec!["true", " false "],
                vec!["1", "yes", "\"true\""],
            ),
            (level, vec!["info", "debug"], vec!["", "INFO", "trace"]),
            (
                count,
                vec!["1", "9"],
                vec!["0", "10", "1.5", "-1", "x", "\"1\""],
            ),
            (
                number,
                vec!["0", "0.25", "1"],
                vec!["-0.1", "1.1", "NaN", "x"],
            ),
            (
                span,
                vec!["1s", "1m", "1500ms"],
                vec!["", "0s", "61s", "5", "x"],
            ),
        ] {
            for text in good {
                let value = kind.read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
                kind.check(&value).unwrap();
            }
            for text in bad {
                let error = kind.read(text).unwrap_err().to_string();
                assert!(error.ends_with(&kind.to_string()), "{error}");
            }
            for value in [json!(null), json!([]), json!({}), json!("x".repeat(9999))] {
                assert!(kind.check(&value).is_err(), "{kind:?} {value}");
            }
        }
        let long = Kind::Switch.read(&"x".repeat(9999)).unwrap_err();
        assert!(long.to_string().len() < 150, "{long}");
    }
}
