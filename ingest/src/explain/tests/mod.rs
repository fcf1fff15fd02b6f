mod answers;
mod bounds;
mod fleet;
mod moves;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rackcast_route::plan::{AttemptId, Cause, Ending, Renditions, Sent, Step, Trail};
use rackcast_route::table::{FailureKind, PickReason};
use rackcast_route::{Endpoint, Member, NodeId};
use rackcast_segment::id::{Epoch, Sequence};

use super::{Config, Record, Rung, Trails};

fn trails(config: Config) -> Trails {
    let trails = Trails::new(config, &prometheus::Registry::new()).unwrap();
    let member = |id: &str, zone: &str| Member {
        id: id.into(),
        zone: zone.to_owned(),
        endpoint: Endpoint::new("10.0.0.1", 7000),
        slots: 2,
        pixel_rate: None,
        weight: 1,
    };
    let members = [member("a", "z1"), member("b", "z2"), member("c", "")];
    trails.learn(members.iter());
    trails
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Two rungs, all asked; `steps` with the age at which each was taken.
fn record(stream: &str, sequence: u64, steps: Vec<(u64, Step)>) -> Record {
    let rung = |name: &str, pixels| Rung {
        name: name.parse().unwrap(),
        pixels,
    };
    let t0 = Instant::now();
    let mut trail = Trail::new(t0);
    for (at, step) in steps {
        trail.push(step, t0 + ms(at));
    }
    Record {
        stream: stream.parse().unwrap(),
        epoch: Epoch(7),
        sequence: Sequence(sequence),
        began: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + 2 * sequence),
        media: ms(2000),
        deadline: ms(3000),
        input_bytes: 500_000,
        ladder: Arc::from([rung("720p", 46_080_000), rung("360p", 11_520_000)]),
        asked: Renditions::first(2),
        trail,
        remarks: Vec::new(),
    }
}

fn sent(attempt: u32, node: &str, cause: Cause, reason: PickReason) -> Step {
    moved(attempt, None, node, cause, reason)
}

/// Sent to a node that becomes the stream's home, if there was another one.
fn moved(attempt: u32, from: Option<&str>, node: &str, cause: Cause, reason: PickReason) -> Step {
    let alternative = |id: &str, predicted| Some((NodeId::from(id), ms(predicted)));
    let free = Cause::Retry(FailureKind::Connect);
    let first = cause == Cause::First || cause == Cause::Refused || cause == free;
    Step::Sent(Sent {
        attempt: AttemptId(attempt),
        moved_from: from.map(NodeId::from),
        number: if first { 1 } else { attempt },
        node: node.into(),
        cause,
        renditions: Renditions::first(2),
        reason,
        predicted: ms(700),
        alternatives: [alternative("c", 900), None, None],
    })
}

fn rendition(attempt: u32, index: u8) -> Step {
    Step::Rendition {
        attempt: AttemptId(attempt),
        index,
        counted: true,
    }
}

fn ended(attempt: u32, node: &str, elapsed: u64, how: Ending) -> Step {
    Step::Ended {
        attempt: AttemptId(attempt),
        node: node.into(),
        elapsed: ms(elapsed),
        how,
    }
}

/// Sent to one node, from which everything came.
fn simple(stream: &str, sequence: u64, node: &str, reason: PickReason) -> Record {
    let steps = vec![
        (0, sent(1, node, Cause::First, reason)),
        (500, rendition(1, 1)),
        (740, rendition(1, 0)),
        (750, ended(1, node, 750, Ending::Complete)),
    ];
    record(stream, sequence, steps)
}
