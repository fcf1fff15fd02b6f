use std::sync::Arc;

use http_body_util::BodyExt;
use rackcast_route::plan::{
    AttemptId, CancelReason, Cause, Ending, GiveUp, NotHedged, Renditions, Step,
};
use rackcast_route::table::{Change, FailureKind, Left, PickReason, Timing};
use rackcast_service::explain::{Answer, Ingest, Story, Streams};
use serde_json::{Value, json};

use super::{Config, ended, ms, record, rendition, sent, simple, trails};
use crate::explain::api::Api;
use crate::explain::{About, Record, Remark};

fn api(config: Config, records: Vec<Record>) -> Api {
    let trails = trails(config);
    for record in records {
        trails.record(record);
    }
    let ingest = Ingest {
        id: "rackcast-ingest-n1-1".to_owned(),
        node: "n1".to_owned(),
        zone: "z1".to_owned(),
    };
    let no_nodes = || unreachable!("nobody asks for them");
    Api::new(Arc::new(trails), no_nodes, Vec::new, ingest)
}

/// Status and body.
pub(super) fn get(api: &Api, address: &str) -> (u16, Value) {
    let answer = api.answer(&address.parse().unwrap()).unwrap();
    let status = answer.status().as_u16();
    let body = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(answer.into_body().collect());
    let body = body.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

fn segments(api: &Api, address: &str) -> Vec<u64> {
    let (status, body) = get(api, address);
    assert_eq!(status, 200, "{body}");
    let story: Answer<Story> = serde_json::from_value(body).unwrap();
    story.content.segments.iter().map(|s| s.segment).collect()
}

fn show(n: u64) -> Record {
    simple("live/show", n, "a", PickReason::Kept)
}

#[test]
fn a_question_is_for_all_segments_the_last_ones_or_one() {
    let api = api(Config::default(), (1..=5).map(show).collect());
    assert_eq!(segments(&api, "/v1/explain/live/show"), [1, 2, 3, 4, 5]);
    assert_eq!(segments(&api, "/v1/explain/live/show?last=2"), [4, 5]);
    assert_eq!(segments(&api, "/v1/explain/live/show?last=99").len(), 5);
    assert_eq!(segments(&api, "/v1/explain/live/show?segment=3"), [3]);
}

#[test]
fn nonsense_is_refused_with_what_would_be_understood() {
    let api = api(Config::default(), vec![show(1)]);
    let refused = |address: &str| {
        let (status, body) = get(&api, address);
        (status, body["code"].as_str().unwrap().to_owned(), body)
    };
    for query in [
        "segment=",
        "segment=-1",
        "segment=+1",
        "segment=1x",
        "segment=99999999999999999999999",
        "last=0",
        "last",
        "first=1",
        "segment=1&last=1",
        "last=1&last=1",
    ] {
        let (status, code, body) = refused(&format!("/v1/explain/live/show?{query}"));
        assert_eq!((status, code.as_str()), (400, "bad-request"), "{query}");
        let message = body["message"].as_str().unwrap();
        assert!(message.contains("segment=N or last=K"), "{message}");
    }
    for name in [
        "", "live", "live/", "/show", "live/a/b", "live/..", "live/%41",
    ] {
        let (status, code, _) = refused(&format!("/v1/explain/{name}"));
        assert_eq!((status, code.as_str()), (400, "bad-request"), "{name}");
    }
    let long = "x".repeat(5000);
    let (status, _, body) = refused(&format!("/v1/explain/live/{long}"));
    assert!(status == 400 && body.to_string().len() < 500, "{body}");
    assert_eq!(refused("/v1/explain?last=1").0, 400);

    let (status, code, _) = refused("/v1/explain/live/other");
    assert_eq!((status, code.as_str()), (404, "unknown-stream"));
    let (status, code, body) = refused("/v1/explain/live/show?segment=9");
    assert_eq!((status, code.as_str()), (404, "unknown-segment"));
    assert!(body["message"].as_str().unwrap().contains("1 to 1 are"));
    assert!(api.answer(&"/v1/explainer".parse().unwrap()).is_none());
    assert!(api.answer(&"/metrics".parse().unwrap()).is_none());
}

#[test]
fn an_answer_has_a_largest_size_and_leaves_the_oldest_out() {
    let config = Config {
        max_answer: 8 << 10,
        ..Config::default()
    };
    let api = api(config, (1..=50).map(show).collect());
    let (_, body) = get(&api, "/v1/explain/live/show");
    assert!(body.to_string().len() < 10 << 10);
    let story: Answer<Story> = serde_json::from_value(body).unwrap();
    let story = story.content;
    assert_eq!(story.segments.len() as u64 + story.omitted, 50);
    assert!(story.segments.len() > 3, "{}", story.segments.len());
    assert_eq!(story.segments.last().unwrap().segment, 50);
    assert_eq!(story.summary.segments, 50, "the figures are of all");
}

#[test]
fn the_list_begins_with_the_newest() {
    let other = simple("live/other", 9, "b", PickReason::FirstPick);
    let api = api(Config::default(), vec![show(1), show(2), other]);
    let (_, body) = get(&api, "/v1/explain");
    let list: Answer<Streams> = serde_json::from_value(body.clone()).unwrap();
    let names: Vec<_> = list.content.streams.iter().map(|s| &s.stream).collect();
    assert_eq!(names, ["live/other", "live/show"]);
    assert_eq!(
        body["streams"][1],
        json!({
            "stream": "live/show", "segments": 2, "first": 1, "last": 2,
            "last_at_ms": 1_004_000, "node": {"id": "a", "zone": "z1"},
        })
    );
    assert_eq!(body["ingest"]["id"], "rackcast-ingest-n1-1");
    assert_eq!(body["version"], 1);
}

/// A segment that had everything happen to it.
fn eventful() -> Record {
    let attempt = AttemptId(1);
    let broken = FailureKind::WrongMedia;
    let left = PickReason::Left(Left::Ejected(FailureKind::TimedOut));
    let steps = vec![
        (0, sent(1, "a", Cause::First, left)),
        (
            4,
            ended(
                1,
                "a",
                4,
                Ending::Refused {
                    code: "no-slot",
                    retry_after: Some(ms(250)),
                },
            ),
        ),
        (4, sent(2, "b", Cause::Refused, PickReason::Retry)),
        (
            412,
            Step::NotHedged {
                why: NotHedged::NoSpare,
            },
        ),
        (500, rendition(2, 1)),
        (520, ended(2, "b", 516, Ending::Failed(broken))),
        (
            520,
            Step::Standing {
                node: "b".into(),
                change: Change::Ejected {
                    kind: broken,
                    length: ms(5250),
                },
            },
        ),
        (
            520,
            sent(3, "gone", Cause::Retry(broken), PickReason::OnlyOne),
        ),
        (
            3000,
            Step::Cancelled {
                attempt: AttemptId(3),
                node: "gone".into(),
                elapsed: ms(2480),
                why: CancelReason::Deadline,
            },
        ),
        (
            3000,
            Step::GaveUp {
                renditions: Renditions::only(0),
                reason: GiveUp::Deadline,
            },
        ),
    ];
    let about = [
        About::Timing(Timing {
            queue: ms(1),
            work: ms(2),
        }),
        About::Detail("720p: 49 pictures instead of 50".into()),
    ];
    let attempts = [attempt, AttemptId(2)].into_iter().zip(about);
    let remarks = attempts.map(|(attempt, about)| Remark { attempt, about });
    Record {
        remarks: remarks.collect(),
        ..record("live/show", 17, steps)
    }
}

/// The schema that docs/explain.md documents: what a program may rely on.
#[test]
fn the_json_of_an_eventful_segment() {
    let api = api(Config::default(), vec![eventful()]);
    let (_, body) = get(&api, "/v1/explain/live/show?segment=17");
    let a = json!({"id": "a", "zone": "z1"});
    let b = json!({"id": "b", "zone": "z2"});
    let others = json!([{"node": {"id": "c"}, "predicted_ms": 900}]);
    let both = json!(["720p", "360p"]);
    let media = "it sent wrong media";
    let expected = json!({
        "epoch": 7, "segment": 17, "began_at_ms": 1_034_000, "media_ms": 2000, "deadline_ms": 3000,
        "input_bytes": 500_000, "outcome": "partial", "turnaround_ms": 500, "submissions": 2,
        "renditions": [
            {"name": "720p", "pixels": 46_080_000, "end": "missing",
             "why": {"code": "deadline", "text": "the deadline has passed"}},
            {"name": "360p", "pixels": 11_520_000, "end": "ready", "attempt": 2, "after_ms": 500},
        ],
        "steps": [
            {"at_ms": 0, "what": "sent", "attempt": 1, "node": a, "predicted_ms": 700,
             "cause": {"code": "first", "text": "the segment's first submission"},
             "why": {"code": "left-ejected", "failure": "timed-out",
                     "text": "the home is ejected: it took longer than it was given"},
             "renditions": both, "alternatives": others},
            {"at_ms": 4, "what": "refused", "attempt": 1, "node": a, "code": "no-slot",
             "retry_after_ms": 250},
            {"at_ms": 4, "what": "sent", "attempt": 2, "node": b, "predicted_ms": 700,
             "cause": {"code": "refused", "text": "the last node pushed back"},
             "why": {"code": "retry", "text": "the likeliest to succeed"},
             "renditions": both, "alternatives": others},
            {"at_ms": 412, "what": "not-hedged",
             "why": {"code": "no-spare-slots", "text": "too few slots of the fleet are free"}},
            {"at_ms": 500, "what": "rendition", "attempt": 2, "rendition": "360p",
             "counted": true},
            {"at_ms": 520, "what": "failed", "attempt": 2, "node": b, "took_ms": 516,
             "why": {"code": "wrong-media", "failure": "wrong-media", "text": media},
             "detail": "720p: 49 pictures instead of 50"},
            {"at_ms": 520, "what": "standing", "node": b,
             "why": {"code": "ejected", "failure": "wrong-media",
                     "text": format!("ejected for 5.2 s: {media}")}},
            {"at_ms": 520, "what": "sent", "attempt": 3, "node": {"id": "gone"},
             "predicted_ms": 700,
             "cause": {"code": "retry", "failure": "wrong-media",
                       "text": "the last node sent wrong media"},
             "why": {"code": "only-one", "text": "the only node that came into question"},
             "renditions": both, "alternatives": others},
            {"at_ms": 3000, "what": "cancelled", "attempt": 3, "node": {"id": "gone"},
             "took_ms": 2480,
             "why": {"code": "deadline", "text": "the segment's deadline has passed"}},
            {"at_ms": 3000, "what": "gave-up", "renditions": ["720p"],
             "why": {"code": "deadline", "text": "the deadline has passed"}},
        ],
        "steps_omitted": 0,
    });
    assert_eq!(body["segments"], json!([expected]));
    let story: Answer<Story> = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(serde_json::to_value(&story).unwrap(), body);
}

#[test]
fn what_a_later_version_adds_is_passed_over() {
    let api = api(Config::default(), vec![show(1)]);
    let (_, mut body) = get(&api, "/v1/explain/live/show");
    body["news"] = json!(1);
    body["segments"][0]["steps"][1] = json!({"at_ms": 1, "what": "sung", "by": "a"});
    body["segments"][0]["renditions"][0] = json!({"name": "720p", "pixels": 1, "end": "sung"});
    let story: Answer<Story> = serde_json::from_value(body).unwrap();
    assert_eq!(story.content.segments[0].steps.len(), 4);
}
