//! Who may publish.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rackcast_ingest::auth::{AuthError, AuthRequest, Authoriser, Config, Denied, Grant};
use tokio::net::{TcpListener, TcpSocket};

fn config(toml: &str) -> Config {
    toml::from_str(toml).unwrap()
}

async fn ask(authoriser: &Authoriser, name: &str) -> Result<Grant, Denied> {
    let request = AuthRequest {
        app: &"live".parse().unwrap(),
        name_and_query: name,
        peer: SocketAddr::from(([192, 0, 2, 7], 4321)),
        protocol: "rtmp",
    };
    assert!(
        !format!("{request:?}").contains("s3cret"),
        "keys are not printed"
    );
    authoriser.authorise(request).await
}

async fn named(authoriser: &Authoriser, name: &str) -> Option<String> {
    ask(authoriser, name)
        .await
        .ok()
        .map(|grant| grant.name.to_string())
}

#[tokio::test]
async fn by_default_nobody_may_publish() {
    let nobody = Authoriser::new(&Config::default()).unwrap();
    for name in ["show", "show?key=", "", "?key="] {
        assert!(ask(&nobody, name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn open_lets_everyone_in_under_a_good_name() {
    let open = Authoriser::new(&config("mode = 'open'")).unwrap();
    assert_eq!(named(&open, "show").await.as_deref(), Some("show"));
    assert_eq!(named(&open, "show?key=x").await.as_deref(), Some("show"));
    for bad in ["", "..", "a/b", "a\0", &"x".repeat(200)] {
        assert!(
            matches!(ask(&open, bad).await, Err(Denied::Name(_))),
            "{bad}"
        );
    }
}

const TABLE: &str = "
    mode = 'table'
    [[streams]]
    app = 'live'
    stream = 'show'
    key = 's3cret one'
    ladder = '360p@800k'
    [[streams]]
    app = 'live'
    stream = 'game-*'
    key = 's3cret-two'
    [[streams]]
    app = 'other'
    stream = '*'
    key = 's3cret-three'
";

#[tokio::test]
async fn a_table_knows_keys_with_names_and_alone() {
    let table = Authoriser::new(&config(TABLE)).unwrap();
    let grant = ask(&table, "show?key=s3cret%20one").await.unwrap();
    assert_eq!(grant.ladder.unwrap().rungs().len(), 1);
    assert_eq!(
        named(&table, "s3cret one").await.as_deref(),
        Some("show"),
        "the key alone"
    );
    assert_eq!(
        named(&table, "game-7?x=y&key=s3cret-two").await.as_deref(),
        Some("game-7")
    );
    for refused in [
        "show",
        "show?key=",
        "show?key=s3cret-two",
        "show?KEY=s3cret+one",
        "game-7?key=s3cret+one",
        "s3cret-two",           // opens many: which?
        "any?key=s3cret-three", // of another application
        "s3cret-three",
    ] {
        let denied = ask(&table, refused).await.unwrap_err();
        assert!(
            !denied.retryable() && !denied.to_string().contains("s3cret"),
            "{refused}"
        );
    }
    assert!(!format!("{table:?} {:?}", config(TABLE)).contains("s3cret"));
}

#[test]
fn contradictions_are_refused() {
    for (toml, says) in [
        ("mode = 'webhook'", "auth.webhook.url"),
        (
            "mode = 'webhook'\nwebhook.url = 'https://a.invalid/'",
            "http://",
        ),
        ("webhook.concurrency = 0", "concurrency"),
        (
            "mode = 'open'\n[[streams]]\napp = 'a'\nstream = 'b'\nkey = 'c'",
            "nothing would read",
        ),
        (
            "[[streams]]\napp = 'a'\nstream = 'b'",
            "either key or key_file",
        ),
        ("[[streams]]\napp = 'a'\nstream = 'b'\nkey = ''", "empty"),
        ("[[streams]]\napp = 'a'\nstream = 'b/c'\nkey = 'd'", "'/'"),
    ] {
        let error = config(toml).check().unwrap_err();
        assert!(error.contains(says), "{toml}: {error}");
    }
    let missing = config("[[streams]]\napp = 'a'\nstream = 'b'\nkey_file = '/nonexistent/key'");
    assert!(matches!(
        Authoriser::new(&missing),
        Err(AuthError::KeyFile { .. })
    ));
    assert!(toml::from_str::<Config>("mode = 'none'").is_err());
    assert!(toml::from_str::<Config>("keys = 1").is_err());
}

type Asked = Arc<Mutex<Vec<serde_json::Value>>>;

/// A webhook that answers by the stream's name.
async fn webhook() -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let log = Arc::clone(&log);
            let service = service_fn(move |request| answer(request, Arc::clone(&log)));
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service));
        }
    });
    (address, asked)
}

async fn answer(
    request: Request<Incoming>,
    log: Asked,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let question: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let stream = question["stream"].as_str().unwrap().to_owned();
    log.lock().unwrap().push(question);
    let (status, body) = match stream.as_str() {
        "s3cret" => (
            200,
            r#"{"name": "mapped", "ladder": "240p@400k"}"#.to_owned(),
        ),
        "silent" => (200, String::new()),
        "denied" => (403, r#"{"reason": "not\u001b today"}"#.to_owned()),
        "unknown" => (401, "who?".to_owned()),
        "odd" => (200, "[]".to_owned()),
        "evil" => (200, r#"{"name": "../etc"}"#.to_owned()),
        "large" => (200, " ".repeat(100_000)),
        "slow" => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            (200, String::new())
        }
        _ => (500, String::new()),
    };
    Ok(Response::builder()
        .status(status)
        .body(Full::from(body))
        .unwrap())
}

#[tokio::test]
async fn a_webhook_decides() {
    let (address, asked) = webhook().await;
    let hook = format!("mode = 'webhook'\nwebhook.url = 'http://{address}/auth'");
    let hook = Authoriser::new(&config(&(hook + "\nwebhook.timeout = '2s'"))).unwrap();

    let grant = ask(&hook, "s3cret").await.unwrap();
    assert_eq!(
        (grant.name.as_str(), grant.ladder.unwrap().rungs().len()),
        ("mapped", 1)
    );
    assert_eq!(
        named(&hook, "silent?key=k").await.as_deref(),
        Some("silent")
    );
    let question = asked.lock().unwrap()[1].clone();
    let expected = serde_json::json!({
        "app": "live", "stream": "silent", "query": "key=k",
        "peer": "192.0.2.7:4321", "protocol": "rtmp",
    });
    assert_eq!(question, expected);

    let why = ask(&hook, "denied?key=k").await.unwrap_err();
    assert_eq!(why, Denied::Refused("not today".to_owned()));
    assert_eq!(
        ask(&hook, "unknown").await,
        Err(Denied::Refused("refused".to_owned()))
    );
    for unavailable in ["silent", "odd?a", "evil?a", "large?a", "slow?a", "broken?a"] {
        let why = ask(&hook, unavailable).await.unwrap_err();
        assert!(why.retryable(), "{unavailable}: {why}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_away_denies_and_can_be_tried_again() {
    // The port is ours, and nobody listens there.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let gone = closed.local_addr().unwrap();
    let hook = format!("mode = 'webhook'\nwebhook.url = 'http://{gone}/'");
    let hook = Authoriser::new(&config(&hook)).unwrap();
    assert!(ask(&hook, "show?key=k").await.unwrap_err().retryable());
}
