//! Minima and medians.

/// What one candidate took, round after round.
#[derive(Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        }
    }

    /// The median of the ratios to another candidate, round by round: what disturbs a whole round
    /// disturbs both.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        let ratios = self.0.iter().zip(&other.0).map(|(a, b)| a / b);
        Self(ratios.collect()).median()
    }
}
