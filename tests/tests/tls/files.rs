//! Certificates that cannot work are refused by `--check`, with what is wrong.

use std::process::Command;

use rackcast_service::status::Role;
use rackcast_tests::files::root;
use rackcast_tests::pki::{Authority, Files, Leaf, Wish, member, put};
use rackcast_tests::process::program;

/// What `--check` of a transcode node says, or nothing if it is content.
fn complaint(daemon: &str, config: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("daemon.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(program(daemon));
    let output = command.arg("--check").arg("--config").arg(&file).output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("PRIVATE KEY"), "a key in {text}");
    match output.status.code() {
        Some(0) => None,
        Some(78) => Some(text),
        other => panic!("{other:?}: {text}"),
    }
}

fn node(files: &Files) -> String {
    format!("node = \"gpu-1\"\n[tls]\n{}", files.toml())
}

fn assert_refused(config: &str, why: &str) {
    let text = complaint("rackcast-transcode", config).expect("it is content");
    assert!(text.contains(why), "{text}");
}

#[test]
fn good_certificates_pass_the_check() {
    let fleet = Authority::new("fleet");
    let files = Files::new(&fleet.member(&member(Role::Transcode, "gpu-1")), &fleet.pem);
    assert_eq!(complaint("rackcast-transcode", &node(&files)), None);
    let files = Files::new(&fleet.member(&member(Role::Ingest, "edge-1")), &fleet.pem);
    let public = Files::new(&fleet.issue(&Wish::of(&["edge-1.example"])), "");
    let (nodes, public) = (files.toml(), public.toml());
    let listen = "[listen]\nhttps = \"127.0.0.1:0\"";
    let config =
        format!("node = \"edge-1\"\n{listen}\n[tls.nodes]\n{nodes}\n[tls.public]\n{public}");
    assert_eq!(complaint("rackcast-ingest", &config), None);
}

#[test]
fn what_cannot_work_is_named() {
    let (fleet, other) = (Authority::new("fleet"), Authority::new("other"));
    let own = member(Role::Transcode, "gpu-1");
    let good = fleet.member(&own);
    let files = |leaf: &Leaf| Files::new(leaf, &fleet.pem);

    let strange_key = Leaf {
        key: fleet.member(&own).key,
        ..good.clone()
    };
    assert_refused(
        &node(&files(&strange_key)),
        "does not belong to the certificate",
    );
    let expired = fleet.issue(&Wish::of(&[&own.to_string()]).expired());
    assert_refused(&node(&files(&expired)), "the certificate expired at 2");
    let foreign = other.member(&own);
    assert_refused(&node(&files(&foreign)), "no authority in");
    let ingest = fleet.member(&member(Role::Ingest, "gpu-1"));
    assert_refused(&node(&files(&ingest)), "and this is a transcode");
    let neighbour = fleet.member(&member(Role::Transcode, "gpu-2"));
    assert_refused(&node(&files(&neighbour)), "this node is called gpu-1");
    let nobody = fleet.issue(&Wish::of(&["gpu-1.example"]));
    assert_refused(&node(&files(&nobody)), "has no URI spiffe://");
    let swapped = Leaf {
        certificate: good.key.clone(),
        key: good.certificate.clone(),
    };
    assert_refused(&node(&files(&swapped)), "holds no certificate in PEM");

    let absent = files(&good);
    std::fs::remove_file(absent.key()).unwrap();
    assert_refused(&node(&absent), "own.key: cannot be read");
    let empty = files(&good);
    put(&empty.key(), "");
    assert_refused(&node(&empty), "own.key: holds no private key");
    let cut = files(&good);
    put(&cut.authorities(), &fleet.pem[..fleet.pem.len() / 2]);
    assert_refused(&node(&cut), "ca.crt: ");

    let lone = format!(
        "node = \"gpu-1\"\n[tls]\ncertificate = {:?}\n",
        absent.certificate()
    );
    assert_refused(&lone, "key is missing");
    let dashed = format!("instance = \"a-1\"\n{}", node(&files(&good)));
    assert_refused(&dashed, "instance must not contain '-'");
    let none = format!("{}max_handshakes = 0\n", node(&files(&good)));
    assert_refused(&none, "max_handshakes must be at least 1");
}

#[test]
fn the_commands_of_the_page_make_certificates_that_work() {
    let page = std::fs::read_to_string(root().join("docs/tls.md")).unwrap();
    let commands = page.split("```sh\n").nth(1).unwrap();
    let commands = commands.split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{errors}");
    let path = |name: &str| dir.path().join(name);
    let table = |name: &str| {
        let (certificate, key) = (path(&format!("{name}.crt")), path(&format!("{name}.key")));
        let authorities = path("fleet-ca.crt");
        format!("certificate = {certificate:?}\nkey = {key:?}\nauthorities = {authorities:?}\n")
    };
    for (node, name) in [("gpu-1", "gpu-1-transcode"), ("lab-9", "lab-9-transcode")] {
        let config = format!("node = \"{node}\"\n[tls]\n{}", table(name));
        assert_eq!(complaint("rackcast-transcode", &config), None);
    }
    let config = format!("node = \"edge-1\"\n[tls.nodes]\n{}", table("edge-1-ingest"));
    assert_eq!(complaint("rackcast-ingest", &config), None);
}

#[test]
fn a_relative_path_is_a_credential_of_systemd() {
    let fleet = Authority::new("fleet");
    let files = Files::new(&fleet.member(&member(Role::Transcode, "gpu-1")), &fleet.pem);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("daemon.toml");
    let config = "node = \"gpu-1\"\n[tls]\ncertificate = \"own.crt\"\nkey = \"own.key\"\n\
                  authorities = \"ca.crt\"\n";
    std::fs::write(&file, config).unwrap();
    let check = |credentials: &std::path::Path| {
        let mut command = Command::new(program("rackcast-transcode"));
        command.env("CREDENTIALS_DIRECTORY", credentials);
        command.arg("--check").arg("--config").arg(&file);
        command.output().unwrap().status.code()
    };
    assert_eq!(check(files.key().parent().unwrap()), Some(0));
    assert_eq!(check(dir.path()), Some(78));
}
