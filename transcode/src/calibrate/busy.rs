//! Whether the machine has something else to do: then it is measured as slower than it is, and more workers
//! seem to do more, since they get a larger part of it.

use std::time::Duration;

use tokio::time::sleep;

/// How long it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The share of the processors' time that is spent now, while nothing is measured yet; `None` where the kernel does
/// not tell.
pub(super) async fn share() -> Option<f64> {
    let before = times(&stat()?)?;
    sleep(LOOK).await;
    between(before, times(&stat()?)?)
}

fn stat() -> Option<String> {
    std::fs::read_to_string("/proc/stat").ok()
}

/// Of all processors since the machine started, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    idle: u64,
    all: u64,
}

fn times(stat: &str) -> Option<Times> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
    let numbers = numbers.split_whitespace().map_while(|n| n.parse().ok());
    // user, nice, system, idle, waiting, two kinds of interrupts, stolen; guests are among the first two.
    let numbers: Vec<u64> = numbers.take(8).collect();
    Some(Times {
        idle: numbers.get(3)?.saturating_add(*numbers.get(4)?),
        all: numbers.iter().sum(),
    })
}

fn between(before: Times, after: Times) -> Option<f64> {
    let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let idle = after.idle.saturating_sub(before.idle).min(all);
    Some(1.0 - idle as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_idle_is_busy() {
        let at = |line: &str| times(&format!("{line}\ncpu0 1 2 3\nintr 7\n"));
        let before = at("cpu  100 10 20 500 50 1 2 3 90 0").unwrap();
        let (idle, all) = (550, 686);
        assert_eq!(before, Times { idle, all });
        let after = at("cpu  140 10 30 550 100 1 2 3 120 0").unwrap();
        let share = between(before, after).unwrap();
        assert!((share - 50.0 / 150.0).abs() < 1e-9, "{share}");
        assert_eq!(between(before, before), None);
        assert_eq!([at("cpu  1 2"), at("intr 1")], [None; 2]);
    }
}
