//! The loops that must be fast, in two forms that give the same.
//!
//! Numbers are 16 bits wide: a sample is counted from grey and stands 8 bits up, a weight is a fraction of
//! 2^15, and of a product the upper 16 bits count, which is one instruction. What that drops, half a step
//! of each product on average, is given back at once.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use crate::axis::Axis;

/// Rows of a tile.
pub(crate) const ROWS: usize = 64;
/// Columns of the target that are made together.
const FEW: usize = 8;
/// Rows of a tile, and its columns, are so many more than they need be: whole vectors.
pub(crate) const WHOLE: usize = 16;
/// A sample stands so many bits high after both directions.
const DOWN: u32 = 6;
/// Grey, from which samples are counted.
const GREY: u8 = 128;

/// The samples of a column of a tile.
pub(crate) type Column<T> = [T; ROWS];

/// Half of what the products drop.
fn dropped(weights: &[i16]) -> i16 {
    (weights.len() / 2) as i16
}

/// How this processor does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// On any.
    Portable,
    /// On those of x86 since 2013. Made by [`Kernel::best`] alone, which asks.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Kernel {
    /// The fastest that this processor can.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }

    /// Mixes a row out of those that begin with `source` and lie `stride` apart, as wide as `out`.
    pub(crate) fn mix_rows(self, source: &[u8], stride: usize, weights: &[i16], out: &mut [i16]) {
        match self {
            Self::Portable => portable::mix_rows(source, stride, weights, out),
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "`best` has asked the processor")]
            Self::Avx2 => unsafe { avx2::mix_rows(source, stride, weights, out) },
        }
    }

    /// Turns rows, which lie `stride` apart, into columns.
    pub(crate) fn turn(self, lines: &[i16], stride: usize, columns: &mut [Column<i16>]) {
        match self {
            Self::Portable => portable::turn(lines, stride, columns),
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code, reason = "`best` has asked the processor")]
            Self::Avx2 => unsafe { avx2::turn(lines, stride, columns) },
        }
    }

    /// Mixes columns into columns of the target, and lays them into its first `rows` rows.
    pub(crate) fn mix_columns(
        self,
        columns: &[Column<i16>],
        across: &Axis,
        target: &mut [u8],
        stride: usize,
        rows: usize,
    ) {
        let width = across.to();
        let mut done = 0;
        while done < width {
            // The last few overlap those before them.
            let at = done.min(width.saturating_sub(FEW));
            let mut few = [[0; ROWS]; FEW];
            for (i, out) in few.iter_mut().enumerate().take(width) {
                let (start, weights) = across.window(at + i);
                let window = columns.get(start..).unwrap_or_default();
                match self {
                    Self::Portable => portable::mix_column(window, weights, out),
                    #[cfg(target_arch = "x86_64")]
                    #[allow(unsafe_code, reason = "`best` has asked the processor")]
                    Self::Avx2 => unsafe { avx2::mix_column(window, weights, out) },
                }
            }
            let place = target.get_mut(at..).unwrap_or_default();
            match self {
                #[cfg(target_arch = "x86_64")]
                #[allow(unsafe_code, reason = "`best` has asked the processor")]
                Self::Avx2 if width >= FEW => unsafe {
                    avx2::turn_back(&few, place, stride, rows);
                },
                _ => portable::turn_back(&few[..width.min(FEW)], place, stride, rows),
            }
            done = at + FEW;
        }
    }
}
