//! Which TTL reports are due: pure, on the caller's time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Report;
use crate::register::Status;

/// Remembers what was sent, so that a change goes out at once and the rest by the clock.
#[derive(Debug)]
pub(super) struct Feed {
    refresh: Duration,
    max_age: Duration,
    sent: HashMap<String, (Status, Instant)>,
}

impl Feed {
    pub(super) fn new(refresh: Duration, max_age: Duration) -> Self {
        Self {
            refresh,
            max_age,
            sent: HashMap::new(),
        }
    }

    /// Whether a report must be sent now: its status changed or its refresh is due, and it is
    /// young enough to be true. A probe that hangs must let its check expire.
    pub(super) fn is_due(&self, report: &Report, now: Instant) -> bool {
        self.is_young(report, now)
            && self.sent.get(&report.check).is_none_or(|(status, at)| {
                *status != report.status || now.saturating_duration_since(*at) >= self.refresh
            })
    }

    /// Whether a report may still be taken for the truth.
    pub(super) fn is_young(&self, report: &Report, now: Instant) -> bool {
        now.saturating_duration_since(report.taken) <= self.max_age
    }

    /// Notes that a report went out.
    pub(super) fn sent(&mut self, report: &Report, now: Instant) {
        self.sent.insert(report.check.clone(), (report.status, now));
    }

    /// Forgets checks, so that their next reports are due at once.
    pub(super) fn forget(&mut self, keep: impl Fn(&str) -> bool) {
        self.sent.retain(|check, _| keep(check));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_at_once_the_rest_by_the_clock_and_nothing_stale() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut feed = Feed::new(5 * second, 10 * second);
        let mut report = Report {
            check: "c".to_owned(),
            status: Status::Passing,
            output: String::new(),
            taken: start,
        };
        assert!(feed.is_due(&report, start));
        feed.sent(&report, start);
        assert!(!feed.is_due(&report, start + 4 * second));
        report.output = "other words".to_owned();
        assert!(!feed.is_due(&report, start + 4 * second));
        assert!(feed.is_due(&report, start + 5 * second));
        assert!(feed.is_due(&report, start + 10 * second));
        assert!(!feed.is_due(&report, start + 11 * second));
        report.status = Status::Critical;
        assert!(feed.is_due(&report, start + second));
        feed.sent(&report, start + second);
        assert!(!feed.is_due(&report, start + second));
        feed.forget(|check| check != "c");
        assert!(feed.is_due(&report, start + second));
    }
}
