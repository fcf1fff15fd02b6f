//! What devices can do is measured once, kept, and believed at the next start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

mod common;

use std::process::Command;

use common::{Node, Systemd, until};
use serde_json::Value;

/// Output pixels a second of each of its workers: what is measured takes long beside what a busy machine adds.
const RATE: f64 = 50e6;

fn configuration(state: &std::path::Path) -> String {
    format!("state_dir = {state:?}\n[[device]]\nkind = 'simulated'\npixel_rate = 50_000_000\n")
}

#[tokio::test]
async fn a_node_measures_its_devices_once_and_remembers() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("calibration.json");
    let node = Node::start(&configuration(state.path())).await;
    let first = node.until_load("its worker is up", |l| l.slots == 1).await;
    // It has had no job yet. Its ladder is encoded, and decoding costs it nothing to speak of.
    assert!(
        (0.6 * RATE..1.1 * RATE).contains(&first.pixel_rate),
        "{first:?}"
    );
    let kept = std::fs::read(&file).unwrap();
    drop(node);

    let begun = std::fs::metadata(&file).unwrap().modified().unwrap();
    let node = Node::start(&configuration(state.path())).await;
    let second = node.until_load("its worker is up", |l| l.slots == 1).await;
    // JSON may cost the last bit.
    let apart = (second.pixel_rate - first.pixel_rate).abs();
    assert!(apart < 1.0, "{first:?}, {second:?}");
    drop(node);

    // Another device under the same name is measured anew.
    let faster = configuration(state.path()).replace("50_000_000", "100_000_000");
    let node = Node::start(&faster).await;
    let third = until("it is faster", || async {
        Some(node.load().await).filter(|l| l.slots == 1)
    })
    .await;
    assert!(third.pixel_rate > 1.3 * first.pixel_rate, "{third:?}");
    assert_ne!(std::fs::read(&file).unwrap(), kept);
    assert!(std::fs::metadata(&file).unwrap().modified().unwrap() > begun);
}

/// A device may take longer to measure than the unit may to start.
#[tokio::test]
async fn systemd_is_asked_for_the_time_that_a_measurement_takes_and_for_none_without_one() {
    let state = tempfile::tempdir().unwrap();
    let systemd = Systemd::new(&configuration(state.path()));
    let asked = async || {
        let (_node, heard) = systemd.start().await;
        let asks = heard
            .iter()
            .filter(|line| line.starts_with("EXTEND_TIMEOUT_USEC="));
        asks.cloned().collect::<Vec<_>>()
    };
    assert_eq!(asked().await, ["EXTEND_TIMEOUT_USEC=180000000"]);
    assert_eq!(asked().await, [""; 0], "it is known from then on");
}

#[test]
fn calibrate_reports_each_device_and_fails_with_one_that_does_not_work() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("transcode.toml");
    let calibrate = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_rackcast-transcode"))
            .args(["calibrate", "--config"])
            .arg(&file)
            .args(arguments)
            .output();
        let output = output.unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (good, report) = calibrate(&configuration(state.path()), &["--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let device = &report["devices"][0];
    assert!(good, "{report}");
    assert_eq!(
        (&device["name"], &device["workers"]),
        (&"simulated".into(), &1.into())
    );
    let encode = device["steps"][0]["encode"].as_f64().unwrap();
    assert!((0.7 * RATE..1.1 * RATE).contains(&encode), "{report}");
    // It works at most four fifths of the time, and the default ladder has 112 million pixels a second.
    let streams = device["streams"].as_f64().unwrap();
    assert!((0.25..0.40).contains(&streams), "{report}");
    assert!(state.path().join("calibration.json").exists());

    let broken = "[[device]]\nkind = 'nvidia'\ngpu = '0'\n";
    let (good, report) = calibrate(broken, &[]);
    assert!(!good);
    assert!(
        report.contains("not measured: it failed its self-test"),
        "{report}"
    );
    assert!(report.contains("not kept"), "{report}");
}
