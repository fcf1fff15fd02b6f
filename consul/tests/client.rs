//! The client against servers that misbehave, and against the real Consul's ACLs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test"
)]
#![allow(unreachable_pub, reason = "modules of a test binary")]

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rackcast_consul::client::{Client, Config, Error, HealthQuery};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use common::real::{self, RealConsul};
use common::{eventually, http};

type Requests = Arc<Mutex<Vec<String>>>;

/// Notes one request and answers it with the same bytes as every other.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: &[u8], seen: &Requests) {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap_or(0);
    request.truncate(length);
    seen.lock()
        .unwrap()
        .push(String::from_utf8_lossy(&request).into_owned());
    let _ = stream.write_all(reply).await;
    // Stays open: an answer that is not complete stays so.
    let _ = stream.read(&mut [0; 16]).await;
}

async fn server(reply: impl Into<Vec<u8>>) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, reply) = (Requests::default(), reply.into());
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reply, seen) = (reply.clone(), Arc::clone(&seen));
            tokio::spawn(async move { answer(stream, &reply, &seen).await });
        }
    });
    (address, requests)
}

fn config(address: SocketAddr) -> Config {
    Config {
        address: format!("http://{address}"),
        timeout: Duration::from_secs(10),
        ..Config::default()
    }
}

/// One that loses its patience soon.
fn impatient(address: SocketAddr) -> Client {
    let timeout = Duration::from_millis(500);
    Client::new(&Config {
        timeout,
        ..config(address)
    })
    .unwrap()
}

fn client(address: SocketAddr) -> Client {
    Client::new(&config(address)).unwrap()
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

fn web() -> HealthQuery<'static> {
    HealthQuery {
        service: "web",
        ..HealthQuery::default()
    }
}

#[tokio::test]
async fn a_stalled_body_does_not_hold_the_caller() {
    let (address, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":").await;
    let start = Instant::now();
    let error = impatient(address).agent_services().await.unwrap_err();
    assert!(
        matches!(error, Error::TimedOut(_)) && error.retryable(),
        "{error}"
    );
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_silent_server_does_not_hold_the_caller() {
    let (address, _) = server("").await;
    let error = impatient(address).agent_services().await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
}

#[tokio::test]
async fn an_absent_agent_is_unreachable() {
    // The port is ours, and nobody listens there.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = closed.local_addr().unwrap();
    let error = client(address).agent_services().await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable(_)) && error.retryable(),
        "{error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let (address, _) = server(reply("200 OK", "", &"x".repeat(2_000))).await;
    let client = Client::new(&Config {
        answer_limit: 1_000,
        ..config(address)
    })
    .unwrap();
    let error = client.agent_services().await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(1_000)), "{error}");
}

#[tokio::test]
async fn answers_are_told_apart() {
    for (status, body, wanted) in [
        ("429 Too Many Requests", "slow down", "rate limited"),
        ("403 Forbidden", "Permission denied", "forbidden"),
        (
            "400 Bad Request",
            "json: unknown field \"Ports\"",
            "unknown field \"Ports\"",
        ),
        (
            "500 Internal Server Error",
            "No cluster leader",
            "No cluster leader",
        ),
        ("200 OK", "<html>", "not understood"),
    ] {
        let (address, _) = server(reply(status, "", body)).await;
        let error = client(address)
            .agent_services()
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{status}: {error}");
    }
}

#[tokio::test]
async fn a_newer_version_says_that_it_filtered() {
    let headers = "X-Consul-Index: 7\r\nX-Consul-Results-Filtered-By-ACLs: true\r\n";
    let (address, _) = server(reply("200 OK", headers, "[]")).await;
    let error = client(address).health_service(&web()).await.unwrap_err();
    assert!(matches!(error, Error::AclFiltered), "{error}");
}

#[tokio::test]
async fn an_older_version_is_found_out_by_its_nodes() {
    let (address, seen) = server(reply("200 OK", "X-Consul-Index: 7\r\n", "[]")).await;
    let error = client(address).health_service(&web()).await.unwrap_err();
    assert!(matches!(error, Error::AclFiltered), "{error}");
    assert!(seen.lock().unwrap()[1].starts_with("GET /v1/catalog/nodes "));
}

