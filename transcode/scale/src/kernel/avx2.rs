//! The loops by the instructions of AVX2: what the compiler makes of the plain ones takes up to twice the
//! time, and changes with every small change around them.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_loadu_si128, _mm_storeu_si128,
    _mm_unpackhi_epi8, _mm_unpackhi_epi16, _mm_unpackhi_epi32, _mm_unpacklo_epi8,
    _mm_unpacklo_epi16, _mm_unpacklo_epi32, _mm256_add_epi16, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_mulhi_epi16, _mm256_packs_epi16,
    _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_setzero_si256, _mm256_srai_epi16, _mm256_storeu_si256, _mm256_unpackhi_epi8,
    _mm256_unpackhi_epi16, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi8,
    _mm256_unpacklo_epi16, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::{Column, DOWN, FEW, GREY, ROWS, WHOLE, dropped, portable};

/// Bytes, and half as many samples, of a vector.
const BYTES: usize = 32;

#[target_feature(enable = "avx2")]
pub(super) fn mix_rows(source: &[u8], stride: usize, weights: &[i16], out: &mut [i16]) {
    let width = out.len();
    if width < BYTES {
        return portable::mix_rows(source, stride, weights, out);
    }
    let mut at = 0;
    while at + 2 * BYTES <= width {
        mix_block::<2>(source, stride, weights, at, out);
        at += 2 * BYTES;
    }
    while at < width {
        // The last one overlaps the one before it.
        mix_block::<1>(source, stride, weights, at.min(width - BYTES), out);
        at += BYTES;
    }
}

