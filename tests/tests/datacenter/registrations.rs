//! What happens to a machine's Consul, and how soon the registrations are true again.

use std::cell::Cell;
use std::time::{Duration, Instant};

use http::Method;
use rackcast_service::status::{HealthState, ServiceStatus, fetch};
use rackcast_tests::datacenter::{Datacenter, token};
use rackcast_tests::netns::Network;
use rackcast_tests::wait::wait_for;
use serde_json::Value;

use crate::fleet::{START, healthy, ingests, said_of_strangers, strangers, until_healthy};

/// Machine whose Consul suffers; machine 4 looks on.
const VICTIM: u8 = 3;
const WITNESS: u8 = 4;
const INGEST: &str = "rackcast-ingest";
/// The others take the machine for dead within some 10 s, and stop asking for it long before this.
const PARTITION: Duration = Duration::from_secs(60);
/// Seconds at most where nothing else runs; gossip and the agents' back-off are what bounds it.
const LIMIT: Duration = Duration::from_secs(30);
/// One second and less where nothing else runs; the agent's next full comparison would come in 30.
const HELD: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_true_again_whatever_befalls_consul() {
    if Network::is_possible("registrations in a Consul datacenter") {
        befall().await;
    }
}

async fn befall() {
    let mut dc = Datacenter::start(3).await;
    strangers(&dc, &[2, VICTIM, WITNESS]).await;
    let _daemons = ingests(&dc, &[2, VICTIM]);
    let before = until_healthy(&dc, WITNESS, INGEST, 2, START).await;
    // Checks by name: Consul adds nothing that we did not ask for.
    let others = said_of_strangers(&dc, WITNESS).await.unwrap();
    assert_eq!(others.len(), 6, "{others:?}");
    is_kept(&dc, START).await;

    // Killed and started again with what it had on disk.
    dc.kill(VICTIM);
    until_healthy(&dc, WITNESS, INGEST, 1, START).await;
    dc.boot(VICTIM);
    let took = back(&dc, &before).await;
    println!("killed, and back with its data: true {took:?} after it answered");
    assert!(took < LIMIT, "{took:?}");

    // The same, and it remembers nothing. The strangers of this machine are gone with it: nobody
    // keeps those.
    dc.kill(VICTIM);
    dc.wipe(VICTIM);
    dc.boot(VICTIM);
    let (answered, held) = held_again(&dc).await;
    println!("without its data: registered {held:?} after it answered");
    assert!(held < HELD, "{held:?}");
    let took = back(&dc, &before).await;
    println!(
        "and true for the others {:?} after it answered",
        answered.elapsed()
    );
    assert!(took < LIMIT, "{took:?}");
    strangers(&dc, &[VICTIM]).await;
    wait_for("the strangers", START, || async {
        (said_of_strangers(&dc, WITNESS).await? == others).then_some(())
    })
    .await;

    // Cut off.
    dc.network.unplug(VICTIM);
    let cut = Instant::now();
    until_healthy(&dc, WITNESS, INGEST, 1, START).await;
    println!("cut off: found out after {:?}", cut.elapsed());
    tokio::time::sleep(PARTITION.saturating_sub(cut.elapsed())).await;
    dc.network.plug(VICTIM);
    let healed = Instant::now();
    until_same(&dc, &before, Duration::from_secs(60)).await;
    println!(
        "a partition of {PARTITION:?}: true {:?} after it healed",
        healed.elapsed()
    );

    // The token is revoked: that is said, of what it is. Then another one is put in its place.
    dc.revoke(&token("agent")).await;
    let refused = wait_for("the agent to say that it is refused", START, || async {
        let status = agent(&dc).await?;
        (status.health.state == HealthState::Critical).then_some(status.health.summary)
    })
    .await;
    println!("token revoked: {refused}");
    assert!(
        refused.contains("forbidden (check the token and its policy)"),
        "{refused}"
    );
    let next = "99999999-3333-4333-8444-555555555555";
    dc.grant(next, "rackcast-agent").await;
    // One that cannot be read is another thing, and is called so.
    let file = dc.token_file(VICTIM, "agent");
    std::fs::write(&file, "").unwrap();
    wait_for(
        "the agent to say what is wrong with its file",
        START,
        || async {
            let status = agent(&dc).await?;
            status
                .health
                .summary
                .contains("does not hold one token")
                .then_some(())
        },
    )
    .await;
    std::fs::write(&file, next).unwrap();
    let replaced = Instant::now();
    is_kept(&dc, START).await;
    println!("token replaced: kept again after {:?}", replaced.elapsed());
    assert!(replaced.elapsed() < LIMIT, "{:?}", replaced.elapsed());
    until_same(&dc, &before, START).await;
    // And not only in the agent's own memory: a change reaches the others with the new token.
    dc.root(
        VICTIM,
        Method::PUT,
        "/v1/agent/service/deregister/rackcast-ingest-m3-1",
        "",
    )
    .await;
    until_same(&dc, &before, START).await;

    assert_eq!(said_of_strangers(&dc, WITNESS).await.unwrap(), others);
}

/// Waits until the victim's Consul answers and the others see all as before; tells how long the
/// latter took.
async fn back(dc: &Datacenter, before: &[Value]) -> Duration {
    wait_for("the agent's Consul to answer", START, || async {
        dc.get(VICTIM, "/v1/agent/services").await.map(drop)
    })
    .await;
    let answered = Instant::now();
    until_same(dc, before, START).await;
    answered.elapsed()
}

async fn until_same(dc: &Datacenter, before: &[Value], limit: Duration) {
    let essence = |services: &[Value]| -> Vec<Value> {
        let fields = [
            "ID", "Service", "Tags", "Port", "Address", "Meta", "Weights",
        ];
        let one = |s: &Value| fields.iter().map(|f| s[*f].clone()).collect();
        services.iter().map(one).collect()
    };
    let wanted = essence(before);
    wait_for("the registrations to be as before", limit, || async {
        (essence(&healthy(dc, WITNESS, INGEST).await?) == wanted).then_some(())
    })
    .await;
}

/// When the victim's Consul answered, and how long after that it held the service again.
async fn held_again(dc: &Datacenter) -> (Instant, Duration) {
    let answered = Cell::new(None);
    wait_for("the service to be registered again", START, || async {
        let services = dc.get(VICTIM, "/v1/agent/services").await?;
        answered.set(answered.get().or_else(|| Some(Instant::now())));
        services.get("rackcast-ingest-m3-1").map(drop)
    })
    .await;
    let answered: Instant = answered.get().unwrap();
    (answered, answered.elapsed())
}

async fn is_kept(dc: &Datacenter, limit: Duration) {
    wait_for("the registrations to be kept", limit, || async {
        let status = agent(dc).await?;
        (status.health.summary == "registrations are kept").then_some(())
    })
    .await;
}

/// What the victim's agent says of itself.
async fn agent(dc: &Datacenter) -> Option<ServiceStatus> {
    fetch(&dc.home(VICTIM).join("run/agent.sock")).await.ok()
}
