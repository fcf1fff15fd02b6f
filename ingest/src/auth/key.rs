//! A secret that proves who a publisher is.

use std::fmt;

use serde::Deserialize;
use subtle::ConstantTimeEq;

/// A stream key. Compared in constant time, never printed.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Key(Box<[u8]>);

impl Key {
    /// From text.
    pub fn new(text: &str) -> Self {
        Self(text.as_bytes().into())
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same key. The time taken tells no more than the lengths.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
