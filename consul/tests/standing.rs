//! The watcher and the reconciler through what happens to a catalog: foreign hands, loss of
//! state, absence. On the development catalog and on the real Consul alike.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test"
)]
#![allow(unreachable_pub, reason = "modules of a test binary")]

mod common;
mod standing {
    pub mod reconciler;
    pub mod watcher;
}

use common::{Case, Kind, real, run_all};

/// All cases, each with a catalog of its own, since most of them end it.
macro_rules! cases {
    ($kind:ident: $($module:ident::$case:ident),* $(,)?) => {
        vec![$((stringify!($case), Box::pin(standing::$module::$case($kind)) as _)),*]
    };
}

fn cases(kind: Kind) -> Vec<Case> {
    cases![kind:
        watcher::a_view_follows_the_catalog,
        watcher::an_absent_catalog_leaves_the_last_known,
        watcher::many_changes_cost_few_wakes,
        reconciler::a_service_is_kept_as_desired,
        reconciler::maintenance_outlasts_a_new_registration,
        reconciler::lost_state_is_registered_again_at_once,
        reconciler::others_are_never_touched,
        reconciler::reports_must_be_young,
    ]
}

#[tokio::test]
async fn development_catalog() {
    run_all(
        "standing of the development catalog",
        cases(Kind::Development),
    )
    .await;
}

#[tokio::test]
async fn real_consul() {
    if real::wanted("standing") {
        run_all("standing of the real Consul", cases(Kind::Real)).await;
    }
}
