//! Reasons in words. Each has a code that never changes and a text that stands by itself. A
//! stream's *home* is the node that it stays with while that is well.

use std::time::Duration;

use rackcast_route::degrade::{Level, Reduction};
use rackcast_route::plan::{CancelReason, Cause, GiveUp, NotHedged, Wait};
use rackcast_route::table::{Change, FailureKind, Left, PickReason, Standing};
use rackcast_service::explain::Why;

fn why(code: &str, text: impl Into<String>) -> Why {
    Why {
        code: code.to_owned(),
        failure: None,
        text: text.into(),
    }
}

fn with(kind: FailureKind, why: Why) -> Why {
    Why {
        failure: Some(kind.as_str().to_owned()),
        ..why
    }
}

/// What a node did, as the rest of a sentence that begins with it.
fn did(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connect => "could not be connected to",
        FailureKind::Broken => "broke the connection off",
        FailureKind::TimedOut => "took longer than it was given",
        FailureKind::WrongMedia => "sent wrong media",
        FailureKind::Protocol => "sent something that is not the protocol",
        FailureKind::Internal => "said that it failed",
        FailureKind::FalseClaim => "blamed segments that others transcode",
        FailureKind::ManyClaims => "blames far more segments than others do",
        FailureKind::Slow => "is far slower than it was",
    }
}

/// Why a node was picked.
pub(super) fn pick(reason: PickReason) -> Why {
    let code = reason.as_str();
    match reason {
        PickReason::Kept => why(code, "the stream's home, as before"),
        PickReason::FirstPick => why(code, "the best for a new stream"),
        PickReason::Better { percent } => why(code, format!("{percent} % better than the home")),
        PickReason::Balance => why(
            code,
            "the home carries more than its share, and this node is no slower, or nearly idle",
        ),
        PickReason::OnlyOne => why(code, "the only node that came into question"),
        PickReason::Unmeasured => why(code, "nothing is known of it yet: one segment tells"),
        PickReason::Trial => why(code, "on trial: one segment tells whether it is well again"),
        PickReason::Left(left) => self::left(code, left),
        PickReason::Retry => why(code, "the likeliest to succeed"),
        PickReason::Hedge => why(code, "the fastest of the nodes with a free slot"),
        PickReason::SecondOpinion => why(code, "in another zone, where there is one"),
        PickReason::Copy => why(code, "in another zone, where there is one"),
        PickReason::LastResort => why(code, "no good node is left; this one is the likeliest"),
        PickReason::Panic => why(
            code,
            "so many nodes are ejected that the ejections are not believed",
        ),
    }
}

fn left(code: &str, left: Left) -> Why {
    match left {
        Left::Ejected(kind) => {
            let text = format!("the home is ejected: it {}", did(kind));
            with(kind, why(code, text))
        }
        left => why(code, left.to_string()),
    }
}

/// What a submission was made for.
pub(super) fn cause(cause: Cause) -> Why {
    match cause {
        Cause::First => why("first", "the segment's first submission"),
        Cause::Refused => why("refused", "the last node pushed back"),
        Cause::Retry(kind) => with(kind, why("retry", format!("the last node {}", did(kind)))),
        Cause::Overtake => why(
            "overtake",
            "the last node takes too long: this one takes over",
        ),
        Cause::Hedge => why("hedge", "the last node is slow: this one runs beside it"),
        Cause::SecondOpinion => why(
            "second-opinion",
            "a node blames the segment: another one has to confirm it",
        ),
        Cause::Copy => why("copy", "the stream is precious: a copy runs in parallel"),
    }
}

/// Why less than the ladder is asked for.
pub(super) fn reduction(reduction: Reduction) -> Why {
    let code = reduction.as_str();
    match reduction {
        Reduction::Overload { level } => why(
            code,
            format!(
                "the fleet cannot carry more: {}.{} rungs of each ladder are left out",
                level / 1000,
                level % 1000 / 100
            ),
        ),
        Reduction::Circuit { left } => why(
            code,
            format!(
                "its segments keep failing: it is not transcoded for {} yet",
                seconds(left)
            ),
        ),
    }
}

/// What a segment had to wait for.
pub(super) fn wait(wait: Wait) -> Why {
    let code = wait.as_str();
    match wait {
        Wait::Node(reason) => why(code, reason.to_string()),
        Wait::Retries => why(
            code,
            "the budget for retries is spent for the moment, or others need it more",
        ),
        Wait::Refusals => why(code, "the budget for push-back is spent for the moment"),
    }
}

