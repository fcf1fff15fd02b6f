//! The Ansible collection on seven real hosts: from bare machines to streaming, and through their
//! whole life.
//!
//! The hosts are booted once. The stories are one story: each takes the fleet over from the one before,
//! and waits first until all of it is in service. Every playbook is run as an operator runs it, and what
//! it wrote is searched for secrets.
//!
//! On a machine that can hold no hosts (no root, no namespaces) nothing runs: every story counts
//! as skipped, and the reason is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;
mod drain;
mod faults;
mod inventory;
mod leave;
mod rack;
mod rotate;
mod site;
mod upgrade;
mod watch;

use std::process::ExitCode;

use rackcast_tests::{hosts, stories};

fn main() -> ExitCode {
    hosts::tell::<rack::Rack>(stories![
        site::a_check_on_bare_hosts_passes_and_changes_nothing,
        site::one_run_takes_bare_hosts_into_service,
        site::a_second_run_changes_nothing,
        site::a_controller_that_lost_the_gossip_key_draws_no_other,
        watch::monitoring_reaches_every_daemon_and_knows_every_alert,
        site::nothing_is_open_that_should_be_closed,
        site::catalog_ui_dns_and_inventory_show_every_node,
        site::streams_at_the_address_that_dns_gives_are_transcoded_on_several_nodes,
        watch::a_load_test_tells_what_players_would_see,
        drain::a_drained_host_stays_so_until_it_is_resumed,
        upgrade::an_upgrade_under_streams_goes_host_by_host_and_loses_nothing,
        upgrade::a_broken_package_stops_at_the_canary_and_is_rolled_back,
        faults::a_host_without_power_and_then_one_without_network,
        faults::a_host_with_a_full_disk_and_then_one_that_is_frozen,
        rotate::new_credentials_and_configuration_for_every_host_under_streams,
        faults::a_run_for_a_host_without_consul_and_for_a_new_one_touches_no_other,
        leave::a_decommissioned_host_leaves_nothing_in_consul,
    ])
}
