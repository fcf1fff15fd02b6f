use std::fmt;

/// How many thousandths of a rung there are: the groups into which streams fall.
const GROUPS: u32 = 1000;

/// How much is left out: rungs of every ladder, and a fraction that says for how many streams
/// one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Level(u32);

/// Which streams go first: a number that a stream keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(u32);

impl Level {
    /// Nothing is left out.
    pub const NONE: Self = Self(0);

    /// So many thousandths of a rung.
    pub fn milli(milli: u32) -> Self {
        Self(milli)
    }

    /// In thousandths of a rung.
    pub fn as_milli(self) -> u32 {
        self.0
    }

    /// In rungs.
    pub fn as_rungs(self) -> f64 {
        f64::from(self.0) / f64::from(GROUPS)
    }

    pub(crate) fn rungs(rungs: u32) -> Self {
        Self(rungs.saturating_mul(GROUPS))
    }

    pub(crate) fn beyond(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    pub(crate) fn and(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// How many rungs a stream of this group loses.
    pub(crate) fn drops(self, group: Group) -> u32 {
        self.0 / GROUPS + u32::from(self.0 % GROUPS > group.0)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.as_rungs())
    }
}

impl Group {
    #[cfg(test)]
    pub(crate) fn milli(milli: u32) -> Self {
        Self(milli)
    }

    /// Spreads whatever numbers streams have evenly (the finaliser of splitmix64).
    pub(crate) fn of(stream: u64) -> Self {
        let mut z = stream.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Self((z % u64::from(GROUPS)) as u32)
    }
}