#[tokio::test]
async fn an_answer_without_an_index_is_no_answer() {
    let body = r#"[{"Node":{"Node":"n"},"Service":{"ID":"a"},"Checks":null}]"#;
    let (address, _) = server(reply("200 OK", "", body)).await;
    let error = client(address).health_service(&web()).await.unwrap_err();
    assert!(error.to_string().contains("X-Consul-Index"), "{error}");
}

#[tokio::test]
async fn the_token_is_read_anew_and_never_shown() {
    let (address, seen) = server(reply("200 OK", "", "{}")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let token_file = Some(file.path().to_owned());
    let client = Client::new(&Config {
        token_file,
        ..config(address)
    })
    .unwrap();
    for token in ["first-token", "second-token"] {
        std::fs::write(file.path(), format!("{token}\n")).unwrap();
        client.agent_services().await.unwrap();
        let request = seen.lock().unwrap().pop().unwrap().to_lowercase();
        assert!(
            request.contains(&format!("x-consul-token: {token}\r\n")),
            "{request}"
        );
        assert!(request.contains("accept-encoding: gzip\r\n"), "{request}");
        assert!(!request.contains("?token"));
    }
    assert!(!format!("{client:?}").contains("token"));
    std::fs::write(file.path(), "\n").unwrap();
    assert!(matches!(
        client.agent_services().await,
        Err(Error::Token(_))
    ));
}

#[tokio::test]
async fn a_unix_socket_is_as_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consul.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer(
            stream,
            reply("200 OK", "", "{}").as_bytes(),
            &Requests::default(),
        )
        .await;
    });
    let address = format!("unix://{}", path.display());
    let client = Client::new(&Config {
        address,
        ..Config::default()
    })
    .unwrap();
    assert!(client.agent_services().await.unwrap().is_empty());
}

/// Under default-deny ACLs the real Consul answers `200 []` to whoever has no token.
#[tokio::test]
async fn real_acls() {
    const ROOT: &str = "5a6b0f6e-1111-4222-8333-444455556666";
    if !real::wanted("ACLs") {
        return;
    }
    let acl = format!(
        r#"{{ "acl": {{ "enabled": true, "default_policy": "deny", "tokens": {{ "master": "{ROOT}" }} }},
             "addresses": {{ "http": "127.0.0.1 unix://HOME/http.sock" }} }}"#
    );
    let consul = RealConsul::start_with(None, &acl).await;
    let root = [("X-Consul-Token", ROOT)];
    eventually("the root token is known", || async {
        let path = "/v1/acl/token/self";
        http::send("GET", consul.address, path, &root, "")
            .await
            .is_ok_and(|r| r.status == 200)
    })
    .await;
    let body = r#"{ "Name": "web", "ID": "web" }"#;
    let path = "/v1/agent/service/register";
    let put = http::send("PUT", consul.address, path, &root, body)
        .await
        .unwrap();
    assert_eq!(put.status, 200, "{}", put.text());

    let raw = http::send("GET", consul.address, "/v1/health/service/web", &[], "")
        .await
        .unwrap();
    assert_eq!((raw.status, raw.text().as_str()), (200, "[]"));
    let error = client(consul.address)
        .health_service(&web())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AclFiltered), "{error}");
    let error = client(consul.address).agent_checks().await;
    assert!(error.is_ok_and(|checks| checks.is_empty()));

    let file = tempfile::NamedTempFile::new().unwrap();
    let with_token = Client::new(&Config {
        address: format!("unix://{}/http.sock", consul.home.path().display()),
        token_file: Some(file.path().to_owned()),
        ..Config::default()
    })
    .unwrap();
    std::fs::write(file.path(), "00000000-1111-4222-8333-444455556666").unwrap();
    let error = with_token.health_service(&web()).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error}");
    std::fs::write(file.path(), ROOT).unwrap();
    eventually("the service is seen", || async {
        with_token
            .health_service(&web())
            .await
            .is_ok_and(|found| found.value.len() == 1)
    })
    .await;
}
