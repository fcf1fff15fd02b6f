//! How soon what is registered on one machine is routable on another, beside what Consul takes by
//! itself; and what it costs an ingest to watch a thousand nodes. On the real Consul.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use prometheus::Registry;
use rackcast_consul::client::{Client, Config, HealthQuery};
use rackcast_consul::reconcile::{self, Desired, Report, Standing};
use rackcast_consul::register::{Check, CheckKind, Registration, Service, Status, Weights};
use rackcast_consul::watch::{Watch, watch};
use rackcast_ingest::discovery;
use rackcast_ingest::dispatch::Dispatcher;
use rackcast_ingest::explain::Trails;
use rackcast_route::Router;
use rackcast_segment::wire::PROTOCOL;
use rackcast_tests::consul::Consul;
use rackcast_tests::datacenter::{Datacenter, ROOT};
use rackcast_tests::netns::Network;
use tokio_util::sync::CancellationToken;

const SERVICE: &str = "rackcast-transcode";
/// Registrations that are timed.
const SAMPLES: usize = 150;
/// Between two of them: longer than a watch rests after a change.
const APART: Duration = Duration::from_millis(400);
/// Nodes that are watched, and changes of them, one a second.
const NODES: usize = 1000;
const CHANGES: usize = 30;
const LIMIT: Duration = Duration::from_secs(20);

fn main() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    if Network::is_possible("registered to routable") {
        runtime().block_on(registered_to_routable());
    }
    runtime().block_on(a_thousand_nodes());
}

