//! Where along an axis each sample of the target comes from, and how much of which it takes.

/// How far the cubic reaches, in samples on either side.
const REACH: f64 = 2.0;
/// Its sharpness: that of ffmpeg's `bicubic`, a little above Catmull and Rom's 0.5.
const SHARPNESS: f64 = 0.6;
/// Weights are fractions of so many.
const ONE: f64 = 32_768.0;

/// One axis of a plane on its way to another size.
#[derive(Debug, Clone)]
pub struct Axis {
    from: usize,
    taps: usize,
    /// Where the window of each sample of the target begins in the source.
    starts: Vec<usize>,
    /// The weights of each window, one after another; they sum up to one.
    weights: Vec<i16>,
}

impl Axis {
    /// An axis of luma, or of anything whose samples fill the picture evenly. Sizes are at least 1.
    pub fn of_luma(from: usize, to: usize) -> Self {
        let (from, to) = (from.max(1), to.max(1));
        let ratio = from as f64 / to as f64;
        Self::new(from, to, ratio, (ratio - 1.0) / 2.0)
    }

    /// An axis of chroma that has a sample for every two of luma, of which there are so many.
    /// `cosited` says that it lies on the first of the two, not between them: scaled as if it lay
    /// between, colours would move from rung to rung of a ladder.
    pub fn of_chroma(from: usize, to: usize, cosited: bool) -> Self {
        let (from, to) = (from.max(1), to.max(1));
        let ratio = from as f64 / to as f64;
        // In samples of luma, from the edge of the picture to the first sample of chroma.
        let first = if cosited { 0.5 } else { 1.0 };
        let offset = first * (ratio - 1.0) / 2.0;
        Self::new(from.div_ceil(2), to.div_ceil(2), ratio, offset)
    }

    /// Sample `i` of the target lies at `i * ratio + offset` of the source.
    fn new(from: usize, to: usize, ratio: f64, offset: f64) -> Self {
        // To make smaller is to take the mean of more: the filter is stretched, or it would alias.
        let stretch = ratio.max(1.0);
        let reach = REACH * stretch;
        let taps = ((2.0 * reach).ceil() as usize).clamp(1, from);
        let mut starts = Vec::with_capacity(to);
        let mut weights = Vec::with_capacity(to * taps);
        for i in 0..to {
            let centre = i as f64 * ratio + offset;
            let first = (centre - reach).floor() as i64 + 1;
            let start = first.clamp(0, (from - taps) as i64);
            let mut window = vec![0.0; taps];
            // Beyond the edge there is more of the edge.
            for at in first..=(centre + reach).floor() as i64 {
                let inside = at.clamp(0, from as i64 - 1) - start;
                let place = inside.clamp(0, taps as i64 - 1) as usize;
                if let Some(weight) = window.get_mut(place) {
                    *weight += cubic((at as f64 - centre) / stretch);
                }
            }
            starts.push(start as usize);
            weights.extend(whole(&window));
        }
        Self {
            from,
            taps,
            starts,
            weights,
        }
    }

    /// Samples of the source.
    pub fn from(&self) -> usize {
        self.from
    }

    /// Samples of the target.
    pub fn to(&self) -> usize {
        self.starts.len()
    }

    /// Where sample `i` of the target begins to take from, and how much of each.
    #[inline(always)]
    pub(crate) fn window(&self, i: usize) -> (usize, &[i16]) {
        let weights = i.saturating_mul(self.taps)..;
        let weights = self.weights.get(weights).unwrap_or_default();
        let weights = weights.get(..self.taps).unwrap_or_default();
        (self.starts.get(i).copied().unwrap_or_default(), weights)
    }
}

/// Keys, *Cubic convolution interpolation for digital image processing*, 1981.
fn cubic(x: f64) -> f64 {
    let (x, a) = (x.abs(), -SHARPNESS);
    match x {
        x if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < REACH => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
        _ => 0.0,
    }
}

/// Weights as whole numbers that sum up to one: a plane of one colour keeps it.
fn whole(window: &[f64]) -> Vec<i16> {
    let sum: f64 = window.iter().sum();
    let scaled = |weight: &f64| (weight / sum * ONE).round();
    let mut whole: Vec<f64> = window.iter().map(scaled).collect();
    let missing = ONE - whole.iter().sum::<f64>();
    if let Some(most) = whole.iter_mut().max_by(|a, b| a.total_cmp(b)) {
        *most += missing;
    }
    // With what lies beyond the edge, its last sample can weigh more than all: it is taken alone.
    if whole.iter().any(|weight| *weight > ONE) {
        whole
            .iter_mut()
            .for_each(|w| *w = if *w > ONE { ONE } else { 0.0 });
    }
    let most = f64::from(i16::MAX);
    whole.iter().map(|w| w.clamp(-most, most) as i16).collect()
}
