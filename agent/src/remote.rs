//! Orders that reach this machine through Consul: `rackcast drain NODE`, from anywhere.
//!
//! They count like those of an operator on the machine itself: of all orders the later one holds. So
//! an order that stands in Consul is found again after every restart, and one that was overruled here
//! meanwhile stays overruled.

use rackcast_consul::orders::{Order as Remote, Standing};
use rackcast_service::drain::{Order, Terms, unix_ms};
use tokio::sync::watch;

use crate::orders::{Given, Orders};

/// The order as the machine keeps it and tells of it.
pub fn order(remote: &Remote) -> Order {
    let deadline = remote.deadline.and_then(|left| remote.at.checked_add(left));
    let terms = (!remote.resume).then(|| Terms {
        reason: remote.reason.clone(),
        deadline_ms: deadline.map(unix_ms),
    });
    Order::new(&remote.by, terms, remote.at)
}

/// Gives each order that comes to the machine, until nobody can send one any more.
pub(crate) async fn obey(mut standing: watch::Receiver<Standing>, orders: Orders) {
    loop {
        let heard = standing.borrow_and_update().clone();
        if let Standing::Given(remote) = heard {
            take(order(&remote), &orders).await;
        }
        if standing.changed().await.is_err() {
            return;
        }
    }
}

async fn take(order: Order, orders: &Orders) {
    // As after every restart.
    if *orders.subscribe().borrow() == order {
        return;
    }
    match orders.give(order.clone()).await {
        Ok(Given::Taken) => {}
        Ok(Given::Outdated) => {
            log::info!("an order in Consul is overruled by a later one: {order}");
        }
        Err(error) => log::error!("an order from Consul is not followed: {order}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn remote(seconds: u64, resume: bool) -> Standing {
        Standing::Given(Remote {
            by: "ann@desk".to_owned(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            reason: "disk".to_owned(),
            deadline: Some(Duration::from_secs(60)),
            resume,
        })
    }

    #[tokio::test]
    async fn of_all_orders_the_later_holds_wherever_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let orders = Orders::open(folder.path()).unwrap();
        let mut held = orders.subscribe();
        let (send, standing) = watch::channel(Standing::Unknown);
        let obeying = tokio::spawn(obey(standing, orders.clone()));
        send.send_replace(remote(1_000_000_000, false));
        let told =
            "draining since 2001-09-09T01:46:40Z by ann@desk, until 2001-09-09T01:47:40Z: disk";
        held.wait_for(|order| order.to_string() == told)
            .await
            .unwrap();

        // Overruled on the machine itself: neither its removal nor its return changes that.
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let local = Order::new("bob", None, at(1_000_000_010));
        orders.give(local.clone()).await.unwrap();
        for heard in [Standing::None, remote(1_000_000_000, false)] {
            send.send_replace(heard);
            tokio::task::yield_now().await;
            assert_eq!(*held.borrow_and_update(), local);
        }
        send.send_replace(remote(1_000_000_020, false));
        held.wait_for(Order::is_drain).await.unwrap();
        send.send_replace(remote(1_000_000_030, true));
        held.wait_for(|order| !order.is_drain()).await.unwrap();
        assert_eq!(held.borrow().by, "ann@desk");
        drop(send);
        obeying.await.unwrap();
    }
}
