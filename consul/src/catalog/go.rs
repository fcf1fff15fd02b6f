//! Durations as Go writes and reads them.

use std::time::Duration;

/// Reads `300ms`, `1.5s`, `1h2m`. `None` if it is none, such as a number without a unit.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let units = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(units);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |text: &str| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(ms("500ms"), Some(500));
        assert_eq!(ms("60s"), Some(60_000));
        assert_eq!(ms("1.5s"), Some(1_500));
        assert_eq!(ms("1h2m3s"), Some(3_723_000));
        assert_eq!(ms("0"), Some(0));
        for bad in ["", "5", "s", "abc", "-1s", "1d", "1s5", "1e400h", "..s"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
