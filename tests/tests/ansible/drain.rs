//! A host that an operator takes out for a while.

use crate::inventory::Role;
use crate::rack::Rack;

/// Nothing new comes to it, Consul and the plays say why, a run of `site` leaves it so, and then it is
/// back.
pub(crate) async fn a_drained_host_stays_so_until_it_is_resumed(rack: &Rack) {
    rack.ready().await;
    let shows = rack.shows(["drain-one", "drain-two"]).await;
    // All at once is what nobody means.
    let all = rack.controller.attempt("drain", &[]);
    assert!(
        !all.good && all.text.contains("Say which machines"),
        "{}",
        all.text
    );

    let reason = r#"{"reason": "a new card"}"#;
    rack.controller
        .play("drain", &["--limit", "t2", "-e", reason]);
    let mut left = rack.names(Role::Transcode);
    left.remove("t2");
    rack.passing("transcode", &left).await;
    rack.controller
        .play("site", &["--limit", "t2", "--tags", "configure,run"]);
    rack.passing("transcode", &left).await;
    let screens = rack.controller.play("status", &["--limit", "t2"]).text;
    assert!(screens.contains("a new card"), "{screens}");

    rack.controller.play("resume", &["--limit", "t2"]);
    rack.all_pass().await;
    shows.end_unharmed().await;
}
