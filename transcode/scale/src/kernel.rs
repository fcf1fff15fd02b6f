//! The loops that must be fast.
//!
//! All of them are over arrays whose length is known, long enough that the compiler makes a loop of
//! vectors of them and not one unrolled mass. Numbers are 16 bits wide: a sample is 7 bits up, a
//! weight a fraction of 2^15, and of a product the upper 16 bits count, which is one instruction.
//! What that drops, half a step of each product on average, is given back at once.

use crate::axis::Axis;

/// Rows of a tile.
pub(crate) const ROWS: usize = 64;
/// Columns that are worked at together.
pub(crate) const BLOCK: usize = 64;
/// Columns or rows that are turned together.
pub(crate) const FEW: usize = 8;
/// A sample is moved up by so much before it is weighted.
const UP: u32 = 7;
/// And stands so high after both directions.
const DOWN: u32 = 5;

/// The samples of a column of a tile.
pub(crate) type Column<T> = [T; ROWS];

/// The upper half of a product.
#[inline(always)]
fn part(sample: i16, weight: i16) -> i16 {
    (i32::from(sample).wrapping_mul(i32::from(weight)) >> 16) as i16
}

#[inline(always)]
fn up(sample: u8) -> i16 {
    i16::from(sample) << UP
}

/// Half of what the products drop.
#[inline(always)]
fn dropped(weights: &[i16]) -> i16 {
    (weights.len() / 2) as i16
}

/// Mixes one block of a row out of the rows that begin with `source` and lie `stride` apart; `width`
/// is that of the whole plane.
#[inline(always)]
pub(crate) fn mix_rows(
    source: &[u8],
    stride: usize,
    weights: &[i16],
    width: usize,
    out: &mut [i16; BLOCK],
) {
    if width < BLOCK {
        return mix_short_rows(source, stride, weights, width, out);
    }
    let mut mixed = [dropped(weights); BLOCK];
    for (row, weight) in source.chunks(stride).zip(weights) {
        let Some(row) = row.first_chunk::<BLOCK>() else {
            return;
        };
        let parts: [i16; BLOCK] = std::array::from_fn(|i| part(up(row[i]), *weight));
        mixed = std::array::from_fn(|i| mixed[i].wrapping_add(parts[i]));
    }
    *out = mixed;
}

/// Planes that are narrower than a block.
fn mix_short_rows(
    source: &[u8],
    stride: usize,
    weights: &[i16],
    width: usize,
    out: &mut [i16; BLOCK],
) {
    out.fill(dropped(weights));
    for (row, weight) in source.chunks(stride).zip(weights) {
        for (out, sample) in out.iter_mut().take(width).zip(row) {
            *out = out.wrapping_add(part(up(*sample), *weight));
        }
    }
}

/// Mixes columns into columns of the target, and lays them into its rows.
#[inline(always)]
pub(crate) fn mix_columns(
    columns: &[Column<i16>],
    across: &Axis,
    target: &mut [u8],
    stride: usize,
    rows: usize,
) {
    let width = across.to();
    let mut done = 0;
    while done < width {
        let at = done.min(width.saturating_sub(FEW));
        let mut few = [[0; ROWS]; FEW];
        for (i, out) in few.iter_mut().enumerate().take(width) {
            let (start, weights) = across.window(at.wrapping_add(i));
            let window = columns.get(start..).unwrap_or_default();
            *out = mix_column(window, weights);
        }
        turn_back(
            &few,
            width.min(FEW),
            target.get_mut(at..).unwrap_or_default(),
            stride,
            rows,
        );
        done = at.wrapping_add(FEW);
    }
}

#[inline(always)]
fn mix_column(window: &[Column<i16>], weights: &[i16]) -> Column<u8> {
    let mut mixed = [dropped(weights).wrapping_add(1 << (DOWN - 1)); ROWS];
    for (column, weight) in window.iter().zip(weights) {
        let parts: Column<i16> = std::array::from_fn(|i| part(column[i], *weight));
        mixed = std::array::from_fn(|i| mixed[i].wrapping_add(parts[i]));
    }
    std::array::from_fn(|i| (mixed[i] >> DOWN).clamp(0, 255) as u8)
}

