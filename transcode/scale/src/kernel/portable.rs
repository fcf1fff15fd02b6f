//! The loops in plain Rust.

use super::{Column, DOWN, GREY, ROWS, dropped};

/// The upper half of a product.
#[inline(always)]
fn part(sample: i16, weight: i16) -> i16 {
    (i32::from(sample).wrapping_mul(i32::from(weight)) >> 16) as i16
}

pub(super) fn mix_rows(source: &[u8], stride: usize, weights: &[i16], out: &mut [i16]) {
    out.fill(dropped(weights));
    for (row, weight) in source.chunks(stride).zip(weights) {
        for (out, sample) in out.iter_mut().zip(row) {
            let sample = i16::from_le_bytes([0, sample ^ GREY]);
            *out = out.wrapping_add(part(sample, *weight));
        }
    }
}

pub(super) fn turn(lines: &[i16], stride: usize, columns: &mut [Column<i16>]) {
    for (y, line) in lines.chunks(stride).enumerate().take(ROWS) {
        for (column, sample) in columns.iter_mut().zip(line) {
            column[y] = *sample;
        }
    }
}

pub(super) fn mix_column(window: &[Column<i16>], weights: &[i16], out: &mut Column<u8>) {
    let mut mixed = [dropped(weights).wrapping_add(1 << (DOWN - 1)); ROWS];
    for (column, weight) in window.iter().zip(weights) {
        for (mixed, sample) in mixed.iter_mut().zip(column) {
            *mixed = mixed.wrapping_add(part(*sample, *weight));
        }
    }
    for (out, mixed) in out.iter_mut().zip(mixed) {
        *out = (mixed >> DOWN).clamp(-128, 127) as u8 ^ GREY;
    }
}

pub(super) fn turn_back(few: &[Column<u8>], target: &mut [u8], stride: usize, rows: usize) {
    for (y, line) in target.chunks_mut(stride).enumerate().take(rows) {
        for (place, column) in line.iter_mut().zip(few) {
            *place = column[y];
        }
    }
}
