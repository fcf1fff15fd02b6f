//! What systemd is told: readiness, the state in words, and a watchdog that means something.
//!
//! All of it does nothing when systemd did not start the process. A failure to tell systemd is
//! logged and otherwise ignored: the unit's own time limits act then.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// The service is ready.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The service is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The service is reloading; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("systemd was not told of the reload: {error}"),
    }
}

/// The start goes on, and may take so long from now on: longer than the unit allows, if need be.
pub fn extend(time: Duration) {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// One line for `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Feeds systemd's watchdog (`WatchdogSec=`) for as long as `progress` says that real work was
/// done, or could have been done, since it was last asked. A process that is alive but stuck stops
/// being fed, and systemd restarts it.
///
/// `progress` is asked four times in a watchdog's time; three refusals in a row still leave one
/// chance. Returns at once when no watchdog is set, otherwise at `shutdown`.
pub async fn watchdog(progress: impl FnMut() -> bool, shutdown: CancellationToken) {
    if let Some(limit) = sd_notify::watchdog_enabled() {
        feed(
            limit / 4,
            progress,
            || tell(&[NotifyState::Watchdog]),
            shutdown,
        )
        .await;
    }
}

/// Turns a counter that grows with the work into the question that [`watchdog`] asks: has it
/// moved since the last time?
pub fn advancing(mut counter: impl FnMut() -> u64) -> impl FnMut() -> bool {
    let mut last = None;
    move || {
        let now = counter();
        last.replace(now) != Some(now)
    }
}

async fn feed(
    interval: Duration,
    mut progress: impl FnMut() -> bool,
    mut tell: impl FnMut(),
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if progress() {
            tell();
        } else {
            log::warn!("no progress since the last look: the watchdog is not fed");
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("systemd was not told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_progress_feeds_the_watchdog() {
        let (work, fed) = (Cell::new(0), Cell::new(0));
        let shutdown = CancellationToken::new();
        let feeding = feed(
            Duration::from_secs(1),
            advancing(|| work.get()),
            || fed.set(fed.get() + 1),
            shutdown.clone(),
        );
        let script = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(fed.get(), 1, "the first look is fed");
            work.set(1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(fed.get(), 2, "work was done");
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(fed.get(), 2, "nothing was done");
            work.set(2);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(fed.get(), 3, "work goes on");
            shutdown.cancel();
        };
        tokio::join!(feeding, script);
    }
}
