//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until the answer is `Some`.
///
/// # Panics
/// The limit passed; `what` says what did not come.
pub async fn wait_for<T, F, Fut>(what: &str, limit: Duration, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let mut ask = || ask().map(|answer| answer.ok_or_else(String::new));
    wait_seeing(what, limit, &mut ask).await
}

/// Asks again and again until the answer is `Ok`. Another one says what there is instead.
///
/// # Panics
/// The limit passed; `what` says what did not come, the last answer what was there.
pub async fn wait_seeing<T, F, Fut>(what: &str, limit: Duration, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let start = Instant::now();
    loop {
        let instead = match ask().await {
            Ok(answer) => return answer,
            Err(instead) if instead.is_empty() => instead,
            Err(instead) => format!(", and saw {instead}"),
        };
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain for {what}{instead}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks again and again until the answer is yes.
///
/// # Panics
/// The limit passed; `what` says what did not come.
pub async fn wait_until(what: &str, limit: Duration, mut ask: impl FnMut() -> bool) {
    wait_for(what, limit, || std::future::ready(ask().then_some(()))).await;
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    #[should_panic(expected = "waited 10ms in vain for a third, and saw 2 of 3")]
    async fn a_wait_in_vain_tells_what_there_was_instead() {
        let limit = Duration::from_millis(10);
        wait_seeing("a third", limit, || {
            ready(Err::<(), _>("2 of 3".to_owned()))
        })
        .await;
    }
}
