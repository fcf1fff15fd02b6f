//! What the reconciler keeps.

use std::time::{Duration, Instant};

use rackcast_consul::reconcile::{Config, Desired, Reconciler, Report, Standing, spawn};
use rackcast_consul::register::{Check, CheckKind, OWNER, Registration, Service, Status, Weights};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::common::{Consul, Kind, eventually};

const SECOND: Duration = Duration::from_secs(1);

fn desired(id: &str, ttl: Duration) -> Desired {
    Desired {
        registration: Registration {
            service: Service {
                id: id.to_owned(),
                name: "web".to_owned(),
                tags: vec!["cpu".to_owned()],
                address: "10.0.0.1".to_owned(),
                port: 80,
                meta: [("zone".to_owned(), "a".to_owned())].into(),
                weights: Weights {
                    passing: 5,
                    warning: 1,
                },
            },
            checks: vec![Check {
                id: format!("{id}:devices"),
                name: "devices".to_owned(),
                kind: CheckKind::Ttl { ttl },
                status: Status::Critical,
                deregister_after: None,
            }],
        },
        reports: vec![report(id, Status::Passing)],
        maintenance: None,
    }
}

fn report(id: &str, status: Status) -> Report {
    Report {
        check: format!("{id}:devices"),
        status,
        output: "2 devices".to_owned(),
        taken: Instant::now(),
    }
}

struct Keeping {
    desired: watch::Sender<Vec<Desired>>,
    reconciler: Reconciler,
    shutdown: CancellationToken,
}

fn keep(consul: &Consul, desired: Vec<Desired>, config: Config) -> Keeping {
    let (sender, receiver) = watch::channel(desired);
    let shutdown = CancellationToken::new();
    let reconciler = spawn(consul.client(), "us", config, receiver, shutdown.clone());
    Keeping {
        desired: sender,
        reconciler,
        shutdown,
    }
}

async fn held(consul: &Consul, id: &str) -> Value {
    consul.get("/v1/agent/services").await.json()[id].clone()
}

async fn status(consul: &Consul, id: &str) -> Value {
    consul.get("/v1/agent/checks").await.json()[format!("{id}:devices")]["Status"].clone()
}

async fn is_kept(keeping: &mut Keeping) {
    let kept = keeping
        .reconciler
        .standing
        .wait_for(|standing| *standing == Standing::Kept);
    drop(
        tokio::time::timeout(10 * SECOND, kept)
            .await
            .expect("kept in time")
            .unwrap(),
    );
}

pub async fn a_service_is_kept_as_desired(kind: Kind) {
    let consul = Consul::start(kind).await;
    let mut want = desired("web-1", 60 * SECOND);
    let mut keeping = keep(&consul, vec![want.clone()], Config::default());
    is_kept(&mut keeping).await;
    let first = held(&consul, "web-1").await;
    assert_eq!(first["Meta"], json!({ "zone": "a", OWNER: "us" }));
    eventually("the report is taken", || async {
        status(&consul, "web-1").await == "passing"
    })
    .await;

    // Somebody changes it, mark and all.
    consul
        .register(&json!({ "ID": "web-1", "Name": "web", "Port": 9999 }))
        .await;
    let took = eventually("it is mended", || async {
        held(&consul, "web-1").await == first
    })
    .await;
    assert!(took.within(SECOND), "mended after {took:?}");
    // Somebody removes it.
    consul.put("/v1/agent/service/deregister/web-1", "").await;
    let took = eventually("it is back", || async {
        held(&consul, "web-1").await == first
    })
    .await;
    assert!(took.within(SECOND), "back after {took:?}");
    assert_eq!(status(&consul, "web-1").await, "passing");

    // A new state goes out at once, and so does maintenance.
    want.reports = vec![report("web-1", Status::Warning)];
    keeping.desired.send_replace(vec![want.clone()]);
    eventually("warning", || async {
        status(&consul, "web-1").await == "warning"
    })
    .await;
    let maintenance = || async {
        consul.get("/v1/agent/checks").await.json()["_service_maintenance:web-1"].clone()
    };
    want.maintenance = Some("drain".to_owned());
    keeping.desired.send_replace(vec![want.clone()]);
    eventually("maintenance", || async {
        maintenance().await["Notes"] == "rackcast: drain"
    })
    .await;
    want.maintenance = Some("drain until noon".to_owned());
    keeping.desired.send_replace(vec![want.clone()]);
    eventually("another reason", || async {
        maintenance().await["Notes"] == "rackcast: drain until noon"
    })
    .await;
    want.maintenance = None;
    want.registration.service.port = 81;
    keeping
        .desired
        .send_replace(vec![want.clone(), desired("web-2", 60 * SECOND)]);
    eventually("maintenance is over", || async {
        maintenance().await == Value::Null
    })
    .await;
    eventually("the new port", || async {
        held(&consul, "web-1").await["Port"] == 81
    })
    .await;
    eventually("the second", || async {
        held(&consul, "web-2").await["Port"] == 80
    })
    .await;
    keeping.desired.send_replace(vec![want]);
    eventually("the second is gone", || async {
        held(&consul, "web-2").await == Value::Null
    })
    .await;

    keeping.shutdown.cancel();
    keeping.reconciler.stopped().await;
    assert_eq!(held(&consul, "web-1").await, Value::Null);
}

