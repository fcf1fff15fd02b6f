//! The example configuration is valid, complete and shows the defaults.

use std::path::Path;

use rackcast_service::config::load_checked;
use rackcast_transcode::config::Config;

#[test]
fn the_example_shows_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rackcast-transcode.toml");
    let example = load_checked(&file, Config::check).unwrap();
    assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
}

#[test]
fn nonsense_is_refused_with_its_key() {
    let mut config = Config::default();
    config.encoder.preset = "warp".to_owned();
    assert!(config.check().unwrap_err().contains("preset"));
    let mut config = Config::default();
    config.front.stream_window = 32 << 20;
    assert!(config.check().unwrap_err().contains("stream_window"));
}
