//! A log that a stranger cannot fill.

use std::time::{Duration, Instant};

/// Lines in a window.
const LINES: u32 = 10;
/// The window.
const WINDOW: Duration = Duration::from_secs(60);

/// Lets ten lines a minute through and counts the rest.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    window: Option<Instant>,
    lines: u32,
    swallowed: u64,
}

impl Quiet {
    /// Whether a line may be written now: if so, how many were not since the last.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        let within = |began: &Instant| now.saturating_duration_since(*began) < WINDOW;
        if !self.window.as_ref().is_some_and(within) {
            self.window = Some(now);
            self.lines = 0;
        }
        if self.lines >= LINES {
            self.swallowed = self.swallowed.saturating_add(1);
            return None;
        }
        self.lines = self.lines.saturating_add(1);
        Some(std::mem::take(&mut self.swallowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_minute_and_the_rest_is_told_later() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        for _ in 0..LINES {
            assert_eq!(quiet.admit(start), Some(0));
        }
        for second in 0..5 {
            assert_eq!(quiet.admit(start + Duration::from_secs(second)), None);
        }
        assert_eq!(quiet.admit(start + WINDOW), Some(5));
        assert_eq!(quiet.admit(start + WINDOW), Some(0));
    }
}
