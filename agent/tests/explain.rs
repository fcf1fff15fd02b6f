//! `rackcast explain`, word for word, against ingests that answer what they are told to.
//!
//! `tests/explain/` holds the answers and what is to be printed. After a change that is meant,
//! `RACKCAST_BLESS=1 cargo test -p rackcast-agent --test explain` writes the texts anew.

#![allow(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use http::{StatusCode, Uri};
use rackcast_service::explain::{Answer, Ingest, Nodes, Problem, Story, Streams, VERSION};
use rackcast_service::http::{Answer as Reply, content, text};
use rackcast_service::status::{Health, Role, ServiceStatus};
use rackcast_service::{admin, explain};
use serde::Serialize;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/explain")
        .join(name)
}

fn answer(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

/// What an ingest would answer, from the files.
fn ingest(uri: &Uri) -> Option<Reply> {
    let query = uri.query().unwrap_or_default();
    let body = match uri.path() {
        explain::NODES_PATH => answer("nodes.json"),
        explain::EXPLAIN_PATH => answer("streams.json"),
        "/v1/explain/live/show" => {
            let mut story = answer("story.json");
            let segments = story["segments"].as_array_mut().unwrap();
            if let Some(n) = query.strip_prefix("segment=") {
                let n: u64 = n.parse().unwrap();
                segments.retain(|s| s["segment"] == n);
                if segments.is_empty() {
                    return Some(problem("unknown-segment", "210 to 216 are remembered"));
                }
            }
            if let Some(k) = query.strip_prefix("last=") {
                let k: usize = k.parse().unwrap();
                segments.drain(..segments.len().saturating_sub(k));
            }
            story
        }
        path if path.starts_with("/v1/explain/") => {
            return Some(problem("unknown-stream", "this ingest does not know it"));
        }
        _ => return None,
    };
    Some(json(StatusCode::OK, &body))
}

fn problem(code: &str, message: &str) -> Reply {
    let problem = Answer {
        version: VERSION,
        ingest: Ingest {
            id: "rackcast-ingest-rack1-1".to_owned(),
            node: String::new(),
            zone: String::new(),
        },
        asked_at_ms: 0,
        content: Problem {
            code: code.to_owned(),
            message: message.to_owned(),
        },
    };
    json(StatusCode::NOT_FOUND, &problem)
}

fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    content(
        status,
        "application/json",
        serde_json::to_vec(body).unwrap(),
    )
}

/// Serves an admin address until the test ends.
async fn serve(pages: fn(&Uri) -> Option<Reply>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let status = ServiceStatus {
        role: Role::Ingest,
        instance: "1".into(),
        node: "rack1".into(),
        version: "0.1.0".into(),
        pid: 1,
        protocol: 1,
        ready: true,
        draining: false,
        health: Health::passing("serving"),
        endpoints: [].into(),
        tags: Vec::new(),
        meta: [].into(),
        weight: 1,
        progress: 0,
        still_ms: None,
        beat_ms: 0,
        work: 0,
        devices: Vec::new(),
        gpu_driver: String::new(),
        generations: Vec::new(),
        waiting: Default::default(),
    };
    let (_, status) = watch::channel(status);
    let registry = prometheus::Registry::new();
    let pages = move |uri: Uri| std::future::ready(pages(&uri));
    admin::serve_with(listener, registry, status, pages, CancellationToken::new());
    address
}

fn rackcast(args: &[&str], ingests: &[SocketAddr]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rackcast"));
    command.arg("explain").args(args);
    for address in ingests {
        command.args(["--ingest", &format!("http://{address}")]);
    }
    command.env_remove("CONSUL_HTTP_ADDR").output().unwrap()
}

fn assert_prints(golden: &str, args: &[&str], ingest: SocketAddr) {
    let output = rackcast(args, &[ingest]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), complaints.as_str()), (Some(0), ""));
    if std::env::var_os("RACKCAST_BLESS").is_some() {
        std::fs::write(file(golden), &printed).unwrap();
    }
    let expected = std::fs::read_to_string(file(golden)).unwrap();
    assert_eq!(printed, expected, "{golden}");
}

#[test]
fn the_answers_are_of_this_schema() {
    fn holds<T: serde::de::DeserializeOwned + Serialize>(name: &str) {
        let as_file = answer(name);
        let read: Answer<T> = serde_json::from_value(as_file.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), as_file, "{name}");
    }
    holds::<Story>("story.json");
    holds::<Streams>("streams.json");
    holds::<Nodes>("nodes.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_word_for_word() {
    let ingest = serve(ingest).await;
    assert_prints("streams.txt", &[], ingest);
    assert_prints("nodes.txt", &["--nodes"], ingest);
    assert_prints("story.txt", &["live/show"], ingest);
    assert_prints("last.txt", &["live/show", "--last", "3"], ingest);
    for n in ["210", "211", "213", "214", "215"] {
        let golden = format!("segment-{n}.txt");
        assert_prints(&golden, &["live/show", "--segment", n], ingest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_what_the_ingests_said_and_who_failed() {
    let ingest = serve(ingest).await;
    // The port is ours, and nobody listens there.
    let dead = TcpSocket::new_v4().unwrap();
    dead.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let dead_at = dead.local_addr().unwrap();
    let output = rackcast(&["live/show", "--json"], &[dead_at, ingest]);
    assert_eq!(output.status.code(), Some(0));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["answers"], Value::from(vec![answer("story.json")]));
    let failure = printed["failures"][0].as_str().unwrap();
    assert!(failure.contains(&dead_at.to_string()), "{failure}");
    assert!(failure.contains("refused"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_tells_unknown_from_unasked() {
    let knows = serve(ingest).await;
    let old = serve(|_| Some(text(StatusCode::NOT_FOUND, "there is nothing here\n"))).await;
    let ask = |args: &[&str], ingests: &[SocketAddr]| {
        let output = rackcast(args, ingests);
        let complaints = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), output.stdout.len(), complaints)
    };
    let (code, printed, said) = ask(&["live/other"], &[knows, knows]);
    assert_eq!((code, printed), (Some(1), 0));
    assert_eq!(
        said,
        "rackcast: 2 ingests answered, none knows live/other\n"
    );

    let (code, _, said) = ask(&["live/show", "--segment", "9"], &[knows]);
    assert_eq!(code, Some(1));
    assert!(said.contains("210 to 216 are remembered"), "{said}");

    let (code, printed, said) = ask(&["live/show"], &[old]);
    assert_eq!((code, printed), (Some(2), 0));
    assert!(said.contains("is it an ingest that can explain?"), "{said}");

    let (code, _, said) = ask(&["live/other"], &[knows, old]);
    assert_eq!((code, said.lines().count()), (Some(3), 2), "{said}");
    assert_eq!(ask(&["live/show"], &[knows, old]).0, Some(0));

    let (code, _, said) = ask(&["live/show", "--consul", "http://127.0.0.1:1"], &[]);
    assert_eq!(code, Some(2));
    assert!(said.contains("Consul at http://127.0.0.1:1"), "{said}");
}
