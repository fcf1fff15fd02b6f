//! The Ansible collection on six real hosts: from bare machines to streaming, and through their
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
mod faults;
mod inventory;
mod leave;
mod rack;
mod site;
mod upgrade;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use rackcast_tests::hosts::Hosts;

use rack::Rack;

/// A story by its name.
macro_rules! stories {
    ($($module:ident::$story:ident,)*) => {
        [$(Story { name: stringify!($story), tell: |rack| Box::pin($module::$story(rack)) },)*]
    };
}

type Telling<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    tell: for<'a> fn(&'a Rack) -> Telling<'a>,
}

fn main() -> ExitCode {
    let stories = stories![
        site::a_check_on_bare_hosts_passes_and_changes_nothing,
        site::one_run_takes_bare_hosts_into_service,
        site::a_second_run_changes_nothing,
        site::nothing_is_open_that_should_be_closed,
        site::catalog_ui_dns_and_inventory_show_every_node,
        site::streams_at_the_address_that_dns_gives_are_transcoded_on_several_nodes,
        upgrade::an_upgrade_under_streams_goes_host_by_host_and_loses_nothing,
        upgrade::a_broken_package_stops_at_the_canary_and_is_rolled_back,
        faults::a_host_without_power,
        faults::a_host_that_is_frozen,
        faults::a_host_without_network,
        faults::a_host_with_a_full_disk,
        faults::a_host_whose_consul_is_gone,
        leave::a_decommissioned_host_leaves_nothing_in_consul,
        leave::a_new_host_comes_in_and_the_others_are_not_touched,
    ];
    let mut arguments = Arguments::from_args();
    // One machine, one fleet: the stories share it.
    arguments.test_threads = Some(1);
    let skipped = Hosts::possible().err();
    if let Some(reason) = &skipped {
        eprintln!(
            "NOT RUN: every story of the Ansible collection, since this machine cannot hold \
             hosts:\n{reason}"
        );
    }
    if arguments.list || skipped.is_some() {
        let ignored = |s: Story| Trial::test(s.name, || Ok(())).with_ignored_flag(true);
        return libtest_mimic::run(&arguments, stories.map(ignored).into()).exit_code();
    }
    let rack = Arc::new(Rack::up());
    let trial = |story: Story| {
        let rack = Arc::clone(&rack);
        Trial::test(story.name, move || rack.tell(story).map_err(Into::into))
    };
    let told = libtest_mimic::run(&arguments, stories.map(trial).into());
    told.exit_code()
}
