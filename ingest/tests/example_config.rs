//! The example configuration is valid, and what it calls defaults are the defaults.

use rackcast_ingest::config::Config;

const EXAMPLE: &str = include_str!("../rackcast-ingest.toml");

/// The example with its `#key = value` lines in force. The keys that have no default, and the
/// entries of a table that is empty by default, stay out.
fn uncommented() -> String {
    let no_default = [
        "token_file =",
        "url =",
        "app =",
        "stream =",
        "key_file =",
        "ladder = \"720p@2800k,",
    ];
    let keep = |line: &&str| {
        !no_default
            .iter()
            .any(|key| line.starts_with(&format!("#{key}")))
    };
    EXAMPLE
        .lines()
        .filter(keep)
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_is_valid_as_it_is() {
    let config: Config = toml::from_str(EXAMPLE).unwrap();
    config.check().unwrap();
}

#[test]
fn the_example_names_every_key_with_its_default() {
    let config: Config = toml::from_str(&uncommented()).unwrap();
    config.check().unwrap();
    assert_eq!(format!("{config:#?}"), format!("{:#?}", Config::default()));
    assert!(toml::from_str::<Config>("nonsense = 1").is_err());
}
