//! How often degradation changes its mind.

use std::time::Duration;

use super::record::Record;
use crate::time::Time;

/// A change by less than this is none.
const LEVEL: f64 = 0.01;

/// Share of the ladders' work that was asked for, of segments cut in each slice of time.
pub(crate) fn asked_over_time(record: &Record, slice: Duration) -> Vec<(Time, f64)> {
    let mut sums: Vec<(u64, u64)> = Vec::new();
    for s in &record.segments {
        let i = (s.cut.secs() / slice.as_secs_f64()) as usize;
        if sums.len() <= i {
            sums.resize(i + 1, (0, 0));
        }
        sums[i].0 += s.work_asked;
        sums[i].1 += s.work;
    }
    let shares = sums.into_iter().zip(0u32..);
    shares
        .filter(|((_, all), _)| *all > 0)
        .map(|((asked, all), i)| (Time::after(slice * i), asked as f64 / all as f64))
        .collect()
}

/// Changes of direction in a series: falling then rising is one, and so on.
pub(crate) fn turns(levels: impl Iterator<Item = f64>) -> u32 {
    let mut turns = 0;
    let mut direction = 0i8;
    let mut extreme: Option<f64> = None;
    for level in levels {
        let Some(from) = extreme else {
            extreme = Some(level);
            continue;
        };
        let now = match level - from {
            d if d > LEVEL => 1,
            d if d < -LEVEL => -1,
            _ => 0,
        };
        // On the way in the same direction the extreme moves along, by however little.
        let along = (direction > 0 && level > from) || (direction < 0 && level < from);
        if now != 0 && now != direction {
            turns += u32::from(direction != 0);
            direction = now;
            extreme = Some(level);
        } else if along || now != 0 {
            extreme = Some(level);
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_and_ripples_are_not() {
        for (levels, expected) in [
            (&[1.0, 1.0, 0.5, 0.4][..], 0),
            (&[1.0, 0.5, 0.505, 0.5, 0.3], 0),
            (&[1.0, 0.4, 0.5, 0.5], 1),
            (&[1.0, 0.4, 0.5, 0.45, 0.6], 3),
            (&[0.5, 0.6, 0.7, 1.0], 0),
            // Slowly, but it turns.
            (&[1.0, 0.9, 0.905, 0.91, 0.915], 1),
        ] {
            assert_eq!(turns(levels.iter().copied()), expected, "{levels:?}");
        }
    }
}
