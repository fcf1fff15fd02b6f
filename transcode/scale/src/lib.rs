//! Scales pictures: planes of 8-bit samples, by a separable cubic filter.
//!
//! Scaling is the one thing that GStreamer does at more cost than ffmpeg. So it is done here, and
//! this crate is compiled for speed in every profile.
//!
//! A plane goes through in tiles of 64 rows: the rows of the source are mixed to rows of the target
//! (`mix_rows`), as they lie in memory; the tile is turned, so that the samples of a column lie side by
//! side and a column of the target is a mix of whole columns (`mix_columns`), and turned back. So both
//! directions are the same, simple loop, whatever the ratio is. What lies between is kept to 1/128 of a
//! step. The loops themselves are in [`kernel`].

mod axis;
mod kernel;

pub use axis::Axis;
use kernel::{Column, Kernel, ROWS, WHOLE};

/// A plane that is smaller than was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} plane has {1} bytes, fewer than {2} rows of {3} bytes {4} apart")]
pub struct TooSmall(&'static str, usize, usize, usize, usize);

/// Scales planes of one size to another. Keeps its working memory from plane to plane.
#[derive(Debug)]
pub struct Scaler {
    across: Axis,
    down: Axis,
    kernel: Kernel,
    /// The mixed rows of a tile, `stride` apart.
    lines: Vec<i16>,
    stride: usize,
    /// The tile, turned.
    columns: Vec<Column<i16>>,
}

impl Scaler {
    /// A scaler from `across.from()` by `down.from()` samples to `across.to()` by `down.to()`.
    pub fn new(across: Axis, down: Axis) -> Self {
        Self::by(Kernel::best(), across, down)
    }

    fn by(kernel: Kernel, across: Axis, down: Axis) -> Self {
        let stride = across.from().next_multiple_of(WHOLE);
        Self {
            kernel,
            lines: vec![0; stride * ROWS],
            columns: vec![[0; ROWS]; stride],
            stride,
            across,
            down,
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
        let tiles = target.chunks_mut(target_stride.saturating_mul(ROWS));
        for (tile, first) in tiles.zip((0..to.1).step_by(ROWS)) {
            let rows = ROWS.min(to.1 - first);
            for (row, line) in (first..).zip(self.lines.chunks_mut(self.stride).take(rows)) {
                let (start, weights) = self.down.window(row);
                let above = source.get(start * source_stride..).unwrap_or_default();
                let line = line.get_mut(..from.0).unwrap_or_default();
                self.kernel.mix_rows(above, source_stride, weights, line);
            }
            self.kernel
                .turn(&self.lines, self.stride, &mut self.columns);
            self.kernel
                .mix_columns(&self.columns, &self.across, tile, target_stride, rows);
        }
        Ok(())
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
