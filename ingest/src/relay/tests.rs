//! A relay before real sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use super::*;

type Made = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// A process that answers all requests so.
fn process(answer: fn(&Request<Incoming>) -> Response<Made>) -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service_fn(move |request| {
                let answer = answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service),
            );
        }
    });
    (folder, Place::Unix(path))
}

fn relay(place: &Place, config: Config) -> Relay {
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let config = Arc::new(config);
    Relay::new("generation", place.clone(), Scope::Process, config, metrics)
}

fn asked(path: &str) -> Parts {
    let request = Request::get(path)
        .header(header::RANGE, "bytes=0-1")
        .header(header::COOKIE, "secret");
    request.body(()).unwrap().into_parts().0
}

fn whole(text: &'static str) -> Made {
    Full::from(text).boxed()
}

#[tokio::test]
async fn an_answer_comes_back_as_it_is_and_only_what_matters_goes_there() {
    let (_folder, place) = process(|request| {
        assert_eq!(
            request.uri().path_and_query().unwrap(),
            "/live/x/1/source/2.ts?a=b"
        );
        assert_eq!(request.headers()["rackcast-scope"], "process");
        assert!(request.headers().contains_key(header::RANGE));
        assert!(!request.headers().contains_key(header::COOKIE));
        let response = Response::builder()
            .status(206)
            .header(header::ETAG, "\"t\"");
        response
            .header(header::CONNECTION, "close")
            .body(whole("ab"))
            .unwrap()
    });
    let relay = relay(&place, Config::default());
    let asked = asked("/live/x/1/source/2.ts?a=b");
    let response = relay.fetch(&asked).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(response.headers()[header::ETAG], "\"t\"");
    assert!(!response.headers().contains_key(header::CONNECTION));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ab");
}

#[tokio::test]
async fn who_publishes_comes_before_what_is_left_and_who_is_away_is_passed_over() {
    let (_a, nothing) = process(|_| {
        let missing = Response::builder().status(404);
        missing.body(whole("no")).unwrap()
    });
    let (_b, left) = process(|_| {
        let mut response = Response::new(whole("left"));
        Claim::Left.put(response.headers_mut());
        response
    });
    let (_c, live) = process(|_| Response::new(whole("live")));
    let away = Place::Unix("/nonexistent/socket".into());
    let relays: Vec<_> = [&away, &nothing, &left, &live]
        .into_iter()
        .map(|place| relay(place, Config::default()))
        .collect();
    let asked = asked("/live/x/master.m3u8");
    let (claim, response) = first(&relays, &asked).await.unwrap();
    assert_eq!(claim, Claim::Strong);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "live"
    );
    let (claim, response) = first(&relays[..3], &asked).await.unwrap();
    assert_eq!(claim, Claim::Left);
    assert!(
        !response.headers().contains_key("rackcast-claim"),
        "a player need not know"
    );
    assert!(first(&relays[..2], &asked).await.is_none());
}

#[tokio::test]
async fn there_is_a_bound_on_requests_until_their_bodies_end() {
    let (_folder, place) = process(|_| Response::new(whole("body")));
    let config = Config {
        max_requests: 1,
        ..Config::default()
    };
    let relay = relay(&place, config);
    let asked = asked("/x");
    let held = relay.fetch(&asked).await.unwrap().unwrap();
    assert!(matches!(relay.fetch(&asked).await, Err(RelayError::Busy)));
    held.into_body().collect().await.unwrap();
    assert!(relay.fetch(&asked).await.unwrap().is_some());
}

#[tokio::test]
async fn a_process_that_falls_silent_in_a_body_ends_the_answer() {
    let (_folder, place) = process(|_| {
        let (mut begun, body) = http_body_util::channel::Channel::<Bytes, Infallible>::new(1);
        tokio::spawn(async move {
            begun.send_data(Bytes::from("begun")).await.unwrap();
            std::future::pending::<()>().await;
        });
        Response::new(body.boxed())
    });
    let config = Config {
        body_timeout: Duration::from_millis(50),
        ..Config::default()
    };
    let response = relay(&place, config)
        .fetch(&asked("/x"))
        .await
        .unwrap()
        .unwrap();
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("relay.body_timeout"), "{error}");
}

#[test]
fn a_claim_arrives_as_it_was_said_and_what_an_older_version_says_is_the_least() {
    for claim in [Claim::Left, Claim::CarriesOn, Claim::Strong] {
        let mut headers = HeaderMap::new();
        claim.put(&mut headers);
        assert_eq!(Claim::take(&mut headers), claim);
        assert!(headers.is_empty());
    }
    let mut headers = HeaderMap::new();
    headers.insert("rackcast-claim", "weak".parse().unwrap());
    assert_eq!(Claim::take(&mut headers), Claim::Left);
    assert!(Claim::Left < Claim::CarriesOn && Claim::CarriesOn < Claim::Strong);
}

#[test]
fn each_hop_is_narrower_and_what_is_not_understood_goes_nowhere() {
    let scope = |value: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert("rackcast-scope", value.parse().unwrap());
        }
        Scope::of(&headers)
    };
    assert_eq!(scope(None), Scope::Fleet);
    assert_eq!(scope(Some("ingest")), Scope::Ingest);
    assert_eq!(scope(Some("process")), Scope::Process);
    assert_eq!(scope(Some("anything")), Scope::Process);
    assert!(Scope::Process < Scope::Ingest && Scope::Ingest < Scope::Fleet);
}
