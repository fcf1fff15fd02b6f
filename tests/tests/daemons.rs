//! What every daemon promises of its command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{read_to_string, write};
use std::path::Path;
use std::process::{Command, Output};

use rackcast_tests::files::root;
use rackcast_tests::process::program;

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
