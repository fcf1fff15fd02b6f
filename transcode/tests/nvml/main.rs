//! What the node says of GPUs, by a driver's library that this test builds: there is none on the machines
//! that it runs on, and no real one breaks on demand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rackcast_service::status::{Device, DeviceState};
use rackcast_transcode::config;
use rackcast_transcode::device::find;
use rackcast_transcode::gpus::{Config, Known, named, watch};

const LIMIT: Duration = Duration::from_secs(20);
/// Tells this program that it is to ask a driver, and which; it prints what it hears.
const ASK: &str = "RACKCAST_TEST_NVML";

/// The library as a folder's, made by the C compiler that Rust links with.
fn library(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvml/fake.c");
    let library = folder.join("libnvidia-ml.so.1");
    let mut cc = Command::new("cc");
    let made = cc
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source);
    assert!(
        made.status().unwrap().success(),
        "cc cannot make {library:?}"
    );
    library
}

/// Waits until there is something to say of the driver that is `wanted`.
fn hear(library: &str, wanted: impl Fn(&Known) -> bool) -> Known {
    let config = Config {
        library: library.to_owned(),
        interval: Duration::from_millis(100),
    };
    let known = watch(&config);
    let began = Instant::now();
    loop {
        let now = known.borrow().clone();
        if wanted(&now) {
            return now;
        }
        assert!(began.elapsed() < LIMIT, "still {now:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks in a process of its own, since the environment says how the driver is; statement and devices.
fn ask(library: &Path, environment: &[(&str, &str)], until: &str) -> (String, Vec<Device>) {
    let mut asking = Command::new(std::env::current_exe().unwrap());
    asking.args(["--exact", "asks_in_a_process_of_its_own", "--nocapture"]);
    asking.env(ASK, library).env("UNTIL", until);
    let output = asking.envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("heard: "));
    let (_, json) = line.unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(json).unwrap()
}

/// Not a test of its own: see [`ask`].
#[test]
fn asks_in_a_process_of_its_own() {
    let Ok(library) = std::env::var(ASK) else {
        return;
    };
    let until = std::env::var("UNTIL").unwrap();
    let said = |known: &Known| {
        (
            known.statement(Instant::now()).to_owned(),
            known.devices(Instant::now()),
        )
    };
    let known = hear(&library, |known| {
        format!("{:?}", said(known)).contains(&until)
    });
    println!("\nheard: {}", serde_json::to_string(&said(&known)).unwrap());
    // A driver that hangs keeps its thread.
    std::process::exit(0);
}

#[test]
fn a_machine_without_a_driver_says_so() {
    let known = hear("libnvidia-ml-of-nobody.so", |known| {
        known.statement(Instant::now()).contains("no NVIDIA driver")
    });
    assert_eq!(
        known.statement(Instant::now()),
        "no NVIDIA driver is installed: there is no libnvidia-ml-of-nobody.so"
    );
    assert!(known.devices(Instant::now()).is_empty());
    let left = watch(&Config {
        library: String::new(),
        ..Config::default()
    });
    assert!(
        left.borrow()
            .statement(Instant::now())
            .contains("not asked")
    );
}

#[test]
fn a_broken_driver_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    for (code, said) in [
        (
            "9",
            "installed and not loaded, or this service may not use it",
        ),
        ("18", "was upgraded and the old one is still loaded: reboot"),
        ("999", "cannot be used: "),
    ] {
        let (statement, devices) = ask(&library, &[("FAKE_NVML_INIT", code)], said);
        assert!(statement.contains(said), "{statement}");
        assert!(devices.is_empty());
    }
}

#[test]
fn gpus_are_described_and_errors_told() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let (statement, devices) = ask(&library, &[], "nvidia-1");
    assert_eq!(statement, "NVIDIA's driver 570.133.20 has 2 GPUs");
    let gpu = devices[0].gpu.clone().unwrap();
    assert_eq!(
        (devices[0].name.as_str(), devices[0].state),
        ("nvidia-0", DeviceState::Idle)
    );
    assert_eq!(
        gpu.to_string(),
        "NVIDIA L4, driver 570.133.20, 1024 of 24576 MiB, 41 °C, 3 encoder sessions, encoder 17 %"
    );
    assert_eq!((gpu.uuid.as_str(), gpu.slowdown_c), ("GPU-1111", Some(92)));
    assert_eq!((gpu.ecc_uncorrected, gpu.last_xid), (None, None));

    let ill = [("FAKE_NVML_ECC", "2"), ("FAKE_NVML_XID", "79")];
    let (_, devices) = ask(&library, &ill, "last_xid: Some(79)");
    let [first, second] = [0, 1].map(|n| devices[n].gpu.clone().unwrap());
    assert_eq!((first.ecc_uncorrected, first.last_xid), (Some(2), Some(79)));
    assert_eq!((second.ecc_uncorrected, second.last_xid), (None, None));

    let (statement, devices) = ask(&library, &[("FAKE_NVML_LOST", "1")], "nvidia-1");
    assert_eq!(
        statement,
        "NVIDIA's driver 570.133.20 has 2 GPUs, 1 of them broken"
    );
    let states: Vec<_> = devices.iter().map(|device| device.state).collect();
    assert_eq!(states, [DeviceState::Idle, DeviceState::Failed]);
    assert!(
        devices[1].reason.starts_with("its driver says: "),
        "{devices:?}"
    );

    let (_, devices) = ask(&library, &[("FAKE_NVML_LOST", "2")], "its driver says");
    let gpu = devices[1].gpu.as_ref().unwrap();
    assert_eq!(
        (devices[1].state, gpu.uuid.as_str()),
        (DeviceState::Failed, "GPU-2222"),
        "whoever uses it can tell that it is this one"
    );

    let hangs = [("FAKE_NVML_HANG", "1")];
    let (statement, devices) = ask(&library, &hangs, "does not answer any more");
    assert_eq!(statement, "NVIDIA's driver does not answer any more");
    assert!(
        devices
            .iter()
            .all(|device| device.state == DeviceState::Failed)
    );
}

/// The number of a node is not that by which CUDA knows the GPU.
#[test]
fn workers_see_the_gpu_of_their_node() {
    let folder = tempfile::tempdir().unwrap();
    let named = named(library(folder.path()).to_str().unwrap()).unwrap();
    std::fs::create_dir(folder.path().join("dev")).unwrap();
    for minor in 0..2 {
        std::fs::write(folder.path().join(format!("dev/nvidia{minor}")), "").unwrap();
    }
    let found = find::find(folder.path(), |_| true, &named);
    let devices = config::Config::default().devices(&found);
    let seen = |node: &str| {
        let found = found.iter().find(|f| f.node == Path::new(node)).unwrap();
        let device = devices.iter().find(|d| *d.name == *found.name).unwrap();
        let all = device.environment();
        let (_, visible) = all
            .iter()
            .find(|(n, _)| *n == "CUDA_VISIBLE_DEVICES")
            .unwrap();
        (device.name.to_string(), (*visible).to_owned())
    };
    let told = |name: &str, uuid: &str| (name.to_owned(), uuid.to_owned());
    assert_eq!(seen("/dev/nvidia0"), told("nvidia-1", "GPU-2222"));
    assert_eq!(seen("/dev/nvidia1"), told("nvidia-0", "GPU-1111"));
}
