//! Each kind of peer that must not be believed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rackcast_service::status::Role;
use rackcast_service::tls::{Identity, Reason, Refusal, ServerConfig, Tier};
use rackcast_tests::pki::{Authority, Files, Leaf, Wish, member};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pair::{CALLER, Client, NODE, Server, sound};

fn node() -> Identity {
    member(Role::Transcode, NODE)
}

fn caller() -> Identity {
    member(Role::Ingest, CALLER)
}

/// Calls with whatever certificate and believes any node, as an intruder would.
pub(crate) async fn intrude(node: SocketAddr, leaf: Option<&Leaf>) -> std::io::Result<()> {
    #[derive(Debug)]
    struct Credulous(Arc<rustls::crypto::CryptoProvider>);
    impl rustls::client::danger::ServerCertVerifier for Credulous {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)));
    let mut config = match leaf {
        None => config.with_no_client_auth(),
        Some(leaf) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("any.example").unwrap();
    let mut stream = connector
        .connect(name, TcpStream::connect(node).await?)
        .await?;
    stream.read_u8().await.map(drop)
}

/// The node refuses the caller for this reason, and counts it.
async fn assert_caller_refused(leaf: Option<&Leaf>, authority: &Authority, reason: Reason) {
    let (server, _) = sound(authority).await;
    let (answered, called) = tokio::join!(server.answer(), intrude(server.address(), leaf));
    let refusal = answered.map(drop).unwrap_err();
    assert_eq!(refusal.reason, reason, "{refusal}");
    assert!(called.is_err(), "the caller was let in");
    assert_eq!(server.refused(reason), 1);
}

/// The ingest refuses a node that shows this certificate, and counts it.
async fn assert_node_refused(leaf: &Leaf, authority: &Authority, reason: Reason) -> Refusal {
    let (_, client) = sound(authority).await;
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(
        vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()],
        PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap(),
    )
    .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let (server, _) = sound(authority).await;
    let wanted = node();
    let impostor = async {
        let (socket, _) = server.listener.accept().await.unwrap();
        let mut stream = acceptor.accept(socket).await?;
        stream.write_all(b"hello").await?;
        stream.read_u8().await
    };
    let (_, called) = tokio::join!(impostor, client.call(&server, &wanted));
    let refusal = called.map(drop).unwrap_err();
    assert_eq!(refusal.reason, reason, "{refusal}");
    assert_eq!(client.refused(reason), 1);
    refusal
}

#[tokio::test]
async fn members_of_one_fleet_meet_and_know_each_other() {
    let (server, client) = sound(&Authority::new("fleet")).await;
    let wanted = node();
    let (answered, called) = tokio::join!(server.answer(), client.call(&server, &wanted));
    assert_eq!(answered.unwrap().peer(), Some(caller()));
    let mut stream = called.unwrap();
    assert_eq!(stream.peer(), Some(wanted));
    assert!(stream.is_h2());
    let mut word = [0; 5];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"hello", "what came with the handshake is not lost");
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_refused() {
    let fleet = Authority::new("fleet");
    assert_caller_refused(None, &fleet, Reason::NoCertificate).await;
}

#[tokio::test]
async fn a_caller_of_another_authority_is_refused() {
    let (fleet, other) = (Authority::new("fleet"), Authority::new("other"));
    let leaf = other.member(&caller());
    assert_caller_refused(Some(&leaf), &fleet, Reason::UnknownAuthority).await;
}

#[tokio::test]
async fn a_caller_whose_certificate_has_expired_is_refused() {
    let fleet = Authority::new("fleet");
    let leaf = fleet.issue(&Wish::of(&[&caller().to_string()]).expired());
    assert_caller_refused(Some(&leaf), &fleet, Reason::Expired).await;
}

#[tokio::test]
async fn a_caller_with_another_role_is_refused() {
    let fleet = Authority::new("fleet");
    let leaf = fleet.member(&member(Role::Transcode, CALLER));
    assert_caller_refused(Some(&leaf), &fleet, Reason::WrongRole).await;
}

#[tokio::test]
async fn a_caller_of_another_trust_domain_is_refused() {
    let fleet = Authority::new("fleet");
    let domain = "other.example".to_owned();
    let leaf = fleet.member(&Identity { domain, ..caller() });
    assert_caller_refused(Some(&leaf), &fleet, Reason::WrongDomain).await;
}

