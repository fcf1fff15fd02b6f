//! The example configuration is valid, complete and shows the defaults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

use std::path::Path;

use rackcast_service::config::{ConfigError, load_checked};
use rackcast_transcode::config::Config;
use rackcast_transcode::device::find::Found;
use rackcast_transcode::device::{Device, Kind};

fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rackcast-transcode.toml")
}

fn load(text: &str) -> Result<Config, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    load_checked(file.path(), Config::check)
}

fn refused(text: &str, why: &str) {
    let error = load(text).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn the_example_shows_the_defaults() {
    let example = load_checked(&example(), Config::check).unwrap();
    assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
}

#[test]
fn the_devices_of_the_example_are_ones() {
    let text = std::fs::read_to_string(example()).unwrap();
    let (_, devices) = text.split_once("# [[device]]\n").unwrap();
    let devices: String = devices
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap()))
        .collect();
    let devices = load(&format!("[[device]]\n{devices}"))
        .unwrap()
        .devices(&[]);
    let names: Vec<_> = devices.iter().map(|d| &*d.name).collect();
    assert_eq!(names, ["left", "vaapi-renderD128", "simulated"]);
    let labels: Vec<_> = devices.iter().map(|d| d.label().to_string()).collect();
    assert_eq!(
        labels,
        [
            "left/nvh264",
            "vaapi-renderD128/vah264",
            "simulated/simulated"
        ]
    );
    let arguments = devices.iter().map(|d| d.arguments().join(" "));
    let [nvidia, vaapi, simulated] = arguments.collect::<Vec<_>>().try_into().unwrap();
    assert!(nvidia.contains("--encoder=nvh264"), "{nvidia}");
    assert!(vaapi.contains("--render-node=128"), "{vaapi}");
    assert!(simulated.contains("--pixel-rate=100000000"), "{simulated}");
    assert_eq!(devices[0].environment()[1], ("CUDA_VISIBLE_DEVICES", "0"));
    assert_eq!(devices[1].environment()[1], ("CUDA_VISIBLE_DEVICES", ""));
}

#[test]
fn nonsense_is_refused_with_its_key() {
    let mut config = Config::default();
    config.encoder.preset = "warp".to_owned();
    assert!(config.check().unwrap_err().contains("preset"));
    let mut config = Config::default();
    config.front.stream_window = 32 << 20;
    assert!(config.check().unwrap_err().contains("stream_window"));
    refused(
        "[encoder]\nencoder = 'nvh264'",
        "declare the GPU as a [[device]]",
    );
}

#[test]
fn devices_that_cannot_be_are_refused() {
    let device = |keys: &str| format!("[[device]]\n{keys}\n");
    refused(&device("kind = 'fpga'"), "fpga");
    refused(&device("kind = 'nvidia'"), "[[device]] nvidia: gpu must be");
    refused(&device("kind = 'vaapi'"), "render_node must be");
    refused(
        &device("kind = 'vaapi'\nrender_node = '/dev/dri/card0'"),
        "render_node must be",
    );
    refused(&device("kind = 'simulated'"), "pixel_rate must be set");
    refused(
        &device("kind = 'cpu'\ngpu = '0'"),
        "gpu is for devices of kind nvidia",
    );
    refused(
        &device("kind = 'cpu'\nencoder = 'vah264'"),
        "those of a cpu device: x264, openh264",
    );
    refused(&device("kind = 'cpu'\nname = 'a b'"), "name must be");
    refused(&device("kind = 'cpu'\nworkers = 257"), "at most 256");
    refused(
        &device("kind = 'cpu'").repeat(2),
        "two devices have this name",
    );
}

#[test]
fn the_cpu_takes_what_worker_and_encoder_say() {
    let shared = "[worker]\ncount = 3\ncpus = ['0']\n[encoder]\nencoder = 'openh264'\n";
    let one = |devices: Vec<Device>| {
        let [device] = devices.try_into().unwrap();
        let cpus = device.cpus_of(0).to_vec();
        (
            device.name.to_string(),
            device.workers,
            cpus,
            device.label().to_string(),
        )
    };
    let expected = ("cpu".to_owned(), 3, vec![0], "cpu/openh264".to_owned());
    assert_eq!(one(load(shared).unwrap().devices(&[])), expected);
    let declared = format!("{shared}[[device]]\nkind = 'cpu'\n");
    assert_eq!(one(load(&declared).unwrap().devices(&[])), expected);
    let own = format!("{declared}workers = 1\ncpus = ['1']\nencoder = 'x264'\nname = 'b'");
    let expected = ("b".to_owned(), 1, vec![1], "b/x264".to_owned());
    assert_eq!(one(load(&own).unwrap().devices(&[])), expected);
}

#[test]
fn gpus_that_were_found_work_beside_the_cpu() {
    let gpu = |kind, name: &str, node: &str, lacks: &str| Found {
        kind,
        name: name.to_owned(),
        node: node.into(),
        driver: String::new(),
        gpu: if kind == Kind::Nvidia { "1" } else { "" }.to_owned(),
        lacks: lacks.to_owned(),
    };
    let found = [
        gpu(Kind::Nvidia, "nvidia-1", "/dev/nvidia1", ""),
        gpu(Kind::Vaapi, "vaapi-renderD129", "/dev/dri/renderD129", ""),
        gpu(
            Kind::Vaapi,
            "vaapi-renderD130",
            "/dev/dri/renderD130",
            "a driver",
        ),
    ];
    let devices = Config::default().devices(&found);
    let names: Vec<_> = devices
        .iter()
        .map(|d| (&*d.name, d.encoder.render_node))
        .collect();
    assert_eq!(
        names,
        [
            ("nvidia-1", None),
            ("vaapi-renderD129", Some(129)),
            ("cpu", None)
        ]
    );
    assert_eq!((devices[0].gpu.as_str(), devices[0].workers), ("1", 2));
    // What is declared is all that there is.
    let declared = load("[[device]]\nkind = 'cpu'").unwrap();
    assert_eq!(declared.devices(&found).len(), 1);
}
