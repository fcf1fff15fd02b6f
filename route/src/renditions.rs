use std::fmt;

/// A set of renditions of one segment, each named by its position in the segment's list, top
/// rung first. Positions from [`Renditions::MAX`] on do not exist: they are in no set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Renditions(u16);

impl Renditions {
    /// The most renditions that a segment can have.
    pub const MAX: usize = 16;
    /// No rendition.
    pub const NONE: Self = Self(0);

    /// The first `n`, from the top rung on.
    pub fn first(n: usize) -> Self {
        match n {
            0 => Self::NONE,
            n if n >= Self::MAX => Self(u16::MAX),
            n => Self((1 << n) - 1),
        }
    }

    /// One alone.
    pub fn only(index: u8) -> Self {
        Self(1u16.checked_shl(index.into()).unwrap_or(0))
    }

    /// How many.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// None at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the one at `index` is among them.
    pub fn contains(self, index: u8) -> bool {
        !self.intersection(Self::only(index)).is_empty()
    }

    /// Whether all of `other` are among them.
    pub fn contains_all(self, other: Self) -> bool {
        other.minus(self).is_empty()
    }

    /// Those in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Without the one at `index`.
    #[must_use]
    pub fn without(self, index: u8) -> Self {
        self.minus(Self::only(index))
    }

    /// The positions, from the top rung on.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..16u8).filter(move |i| self.contains(*i))
    }

    /// The sum of what they cost, where `works` has the cost of each position. One that has no
    /// cost there costs nothing.
    pub fn work(self, works: &[u64]) -> u64 {
        works
            .iter()
            .zip(0u8..)
            .filter(|(_, i)| self.contains(*i))
            .fold(0, |sum, (work, _)| sum.saturating_add(*work))
    }
}

impl FromIterator<u8> for Renditions {
    fn from_iter<I: IntoIterator<Item = u8>>(positions: I) -> Self {
        positions
            .into_iter()
            .fold(Self::NONE, |all, i| all.union(Self::only(i)))
    }
}

impl fmt::Debug for Renditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_was_put_in() {
        let set: Renditions = [3, 0, 3, 15].into_iter().collect();
        assert_eq!(set.len(), 3);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 15]);
        assert!(set.contains(15) && !set.contains(1));
        assert_eq!(set.minus(Renditions::first(4)), Renditions::only(15));
        assert_eq!(set.without(0).union(Renditions::only(0)), set);
        assert!(set.contains_all(Renditions::only(3)) && !set.contains_all(Renditions::first(2)));
    }

    #[test]
    fn positions_that_do_not_exist_are_in_no_set() {
        for index in [16, 17, 255] {
            assert!(Renditions::only(index).is_empty());
            assert!(!Renditions::first(usize::MAX).contains(index));
        }
        assert_eq!(Renditions::first(16).len(), 16);
        assert_eq!(Renditions::first(99), Renditions::first(16));
    }

    #[test]
    fn work_is_that_of_the_members() {
        let works = [100, 50, 25];
        assert_eq!(Renditions::first(3).work(&works), 175);
        assert_eq!(Renditions::only(2).work(&works), 25);
        assert_eq!(Renditions::only(9).work(&works), 0);
        assert_eq!(Renditions::first(2).work(&[u64::MAX, 1]), u64::MAX);
    }
}
