use super::record::Record;

/// The course of some runs, a second at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// Turnarounds of the segments cut in each second.
    pub(crate) turnarounds: Vec<Vec<f32>>,
    /// Submissions to each node in each second, of the first run.
    pub(crate) nodes: Vec<Vec<u32>>,
    /// Nodes that some fault befell, in the first run.
    pub(crate) befallen: Vec<u32>,
}

impl Trace {
    pub(crate) fn of(record: &Record, nodes: usize) -> Self {
        let mut t = Self::default();
        for s in &record.segments {
            let second = s.cut.secs() as usize;
            if t.turnarounds.len() <= second {
                t.turnarounds.resize(second + 1, Vec::new());
            }
            t.turnarounds[second].push(s.turnaround() as f32);
        }
        t.nodes = vec![vec![0; t.turnarounds.len()]; nodes];
        for sent in &record.sent {
            let second = sent.at.secs() as usize;
            if let Some(count) = t.nodes[sent.node as usize].get_mut(second) {
                *count += 1;
            }
        }
        t.befallen = record.faults.iter().flat_map(|f| f.nodes.clone()).collect();
        t.befallen.sort_unstable();
        t.befallen.dedup();
        t
    }

    /// Adds a further run's turnarounds.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.turnarounds.is_empty() {
            *self = other;
            return;
        }
        for (mine, theirs) in self.turnarounds.iter_mut().zip(other.turnarounds) {
            mine.extend(theirs);
        }
    }

    /// For each second, the turnaround that this share of its segments is not above.
    pub(crate) fn quantile(&mut self, share: f64) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for (second, times) in self.turnarounds.iter_mut().enumerate() {
            times.sort_by(f32::total_cmp);
            let rank = (share * times.len() as f64).ceil().max(1.0) as usize;
            if let Some(time) = times.get(rank - 1) {
                points.push((second as f64, f64::from(*time)));
            }
        }
        points
    }
}
