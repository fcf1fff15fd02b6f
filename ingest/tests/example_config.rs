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
        "certificate =",
        "key =",
        "authorities =",
        "https =",
        "rtmps =",
        "public =",
        "server_name =",
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
    let (example, code) = (format!("{config:#?}"), format!("{:#?}", Config::default()));
    for (example, code) in example.lines().zip(code.lines()) {
        assert_eq!(example, code, "left: the example; right: the code");
    }
    assert_eq!(example, code);
    assert!(toml::from_str::<Config>("nonsense = 1").is_err());
}

#[test]
fn a_value_that_cannot_work_is_named_with_its_table() {
    for (key, line) in [
        ("dispatch.attempts.max", "[dispatch.attempts]\nmax = 0"),
        (
            "dispatch.hedge.quantile",
            "[dispatch.hedge]\nquantile = 1.0",
        ),
        (
            "dispatch.precious.streams",
            "[dispatch.precious]\nstreams = [\"show\"]",
        ),
        (
            "dispatch.max_segments_in_flight",
            "[dispatch]\nmax_segments_in_flight = 0",
        ),
        ("route.slow", "[route]\nslow = 1.0"),
        ("degrade.resume", "[degrade]\nresume = 0.99"),
        ("discovery.max_nodes", "[discovery]\nmax_nodes = 0"),
    ] {
        let config: Config = toml::from_str(line).unwrap();
        let problem = config.check().unwrap_err();
        assert!(problem.starts_with(key), "{key}: {problem}");
    }
}
