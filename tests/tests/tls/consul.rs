//! TLS to the real Consul: what goes wrong is named for what it is.

use std::time::Duration;

use rackcast_consul::client::{Client, Config, Error, Tls};
use rackcast_service::tls::Reason;
use rackcast_tests::consul::Consul;
use rackcast_tests::pki::{Authority, Files, Wish};
use rackcast_tests::wait::wait_for;
use tokio_util::sync::CancellationToken;

const SERVER: &str = "server.dc1.consul";

/// A client that trusts these authorities and shows this certificate, if any.
fn client(consul: &Consul, files: &Files, certificate: bool, name: &str) -> Client {
    let own = |path| certificate.then_some(path);
    let config = Config {
        address: consul.https.clone(),
        tls: Tls {
            authorities: Some(files.authorities()),
            certificate: own(files.certificate()),
            key: own(files.key()),
            server_name: Some(name.to_owned()),
            reload_interval: Duration::from_millis(100),
        },
        ..Config::default()
    };
    Client::new(&config).unwrap()
}

async fn refused(client: &Client, reason: Reason) -> String {
    let error = client.agent_services().await.unwrap_err();
    let Error::Tls(refusal) = &error else {
        panic!("{error}")
    };
    assert_eq!(refusal.reason, reason, "{error}");
    assert!(!error.retryable(), "somebody must do something: {error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn consul_is_reached_over_tls_and_what_is_wrong_is_named() {
    let (ca, other) = (Authority::new("consul"), Authority::new("other"));
    let files = Files::new(&ca.issue(&Wish::of(&[SERVER])), &ca.pem);
    let consul = Consul::start_tls(&files).await;

    let own = Files::new(&ca.issue(&Wish::of(&["agent.dc1.consul"])), &ca.pem);
    let sound = client(&consul, &own, true, SERVER);
    sound.agent_services().await.unwrap();

    let why = refused(
        &client(&consul, &own, true, "consul.example"),
        Reason::WrongName,
    )
    .await;
    assert!(why.contains("consul.example"), "{why}");
    let strange = Files::new(&ca.issue(&Wish::of(&["agent.dc1.consul"])), &other.pem);
    let strange = client(&consul, &strange, true, SERVER);
    refused(&strange, Reason::UnknownAuthority).await;
    let why = refused(&client(&consul, &own, false, SERVER), Reason::RefusedUs).await;
    assert!(why.contains("it refused us"), "{why}");
    let foreign = Files::new(&other.issue(&Wish::of(&["agent.dc1.consul"])), &ca.pem);
    let turned = client(&consul, &foreign, true, SERVER);
    refused(&turned, Reason::RefusedUs).await;

    // The same client with a certificate that Consul takes, once it has noticed that.
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(turned.certificates().unwrap().watch(stop));
    foreign.replace(&ca.issue(&Wish::of(&["agent.dc1.consul"])));
    let limit = Duration::from_secs(20);
    wait_for("Consul to take the new certificate", limit, || async {
        turned.agent_services().await.ok().map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consul_whose_certificate_has_expired_is_refused() {
    let ca = Authority::new("consul");
    let files = Files::new(&ca.issue(&Wish::of(&[SERVER]).expired()), &ca.pem);
    let consul = Consul::start_tls(&files).await;
    let own = Files::new(&ca.issue(&Wish::of(&["agent.dc1.consul"])), &ca.pem);
    refused(&client(&consul, &own, true, SERVER), Reason::Expired).await;
}
