//! What an operator sees of one machine.

#![allow(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use rackcast_service::status::{Health, Role, ServiceStatus, serve};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn rackcast(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rackcast"))
        .args(args)
        .output()
        .unwrap()
}

fn status(folder: &Path) -> (Option<i32>, String) {
    let output = rackcast(&["status", "--socket-dir", folder.to_str().unwrap()]);
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_each_service_and_whether_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        status(folder.path()),
        (Some(1), "no service runs here\n".to_owned())
    );

    let (says, heard) = watch::channel(ServiceStatus {
        role: Role::Ingest,
        instance: "1".into(),
        node: "rack-1".into(),
        version: "0.1.0".into(),
        pid: 1,
        protocol: 1,
        ready: true,
        draining: false,
        health: Health::passing("3 streams"),
        endpoints: [].into(),
        tags: Vec::new(),
        meta: [].into(),
        weight: 1,
        progress: 0,
        still_ms: None,
        beat_ms: 0,
        work: 0,
        devices: Vec::new(),
        gpu_driver: String::new(),
        generations: Vec::new(),
        waiting: Default::default(),
    });
    let shutdown = CancellationToken::new();
    let serving = serve(&folder.path().join("ingest.sock"), heard, shutdown.clone()).unwrap();
    // Nobody keeps its registration: that is not well, however the service is.
    let (code, text) = status(folder.path());
    assert_eq!(code, Some(1));
    let words: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(
        words,
        ["ingest", "1", "ready", "0.1.0", "passing:", "3", "streams"]
    );
    says.send_modify(|status| status.health = Health::critical("no generation"));
    let (code, text) = status(folder.path());
    assert_eq!(code, Some(1));
    assert!(text.contains("critical: no generation"), "{text}");
    shutdown.cancel();
    serving.await.unwrap();
}

#[test]
fn configuration_files_are_checked_by_their_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("rackcast-agent.toml", "zone = \"hall-2\"\n");
    assert!(rackcast(&["config", "check", &good]).status.success());
    let misspelt = file("agent.toml", "zoen = \"hall-2\"\n");
    let strange = file("other.toml", "");
    let output = rackcast(&["config", "check", &good, &misspelt, &strange]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    for part in [
        "agent.toml:1:1: unknown field `zoen`",
        "is refused",
        "whose file is it?",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let output = rackcast(&["config", "check", "--json", &good, &misspelt]);
    assert_eq!(output.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["refused"], serde_json::Value::Null);
    assert_eq!(found[1]["refused"], format!("{misspelt} is refused"));
}

#[test]
fn every_subcommand_has_a_man_page_and_completions() {
    let folder = tempfile::tempdir().unwrap();
    let written = rackcast(&["man", folder.path().to_str().unwrap()]);
    assert!(written.status.success(), "{written:?}");
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(page("rackcast.1").contains("rackcast\\-status(1)"));
    assert!(page("rackcast-config-check.1").contains("FILES"));

    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(rackcast(&["completions", shell]).stdout).unwrap();
        assert!(script.contains("explain"), "{shell}: {script}");
    }
}

#[test]
fn a_machine_is_described_without_an_agent() {
    let run = |args: &[&str]| rackcast(&[&["inventory", "--control", "/nowhere"], args].concat());
    let output = run(&[]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "cpu      ",
        "memory   ",
        "nvidia   ",
        "clock    ",
        "devices  no transcode service",
    ] {
        assert!(
            text.lines().any(|l| l.starts_with(line)),
            "{line:?} is not in\n{text}"
        );
    }
    let json: serde_json::Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
    assert!(json["cpu"]["threads"].as_u64().unwrap() > 0, "{json}");
    assert!(
        json["devices"].is_null() && json["nvidia"]["state"].is_string(),
        "{json}"
    );
}

#[test]
fn who_cannot_be_asked_is_said_with_code_2() {
    let nobody = ["--consul", "http://127.0.0.1:1"];
    for command in [
        &["nodes"][..],
        &["streams"],
        &["drain", "m2"],
        &["resume", "m2"],
        &["settings", "list"],
        &["settings", "get", "ingest.log_level"],
        &["settings", "set", "ingest.log_level", "debug"],
        &["consul", "install"],
    ] {
        let output = rackcast(&[command, &nobody].concat());
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(why.contains("unreachable"), "{why}");
    }
}

/// Not written, whoever may be asked.
#[test]
fn a_value_that_no_setting_takes_is_refused_with_code_1() {
    let output = rackcast(&["settings", "set", "ingest.log_level", "loud"]);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("one of error, warn"), "{why}");
}