/// What a node did wrong.
pub(super) fn failure(kind: FailureKind) -> Why {
    with(kind, why(kind.as_str(), format!("it {}", did(kind))))
}

/// Why a request was cancelled.
pub(super) fn cancel(reason: CancelReason) -> Why {
    let text = match reason {
        CancelReason::Lost => "another node was faster",
        CancelReason::Hung => "it hangs, and another node takes over",
        CancelReason::Deadline => "the segment's deadline has passed",
        CancelReason::Poison => "the segment cannot be transcoded: no other node is risked",
        CancelReason::Abandoned => "nobody waits for the segment any more",
    };
    why(reason.as_str(), text)
}

/// Why no second submission was made beside a slow one.
pub(super) fn not_hedged(reason: NotHedged) -> Why {
    let text = match reason {
        NotHedged::NoSpare => "too few slots of the fleet are free",
        NotHedged::Budget => "the budget for retries and hedges is spent, or others need it more",
        NotHedged::Lateness => "what may be spent on segments that are only late is spent",
        NotHedged::NoNode => "no other node is good, has a slot free and would be in time",
    };
    why(reason.as_str(), text)
}

/// Why renditions will not come.
pub(super) fn give_up(reason: GiveUp) -> Why {
    let code = reason.as_str();
    match reason {
        GiveUp::Deadline => why(code, "the deadline has passed"),
        GiveUp::NoNode(reason) => why(code, reason.to_string()),
        GiveUp::Attempts => why(code, "as many nodes failed as may be asked"),
        GiveUp::Budget => why(code, "the budget for retries, or for push-back, is spent"),
        GiveUp::Poison => why(
            code,
            "two nodes say that it cannot be transcoded, or one does and no other may be asked",
        ),
        GiveUp::Degraded => why(code, "the fleet cannot carry the whole ladder"),
        GiveUp::Circuit => why(
            code,
            "the stream's segments keep failing: it rests for a while",
        ),
        GiveUp::TooManyInFlight => why(code, "too many segments of this ingest are in flight"),
    }
}

/// How a node stands differently now.
pub(super) fn change(change: Change) -> Why {
    match change {
        Change::Ejected { kind, length } => {
            let text = format!("ejected for {}: it {}", seconds(length), did(kind));
            with(kind, why("ejected", text))
        }
        Change::Returned => why("returned", "back: it came through its trial"),
    }
}

/// That the stream's circuit is open, for so long.
pub(super) fn circuit_opened(length: Duration) -> Why {
    let text = format!(
        "its segments keep failing: it is not transcoded for {}",
        seconds(length)
    );
    why("circuit-open", text)
}

/// That the stream's circuit is closed again.
pub(super) fn circuit_closed() -> Why {
    why(
        "circuit-closed",
        "a segment came through: it is transcoded again",
    )
}

/// How a node stands.
pub(super) fn standing(standing: Standing) -> Why {
    let code = standing.as_str();
    match standing {
        Standing::Unmeasured => why(code, "not measured yet"),
        Standing::Good => why(code, "good"),
        Standing::Returning(share) => {
            let text = format!("back, and given {share} % of its share so far");
            why(code, text)
        }
        Standing::Overdue => why(code, "a segment that it has is overdue"),
        Standing::Slow => why(code, "its last segment took far too long"),
        Standing::Failed => why(code, "its last segment failed"),
        Standing::Blocked(_) => why(code, "it asked to be left alone"),
        Standing::Ejected(kind, _) => with(kind, why(code, format!("ejected: it {}", did(kind)))),
        Standing::Trial => why(code, "on trial: its next segment decides"),
        Standing::ZoneLeft => why(code, "its zone is left as a whole"),
        Standing::Draining => why(code, "it drains"),
    }
}

/// How much of every ladder is asked for.
pub(super) fn degradation(level: Level) -> Why {
    match level {
        Level::NONE => why("none", "the whole ladder is asked for"),
        level => reduction(Reduction::Overload {
            level: level.as_milli(),
        }),
    }
}

/// What cannot be told from the record.
pub(super) fn unknown() -> Why {
    why("unknown", "the record does not say")
}

fn seconds(length: Duration) -> String {
    format!("{:.1} s", length.as_secs_f64())
}
