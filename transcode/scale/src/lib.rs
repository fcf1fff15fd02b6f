//! Scales pictures: planes of 8-bit samples, by a separable cubic filter.
//!
//! Scaling is the one thing that GStreamer does at more cost than ffmpeg. So it is done here, and
//! this crate is compiled for speed in every profile: its loops are written so that the compiler
//! makes vector instructions of them, and nothing in it is fast without.
//!
//! A plane goes through in tiles of 64 rows: the rows of the source are mixed to rows of the target
//! ([`kernel::mix_rows`]), the tile is turned, so that the samples of a column lie side by side and a
//! column of the target is a mix of whole columns ([`kernel::mix_columns`]), and turned back. So both
//! directions are the same, simple loop, whatever the ratio is. What lies between is kept to 1/64 of
//! a step.

mod axis;
mod kernel;

pub use axis::Axis;
use kernel::{BLOCK, Column, FEW, ROWS};

/// A plane that is smaller than was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} plane has {1} bytes, fewer than {2} rows of {3} bytes {4} apart")]
pub struct TooSmall(&'static str, usize, usize, usize, usize);

/// Scales planes of one size to another. Keeps its working memory from plane to plane.
#[derive(Debug)]
pub struct Scaler {
    across: Axis,
    down: Axis,
    /// Mixed rows of one block of a tile.
    lines: Box<[[i16; BLOCK]; ROWS]>,
    /// The tile, turned.
    columns: Vec<Column<i16>>,
}

impl Scaler {
    /// A scaler from `across.from()` by `down.from()` samples to `across.to()` by `down.to()`.
    pub fn new(across: Axis, down: Axis) -> Self {
        Self {
            columns: vec![[0; ROWS]; across.from().next_multiple_of(FEW)],
            across,
            down,
            lines: Box::new([[0; BLOCK]; ROWS]),
        }
    }

    /// Scales a plane; rows begin `stride` bytes after each other.
    ///
    /// # Errors
    /// A slice is too short for its plane.
    pub fn scale(
        &mut self,
        (source, source_stride): (&[u8], usize),
        (target, target_stride): (&mut [u8], usize),
    ) -> Result<(), TooSmall> {
        let (from, to) = (
            (self.across.from(), self.down.from()),
            (self.across.to(), self.down.to()),
        );
        check("source", source.len(), source_stride, from)?;
        check("target", target.len(), target_stride, to)?;
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            #[allow(unsafe_code, reason = "the processor was asked in the line above")]
            unsafe {
                self.all_with_avx2(source, source_stride, target, target_stride);
            }
            return Ok(());
        }
        self.all(source, source_stride, target, target_stride);
        Ok(())
    }

    /// The same, compiled for processors since 2013.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn all_with_avx2(&mut self, source: &[u8], from: usize, target: &mut [u8], to: usize) {
        self.all(source, from, target, to);
    }

    #[inline(always)]
    fn all(&mut self, source: &[u8], from: usize, target: &mut [u8], to: usize) {
        let width = self.across.from();
        let tiles = target.chunks_mut(to.saturating_mul(ROWS));
        let height = self.down.to();
        for (tile, first) in tiles.zip((0..height).step_by(ROWS)) {
            let rows = ROWS.min(height - first);
            let mut done = 0;
            while done < width {
                // The last block overlaps the one before it.
                let at = done.min(width.saturating_sub(BLOCK));
                for (row, line) in (first..).zip(self.lines.iter_mut().take(rows)) {
                    let (start, weights) = self.down.window(row);
                    let lines = source.get(start.saturating_mul(from).saturating_add(at)..);
                    kernel::mix_rows(lines.unwrap_or_default(), from, weights, width, line);
                }
                kernel::turn(&self.lines, self.columns.get_mut(at..).unwrap_or_default());
                done = at.saturating_add(BLOCK);
            }
            kernel::mix_columns(&self.columns, &self.across, tile, to, rows);
        }
    }
}

fn check(
    which: &'static str,
    bytes: usize,
    stride: usize,
    (width, height): (usize, usize),
) -> Result<(), TooSmall> {
    let needed = stride
        .checked_mul(height.saturating_sub(1))
        .and_then(|rows| rows.checked_add(width));
    match needed.is_some_and(|needed| needed <= bytes && width <= stride) {
        true => Ok(()),
        false => Err(TooSmall(which, bytes, height, width, stride)),
    }
}

#[cfg(test)]
mod tests;
