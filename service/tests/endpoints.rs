//! The status socket and the admin address, as their readers see them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;

use prometheus::Registry;
use rackcast_service::status::{self, FetchError, Health, Role, ServiceStatus};
use rackcast_service::{admin, metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn a_status() -> ServiceStatus {
    let admin: SocketAddr = "127.0.0.1:9100".parse().unwrap();
    ServiceStatus {
        role: Role::Transcode,
        instance: "0".into(),
        node: "rack-1".into(),
        version: "0.1.0".into(),
        pid: 7,
        protocol: 1,
        ready: true,
        draining: false,
        health: Health::passing("2 devices"),
        endpoints: [("admin".to_owned(), admin)].into(),
        tags: vec!["cpu".into()],
        meta: [("slots".to_owned(), "2".to_owned())].into(),
        weight: 2,
        progress: 0,
        still_ms: None,
        beat_ms: 0,
        work: 0,
        devices: Vec::new(),
        gpu_driver: String::new(),
        generations: Vec::new(),
        waiting: Default::default(),
    }
}

async fn get(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    format!("{} {body}", head.split(' ').nth(1).unwrap())
}

#[tokio::test]
async fn the_admin_address_tells_alive_from_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let registry = Registry::new();
    metrics::build_info(&registry, "transcode", "0.1.0").unwrap();
    let (said, heard) = watch::channel(ServiceStatus {
        ready: false,
        ..a_status()
    });
    let shutdown = CancellationToken::new();
    let serving = admin::serve(listener, registry, heard, shutdown.clone());

    assert_eq!(
        get(address, "GET /healthz").await,
        "200 passing: 2 devices\n"
    );
    assert_eq!(
        get(address, "GET /readyz").await,
        "503 starting: not ready yet\n"
    );
    said.send(a_status()).unwrap();
    assert_eq!(get(address, "GET /readyz").await, "200 ready\n");
    said.send(ServiceStatus {
        draining: true,
        ..a_status()
    })
    .unwrap();
    assert_eq!(
        get(address, "GET /readyz").await,
        "503 draining: takes no new work\n"
    );
    assert_eq!(
        get(address, "GET /healthz").await,
        "200 passing: 2 devices\n"
    );
    said.send(ServiceStatus {
        health: Health::critical("no device"),
        ..a_status()
    })
    .unwrap();
    assert_eq!(
        get(address, "GET /healthz").await,
        "503 critical: no device\n"
    );
    assert_eq!(
        get(address, "GET /readyz").await,
        "503 critical: no device\n"
    );

    let exposition = get(address, "GET /metrics").await;
    let info = "rackcast_build_info{role=\"transcode\",version=\"0.1.0\"} 1";
    assert!(
        exposition.starts_with("200") && exposition.contains(info),
        "{exposition}"
    );
    assert!(get(address, "GET /other").await.starts_with("404"));
    assert!(get(address, "POST /metrics").await.starts_with("405"));

    shutdown.cancel();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_status_socket_shows_the_newest_status_and_goes_with_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transcode.sock");
    let (said, heard) = watch::channel(a_status());
    let shutdown = CancellationToken::new();
    let serving = status::serve(&path, heard, shutdown.clone()).unwrap();

    let told = async || {
        let told = status::fetch(&path).await.unwrap();
        assert!(told.still_ms.is_some(), "{told:?}");
        ServiceStatus {
            still_ms: None,
            ..told
        }
    };
    assert_eq!(told().await, a_status());
    let critical = ServiceStatus {
        health: Health::critical("no device"),
        ..a_status()
    };
    said.send(critical.clone()).unwrap();
    assert_eq!(told().await, critical);

    shutdown.cancel();
    serving.await.unwrap();
    assert!(!path.exists());
    assert!(status::fetch(&path).await.unwrap_err().is_absent());
}

#[tokio::test]
async fn a_service_that_has_more_callers_than_it_takes_is_there() {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
    use nix::sys::socket::{bind, listen, socket};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transcode.sock");
    assert!(status::fetch(&path).await.unwrap_err().is_absent());
    let kind = (AddressFamily::Unix, SockType::Stream, SockFlag::empty());
    let listener = socket(kind.0, kind.1, kind.2, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    let refused = status::fetch(&path).await.unwrap_err();
    assert!(refused.is_absent(), "nobody listens: {refused}");

    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let _first = tokio::net::UnixStream::connect(&path).await.unwrap();
    let full = status::fetch(&path).await.unwrap_err();
    assert!(matches!(full, FetchError::Connect(_)), "{full}");
    assert!(!full.is_absent());
}

#[tokio::test]
async fn who_may_not_say_what_it_says_is_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transcode.sock");
    let (_said, heard) = watch::channel(a_status());
    let shutdown = CancellationToken::new();
    let serving = status::serve(&path, heard, shutdown.clone()).unwrap();

    let me = nix::unistd::geteuid().as_raw();
    let mine = |uid, role| uid == me && role == a_status().role;
    status::fetch_from(&path, mine).await.unwrap();
    let refused = status::fetch_from(&path, |uid, role| !mine(uid, role)).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, FetchError::Stranger { uid, role } if uid == me && role == a_status().role),
        "{refused}"
    );
    assert!(!refused.is_absent());
    shutdown.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_served_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "left behind");
    let (_said, heard) = watch::channel(a_status());
    let shutdown = CancellationToken::new();
    let serving = status::serve(&path, heard.clone(), shutdown.clone()).unwrap();
    let second = status::serve(&path, heard.clone(), shutdown.clone());
    assert_eq!(second.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    assert!(
        status::fetch(&path).await.is_ok(),
        "the first one still answers"
    );
    shutdown.cancel();
    serving.await.unwrap();

    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(status::serve(&file, heard, CancellationToken::new()).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_or_babbles_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let answer = async |name: &'static str, said: &'static [u8]| {
        let path = folder.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .read_buf(&mut Vec::with_capacity(1024))
                .await
                .unwrap();
            stream.write_all(said).await.unwrap();
            let more = if name == "endless" { usize::MAX } else { 0 };
            for _ in 0..more {
                stream.write_all(&[b' '; 4096]).await?;
            }
            std::future::pending::<std::io::Result<()>>().await
        });
        fetch_error(&path).await
    };
    assert!(answer("hangs", b"").await.contains("did not answer"));
    assert!(
        answer("babbles", b"\0\0\0\r\n\r\n")
            .await
            .contains("could not be read")
    );
    let refusal = b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n";
    assert!(answer("refuses", refusal).await.contains("answered 500"));
    let other = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    assert!(answer("other", other).await.contains("not understood"));
    let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n";
    assert!(
        answer("endless", endless)
            .await
            .contains("could not be read")
    );
}

async fn fetch_error(path: &Path) -> String {
    status::fetch(path).await.unwrap_err().to_string()
}