/// `N` vectors of a row.
#[target_feature(enable = "avx2")]
#[inline]
fn mix_block<const N: usize>(
    source: &[u8],
    stride: usize,
    weights: &[i16],
    at: usize,
    out: &mut [i16],
) {
    let (zero, grey) = (_mm256_setzero_si256(), _mm256_set1_epi8(GREY as i8));
    let mut mixed = [[_mm256_set1_epi16(dropped(weights)); 2]; N];
    for (row, weight) in weights.iter().enumerate() {
        let begin = row * stride + at;
        let Some(samples) = source.get(begin..begin + N * BYTES) else {
            return;
        };
        let weight = _mm256_set1_epi16(*weight);
        for ([low, high], samples) in mixed.iter_mut().zip(samples.as_chunks().0) {
            let samples = _mm256_xor_si256(load_bytes(samples), grey);
            let (a, b) = (
                _mm256_unpacklo_epi8(zero, samples),
                _mm256_unpackhi_epi8(zero, samples),
            );
            *low = _mm256_add_epi16(*low, _mm256_mulhi_epi16(a, weight));
            *high = _mm256_add_epi16(*high, _mm256_mulhi_epi16(b, weight));
        }
    }
    let out = out.get_mut(at..).unwrap_or_default();
    for ([low, high], out) in mixed.into_iter().zip(out.as_chunks_mut().0) {
        let out: &mut [i16; BYTES] = out;
        let (first, second) = out.split_at_mut(WHOLE);
        // Unpacked, the halves of each are a quarter of the row apart.
        if let ([first], [second]) = (first.as_chunks_mut().0, second.as_chunks_mut().0) {
            store_words(first, _mm256_permute2x128_si256::<0x20>(low, high));
            store_words(second, _mm256_permute2x128_si256::<0x31>(low, high));
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn turn(lines: &[i16], stride: usize, columns: &mut [Column<i16>]) {
    for (x, columns) in columns.as_chunks_mut::<WHOLE>().0.iter_mut().enumerate() {
        for y in 0..ROWS / FEW {
            let first = y * FEW * stride + x * WHOLE;
            let Some(lines) = lines.get(first..first + (FEW - 1) * stride + WHOLE) else {
                return;
            };
            let row = |i: usize| match lines.get(i * stride..).and_then(|l| l.first_chunk()) {
                Some(samples) => load_words(samples),
                None => _mm256_setzero_si256(),
            };
            let rows = [
                row(0),
                row(1),
                row(2),
                row(3),
                row(4),
                row(5),
                row(6),
                row(7),
            ];
            let turned = turn_words(rows);
            let (first, second) = columns.split_at_mut(FEW);
            for ((first, second), word) in first.iter_mut().zip(second).zip(turned) {
                let low = first.as_chunks_mut::<FEW>().0;
                let high = second.as_chunks_mut::<FEW>().0;
                if let (Some(low), Some(high)) = (low.get_mut(y), high.get_mut(y)) {
                    store_few(low, _mm256_castsi256_si128(word));
                    store_few(high, _mm256_extracti128_si256::<1>(word));
                }
            }
        }
    }
}

/// Eight rows of eight columns, and beside them eight of eight more, the other way round.
#[target_feature(enable = "avx2")]
#[inline]
fn turn_words([a, b, c, d, e, f, g, h]: [__m256i; FEW]) -> [__m256i; FEW] {
    let ab = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
    let cd = (_mm256_unpacklo_epi16(c, d), _mm256_unpackhi_epi16(c, d));
    let ef = (_mm256_unpacklo_epi16(e, f), _mm256_unpackhi_epi16(e, f));
    let gh = (_mm256_unpacklo_epi16(g, h), _mm256_unpackhi_epi16(g, h));
    let half = |p: (__m256i, __m256i), q: (__m256i, __m256i)| {
        [
            _mm256_unpacklo_epi32(p.0, q.0),
            _mm256_unpackhi_epi32(p.0, q.0),
            _mm256_unpacklo_epi32(p.1, q.1),
            _mm256_unpackhi_epi32(p.1, q.1),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (half(ab, cd), half(ef, gh));
    [
        _mm256_unpacklo_epi64(a, e),
        _mm256_unpackhi_epi64(a, e),
        _mm256_unpacklo_epi64(b, f),
        _mm256_unpackhi_epi64(b, f),
        _mm256_unpacklo_epi64(c, g),
        _mm256_unpackhi_epi64(c, g),
        _mm256_unpacklo_epi64(d, h),
        _mm256_unpackhi_epi64(d, h),
    ]
}

#[target_feature(enable = "avx2")]
pub(super) fn mix_column(window: &[Column<i16>], weights: &[i16], out: &mut Column<u8>) {
    const VECTORS: usize = ROWS / WHOLE;
    let mut mixed = [_mm256_set1_epi16(dropped(weights) + (1 << (DOWN - 1))); VECTORS];
    for (column, weight) in window.iter().zip(weights) {
        let weight = _mm256_set1_epi16(*weight);
        for (mixed, samples) in mixed.iter_mut().zip(column.as_chunks().0) {
            *mixed = _mm256_add_epi16(*mixed, _mm256_mulhi_epi16(load_words(samples), weight));
        }
    }
    let grey = _mm256_set1_epi8(GREY as i8);
    for (out, [a, b]) in out.as_chunks_mut().0.iter_mut().zip(mixed.as_chunks().0) {
        let (a, b) = (
            _mm256_srai_epi16::<{ DOWN as i32 }>(*a),
            _mm256_srai_epi16::<{ DOWN as i32 }>(*b),
        );
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(a, b));
        store_bytes(out, _mm256_xor_si256(packed, grey));
    }
}

/// Lays eight columns into rows.
#[target_feature(enable = "avx2")]
pub(super) fn turn_back(few: &[Column<u8>; FEW], target: &mut [u8], stride: usize, rows: usize) {
    let mut lines = target.chunks_mut(stride).take(rows);
    for y in 0..ROWS / WHOLE {
        let column = |i: usize| load_half(&few[i].as_chunks::<WHOLE>().0[y]);
        let turned = turn_bytes([
            column(0),
            column(1),
            column(2),
            column(3),
            column(4),
            column(5),
            column(6),
            column(7),
        ]);
        for two in turned {
            for eight in [_mm_cvtsi128_si64(two), _mm_extract_epi64::<1>(two)] {
                let Some(line) = lines.next() else { return };
                if let Some(place) = line.first_chunk_mut() {
                    *place = eight.to_le_bytes();
                }
            }
        }
    }
}

/// Sixteen rows of eight samples, two in each, out of eight columns.
#[target_feature(enable = "avx2")]
#[inline]
fn turn_bytes([a, b, c, d, e, f, g, h]: [__m128i; FEW]) -> [__m128i; FEW] {
    let ab = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
    let cd = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
    let ef = (_mm_unpacklo_epi8(e, f), _mm_unpackhi_epi8(e, f));
    let gh = (_mm_unpacklo_epi8(g, h), _mm_unpackhi_epi8(g, h));
    let half = |p: (__m128i, __m128i), q: (__m128i, __m128i)| {
        [
            _mm_unpacklo_epi16(p.0, q.0),
            _mm_unpackhi_epi16(p.0, q.0),
            _mm_unpacklo_epi16(p.1, q.1),
            _mm_unpackhi_epi16(p.1, q.1),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (half(ab, cd), half(ef, gh));
    [
        _mm_unpacklo_epi32(a, e),
        _mm_unpackhi_epi32(a, e),
        _mm_unpacklo_epi32(b, f),
        _mm_unpackhi_epi32(b, f),
        _mm_unpacklo_epi32(c, g),
        _mm_unpackhi_epi32(c, g),
        _mm_unpacklo_epi32(d, h),
        _mm_unpackhi_epi32(d, h),
    ]
}

macro_rules! memory {
    ($name:ident, $from:ident: $array:ty => $vector:ty) => {
        #[target_feature(enable = "avx2")]
        #[inline]
        #[allow(unsafe_code, reason = "the array is as long as the vector")]
        fn $name(from: &$array) -> $vector {
            unsafe { $from(from.as_ptr().cast()) }
        }
    };
    ($name:ident, $to:ident: $vector:ty, into $array:ty) => {
        #[target_feature(enable = "avx2")]
        #[inline]
        #[allow(unsafe_code, reason = "the array is as long as the vector")]
        fn $name(to: &mut $array, vector: $vector) {
            unsafe { $to(to.as_mut_ptr().cast(), vector) }
        }
    };
}
memory!(load_bytes, _mm256_loadu_si256: [u8; BYTES] => __m256i);
memory!(load_words, _mm256_loadu_si256: [i16; WHOLE] => __m256i);
memory!(load_half, _mm_loadu_si128: [u8; WHOLE] => __m128i);
memory!(store_bytes, _mm256_storeu_si256: __m256i, into [u8; BYTES]);
memory!(store_words, _mm256_storeu_si256: __m256i, into [i16; WHOLE]);
memory!(store_few, _mm_storeu_si128: __m128i, into [i16; FEW]);
