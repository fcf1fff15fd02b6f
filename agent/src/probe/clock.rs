//! Whether the clock is kept, and how well.
//!
//! A clock that nothing keeps is a statement and no warning: that is how many test racks are, and
//! nothing in the path of a segment compares the clocks of two machines. One that is kept and yet
//! far off means that whatever keeps it has lost its way.

use std::time::Duration;

use super::Finding;
use crate::inventory::Clock;

pub(super) fn look(max_offset: Duration) -> Finding {
    judge(&Clock::now(), max_offset)
}

fn judge(clock: &Clock, max_offset: Duration) -> Finding {
    match clock {
        Clock::Kept(how) if how.offset() > max_offset => {
            Finding::warning(format!("the clock is off by more than {max_offset:?}"))
        }
        Clock::Kept(_) => Finding::well("the clock is kept"),
        Clock::Free => Finding::well("nothing keeps the clock"),
        Clock::Unknown { why } => Finding::well(format!("the clock cannot be judged: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use rackcast_service::status::HealthState;

    use super::*;
    use crate::inventory::Discipline;

    #[test]
    fn a_kept_clock_that_is_off_is_a_warning() {
        let limit = Duration::from_millis(100);
        let kept = |offset_us| {
            Clock::Kept(Discipline {
                offset_us,
                max_error_us: 500,
            })
        };
        let state = |clock: &Clock| judge(clock, limit).state;
        assert_eq!(state(&kept(99_000)), HealthState::Passing);
        assert_eq!(state(&kept(-100_001)), HealthState::Warning);
        assert_eq!(state(&Clock::Free), HealthState::Passing);
        let why = "Operation not permitted".to_owned();
        assert_eq!(state(&Clock::Unknown { why }), HealthState::Passing);
    }
}
