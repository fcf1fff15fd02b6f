//! `rackcast streams`: what the ingests carry now.
//!
//! The ingests themselves know the most. Those that do not answer may have streams all the same: what
//! the stream directory in Consul has of them is shown, and marked.

use std::collections::BTreeSet;

use rackcast_consul::directory::{self, Place};
use rackcast_segment::id::StreamId;
use rackcast_service::explain::{Answer, LiveStream, LiveStreams, STREAMS_PATH};
use serde_json::json;

use super::{Exit, complain, say, say_json};
use crate::explain::ask::{self, Reply};
use crate::explain::text::{clock, node, printable, table};
use crate::explain::{Ingests, find};

/// Show every stream: on which ingest it is, who publishes it, its renditions, and how it fares.
///
/// Exits with 2 if no ingest could be asked, and with 3 if some did not answer: of their streams the
/// directory's entry is shown. What was decided for a stream's segments, `rackcast explain` tells.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Who is asked.
    #[command(flatten)]
    pub ingests: Ingests,
}

type Entry = (StreamId, Place);

/// Asks, and tells.
pub async fn run(options: &Options) -> Exit {
    let (ingests, mut complaints) = find::ingests(&options.ingests).await;
    if ingests.is_empty() && complaints.is_empty() {
        complaints.push("no ingest is registered in Consul: see --consul and --ingest".to_owned());
    }
    let mut answers = Vec::new();
    for asked in ask::all(ingests, STREAMS_PATH).await {
        let name = &asked.name;
        let answer = match asked.reply {
            Reply::Known(body) => serde_json::from_value::<Answer<LiveStreams>>(body)
                .map_err(|error| format!("{name}: its answer is not understood: {error}")),
            Reply::Unknown { message, .. } | Reply::Failed(message) => {
                Err(format!("{name}: {message}"))
            }
        };
        match answer {
            Ok(answer) => answers.push(answer),
            Err(why) => complaints.push(why),
        }
    }
    let entries = match options.ingests.ingest.is_empty() {
        true => listed(options, &mut complaints).await,
        false => Vec::new(),
    };
    let unheard = unheard(&answers, entries);
    for complaint in &complaints {
        complain(Exit::Incomplete, &printable(complaint));
    }
    match options.json {
        true => {
            let unheard: Vec<_> = unheard
                .iter()
                .map(|(stream, place)| json!({ "stream": stream.to_string(), "place": place }))
                .collect();
            let all = json!({ "answers": answers, "directory": unheard, "failures": complaints });
            say_json(&all);
        }
        false => say(printable(&page(&answers, &unheard))),
    }
    match (answers.is_empty(), complaints.is_empty()) {
        (true, _) => Exit::Unasked,
        (false, true) => Exit::Yes,
        (false, false) => Exit::Incomplete,
    }
}

async fn listed(options: &Options, complaints: &mut Vec<String>) -> Vec<Entry> {
    // That Consul cannot be reached was found with the ingests.
    let Ok(client) = options.ingests.reach.client() else {
        return Vec::new();
    };
    match directory::list(&client).await {
        Ok(entries) => entries,
        Err(error) => {
            let why = format!("the directory of streams: {error}");
            if !complaints
                .iter()
                .any(|known| known.contains(&error.to_string()))
            {
                complaints.push(why);
            }
            Vec::new()
        }
    }
}

/// The entries of ingests that did not answer. One that did knows better.
fn unheard(answers: &[Answer<LiveStreams>], entries: Vec<Entry>) -> Vec<Entry> {
    let heard: BTreeSet<_> = answers
        .iter()
        .map(|answer| answer.ingest.id.as_str())
        .collect();
    let not_heard = |(_, place): &Entry| !heard.contains(place.ingest.as_str());
    entries.into_iter().filter(not_heard).collect()
}

