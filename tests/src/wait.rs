//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

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
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain for {what}"
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