async fn registered_to_routable() {
    let dc = Datacenter::start(2).await;
    let client = |machine| {
        client(
            &format!("unix://{}", dc.socket(machine).display()),
            &dc.home(machine),
        )
    };
    let (here, there) = (client(2), client(3));

    let mut floor = Vec::new();
    for n in 0..SAMPLES {
        let query = |index| HealthQuery {
            service: SERVICE,
            index,
            wait: LIMIT,
            ..HealthQuery::default()
        };
        let index = there.health_service(&query(0)).await.unwrap().index;
        let waiting = {
            let there = there.clone();
            tokio::spawn(async move {
                there.health_service(&query(index)).await.unwrap();
                Instant::now()
            })
        };
        tokio::time::sleep(APART / 4).await;
        let begun = Instant::now();
        here.register_service(&node(&format!("floor-{n}")))
            .await
            .unwrap();
        floor.push(waiting.await.unwrap() - begun);
        here.deregister_service(&format!("floor-{n}"))
            .await
            .unwrap();
        tokio::time::sleep(APART / 4).await;
    }
    tell_times("bare Consul: registered to seen by a blocking query", floor);

    // That the last of all nodes is gone is not believed at once: there is another one.
    there.register_service(&node("witness")).await.unwrap();
    let stop = CancellationToken::new();
    let (desired, wanted) = tokio::sync::watch::channel(Vec::new());
    let mut reconciler = reconcile::spawn(
        here,
        "bench",
        reconcile::Config::default(),
        wanted,
        stop.clone(),
    );
    let dispatcher = ingest(there, &stop);
    reconciler
        .standing
        .wait_for(|s| *s == Standing::Kept)
        .await
        .unwrap();
    while dispatcher.router().table().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut ours = Vec::new();
    for n in 0..SAMPLES {
        tokio::time::sleep(APART).await;
        let registration = node(&format!("node-{n}"));
        let want = Desired {
            reports: vec![Report {
                check: registration.checks[0].id.clone(),
                status: Status::Passing,
                output: String::new(),
                taken: Instant::now(),
            }],
            registration,
            maintenance: None,
        };
        let begun = Instant::now();
        desired.send_replace(vec![want]);
        while dispatcher.router().table().len() < 2 {
            assert!(begun.elapsed() < LIMIT, "never routable");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        ours.push(begun.elapsed());
        desired.send_replace(Vec::new());
        while dispatcher.router().table().len() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tell_times("registered by the agent to routable in an ingest", ours);
    stop.cancel();
    reconciler.stopped().await;
}

async fn a_thousand_nodes() {
    let consul = Consul::start().await;
    let own = client(&consul.url, Path::new("/"));
    for n in 0..NODES {
        own.register_service(&node(&format!("node-{n:04}")))
            .await
            .unwrap();
    }
    let url = consul.url.clone();
    let stop = CancellationToken::new();
    let ending = stop.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let (start, started) = tokio::sync::oneshot::channel();
    // A thread of its own, so that what the ingest's part costs can be told from what this bench costs.
    let ingest = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dispatcher = ingest(client(&url, Path::new("/")), &ending);
            tell.send(dispatcher).unwrap();
            started.await.unwrap();
            let (begun, before) = (Instant::now(), cpu());
            ending.cancelled().await;
            (cpu() - before).as_secs_f64() / begun.elapsed().as_secs_f64()
        })
    });
    let dispatcher = told.recv().unwrap();
    let members = || dispatcher.router().table().len();
    let until = async |wanted: usize| {
        let begun = Instant::now();
        while members() != wanted {
            assert!(
                begun.elapsed() < LIMIT,
                "{} members, not {wanted}",
                members()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    until(NODES).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    start.send(()).unwrap();
    let (mut late, mut ticks) = (Vec::new(), tokio::time::interval(Duration::from_secs(1)));
    // Each of them takes one node out: that this is seen shows in the table, one by one.
    for n in 1..=CHANGES {
        ticks.tick().await;
        let begun = Instant::now();
        let id = format!("node-{n:04}");
        own.set_maintenance(&id, Some("bench")).await.unwrap();
        until(NODES - n).await;
        late.push(begun.elapsed());
    }
    ticks.tick().await;
    stop.cancel();
    let share = ingest.join().unwrap();
    tell_times(
        &format!("{NODES} nodes, one change a second: changed to seen in the route table"),
        late,
    );
    println!(
        "  {CHANGES} of {CHANGES} changes seen; the watch costs {:.1} % of a core",
        share * 100.0
    );
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap())
}

/// The part of an ingest that follows the catalog.
fn ingest(client: Client, stop: &CancellationToken) -> Arc<Dispatcher> {
    let registry = Registry::new();
    let config = rackcast_ingest::config::Config::default();
    let router = Router::new(config.router(), "bench", Instant::now());
    let trails = Arc::new(Trails::new(config.explain, &registry).unwrap());
    let dispatcher = Dispatcher::new(config.dispatch, router, trails, &registry).unwrap();
    let dispatcher = Arc::new(dispatcher);
    let views = vec![watch(client, Watch::new(SERVICE), stop.clone())];
    let known = Arc::clone(&dispatcher);
    discovery::start(
        config.discovery,
        None,
        views,
        known,
        &registry,
        stop.clone(),
    )
    .unwrap();
    dispatcher
}

fn client(address: &str, home: &Path) -> Client {
    let token_file = home.join("root.token");
    let acls = home != Path::new("/");
    if acls {
        std::fs::write(&token_file, ROOT).unwrap();
    }
    Client::new(&Config {
        address: address.to_owned(),
        token_file: acls.then_some(token_file),
        ..Config::default()
    })
    .unwrap()
}

fn node(id: &str) -> Registration {
    let meta = [
        ("protocol", PROTOCOL.to_string()),
        ("zone", "z1".to_owned()),
        ("slots", "4".to_owned()),
        ("pixel-rate", "250000000".to_owned()),
        ("version", "0.1.0".to_owned()),
        ("admin-port", "9612".to_owned()),
    ];
    Registration {
        service: Service {
            id: id.to_owned(),
            name: SERVICE.to_owned(),
            tags: ["cpu", "h264", "zone-z1"].map(str::to_owned).into(),
            address: "127.0.0.1".to_owned(),
            port: 7400,
            meta: meta.map(|(key, value)| (key.to_owned(), value)).into(),
            weights: Weights::default(),
        },
        checks: vec![Check {
            id: format!("{id}:devices"),
            name: "devices".to_owned(),
            kind: CheckKind::Ttl {
                ttl: Duration::from_secs(3600),
            },
            status: Status::Passing,
            deregister_after: None,
        }],
    }
}

fn tell_times(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!(
        "{what}: {} times, median {:.1?}, p99 {:.1?}, worst {:.1?}",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
