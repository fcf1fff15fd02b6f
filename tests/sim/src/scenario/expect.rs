use std::fmt;

use serde::Deserialize;

/// What a run is judged by. Defined in `docs/simulate.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Share of segments of which everything that was asked came by the deadline.
    OnTime,
    /// Share of segments of which something that was asked did not.
    Gaps,
    /// The same, of segments cut when a fault had gone on for `settle`, or cut after it, and that
    /// were not withheld.
    GapsSettled,
    /// Share of segments that were not sent, since their stream's circuit was open.
    Withheld,
    /// The same, of segments cut after the first fault began.
    GapsNew,
    /// Segments lost from the first fault on that the befallen nodes did not have themselves half a
    /// second after it began; of the worst run.
    GapsBeyond,
    /// Median turnaround in seconds.
    P50,
    /// 99th percentile of the turnaround in seconds.
    P99,
    /// 99.9th percentile.
    P999,
    /// 99th percentile over the 10 s after each fault's beginning.
    AfterP99,
    /// Changes of node, a stream, in the time that counts.
    Swaps,
    /// Changes of node in the 10 s after the fault, a stream whose node it befell.
    AffectedSwaps,
    /// The most of one such stream.
    AffectedSwapsMost,
    /// Of these changes, those that last: two segments in a row and more go to the new node.
    AffectedMoves,
    /// The most of one such stream.
    AffectedMovesMost,
    /// Share of such streams that are elsewhere by the third segment after the fault.
    LeftInTwo,
    /// Submissions a segment.
    Submissions,
    /// Submissions above 1.1 N + T in the worst window.
    Excess,
    /// Refusals a segment.
    Refusals,
    /// The most nodes that were given one poison segment.
    PoisonNodes,
    /// What befallen nodes carry while the fault lasts, of their fair share.
    FaultyShare,
    /// Seconds from a fault's end until the nodes carry half of their fair share again.
    BackAfter,
    /// Share of the renditions that were asked for, by work.
    Asked,
    /// Share of segments whose lowest rung came by the deadline.
    Lowest,
    /// The same for the stream that fares worst.
    LowestWorst,
    /// Times that degradation changed its direction while demand was up, at most one a run.
    TurnsDown,
    /// The same from then on.
    TurnsUp,
}

/// Their names.
pub(crate) const FIGURES: [(Figure, &str); 27] = [
    (Figure::OnTime, "on_time"),
    (Figure::Gaps, "gaps"),
    (Figure::GapsSettled, "gaps_settled"),
    (Figure::Withheld, "withheld"),
    (Figure::GapsNew, "gaps_new"),
    (Figure::GapsBeyond, "gaps_beyond"),
    (Figure::P50, "p50"),
    (Figure::P99, "p99"),
    (Figure::P999, "p999"),
    (Figure::AfterP99, "after_p99"),
    (Figure::Swaps, "swaps"),
    (Figure::AffectedSwaps, "affected_swaps"),
    (Figure::AffectedSwapsMost, "affected_swaps_most"),
    (Figure::AffectedMoves, "affected_moves"),
    (Figure::AffectedMovesMost, "affected_moves_most"),
    (Figure::LeftInTwo, "left_in_two"),
    (Figure::Submissions, "submissions"),
    (Figure::Excess, "excess"),
    (Figure::Refusals, "refusals"),
    (Figure::PoisonNodes, "poison_nodes"),
    (Figure::FaultyShare, "faulty_share"),
    (Figure::BackAfter, "back_after"),
    (Figure::Asked, "asked"),
    (Figure::Lowest, "lowest"),
    (Figure::LowestWorst, "lowest_worst"),
    (Figure::TurnsDown, "turns_down"),
    (Figure::TurnsUp, "turns_up"),
];

impl Figure {
    /// Its name in a scenario.
    pub fn name(self) -> &'static str {
        FIGURES
            .iter()
            .find(|(figure, _)| *figure == self)
            .map_or("", |(_, name)| name)
    }

    /// Whether the one value is better than the other.
    pub(crate) fn is_better(self, a: f64, b: f64) -> bool {
        match self {
            Self::OnTime | Self::LeftInTwo | Self::Asked | Self::Lowest | Self::LowestWorst => {
                a > b
            }
            _ => a < b,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a figure must be.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bound {
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// At most so many times what the oracle has.
    pub(crate) oracle: Option<f64>,
    /// Better than every baseline that keeps to the same bound of submissions.
    pub(crate) beats_baselines: bool,
}

impl Bound {
    pub(super) fn check(&self) -> Result<(), String> {
        let numbers = [self.min, self.max, self.oracle];
        if numbers.iter().flatten().any(|n| !n.is_finite()) {
            return Err("must be finite".to_owned());
        }
        if numbers.iter().all(Option::is_none) && !self.beats_baselines {
            return Err("says nothing: min, max, oracle or beats_baselines".to_owned());
        }
        Ok(())
    }
}
