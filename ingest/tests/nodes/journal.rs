//! Every decision that is not to keep a node is logged, with the fields that an operator filters
//! the journal by.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use rackcast_segment::id::Sequence;
use rackcast_segment::wire::reply::RefusalCode;

use super::fleet::{BOTH, Fleet, PLENTY, collect, unhedged};
use super::media;
use super::node::refuses;

const STREAM: &str = "live/journal";

static RECORDS: Mutex<Vec<Fields>> = Mutex::new(Vec::new());

#[derive(Debug, Clone, Default)]
struct Fields(BTreeMap<String, String>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.insert(key.to_string(), value.to_string());
        Ok(())
    }
}

impl Fields {
    fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("-", String::as_str)
    }

    /// What happened, as a line: segment, node, reason, cause, which times are told, what else
    /// came into question, and the home that the stream leaves.
    fn line(&self) -> String {
        let told = |key: &str| match self.get(key).parse::<u64>() {
            Ok(_) => "told",
            Err(_) => "-",
        };
        format!(
            "{} {} {} {} predicted {} elapsed {} of {} from {}",
            self.get("rackcast_segment"),
            self.get("rackcast_node"),
            self.get("rackcast_reason"),
            self.get("rackcast_cause"),
            told("rackcast_predicted_ms"),
            told("rackcast_elapsed_ms"),
            self.get("rackcast_alternatives")
                .split_whitespace()
                .next()
                .unwrap_or("none"),
            self.get("rackcast_moved_from"),
        )
    }
}

/// Keeps what is logged of one stream; the other tests have others.
struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut fields = Fields::default();
        record.key_values().visit(&mut fields).unwrap();
        if fields.get("rackcast_stream") == STREAM {
            let mut records = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
            records.push(fields);
        }
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn what_is_decided_is_in_the_journal_with_its_fields() {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(LevelFilter::Info);
    let mut config = unhedged();
    config.route.curiosity = 0.0;
    config.route.eject.doubt = 10 * PLENTY;
    let answers = vec![vec![refuses(RefusalCode::Internal)], vec![]];
    let fleet = Fleet::with(&config, answers).await;
    let lane = fleet.dispatcher.open(STREAM.parse().unwrap());
    for sequence in 1..=4 {
        let mut order = media::order(&BOTH, 5000, PLENTY);
        order.sequence = Sequence(sequence);
        let outcomes = collect(lane.submit(order)).await;
        assert!(outcomes.values().all(Result::is_ok));
    }
    let records = RECORDS.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<_> = records.iter().map(Fields::line).collect();
    let decided = [
        "1 n0 first-pick first predicted told elapsed - of n1 from -",
        "1 n0 internal - predicted - elapsed told of - from -",
        "1 n1 only-one internal predicted told elapsed - of none from -",
        "2 n1 left-failed first predicted told elapsed - of n0 from -",
        "3 n1 left-failed first predicted told elapsed - of n0 from -",
        "3 n1 left-failed - predicted - elapsed - of - from n0",
    ];
    assert_eq!(lines, decided, "and the fourth keeps to its node");
}
