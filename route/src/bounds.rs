//! Bounds of configured times. What is added to an instant must not be for ever, and what is
//! waited for must not be nothing.

use std::time::Duration;

use humantime_serde::re::humantime::format_duration;

/// No time that the policy reckons with is longer.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Refuses a time that is shorter or longer than these, naming the key.
pub(crate) fn time(
    key: &str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let (least, most) = (format_duration(least), format_duration(most));
    Err(format!("{key} must be between {least} and {most}"))
}

/// Refuses times that are longer than a day, naming the key.
pub(crate) fn times<const N: usize>(all: [(&str, Duration); N]) -> Result<(), String> {
    all.into_iter()
        .try_for_each(|(key, value)| time(key, value, Duration::ZERO, DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_what_is_not() {
        let ms = Duration::from_millis;
        assert_eq!(time("again", ms(5), ms(5), DAY), Ok(()));
        let refused = time("again", ms(4), ms(5), DAY).unwrap_err();
        assert_eq!(refused, "again must be between 5ms and 1day");
        assert!(times([("calm", DAY), ("settle", DAY + ms(1))]).is_err());
    }
}
