//! Levels: what a decoder must be able to do.

/// `general_level_idc`, and of the main tier the luma samples of a picture, of a second, and bits a
/// second in thousands (Tables A.8 and A.9).
const LEVELS: [(u8, u64, u64, u32); 13] = [
    (30, 36_864, 552_960, 128),
    (60, 122_880, 3_686_400, 1_500),
    (63, 245_760, 7_372_800, 3_000),
    (90, 552_960, 16_588_800, 6_000),
    (93, 983_040, 33_177_600, 10_000),
    (120, 2_228_224, 66_846_720, 12_000),
    (123, 2_228_224, 133_693_440, 20_000),
    (150, 8_912_896, 267_386_880, 25_000),
    (153, 8_912_896, 534_773_760, 40_000),
    (156, 8_912_896, 1_069_547_520, 60_000),
    (180, 35_651_584, 1_069_547_520, 60_000),
    (183, 35_651_584, 2_139_095_040, 120_000),
    (186, 35_651_584, 4_278_190_080, 240_000),
];

/// The least level for pictures of this size, so many a second, in so many bits a second.
pub fn level_for(width: u32, height: u32, rate: f64, bitrate: u32) -> u8 {
    let picture = u64::from(width).saturating_mul(height.into());
    // No side is longer than the root of eight times the samples.
    let long = u64::from(width.max(height));
    let square = long.saturating_mul(long);
    let second = picture as f64 * rate.max(1.0);
    // The buffer may hold more than a second at the mean rate.
    let kbit = f64::from(bitrate) / 1000.0 * 1.5;
    let fits = |(_, samples, of_second, bits): &&(u8, u64, u64, u32)| {
        picture <= *samples
            && square <= samples.saturating_mul(8)
            && second <= *of_second as f64
            && kbit <= f64::from(*bits)
    };
    LEVELS.iter().find(fits).map_or(186, |(idc, ..)| *idc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_that_suffices() {
        assert_eq!(level_for(1280, 720, 30.0, 2_000_000), 93);
        assert_eq!(level_for(1920, 1080, 30.0, 5_000_000), 120);
        assert_eq!(level_for(1920, 1080, 60.0, 5_000_000), 123);
        assert_eq!(level_for(1920, 1080, 30.0, 10_000_000), 123, "for its bits");
        assert_eq!(level_for(u32::MAX, u32::MAX, 1e9, u32::MAX), 186);
    }
}
