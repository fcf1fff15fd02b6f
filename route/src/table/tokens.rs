//! What may be spent on finding out.

/// The most that is saved up.
const MOST: f64 = 2.0;

/// Fills with segments and with time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    per_segment: f64,
    per_second: f64,
    value: f64,
    at: f64,
}

impl Tokens {
    /// Begins with one.
    pub(super) fn new(per_segment: f64, per_second: f64) -> Self {
        Self {
            per_segment,
            per_second,
            value: 1.0,
            at: 0.0,
        }
    }

    /// Segments bring more or less from now on.
    pub(super) fn set_rate(&mut self, per_segment: f64) {
        self.per_segment = per_segment;
    }

    /// A segment is sent.
    pub(super) fn segment(&mut self, t: f64) {
        self.value = (self.now(t) + self.per_segment).min(MOST);
        self.at = t;
    }

    fn now(&self, t: f64) -> f64 {
        let brought = if self.per_segment > 0.0 {
            self.per_second * (t - self.at).max(0.0)
        } else {
            0.0
        };
        (self.value + brought).min(MOST)
    }

    /// Whether there is one.
    pub(super) fn any(&self, t: f64) -> bool {
        self.per_segment > 0.0 && self.now(t) >= 1.0
    }

    /// Takes one, or what is left of one.
    pub(super) fn take(&mut self, t: f64) {
        self.value = (self.now(t) - 1.0).max(0.0);
        self.at = t;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_time_bring_them() {
        let mut tokens = Tokens::new(0.1, 0.01);
        assert!(tokens.any(0.0));
        tokens.take(0.0);
        assert!(!tokens.any(50.0) && tokens.any(100.0));
        for _ in 0..9 {
            tokens.segment(0.0);
        }
        assert!(!tokens.any(0.0));
        tokens.segment(0.0);
        tokens.segment(0.0);
        assert!(tokens.any(0.0));
        tokens.take(1e6);
        tokens.take(1e6);
        assert!(!tokens.any(1e6), "two at most");
        let none = Tokens::new(0.0, 1.0);
        assert!(!none.any(1e6), "0 is never");
    }
}