pub async fn maintenance_outlasts_a_new_registration(kind: Kind) {
    let consul = Consul::start(kind).await;
    let mut want = desired("web-1", 60 * SECOND);
    want.maintenance = Some("drain".to_owned());
    let mut keeping = keep(&consul, vec![want.clone()], Config::default());
    is_kept(&mut keeping).await;
    let checks = || async { consul.get("/v1/agent/checks").await.json() };
    let is_passing = |checks: &Value| checks["web-1:devices"]["Status"] == "passing";
    let notes = |checks: &Value| checks["_service_maintenance:web-1"]["Notes"].clone();
    eventually("passing in maintenance", || async {
        let checks = checks().await;
        is_passing(&checks) && notes(&checks) == "rackcast: drain"
    })
    .await;

    // Registering replaces all checks of a service. At no moment is it to be taken for free.
    want.registration.service.tags.push("gpu".to_owned());
    keeping.desired.send_replace(vec![want.clone()]);
    let mut since = None;
    while since.is_none_or(|since: Instant| since.elapsed() < SECOND) {
        let checks = checks().await;
        assert!(
            !is_passing(&checks) || notes(&checks) == "rackcast: drain",
            "{checks}"
        );
        if since.is_none() && held(&consul, "web-1").await["Tags"] == json!(["cpu", "gpu"]) {
            since = Some(Instant::now());
        }
        tokio::time::sleep(SECOND / 100).await;
    }

    // An operator's own stays too, with its reason.
    want.maintenance = None;
    keeping.desired.send_replace(vec![want.clone()]);
    eventually("the drain is over", || async {
        notes(&checks().await) == Value::Null
    })
    .await;
    let path = "/v1/agent/service/maintenance/web-1?enable=true&reason=disk";
    assert_eq!(consul.put(path, "").await.status, 200);
    want.registration.service.tags.pop();
    keeping.desired.send_replace(vec![want]);
    eventually("the new description", || async {
        held(&consul, "web-1").await["Tags"] == json!(["cpu"])
    })
    .await;
    eventually("the operator's maintenance", || async {
        notes(&checks().await) == "disk"
    })
    .await;
}

pub async fn lost_state_is_registered_again_at_once(kind: Kind) {
    let mut consul = Consul::start(kind).await;
    let both = vec![desired("web-1", 60 * SECOND), desired("web-2", 60 * SECOND)];
    let mut keeping = keep(&consul, both, Config::default());
    is_kept(&mut keeping).await;
    for _ in 0..2 {
        consul.stop().await;
        // Long enough that a backoff without a bound would have grown.
        tokio::time::sleep(2 * SECOND).await;
        consul.start_empty().await;
        let back = eventually("both are back", || async {
            let services = consul.get("/v1/agent/services").await.json();
            services.as_object().unwrap().len() == 2
        })
        .await;
        assert!(back.within(SECOND), "back after {back:?}");
        assert_eq!(
            status(&consul, "web-1").await,
            "passing",
            "with the health it had"
        );
    }
}

pub async fn others_are_never_touched(kind: Kind) {
    let consul = Consul::start(kind).await;
    let other = |id: &str, owner: &str| json!({ "ID": id, "Name": "web", "Port": 7, "Meta": { OWNER: owner } });
    consul
        .register(&json!({ "ID": "web-1", "Name": "web", "Port": 7 }))
        .await;
    consul.register(&other("web-2", "them")).await;
    consul.register(&other("web-9", "them")).await;
    consul.register(&other("web-8", "us")).await;
    let before = consul.get("/v1/agent/services").await.json();

    let wanted = ["web-1", "web-2", "web-3"]
        .map(|id| desired(id, 60 * SECOND))
        .to_vec();
    let config = Config {
        probation: 2 * SECOND,
        sync_interval: SECOND / 2,
        ..Config::default()
    };
    let (began, probation) = (Instant::now(), config.probation);
    let mut keeping = keep(&consul, wanted, config);
    let conflict = Standing::Conflict(vec!["web-1".to_owned(), "web-2".to_owned()]);
    let standing = keeping
        .reconciler
        .standing
        .wait_for(|standing| *standing == conflict);
    drop(
        tokio::time::timeout(10 * SECOND, standing)
            .await
            .expect("a conflict")
            .unwrap(),
    );
    assert_eq!(held(&consul, "web-3").await["Meta"][OWNER], "us");
    // What bears our mark but is not desired is removed, though not in the probation.
    eventually("ours of an earlier life is gone", || async {
        held(&consul, "web-8").await == Value::Null
    })
    .await;
    assert!(began.elapsed() >= probation, "{:?}", began.elapsed());

    keeping.shutdown.cancel();
    keeping.reconciler.stopped().await;
    let after = consul.get("/v1/agent/services").await.json();
    assert_eq!(after.as_object().unwrap().len(), 3);
    for id in ["web-1", "web-2", "web-9"] {
        assert_eq!(after[id], before[id], "{id}");
    }
}

pub async fn reports_must_be_young(kind: Kind) {
    let consul = Consul::start(kind).await;
    let max_age = 6 * SECOND;
    let config = Config {
        report_interval: SECOND / 2,
        report_max_age: max_age,
        ..Config::default()
    };
    let want = desired("web-1", 4 * SECOND);
    let mut keeping = keep(&consul, vec![want.clone()], config);
    is_kept(&mut keeping).await;
    eventually("passing", || async {
        status(&consul, "web-1").await == "passing"
    })
    .await;
    // Longer than the TTL: the reconciler refreshes what is still young.
    tokio::time::sleep(SECOND * 9 / 2).await;
    assert_eq!(status(&consul, "web-1").await, "passing");
    // The probes hang: what they said last grows old, and the check expires.
    eventually("critical", || async {
        status(&consul, "web-1").await == "critical"
    })
    .await;
    assert!(want.reports[0].taken.elapsed() > max_age);
    // They go on.
    keeping.desired.send_replace(vec![Desired {
        reports: vec![report("web-1", Status::Passing)],
        ..want
    }]);
    eventually("passing again", || async {
        status(&consul, "web-1").await == "passing"
    })
    .await;
}
