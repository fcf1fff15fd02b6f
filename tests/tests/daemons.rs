//! What every daemon promises of its command line, and of its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{read_to_string, write};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rackcast_service::vital;
use rackcast_tests::files::root;
use rackcast_tests::process::{Process, program};
use rackcast_tests::wait::wait_until;

const DAEMONS: [(&str, &str); 3] = [
    ("rackcast-agent", "agent/rackcast-agent.toml"),
    ("rackcast-ingest", "ingest/rackcast-ingest.toml"),
    ("rackcast-transcode", "transcode/rackcast-transcode.toml"),
];

fn check(daemon: &str, file: &Path) -> Output {
    let mut command = Command::new(program(daemon));
    command
        .arg("--check")
        .arg("--config")
        .arg(file)
        .output()
        .unwrap()
}

#[test]
fn the_commented_configuration_passes_the_check() {
    for (daemon, file) in DAEMONS {
        let output = check(daemon, &root().join(file));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{daemon}: {stderr}");
    }
}

/// The ingest's file, of which some keys are read at night. (The others' tell of keys in groups.)
#[test]
fn every_key_of_an_ingest_s_configuration_is_told_of() {
    let text = read_to_string(root().join("ingest/rackcast-ingest.toml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let key = |line: &str| {
        let rest = line.strip_prefix('#')?;
        let (name, _) = rest.split_once(" = ")?;
        let word = |c: char| c == '_' || c.is_ascii_lowercase();
        name.chars().all(word).then(|| name.to_owned())
    };
    let mut keys = 0;
    for pair in lines.windows(2) {
        if let Some(key) = key(pair[1]) {
            keys += 1;
            assert!(pair[0].starts_with("# "), "no word on {key}: {pair:?}");
        }
    }
    assert!(keys > 100, "{keys}");
}

#[test]
fn an_unknown_key_is_refused_by_name_and_place() {
    let dir = tempfile::tempdir().unwrap();
    for (daemon, file) in DAEMONS {
        let path = dir.path().join(format!("{daemon}.toml"));
        let text = read_to_string(root().join(file)).unwrap();
        write(&path, format!("no_such_key = 1\n{text}")).unwrap();
        let output = check(daemon, &path);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{daemon} takes an unknown key");
        assert!(
            stderr.contains("no_such_key") && stderr.contains(".toml:1:"),
            "{daemon}: {stderr}"
        );
    }
}

#[test]
fn a_missing_file_is_refused_by_name() {
    for (daemon, _) in DAEMONS {
        let output = check(daemon, Path::new("/nonexistent/rackcast.toml"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{daemon}");
        assert!(
            stderr.contains("/nonexistent/rackcast.toml"),
            "{daemon}: {stderr}"
        );
    }
}

/// A daemon of which this task panics; it has nothing but a folder.
fn start(daemon: &str, folder: &Path, task: &str) -> Process {
    let listens = match daemon {
        "rackcast-agent" => "admin = \"127.0.0.1:0\"\nsocket_dir = FOLDER",
        "rackcast-ingest" => {
            "state_dir = FOLDER\n[listen]\nrtmp = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n\
             admin = \"127.0.0.1:0\""
        }
        _ => "[listen]\nsegments = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[worker]\ncount = 1",
    };
    let (listens, socket) = (
        listens.replace("FOLDER", &format!("{folder:?}")),
        folder.join("daemon.sock"),
    );
    let config = format!(
        "status_socket = {socket:?}\n{listens}\n[consul]\naddress = \"http://127.0.0.1:1\"\n"
    );
    let file = folder.join("daemon.toml");
    write(&file, config).unwrap();
    let mut command = Command::new(program(daemon));
    command.arg("--config").arg(file).env(vital::PANIC, task);
    Process::start(&mut command)
}

#[tokio::test]
async fn a_daemon_without_a_task_that_it_needs_ends_and_says_which() {
    let limit = Duration::from_secs(30);
    for (daemon, task) in [
        ("rackcast-agent", "the reconciler"),
        ("rackcast-agent", "a probe of the machine"),
        ("rackcast-transcode", "the front"),
        ("rackcast-ingest", "the status socket"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = start(daemon, folder.path(), task);
        let status = process.wait(limit);
        assert_eq!(status.code(), Some(1), "{daemon} without {task}");
        let said = process.output().find(&format!("{task} has ended"));
        assert!(said.is_some(), "{daemon} without {task}");
    }

    // A generation of an ingest goes, and its supervisor starts another.
    let folder = tempfile::tempdir().unwrap();
    let ingest = start("rackcast-ingest", folder.path(), "the registry of streams");
    for line in [
        "the registry of streams has ended",
        "generation 1 ended",
        "generation 2 ended",
    ] {
        let said = || ingest.output().find(line).is_some();
        wait_until(line, limit, said).await;
    }
}
