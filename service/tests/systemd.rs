//! What systemd hears, and where log records go: in a child, since both are decided by the
//! environment and once per process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

mod common;

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::this_program_as;
use rackcast_service::notify;
use tokio::io::AsyncReadExt;
use tokio::net::UnixDatagram;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_watchdog_hears_of_progress_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    // `Command` keeps NOTIFY_SOCKET from children, rightly; `env` gives it to the shell's child.
    let test = std::env::current_exe().unwrap();
    let variables = format!("NOTIFY_SOCKET={} WATCHDOG_USEC=40000", path.display());
    let script = format!(
        "{variables} exec {} child_notifies --exact --ignored --nocapture",
        test.display()
    );
    let mut child = rackcast_service::process::Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let hear = async || {
        let mut message = vec![0; 256];
        let heard = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut message));
        let length = heard.await.expect("a message within 20 s").unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    assert_eq!(hear().await, "READY=1\n");
    assert_eq!(hear().await, "STATUS=2 streams\n");
    // Exactly as many as there were steps of progress, although it was asked many more times.
    for _ in 0..3 {
        assert_eq!(hear().await, "WATCHDOG=1\n");
    }
    assert_eq!(hear().await, "STOPPING=1\n");
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
#[ignore = "the child of the_watchdog_hears_of_progress_only"]
async fn child_notifies() {
    notify::ready();
    notify::status("2 streams");
    let shutdown = CancellationToken::new();
    let asked = AtomicU64::new(0);
    // Moves for the first three looks, then stands still for twenty more.
    let counter = || {
        let looks = asked.fetch_add(1, Ordering::Relaxed);
        if looks == 23 {
            shutdown.cancel();
        }
        looks.min(2)
    };
    notify::watchdog(notify::advancing(counter), shutdown.clone()).await;
    assert!(asked.load(Ordering::Relaxed) > 23 || std::env::var_os("WATCHDOG_USEC").is_none());
    notify::stopping();
}

#[tokio::test]
async fn a_stale_journal_stream_does_not_hide_the_log() {
    let mut child = this_program_as("child_logs")
        .env("JOURNAL_STREAM", "1:1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child
        .take_stderr()
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert!(child.wait().await.unwrap().success());
    let line = text
        .lines()
        .find(|line| line.contains("published"))
        .expect("the record");
    assert!(
        line.contains("INFO") && line.ends_with("published rackcast_stream=live/show"),
        "{line}"
    );
    assert!(!text.contains("too fine"), "{text}");
}

#[test]
#[ignore = "the child of a_stale_journal_stream_does_not_hide_the_log"]
fn child_logs() {
    rackcast_service::log::init(log::LevelFilter::Info).unwrap();
    log::info!(rackcast_stream = "live/show"; "published");
    log::debug!("too fine");
    assert!(rackcast_service::log::init(log::LevelFilter::Info).is_err());
}
