//! Packages and units on real Debian hosts that systemd booted: what an operator would see.
//!
//! The hosts are booted once for all stories, which run one after another and leave behind
//! services that run; each begins by making that so. `cargo test --workspace --test fleet --
//! upgrade` runs those whose names say `upgrade`.
//!
//! On a machine that can hold no hosts (no root, no namespaces) nothing runs: every story counts
//! as skipped, and the reason is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faults;
mod install;
mod rack;
mod secure;
mod streams;
mod upgrade;

use std::process::ExitCode;

use rackcast_tests::{hosts, stories};

fn main() -> ExitCode {
    hosts::tell::<rack::Rack>(stories![
        install::fresh_debian_12_and_13_install_from_the_signed_repository,
        streams::a_stream_is_published_transcoded_and_played_on_each,
        streams::the_journal_tells_the_story_of_a_stream,
        secure::certificates_by_reload_and_by_credential_guard_every_segment,
        upgrade::an_upgrade_under_three_streams_loses_nothing,
        upgrade::an_old_generation_serves_on_and_is_stopped_at_its_limit,
        upgrade::apt_tells_of_broken_configurations_and_leaves_what_runs,
        faults::a_bad_configuration_takes_no_running_service_down,
        faults::a_deadlocked_daemon_is_found_by_the_watchdog,
        faults::a_crash_loop_stops_and_is_critical_in_consul,
        upgrade::downgrade_remove_and_purge,
    ])
}
