//! Push-back is no failure.

use rackcast_route::table::Standing;
use rackcast_segment::wire::reply::RefusalCode;

use super::fleet::{BOTH, Fleet, PLENTY, both};
use super::media;
use super::node::refuses;

#[tokio::test]
async fn push_back_in_the_middle_of_an_upload_is_no_attempt_and_no_failure() {
    for code in [RefusalCode::NoSlot, RefusalCode::Draining] {
        let fleet = Fleet::new(vec![vec![refuses(code)], vec![]]).await;
        // Far more than the window: the node never reads it.
        let outcomes = fleet.run(media::order(&BOTH, 8 << 20, PLENTY)).await;
        assert!(outcomes.values().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(fleet.asked(1), [(1, both())]);
        fleet.counts("refusals_total", code.as_str(), 1.0).await;
        let standing = fleet.standing(0);
        assert!(matches!(standing, Standing::Blocked(_)), "{standing:?}");
        assert_eq!(fleet.failures(0), 0);
    }
}

#[tokio::test]
async fn when_all_push_back_the_segment_waits_for_the_first_to_be_free() {
    let busy = || vec![refuses(RefusalCode::NoSlot)];
    let fleet = Fleet::new(vec![busy(), busy()]).await;
    fleet.both_come().await;
    fleet.counts("attempts_total", "refused", 2.0).await;
}
