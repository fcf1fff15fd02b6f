//! The example configuration is valid and shows the defaults.

#![allow(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::path::Path;

use rackcast_agent::config::Config;

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("rackcast-agent.toml");
    let config: Config = rackcast_service::config::load_checked(&example, Config::check).unwrap();
    assert_eq!(format!("{config:#?}"), format!("{:#?}", Config::default()));
}
