//! Names: what a publisher, a player and a file system may call a stream.
//!
//! A name that a peer chose becomes part of a URL, a log field and (later) a path, so it is
//! checked once, here, and the types carry the proof. Transcoders never learn these names:
//! they see a [`StreamToken`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name that is accepted, in bytes.
pub const MAX_NAME_LEN: usize = 128;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name has no characters.
    #[error("the name is empty")]
    Empty,
    /// The name is longer than [`MAX_NAME_LEN`].
    #[error("the name is {0} bytes long; at most {MAX_NAME_LEN} are allowed")]
    TooLong(usize),
    /// The name has a character outside the allowed set.
    #[error("the name has the character {0:?}; letters, digits, '.', '_' and '-' are allowed")]
    Character(char),
    /// The name starts with a dot (`.`, `..` and hidden names).
    #[error("the name starts with '.'")]
    LeadingDot,
    /// A stream's id without its application.
    #[error("there is no '/'; write APP/STREAM")]
    NoApp,
}

fn check(name: &str) -> Result<(), InvalidName> {
    if name.is_empty() {
        return Err(InvalidName::Empty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(InvalidName::TooLong(name.len()));
    }
    if name.starts_with('.') {
        return Err(InvalidName::LeadingDot);
    }
    match name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        Some(c) => Err(InvalidName::Character(c)),
        None => Ok(()),
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text; safe in a URL path, a file name and a log field.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(s: &str) -> Result<Self, InvalidName> {
                check(s)?;
                Ok(Self(s.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(s: String) -> Result<Self, InvalidName> {
                check(&s)?;
                Ok(Self(s))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// The application part of a publishing address: `live` in `rtmp://host/live/show`.
    AppName
}
name_type! {
    /// The public name of a stream within its application. Never a stream key.
    StreamName
}
name_type! {
    /// The name of a rendition: `source`, `audio`, `720p`.
    RenditionName
}
name_type! {
    /// What transcoders call a stream: opaque, stable while the stream lives, so that a warm
    /// session can be found again and nothing about the publisher is told.
    StreamToken
}

impl RenditionName {
    /// The rendition that carries the publisher's own video, untouched.
    pub fn source() -> Self {
        Self("source".to_owned())
    }

    /// The rendition that carries the publisher's own audio, stored once.
    pub fn audio() -> Self {
        Self("audio".to_owned())
    }
}

/// A stream as everyone but the transcoders calls it: `<app>/<stream>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId {
    /// The application.
    pub app: AppName,
    /// The name within the application.
    pub name: StreamName,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.name)
    }
}

impl FromStr for StreamId {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        let (app, name) = s.split_once('/').ok_or(InvalidName::NoApp)?;
        Ok(Self {
            app: app.parse()?,
            name: name.parse()?,
        })
    }
}

/// One uninterrupted life of a stream on an ingest. Grows with every new life, on whatever
/// ingest, so that no segment address is ever used for other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A segment's number within its epoch; the same in every rendition, and HLS's media sequence
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The number that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_become_paths_are_refused() {
        for bad in ["", ".", "..", "a/b", "a%2fb", "a\0b", "ä", " a", ".hidden"] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "x".repeat(129).parse::<StreamName>(),
            Err(InvalidName::TooLong(129))
        );
        assert!("Show_1.v-2".parse::<StreamName>().is_ok());
    }
}
