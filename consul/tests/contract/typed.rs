//! Our own client's calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rackcast_consul::client::{Error, HealthQuery};
use rackcast_consul::register::{Check, CheckKind, OWNER, Registration, Service, Status, Weights};

use crate::common::{Consul, eventually};

const SECOND: Duration = Duration::from_secs(1);

fn registration(id: &str) -> Registration {
    Registration {
        service: Service {
            id: id.to_owned(),
            name: id.to_owned(),
            tags: vec!["cpu".to_owned(), "a b/ü".to_owned()],
            address: "10.0.0.7".to_owned(),
            port: 8443,
            meta: [(OWNER.to_owned(), "test".to_owned())].into(),
            weights: Weights {
                passing: 9,
                warning: 2,
            },
        },
        checks: vec![
            Check {
                id: format!("{id}:devices"),
                name: "devices".to_owned(),
                kind: CheckKind::Ttl { ttl: 60 * SECOND },
                status: Status::Passing,
                deregister_after: Some(600 * SECOND),
            },
            Check {
                id: format!("{id}:http"),
                name: "healthz".to_owned(),
                kind: CheckKind::Http {
                    url: "http://127.0.0.1:1/".to_owned(),
                    interval: 60 * SECOND,
                    timeout: SECOND,
                },
                status: Status::Warning,
                deregister_after: None,
            },
        ],
    }
}

fn health(service: &str) -> HealthQuery<'_> {
    HealthQuery {
        service,
        ..HealthQuery::default()
    }
}

pub async fn a_registration_round_trip(consul: Arc<Consul>) {
    let client = consul.client();
    let want = registration("typed one/ü");
    client.register_service(&want).await.unwrap();
    let held = client.agent_services().await.unwrap()[&want.service.id].clone();
    assert_eq!(
        (held.name, held.tags),
        (want.service.name.clone(), want.service.tags.clone())
    );
    assert_eq!(
        (held.address, held.port),
        (want.service.address.clone(), want.service.port)
    );
    assert_eq!(
        (held.meta, held.weights),
        (want.service.meta.clone(), want.service.weights)
    );
    let checks = client.agent_checks().await.unwrap();
    assert_eq!(checks["typed one/ü:devices"].kind, "ttl");
    assert_eq!(checks["typed one/ü:http"].kind, "http");

    eventually("the servers know it", || async {
        !client
            .health_service(&health("typed one/ü"))
            .await
            .unwrap()
            .value
            .is_empty()
    })
    .await;
    let tagged = HealthQuery {
        tag: Some("a b/ü"),
        datacenter: Some("dc1"),
        ..health("typed one/ü")
    };
    let found = client
        .health_service(&tagged)
        .await
        .unwrap()
        .value
        .remove(0);
    assert_eq!(
        (found.address.as_str(), found.port, found.weight_passing),
        ("10.0.0.7", 8443, 9)
    );
    assert_eq!(
        (found.datacenter.as_str(), found.maintenance),
        ("dc1", false)
    );
    assert!(
        client
            .health_service(&HealthQuery {
                tag: Some("none"),
                ..health("typed one/ü")
            })
            .await
            .unwrap()
            .value
            .is_empty()
    );

    client.deregister_service(&want.service.id).await.unwrap();
    client.deregister_service(&want.service.id).await.unwrap();
    assert!(
        client
            .agent_service(&want.service.id, None, SECOND)
            .await
            .unwrap()
            .is_none()
    );
    let elsewhere = HealthQuery {
        datacenter: Some("nowhere"),
        ..health("x")
    };
    let error = client.health_service(&elsewhere).await.unwrap_err();
    assert!(matches!(error, Error::Server { .. }) && error.retryable());
}

pub async fn reports_and_maintenance(consul: Arc<Consul>) {
    let client = consul.client();
    let mut want = registration("typed-two");
    want.checks.truncate(1);
    client.register_service(&want).await.unwrap();
    let is = async |wanted: (Status, bool)| {
        eventually(&format!("{wanted:?}"), || async {
            let found = client
                .health_service(&health("typed-two"))
                .await
                .unwrap()
                .value;
            found
                .first()
                .is_some_and(|found| (found.health, found.maintenance) == wanted)
        })
        .await
    };
    is((Status::Passing, false)).await;
    assert!(
        client
            .update_ttl("typed-two:devices", Status::Warning, "1 of 2 devices")
            .await
            .unwrap()
    );
    is((Status::Warning, false)).await;
    client
        .set_maintenance("typed-two", Some("drain & swap"))
        .await
        .unwrap();
    is((Status::Warning, true)).await;
    client.set_maintenance("typed-two", None).await.unwrap();
    is((Status::Warning, false)).await;
    assert!(
        !client
            .update_ttl("nobody:devices", Status::Passing, "")
            .await
            .unwrap()
    );
}

pub async fn a_blocking_query(consul: Arc<Consul>) {
    let client = consul.client();
    client
        .register_service(&registration("typed-three"))
        .await
        .unwrap();
    eventually("the servers know it", || async {
        !client
            .health_service(&health("typed-three"))
            .await
            .unwrap()
            .value
            .is_empty()
    })
    .await;
    let index = client
        .health_service(&health("typed-three"))
        .await
        .unwrap()
        .index;
    let query = HealthQuery {
        index,
        wait: 20 * SECOND,
        ..health("typed-three")
    };
    let start = Instant::now();
    let (answer, ()) = tokio::join!(client.health_service(&query), async {
        tokio::time::sleep(SECOND / 5).await;
        client.deregister_service("typed-three").await.unwrap();
    });
    assert!(answer.is_ok() && start.elapsed() < 10 * SECOND);
}

pub async fn a_hash_watch(consul: Arc<Consul>) {
    let client = consul.client();
    client
        .register_service(&registration("typed-four"))
        .await
        .unwrap();
    let first = client
        .agent_service("typed-four", None, SECOND)
        .await
        .unwrap()
        .unwrap();
    let start = Instant::now();
    let same = client
        .agent_service("typed-four", first.hash.as_deref(), SECOND / 2)
        .await
        .unwrap();
    assert_eq!(same, Some(first.clone()));
    assert!(start.elapsed() >= SECOND / 2);
    let (lost, ()) = tokio::join!(
        client.agent_service("typed-four", first.hash.as_deref(), 20 * SECOND),
        async {
            tokio::time::sleep(SECOND / 5).await;
            client.deregister_service("typed-four").await.unwrap();
        }
    );
    assert_eq!(lost.unwrap(), None);
    assert!(start.elapsed() < 10 * SECOND);
}
