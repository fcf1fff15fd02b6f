use std::path::Path;
use std::time::Instant;

use rackcast_service::status::Health;

use super::*;
use crate::board::Verdict;

fn status() -> ServiceStatus {
    let at = |text: &str| text.parse().unwrap();
    ServiceStatus {
        role: Role::Transcode,
        instance: "0".into(),
        node: "rack-1".into(),
        version: "0.1.0".into(),
        pid: 1,
        protocol: 1,
        ready: true,
        draining: false,
        health: Health::passing("2 devices"),
        endpoints: [
            ("segments".to_owned(), at("0.0.0.0:4433")),
            ("admin".to_owned(), at("[::]:9612")),
        ]
        .into(),
        tags: vec!["h264".into(), "cpu".into(), "h264".into()],
        meta: [
            ("slots".to_owned(), "2".to_owned()),
            ("version".to_owned(), "a lie".to_owned()),
            ("not a key".to_owned(), "x".to_owned()),
            ("long".to_owned(), "x".repeat(513)),
        ]
        .into(),
        weight: 3,
        progress: 1,
        still_ms: None,
        beat_ms: 0,
        work: 0,
        devices: Vec::new(),
        gpu_driver: String::new(),
        generations: Vec::new(),
        waiting: Default::default(),
    }
}

fn desired(status: &ServiceStatus, config: &Config) -> Option<Desired> {
    let verdict = Verdict {
        state: status.health.state,
        reason: status.health.summary.clone(),
    };
    let socket = Path::new("/s");
    let judged = Judged {
        socket,
        status,
        running: true,
        verdict,
        asked: Instant::now(),
    };
    Registrar::new(config).desired(&judged, &Order::default(), None)
}

#[test]
fn a_transcode_node_is_registered_as_it_says() {
    let config = Config {
        node: "m7".into(),
        zone: "hall-2".into(),
        ..Config::default()
    };
    let desired = desired(&status(), &config).unwrap();
    let service = &desired.registration.service;
    assert_eq!(service.id, "rackcast-transcode-rack-1-0");
    assert_eq!(service.name, "rackcast-transcode");
    assert_eq!((service.address.as_str(), service.port), ("", 4433));
    assert_eq!(service.tags, ["cpu", "h264", "zone-hall-2"]);
    assert_eq!(
        service.weights,
        Weights {
            passing: 3,
            warning: 2
        }
    );
    let meta: Vec<_> = service
        .meta
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let expected = [
        "admin-port=9612",
        "machine=m7",
        "protocol=1",
        "slots=2",
        "version=0.1.0",
        "zone=hall-2",
    ];
    assert_eq!(meta, expected);
    let [devices, healthz] = &desired.registration.checks[..] else {
        panic!("two checks")
    };
    assert_eq!(devices.id, "rackcast-transcode-rack-1-0:devices");
    assert!(matches!(&healthz.kind, CheckKind::Http { url, .. }
        if url == "http://[::1]:9612/healthz"));
    let [report] = &desired.reports[..] else {
        panic!("one report")
    };
    assert_eq!(
        (&report.check, report.status),
        (&devices.id, Status::Passing)
    );
    assert_eq!(report.output, "2 devices");
    assert_eq!(desired.maintenance, None);
}

#[test]
fn health_and_drain_leave_the_registration_as_it_is() {
    let config = Config::default();
    let before = desired(&status(), &config).unwrap();
    let ill = ServiceStatus {
        health: Health::critical("no device"),
        draining: true,
        progress: 2,
        ..status()
    };
    let after = desired(&ill, &config).unwrap();
    assert_eq!(before.registration, after.registration);
    assert_eq!(after.reports[0].status, Status::Critical);
    assert!(after.maintenance.is_some());
}

#[test]
fn a_wildcard_address_is_advertised_as_configured_and_a_real_one_as_bound() {
    let config = Config {
        advertise: "192.0.2.7".into(),
        ..Config::default()
    };
    let address = |status| {
        desired(&status, &config)
            .unwrap()
            .registration
            .service
            .address
    };
    assert_eq!(address(status()), "192.0.2.7");
    let mut bound = status();
    bound
        .endpoints
        .insert("segments".into(), "127.0.0.1:4433".parse().unwrap());
    assert_eq!(address(bound), "127.0.0.1");
}

#[test]
fn an_endpoint_that_listens_elsewhere_says_where() {
    let address = |segments: &str, admin: &str| {
        let mut bound = status();
        let at = |text: &str| text.parse().unwrap();
        bound.endpoints.insert("segments".into(), at(segments));
        bound.endpoints.insert("admin".into(), at(admin));
        let desired = desired(&bound, &Config::default()).unwrap();
        let meta = desired.registration.service.meta;
        meta.get("admin-address").cloned()
    };
    let loopback = Some("127.0.0.1".to_owned());
    assert_eq!(address("0.0.0.0:4433", "127.0.0.1:9612"), loopback);
    assert_eq!(address("0.0.0.0:4433", "0.0.0.0:9612"), None);
    assert_eq!(address("127.0.0.1:4433", "127.0.0.1:9612"), None);
}

#[test]
fn the_check_sums_up_the_service_its_devices_and_the_machine() {
    use rackcast_service::status::{Device, DeviceState, Gpu};
    let device = |number: usize, state| Device {
        name: format!("nvidia-{number}"),
        kind: "nvidia".into(),
        state,
        reason: "it is gone".into(),
        gpu: Some(Gpu {
            temperature_c: Some(95),
            ..Gpu::default()
        }),
    };
    let report = |devices: Vec<Device>, machine: Option<Finding>| {
        let status = ServiceStatus {
            devices,
            ..status()
        };
        let judged = Judged {
            socket: Path::new("/s"),
            status: &status,
            running: true,
            verdict: Verdict {
                state: HealthState::Passing,
                reason: "up".into(),
            },
            asked: Instant::now(),
        };
        let registrar = Registrar::new(&Config::default());
        let desired = registrar.desired(&judged, &Order::default(), machine.as_ref());
        let report = desired.unwrap().reports.remove(0);
        format!("{}: {}", report.status, report.output)
    };
    assert_eq!(report(Vec::new(), None), "passing: up");
    let full = Finding::warning("/: less than 5 % is free");
    assert_eq!(
        report(Vec::new(), Some(full)),
        "warning: up; /: less than 5 % is free"
    );
    let lost = device(0, DeviceState::Failed);
    assert_eq!(
        report(vec![lost.clone()], None),
        "critical: up; 1 of 1 devices failed; nvidia-0: it is gone; nvidia-0 is at 90 °C or above"
    );
    let one = report(vec![lost, device(1, DeviceState::Working)], None);
    assert!(
        one.starts_with("warning: up; 1 of 2 devices failed"),
        "{one}"
    );
}

#[test]
fn what_cannot_be_called_is_not_registered() {
    let config = Config::default();
    let ingest = ServiceStatus {
        role: Role::Ingest,
        ..status()
    };
    assert!(desired(&ingest, &config).is_none(), "no rtmp endpoint");
    let agent = ServiceStatus {
        role: Role::Agent,
        ..status()
    };
    assert!(desired(&agent, &config).is_none());
}
