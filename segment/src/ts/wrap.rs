//! From the 33 bits of the clock to the line without a wrap.

use crate::time::Timestamp;

use super::WRAP;

/// The value on the wrap-free line that is nearest `near`.
pub(super) fn nearest(raw: u64, near: Timestamp) -> Timestamp {
    const HALF: i64 = WRAP / 2;
    let raw = i64::try_from(raw).unwrap_or(0);
    // In -HALF..HALF.
    let ahead = raw
        .wrapping_sub(near.0)
        .wrapping_add(HALF)
        .rem_euclid(WRAP)
        .saturating_sub(HALF);
    Timestamp(near.0.saturating_add(ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_goes_over_the_wrap_in_both_directions() {
        assert_eq!(nearest(5, Timestamp(0)), Timestamp(5));
        assert_eq!(nearest(5, Timestamp(WRAP - 5)), Timestamp(WRAP + 5));
        assert_eq!(
            nearest((1 << 33) - 5, Timestamp(7 * WRAP + 5)),
            Timestamp(7 * WRAP - 5)
        );
    }
}
