use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    level: u32,
    listen: Listen,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listen {
    port: u16,
    limit: u32,
}

const RULES: Rules = Rules {
    keys: &[
        ("level", Takes::Now),
        ("listen", Takes::Restart),
        ("listen.limit", Takes::Next),
    ],
    rest: Takes::Restart,
};

fn check(config: &Config) -> Result<(), String> {
    match config.level {
        13 => Err("level must not be 13".to_owned()),
        _ => Ok(()),
    }
}

fn live(text: &str) -> Live<Config> {
    Live::new(Path::new("x.toml"), text.to_owned(), check, RULES).unwrap()
}

/// A part that shows the level in force, and one that refuses 7.
fn shown(live: &mut Live<Config>) -> Arc<Mutex<u32>> {
    let level = Arc::new(Mutex::new(live.config().level));
    let shown = Arc::clone(&level);
    live.part(move |config: &Config| {
        let (level, now) = (Arc::clone(&level), config.level);
        Ok(commit(move || *level.lock().unwrap() = now))
    });
    live.part(|config: &Config| match config.level {
        7 => Err("level 7 cannot be had".to_owned()),
        _ => Ok(commit(|| {})),
    });
    shown
}

#[test]
fn a_key_goes_by_the_nearest_rule_above_it() {
    assert_eq!(RULES.of("listen.limit"), Takes::Next);
    assert_eq!(RULES.of("listen.port"), Takes::Restart);
    assert_eq!(RULES.of("levels"), Takes::Restart);
    assert_eq!(RULES.of("level"), Takes::Now);
}

#[test]
fn what_changed_is_named_and_what_cannot_is_named_until_it_is_taken_back() {
    let mut live = live("level = 1\n[listen]\nport = 1");
    let level = shown(&mut live);
    let outcome = live
        .replace("level = 2\n[listen]\nport = 2\nlimit = 5".into())
        .unwrap();
    let key = |key: &str, takes| (key.to_owned(), takes);
    assert_eq!(
        outcome.applied,
        [key("level", Takes::Now), key("listen.limit", Takes::Next)]
    );
    assert_eq!(outcome.waiting, [key("listen.port", Takes::Restart)].into());
    assert_eq!(*level.lock().unwrap(), 2);

    let again = live
        .replace("level = 2\n[listen]\nport = 2\nlimit = 5".into())
        .unwrap();
    assert_eq!(again.applied, []);
    assert_eq!(again.waiting, outcome.waiting, "it still waits");
    let back = live
        .replace("level = 2\n[listen]\nport = 1".into())
        .unwrap();
    assert_eq!(back.applied, [key("listen.limit", Takes::Next)]);
    assert_eq!(back.waiting, Waiting::new());
}

#[test]
fn what_is_refused_anywhere_changes_nothing_anywhere() {
    let mut live = live("level = 1");
    let level = shown(&mut live);
    for (text, why) in [
        ("level = ", "x.toml:1:"),
        ("levle = 2", "unknown field `levle`"),
        ("level = 13", "must not be 13"),
        ("level = 7", "cannot be had"),
    ] {
        let refused = live.replace(text.to_owned()).unwrap_err().to_string();
        assert!(refused.contains(why), "{text}: {refused}");
        assert_eq!((*level.lock().unwrap(), live.config().level), (1, 1));
        assert_eq!(live.text(), "level = 1");
    }
}

#[test]
fn the_fleet_s_settings_lie_over_the_file_and_leave_with_it_checked_as_one() {
    let mut live = live("level = 1\n[listen]\nport = 9");
    let level = shown(&mut live);
    let over = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
    live.layer(over("level = 5\n[listen]\nlimit = 3")).unwrap();
    let config = live.config();
    assert_eq!(
        (config.level, config.listen.port, config.listen.limit),
        (5, 9, 3)
    );
    live.replace("level = 2\n[listen]\nport = 9".into())
        .unwrap();
    assert_eq!(
        *level.lock().unwrap(),
        5,
        "the fleet's settings stay over a reload"
    );
    let refused = live.layer(over("level = 13")).unwrap_err().to_string();
    assert!(refused.contains("fleet's settings"), "{refused}");
    assert!(live.layer(over("nonsense = 1")).is_err());
    live.layer(toml::Table::new()).unwrap();
    assert_eq!((*level.lock().unwrap(), live.config().listen.limit), (2, 0));
}

#[test]
fn what_waits_is_known_until_something_puts_it_in_force_and_to_the_next_program() {
    let rules = Rules {
        keys: &[("listen", Takes::Restart), ("level", Takes::Handover)],
        rest: Takes::Now,
    };
    let text = |level: u32, port: u16| format!("level = {level}\n[listen]\nport = {port}");
    let start =
        |text: String| Live::<Config>::new(Path::new("x.toml"), text, check, rules).unwrap();
    let live = start(text(1, 1));
    let waiting = live.waiting();
    assert!(waiting.borrow().is_empty());
    live.replace(text(2, 2)).unwrap();
    let all = Waiting::from([
        ("level".to_owned(), Takes::Handover),
        ("listen.port".to_owned(), Takes::Restart),
    ]);
    assert_eq!(*waiting.borrow(), all);
    live.settle(Takes::Handover);
    let rest = Waiting::from([("listen.port".to_owned(), Takes::Restart)]);
    assert_eq!(*waiting.borrow(), rest);

    // Another program takes over in the same process, with the listeners that there are.
    let next = start(live.text());
    assert!(next.waiting().borrow().is_empty());
    next.stand_on(&live.basis().unwrap()).unwrap();
    assert_eq!(*next.waiting().borrow(), rest);
    next.replace(text(2, 1)).unwrap();
    assert!(next.waiting().borrow().is_empty(), "taken back");
    // A table that is gone is one whose keys are gone.
    next.replace("level = 2".to_owned()).unwrap();
    assert_eq!(*next.waiting().borrow(), rest);
    next.settle(Takes::Restart);
    assert!(next.waiting().borrow().is_empty());
}

#[test]
fn what_parts_read_anew_is_told() {
    let mut live = live("level = 1");
    live.part(|config: &Config| {
        let put = commit(|| {});
        Ok(match config.level {
            2 => put.renewing("certificates for nodes"),
            _ => put,
        })
    });
    let outcome = live.replace("level = 2".into()).unwrap();
    assert_eq!(
        outcome.summary(),
        "1 keys changed, replaced: certificates for nodes"
    );
    assert_eq!(live.replace("level = 2".into()).unwrap().renewed.len(), 1);
    let outcome = live.replace("level = 1".into()).unwrap();
    assert_eq!(outcome.summary(), "1 keys changed");
}
