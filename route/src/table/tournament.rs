//! A tree of minima over the nodes of a large subset, so that a pick finds the best few of a
//! thousand without looking at all: a change of one key costs one path to the root, and the
//! best `k` cost `k` paths down.

/// Nodes of the tree that a search may have open; enough for [`BEST`] out of 2^20 leaves.
const OPEN: usize = 96;
/// How many a search yields.
pub(super) const BEST: usize = 4;

/// Minima over leaves that are numbered from 0.
#[derive(Debug, Default)]
pub(super) struct Tournament {
    /// `1` is the root, `i` has the children `2i` and `2i + 1`, leaves begin at `leaves`.
    tree: Vec<f64>,
    leaves: usize,
}

impl Tournament {
    /// Begins anew with these keys; the allocation is kept.
    pub(super) fn rebuild(&mut self, keys: impl ExactSizeIterator<Item = f64>) {
        self.leaves = keys.len().next_power_of_two();
        self.tree.clear();
        self.tree.resize(self.leaves, f64::INFINITY);
        self.tree.extend(keys);
        self.tree.resize(self.leaves * 2, f64::INFINITY);
        for i in (1..self.leaves).rev() {
            self.tree[i] = self.tree[2 * i].min(self.tree[2 * i + 1]);
        }
    }

    /// Sets one key.
    pub(super) fn set(&mut self, leaf: usize, key: f64) {
        if leaf >= self.leaves {
            return;
        }
        let mut i = self.leaves + leaf;
        self.tree[i] = key;
        while i > 1 {
            i /= 2;
            let least = self.tree[2 * i].min(self.tree[2 * i + 1]);
            if self.tree[i] == least {
                break;
            }
            self.tree[i] = least;
        }
    }

    /// The leaves with the least keys, the least first; only finite keys count.
    pub(super) fn best(&self) -> [Option<usize>; BEST] {
        let mut found = [None; BEST];
        if self.tree.len() < 2 {
            return found;
        }
        let mut open = [(f64::INFINITY, 0usize); OPEN];
        open[0] = (self.tree[1], 1);
        let mut length = 1;
        let mut count = 0;
        while length > 0 && count < BEST {
            let mut least = 0;
            for i in 1..length {
                if open[i].0 < open[least].0 {
                    least = i;
                }
            }
            let (key, i) = open[least];
            if !key.is_finite() {
                break;
            }
            length -= 1;
            open[least] = open[length];
            if i >= self.leaves {
                found[count] = Some(i - self.leaves);
                count += 1;
            } else if length + 2 <= OPEN {
                open[length] = (self.tree[2 * i], 2 * i);
                open[length + 1] = (self.tree[2 * i + 1], 2 * i + 1);
                length += 2;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_are_the_best(
            keys in prop::collection::vec(0u32..1000, 0..300),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0u32..1000), 0..50),
        ) {
            let mut keys: Vec<f64> = keys.into_iter().map(f64::from).collect();
            let mut tree = Tournament::default();
            tree.rebuild(keys.iter().copied());
            for (at, key) in changes {
                if keys.is_empty() {
                    continue;
                }
                let at = at.index(keys.len());
                let key = if key > 900 { f64::INFINITY } else { f64::from(key) };
                keys[at] = key;
                tree.set(at, key);
            }
            let mut sorted: Vec<f64> = keys.iter().copied().filter(|k| k.is_finite()).collect();
            sorted.sort_by(f64::total_cmp);
            sorted.truncate(BEST);
            let found: Vec<f64> = tree.best().iter().flatten().map(|i| keys[*i]).collect();
            prop_assert_eq!(found, sorted);
        }
    }

    #[test]
    fn a_thousand_equals_fit_into_the_search() {
        let mut tree = Tournament::default();
        tree.rebuild((0..100_000).map(|_| 1.0));
        assert_eq!(tree.best().iter().flatten().count(), BEST);
    }
}
