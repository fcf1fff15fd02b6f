//! A clean end: SIGTERM and SIGINT become one cancellation that every task watches.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGTERM or SIGINT. Must be called within a tokio runtime; from
/// its return on, neither signal ends the process by itself.
///
/// If the handlers cannot be installed, that is logged and the signals keep their usual effect.
pub fn signals() -> CancellationToken {
    let token = CancellationToken::new();
    match handlers() {
        Ok((mut terminate, mut interrupt)) => {
            let cancel = token.clone();
            tokio::spawn(async move {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                log::info!("{name} received: stopping");
                cancel.cancel();
            });
        }
        Err(error) => log::error!("cannot watch for SIGTERM and SIGINT: {error}"),
    }
    token
}

fn handlers() -> io::Result<(Signal, Signal)> {
    Ok((
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ))
}