#[tokio::test]
async fn a_caller_whose_certificate_names_no_member_is_refused() {
    let fleet = Authority::new("fleet");
    let leaf = fleet.issue(&Wish::of(&["edge-1.fleet.example"]));
    assert_caller_refused(Some(&leaf), &fleet, Reason::NoIdentity).await;
}

#[tokio::test]
async fn a_caller_that_speaks_no_tls_is_refused() {
    let (server, _) = sound(&Authority::new("fleet")).await;
    let call = async {
        let mut socket = server.connect().await;
        socket
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
    };
    let (answered, ()) = tokio::join!(server.answer(), call);
    assert_eq!(answered.map(drop).unwrap_err().reason, Reason::NotTls);
    assert_eq!(server.refused(Reason::NotTls), 1);
}

#[tokio::test]
async fn a_node_with_another_nodes_name_is_refused() {
    let fleet = Authority::new("fleet");
    let leaf = fleet.member(&member(Role::Transcode, "gpu-2"));
    let refusal = assert_node_refused(&leaf, &fleet, Reason::WrongNode).await;
    let names = ["/gpu-2, and", "/gpu-1 was called"];
    assert!(
        names.iter().all(|name| refusal.detail.contains(name)),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_node_of_another_authority_is_refused() {
    let (fleet, other) = (Authority::new("fleet"), Authority::new("other"));
    assert_node_refused(&other.member(&node()), &fleet, Reason::UnknownAuthority).await;
}

#[tokio::test]
async fn a_node_whose_certificate_has_expired_is_refused() {
    let fleet = Authority::new("fleet");
    let leaf = fleet.issue(&Wish::of(&[&node().to_string()]).expired());
    assert_node_refused(&leaf, &fleet, Reason::Expired).await;
}

#[tokio::test]
async fn an_ingest_that_poses_as_a_node_is_refused() {
    let fleet = Authority::new("fleet");
    let leaf = fleet.member(&member(Role::Ingest, NODE));
    assert_node_refused(&leaf, &fleet, Reason::WrongRole).await;
}

#[tokio::test]
async fn a_node_of_less_trust_than_the_catalog_says_is_refused() {
    let fleet = Authority::new("fleet");
    let leaf = fleet.member(&Identity {
        tier: Tier::ThirdParty,
        ..node()
    });
    assert_node_refused(&leaf, &fleet, Reason::WrongTier).await;
}

#[tokio::test]
async fn an_ingest_that_is_refused_knows_it_before_it_sends_anything() {
    let (fleet, other) = (Authority::new("fleet"), Authority::new("other"));
    let (server, _) = sound(&fleet).await;
    // It knows the node's authority and has its own certificate from another.
    let files = Files::new(&other.member(&caller()), &(fleet.pem.clone() + &other.pem));
    let client = Client::new(&files.client(), &caller());
    let wanted = node();
    let (answered, called) = tokio::join!(server.answer(), client.call(&server, &wanted));
    assert_eq!(
        answered.map(drop).unwrap_err().reason,
        Reason::UnknownAuthority
    );
    let refusal = called.map(drop).unwrap_err();
    assert_eq!(refusal.reason, Reason::RefusedUs);
    assert!(refusal.detail.contains("authority is unknown"), "{refusal}");
}

#[tokio::test]
async fn handshakes_are_bounded_in_time_and_number() {
    let fleet = Authority::new("fleet");
    let files = Files::new(&fleet.member(&node()), &fleet.pem);
    let config = ServerConfig {
        handshake_timeout: Duration::from_millis(300),
        max_handshakes: 1,
        ..files.server()
    };
    let server = Server::limited(&files, &node(), &config).await;
    // Two that say nothing: one has the turn, the other waits for it.
    let (_first, _second) = (server.connect().await, server.connect().await);
    let (first, second) = tokio::join!(server.answer(), server.answer());
    for answered in [first, second] {
        assert_eq!(answered.map(drop).unwrap_err().reason, Reason::Timeout);
    }
    assert_eq!(server.refused(Reason::Timeout), 2);
}