fn page(answers: &[Answer<LiveStreams>], unheard: &[Entry]) -> String {
    let told = answers.iter().flat_map(|answer| {
        let of = &answer.ingest.id;
        let streams = answer.content.streams.iter();
        streams.map(move |stream| row(of, stream))
    });
    let mut rows: Vec<_> = told.chain(unheard.iter().map(row_of_entry)).collect();
    if rows.is_empty() {
        return match answers.is_empty() {
            true => String::new(),
            false => "no stream\n".to_owned(),
        };
    }
    rows.sort();
    let head = [
        "STREAM",
        "INGEST",
        "PUBLISHER (UTC)",
        "RENDITIONS",
        "COMPLETE",
        "LAST SENT TO",
    ];
    let omitted: u64 = answers.iter().map(|answer| answer.content.omitted).sum();
    let more = match omitted {
        0 => String::new(),
        more => format!("{more} more: the answers have no room\n"),
    };
    table(&head, &rows) + &more
}

fn row(ingest: &str, stream: &LiveStream) -> Vec<String> {
    let publisher = match &stream.publisher {
        Some(peer) => format!("{peer} since {}", clock(stream.publisher_since_ms)),
        None => format!("lost at {}", clock(stream.publisher_since_ms)),
    };
    vec![
        stream.stream.clone(),
        ingest.to_owned(),
        publisher,
        stream.renditions.join(" "),
        health(stream),
        stream.node.as_ref().map(node).unwrap_or_default(),
    ]
}

fn row_of_entry((stream, place): &Entry) -> Vec<String> {
    let at = humantime::format_rfc3339_seconds(place.at);
    let unknown = || "?".to_owned();
    vec![
        stream.to_string(),
        place.ingest.clone(),
        format!("? (in the directory at {at})"),
        unknown(),
        unknown(),
        unknown(),
    ]
}

/// How many of the last segments came whole.
fn health(stream: &LiveStream) -> String {
    match (stream.recent, stream.complete) {
        (0, _) => "nothing sent".to_owned(),
        (recent, complete) => format!("{complete} of the last {recent}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rackcast_service::explain::{Ingest, Node, VERSION};

    use super::*;

    fn answer(id: &str, streams: Vec<LiveStream>) -> Answer<LiveStreams> {
        Answer {
            version: VERSION,
            ingest: Ingest {
                id: id.to_owned(),
                node: "m1".to_owned(),
                zone: String::new(),
            },
            asked_at_ms: 0,
            content: LiveStreams {
                streams,
                omitted: 0,
            },
        }
    }

    fn entry(ingest: &str, name: &str) -> Entry {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let place = Place {
            ingest: ingest.to_owned(),
            node: "m1".to_owned(),
            zone: String::new(),
            epoch: 1,
            sequence: 2,
            discontinuity: None,
            waiting: false,
            public: String::new(),
            internal: String::new(),
            since: at,
            at,
        };
        (name.parse().unwrap(), place)
    }

    #[test]
    fn ingests_know_better_than_the_directory() {
        let stream = LiveStream {
            stream: "live/b".to_owned(),
            since_ms: 0,
            publisher: Some("10.0.0.9:4711".to_owned()),
            publisher_since_ms: 1_000_000_000_000,
            epoch: None,
            token: None,
            renditions: vec!["180p".to_owned(), "low".to_owned()],
            recent: 30,
            complete: 29,
            last: Some(7),
            node: Some(Node {
                id: "rackcast-transcode-m7-1".to_owned(),
                zone: Some("hall".to_owned()),
            }),
        };
        let answers = [answer("heard", vec![stream])];
        let entries = vec![entry("heard", "live/gone"), entry("silent", "live/a")];
        let unheard = unheard(&answers, entries);
        let text = page(&answers, &unheard);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|w| !w.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(
            lines[1],
            [
                "live/a",
                "silent",
                "? (in the directory at 2001-09-09T01:46:40Z)",
                "?",
                "?",
                "?"
            ]
        );
        let told = [
            "live/b",
            "heard",
            "10.0.0.9:4711 since 01:46:40",
            "180p low",
            "29 of the last 30",
            "m7-1 (hall)",
        ];
        assert_eq!(lines[2], told);
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(page(&[answer("heard", Vec::new())], &[]), "no stream\n");
    }
}
