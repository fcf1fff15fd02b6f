//! What Rackcast relies on of Consul's HTTP API, asked of the development catalog and of the
//! real Consul alike, from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test"
)]
#![allow(unreachable_pub, reason = "modules of a test binary")]

mod common;
mod contract {
    pub mod blocking;
    pub mod checks;
    pub mod kv;
    pub mod refusals;
    pub mod registration;
    pub mod sessions;
    pub mod shared;
    pub mod typed;
}

use std::sync::Arc;

use common::{Case, Consul, Kind, real, run_all};

/// All cases, each on the same catalog under service names of its own.
macro_rules! cases {
    ($consul:ident: $($module:ident::$case:ident),* $(,)?) => {
        vec![$((
            stringify!($case),
            Box::pin(contract::$module::$case(Arc::clone($consul))) as _,
        )),*]
    };
}

fn cases(consul: &Arc<Consul>) -> Vec<Case> {
    cases![consul:
        registration::a_service_is_found_as_registered,
        registration::defaults_are_filled_in,
        registration::a_deregistered_service_is_gone,
        registration::names_nodes_and_datacenters_are_listed,
        registration::the_agent_tells_who_it_is,
        registration::large_answers_are_compressed,
        checks::new_checks_are_critical_unless_told,
        checks::registering_again_keeps_the_status,
        checks::a_ttl_expires,
        checks::reports_set_the_state_and_the_aggregate,
        checks::health_is_filtered,
        checks::http_checks_are_polled,
        checks::tcp_checks_are_polled,
        checks::maintenance_is_a_check,
        checks::checks_are_listed,
        blocking::index_zero_answers_at_once,
        blocking::a_change_wakes_and_another_service_does_not,
        blocking::a_wait_ends_with_the_current_index,
        blocking::words_alone_wake_nobody,
        blocking::a_missing_service_is_watched,
        blocking::waits_and_indexes_are_checked,
        blocking::a_hash_waits_for_a_difference,
        blocking::a_hash_watch_ends_when_the_service_is_lost,
        kv::a_value_is_kept,
        kv::check_and_set,
        kv::prefixes,
        kv::removal,
        kv::a_key_is_watched,
        kv::limits_and_refusals,
        sessions::a_session_holds_keys_and_takes_them_along,
        sessions::a_session_that_is_not_renewed_ends,
        sessions::nonsense_is_refused,
        shared::writers_at_once_lose_no_write,
        shared::settings_are_followed,
        shared::orders_reach_their_machine,
        shared::the_directory_knows_the_newest_first,
        refusals::unknown_fields,
        refusals::wrong_methods,
        refusals::nonsense,
        refusals::unknown_things,
        typed::a_registration_round_trip,
        typed::reports_and_maintenance,
        typed::a_blocking_query,
        typed::a_hash_watch,
    ]
}

#[tokio::test]
async fn development_catalog() {
    let consul = Arc::new(Consul::start(Kind::Development).await);
    run_all("contract on the development catalog", cases(&consul)).await;
}

#[tokio::test]
async fn real_consul() {
    if real::wanted("contract") {
        let consul = Arc::new(Consul::start(Kind::Real).await);
        run_all("contract on the real Consul", cases(&consul)).await;
    }
}
