//! Levels of H.264: what a decoder must be able to do.

use crate::shape::Profile;

/// Smallest H.264 level (Table A-1) whose frame size, macroblock rate and bitrate suffice.
pub(crate) fn level_for(width: u32, height: u32, rate: f64, bitrate: u32, profile: Profile) -> u8 {
    // (level_idc, MaxMBPS, MaxFS, MaxBR in 1000 bit/s for Baseline and Main)
    const LEVELS: [(u8, u32, u32, u32); 14] = [
        (11, 3_000, 396, 192),
        (12, 6_000, 396, 384),
        (13, 11_880, 396, 768),
        (20, 11_880, 396, 2_000),
        (21, 19_800, 792, 4_000),
        (22, 20_250, 1_620, 4_000),
        (30, 40_500, 1_620, 10_000),
        (31, 108_000, 3_600, 14_000),
        (32, 216_000, 5_120, 20_000),
        (40, 245_760, 8_192, 20_000),
        (42, 522_240, 8_704, 50_000),
        (50, 589_824, 22_080, 135_000),
        (51, 983_040, 36_864, 240_000),
        (52, 2_073_600, 36_864, 240_000),
    ];
    let frame = width.div_ceil(16).saturating_mul(height.div_ceil(16));
    let per_second = f64::from(frame) * rate.max(1.0);
    // The VBV may hold more than a second at the mean rate; High allows 1.25 times the table.
    let kbit = f64::from(bitrate) / 1000.0 * 1.5;
    let scale = if profile == Profile::High { 1.25 } else { 1.0 };
    LEVELS
        .iter()
        .find(|(_, mbps, fs, br)| {
            per_second <= f64::from(*mbps) && frame <= *fs && kbit <= f64::from(*br) * scale
        })
        .map_or(52, |(idc, ..)| *idc)
}
