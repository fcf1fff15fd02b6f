//! What stands under a setting's key: one JSON document, written as a whole.
//!
//! The history is in it and not beside it, so that check-and-set of one key keeps value and
//! history together; it is bounded, since Consul keeps all of it in memory.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Changes that a document remembers beside the last.
pub const HISTORY: usize = 20;
/// Longest name or reason that is kept, in characters.
const WORDS: usize = 200;

/// Who changes a setting, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Who, as `user@machine`.
    pub by: String,
    /// When.
    #[serde(with = "humantime_serde")]
    pub at: SystemTime,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// To what; `null` where it was unset, and each daemon's file counts.
    pub value: Option<Value>,
    /// Who, when, why.
    #[serde(flatten)]
    pub author: Author,
}

/// A setting with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What counts.
    #[serde(flatten)]
    pub now: Change,
    /// What was before, the newest first.
    #[serde(default)]
    pub history: Vec<Change>,
}

impl Author {
    /// An author whose words are short enough to be kept.
    pub fn new(by: &str, at: SystemTime, reason: &str) -> Self {
        let short = |text: &str| text.chars().take(WORDS).collect();
        let second = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self {
            by: short(by),
            at: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second),
            reason: short(reason),
        }
    }
}

impl Document {
    /// A document with which the history begins.
    pub fn new(value: Option<Value>, author: Author) -> Self {
        Self {
            now: Change { value, author },
            history: Vec::new(),
        }
    }

    /// The document after a change, `None` if that changes nothing.
    pub fn after(before: Option<Self>, value: Option<Value>, author: Author) -> Option<Self> {
        let Some(before) = before else {
            return value.is_some().then(|| Self::new(value, author));
        };
        let now = Change { value, author };
        if before.now.value == now.value {
            return None;
        }
        let mut history = before.history;
        history.insert(0, before.now);
        history.truncate(HISTORY);
        Some(Self { now, history })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn author(second: u64) -> Author {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(second * 1000 + 7);
        Author::new("ann@rack-1", at, "")
    }

    #[test]
    fn a_document_reads_as_an_operator_would_write_it() {
        let document = Document::after(None, Some(json!(3)), author(1_800_000_000)).unwrap();
        let text = serde_json::to_string(&document).unwrap();
        let plain = r#"{"value":3,"by":"ann@rack-1","at":"2027-01-15T08:00:00Z","history":[]}"#;
        assert_eq!(text, plain);
        assert_eq!(serde_json::from_str::<Document>(plain).unwrap(), document);
    }

    #[test]
    fn history_is_kept_bounded_and_free_of_changes_that_are_none() {
        assert_eq!(Document::after(None, None, author(0)), None);
        let mut document = Document::after(None, Some(json!(0)), author(0));
        let same = Document::after(document.clone(), Some(json!(0)), author(1));
        assert_eq!(same, None);
        for n in 1..100 {
            document = Document::after(document, Some(json!(n)), author(n));
        }
        document = Document::after(document, None, author(100));
        let document = document.unwrap();
        assert_eq!(document.now.value, None);
        assert_eq!(document.history.len(), HISTORY);
        assert_eq!(document.history[0].value, Some(json!(99)));
        let long = Author::new(&"x".repeat(9999), SystemTime::now(), &"y".repeat(9999));
        assert_eq!((long.by.len(), long.reason.len()), (WORDS, WORDS));
    }
}