/// Turns a block of rows into columns; what has no column is left out.
#[inline(always)]
pub(crate) fn turn(lines: &[[i16; BLOCK]; ROWS], columns: &mut [Column<i16>]) {
    const SIDE: usize = 4;
    const SINGLE: u64 = 0x0000_ffff_0000_ffff;
    const PAIR: u64 = 0x0000_0000_ffff_ffff;
    let (squares, _) = columns.as_chunks_mut::<SIDE>();
    for (x, square) in (0..BLOCK).step_by(SIDE).zip(squares) {
        for y in (0..ROWS).step_by(SIDE) {
            // Four samples in a word: exchange within pairs of rows, then pairs.
            let row = |i: usize| packed(&lines[y + i][x..x + SIDE]);
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (a, b) = (
                (a & SINGLE) | ((b & SINGLE) << 16),
                ((a >> 16) & SINGLE) | (b & !SINGLE),
            );
            let (c, d) = (
                (c & SINGLE) | ((d & SINGLE) << 16),
                ((c >> 16) & SINGLE) | (d & !SINGLE),
            );
            let turned = [
                (a & PAIR) | (c << 32),
                (b & PAIR) | (d << 32),
                (a >> 32) | (c & !PAIR),
                (b >> 32) | (d & !PAIR),
            ];
            for (column, word) in square.iter_mut().zip(turned) {
                column[y..y + SIDE].copy_from_slice(&unpacked(word));
            }
        }
    }
}

#[inline(always)]
fn packed(samples: &[i16]) -> u64 {
    let lane = |i: usize| u64::from(samples.get(i).copied().unwrap_or_default() as u16);
    lane(0) | lane(1) << 16 | lane(2) << 32 | lane(3) << 48
}

#[inline(always)]
fn unpacked(word: u64) -> [i16; 4] {
    [
        word as i16,
        (word >> 16) as i16,
        (word >> 32) as i16,
        (word >> 48) as i16,
    ]
}

/// Lays the first `count` of a few columns into rows.
#[inline(always)]
fn turn_back(few: &[Column<u8>; FEW], count: usize, target: &mut [u8], stride: usize, rows: usize) {
    for (y, lines) in (0..rows)
        .step_by(FEW)
        .zip(target.chunks_mut(stride.saturating_mul(FEW)))
    {
        let words = turned(few, y);
        for (line, word) in lines
            .chunks_mut(stride)
            .zip(words)
            .take(rows.saturating_sub(y))
        {
            let bytes = word.to_le_bytes();
            if let (FEW, Some(place)) = (count, line.first_chunk_mut::<FEW>()) {
                *place = bytes;
            } else {
                for (place, byte) in line.iter_mut().zip(bytes).take(count) {
                    *place = byte;
                }
            }
        }
    }
}

/// Eight rows of eight samples out of eight columns: exchange of halves, pairs and neighbours.
#[inline(always)]
fn turned(few: &[Column<u8>; FEW], y: usize) -> [u64; FEW] {
    let mut m = few.each_ref().map(|column| {
        let rows = column.get(y..).and_then(|rows| rows.first_chunk::<FEW>());
        u64::from_le_bytes(rows.copied().unwrap_or_default())
    });
    for (by, apart, low) in [
        (32, 4, 0x0000_0000_ffff_ffff_u64),
        (16, 2, 0x0000_ffff_0000_ffff),
        (8, 1, 0x00ff_00ff_00ff_00ff),
    ] {
        for i in (0..FEW).filter(|i| i & apart == 0) {
            let (a, b) = (m[i], m[i + apart]);
            m[i] = (a & low) | ((b & low) << by);
            m[i + apart] = ((a >> by) & low) | (b & !low);
        }
    }
    m
}
