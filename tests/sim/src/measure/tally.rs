use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use super::degrade::{asked_over_time, turns};
use super::histogram::Histogram;
use super::path::{AFTER, Path, after, fault_of_nodes};
use super::record::{Record, Taken};
use crate::policy::excess;
use crate::scenario::{Figure, Kind, Scenario};
use crate::time::Time;
use crate::world::Episode;

/// Whether a node is back is seen in windows of this length.
const BACK_WINDOW: Duration = Duration::from_secs(5);
/// For so long nobody can know that a node no longer answers: about what a job takes.
const UNKNOWN: Duration = Duration::from_millis(500);
/// A node that carries this share of its fair share is back.
const BACK_SHARE: f64 = 0.5;

/// Counts of a run, or of many: figures come out of sums, never out of averages of averages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) runs: u64,
    pub(crate) segments: u64,
    on_time: u64,
    settled: u64,
    settled_gaps: u64,
    withheld: u64,
    new: u64,
    new_gaps: u64,
    beyond: u64,
    pub(crate) whole: Histogram,
    after: Histogram,
    streams: u64,
    swaps: u64,
    affected: u64,
    affected_swaps: u64,
    affected_most: u64,
    affected_moves: u64,
    affected_moves_most: u64,
    left_in_two: u64,
    submissions: u64,
    refusals: u64,
    excess: Option<f64>,
    poison_nodes: usize,
    faulty: f64,
    fair: f64,
    back_after: f64,
    work: u64,
    work_asked: u64,
    lowest: u64,
    lowest_worst: Option<f64>,
    turns_down: u32,
    turns_up: u32,
}

impl Tally {
    /// What one run comes to.
    pub(crate) fn of(scenario: &Scenario, record: &Record) -> Self {
        let mut t = Self {
            runs: 1,
            ..Self::default()
        };
        let from = Time::after(scenario.warm_up);
        let until = Time::after(scenario.length);
        let judged = from..until;
        let counted = || record.segments.iter().filter(|s| judged.contains(&s.cut));
        for s in counted() {
            t.segment(scenario, record, s);
        }
        t.bounds(record, until);
        t.beyond(record);
        t.streams(record, &judged);
        t.lowest_by_stream(counted());
        for fault in &record.faults {
            t.fair_share(scenario, record, fault);
        }
        t.turns(scenario, record);
        t
    }

    fn segment(&mut self, scenario: &Scenario, record: &Record, s: &Taken) {
        self.submissions += u64::from(s.submissions);
        self.refusals += u64::from(s.refusals);
        if s.poison {
            // Nobody can: no gap of the policy's, but it must not spread.
            self.poison_nodes = self.poison_nodes.max(s.nodes());
            self.segments += 1;
            self.on_time += 1;
            self.lowest += 1;
            return;
        }
        let gap = u64::from(!s.is_on_time());
        self.withheld += u64::from(s.withheld);
        self.segments += 1;
        self.on_time += 1 - gap;
        self.whole.add(s.turnaround());
        self.work += s.work;
        self.work_asked += s.work_asked;
        self.lowest += u64::from(s.on_time & s.lowest_rung() != 0);
        let faults = &record.faults;
        let since = |f: &Episode| s.cut.since(f.from);
        if faults.iter().any(|f| s.cut >= f.from && since(f) < AFTER) {
            self.after.add(s.turnaround());
        }
        if faults.first().is_some_and(|f| s.cut >= f.from) {
            self.new += 1;
            self.new_gaps += gap;
        }
        // Also what was under way when it began: nobody could know.
        let unsettled = |f: &Episode| s.deadline >= f.from && since(f) < scenario.settle;
        if !faults.iter().any(unsettled) && !s.withheld {
            self.settled += 1;
            self.settled_gaps += gap;
        }
    }

    /// What was itself under way on the nodes, or was sent there before anything could be late, cannot
    /// be blamed on who sent it.
    fn beyond(&mut self, record: &Record) {
        let Some(fault) = fault_of_nodes(record) else {
            return;
        };
        let there = record
            .sent
            .iter()
            .filter(|sent| sent.at < fault.from + UNKNOWN && fault.nodes.contains(&sent.node));
        let there = there.map(|sent| sent.segment);
        let ends = |n: &u32| record.segments[*n as usize].complete;
        let under_way: HashSet<u32> = there.filter(|n| ends(n) >= fault.from).collect();
        let since = (0..).zip(&record.segments);
        let since = since.filter(|(_, s)| s.deadline >= fault.from);
        let lost = since.filter(|(_, s)| !s.poison && !s.is_on_time());
        self.beyond = lost.filter(|(n, _)| !under_way.contains(n)).count() as u64;
    }

    fn bounds(&mut self, record: &Record, last: Time) {
        for ingest in record.by_ingest().iter().filter(|i| !i.is_empty()) {
            let worst = excess(ingest, last);
            self.excess = Some(self.excess.map_or(worst, |e| e.max(worst)));
        }
    }

    /// Where each stream's segments went, one after another.
    fn streams(&mut self, record: &Record, judged: &Range<Time>) {
        let fault = fault_of_nodes(record);
        for path in Path::all(record).values() {
            self.streams += 1;
            self.swaps += path.swaps(judged);
            let Some(fault) = fault.filter(|f| path.is_befallen(f)) else {
                continue;
            };
            self.affected += 1;
            self.left_in_two += u64::from(path.left_in_two(fault));
            let swaps = path.swaps(&after(fault));
            self.affected_swaps += swaps;
            self.affected_most = self.affected_most.max(swaps);
            let moves = path.moves(&after(fault));
            self.affected_moves += moves;
            self.affected_moves_most = self.affected_moves_most.max(moves);
        }
    }

    fn lowest_by_stream<'a>(&mut self, segments: impl Iterator<Item = &'a Taken>) {
        let mut kept: HashMap<u32, (u64, u64)> = HashMap::new();
        for s in segments.filter(|s| !s.poison) {
            let (kept, all) = kept.entry(s.stream).or_default();
            *kept += u64::from(s.on_time & s.lowest_rung() != 0);
            *all += 1;
        }
        let shares = kept.values().map(|(kept, all)| *kept as f64 / *all as f64);
        self.lowest_worst = shares.min_by(f64::total_cmp);
    }

    /// What the nodes that a fault befell carry, and when they are back: by what this policy gave them before. A share by
    /// speed is not what a slow node gets while fast ones are free.
    fn fair_share(&mut self, scenario: &Scenario, record: &Record, fault: &Episode) {
        if fault.nodes.is_empty() || matches!(fault.kind, Kind::Restart { .. }) {
            return;
        }
        let count = |from: Time, until: Time| {
            let start = record.sent.partition_point(|s| s.at < from);
            let sent = record.sent[start..].iter().take_while(|s| s.at < until);
            sent.fold((0.0, 0.0), |(there, all), s| {
                (
                    there + f64::from(u8::from(fault.nodes.contains(&s.node))),
                    all + 1.0,
                )
            })
        };
        let first = record.faults.iter().map(|f| f.from).min();
        let (there, sent) = count(Time::after(scenario.warm_up), first.unwrap_or(fault.from));
        let fair = there / f64::max(sent, 1.0);
        let (there, sent) = count(fault.from, fault.until);
        self.faulty += there;
        self.fair += sent * fair;
        let end = record.sent.last().map_or(Time::ZERO, |s| s.at);
        let mut from = fault.until;
        if from + BACK_WINDOW > end {
            return;
        }
        while from + BACK_WINDOW <= end {
            let (there, sent) = count(from, from + BACK_WINDOW);
            if sent > 0.0 && there >= BACK_SHARE * fair * sent {
                break;
            }
            from = from + Duration::from_secs(1);
        }
        let back = (from + BACK_WINDOW).since(fault.until).as_secs_f64();
        self.back_after = self.back_after.max(back);
    }

    /// Demand is up from the first ingest that comes later until it goes.
    fn turns(&mut self, scenario: &Scenario, record: &Record) {
        let Some(extra) = scenario.ingests.iter().find(|i| !i.from.is_zero()) else {
            return;
        };
        let levels = asked_over_time(record, extra.segment);
        let (up, down) = (
            Time::after(extra.from),
            Time::after(extra.until.unwrap_or(scenario.length)),
        );
        let within = |from: Time, to: Time| {
            let inside = levels.iter().filter(move |(at, _)| *at >= from && *at < to);
            turns(inside.map(|(_, level)| *level))
        };
        self.turns_down = within(up, down);
        self.turns_up = within(down, Time::after(scenario.length));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.segments += other.segments;
        self.on_time += other.on_time;
        self.settled += other.settled;
        self.settled_gaps += other.settled_gaps;
        self.withheld += other.withheld;
        self.new += other.new;
        self.new_gaps += other.new_gaps;
        self.beyond = self.beyond.max(other.beyond);
        self.whole.merge(&other.whole);
        self.after.merge(&other.after);
        self.streams += other.streams;
        self.swaps += other.swaps;
        self.affected += other.affected;
        self.affected_swaps += other.affected_swaps;
        self.affected_most = self.affected_most.max(other.affected_most);
        self.affected_moves += other.affected_moves;
        self.affected_moves_most = self.affected_moves_most.max(other.affected_moves_most);
        self.left_in_two += other.left_in_two;
        self.submissions += other.submissions;
        self.refusals += other.refusals;
        self.excess = most(self.excess, other.excess);
        self.poison_nodes = self.poison_nodes.max(other.poison_nodes);
        self.faulty += other.faulty;
        self.fair += other.fair;
        self.back_after = self.back_after.max(other.back_after);
        self.work += other.work;
        self.work_asked += other.work_asked;
        self.lowest += other.lowest;
        self.lowest_worst = match (self.lowest_worst, other.lowest_worst) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.turns_down = self.turns_down.max(other.turns_down);
        self.turns_up = self.turns_up.max(other.turns_up);
    }

    /// A figure; `None` where the scenario has nothing that it could be of.
    pub(crate) fn figure(&self, figure: Figure) -> Option<f64> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        match figure {
            Figure::OnTime => share(self.on_time, self.segments),
            Figure::Gaps => share(self.segments - self.on_time, self.segments),
            Figure::GapsSettled => share(self.settled_gaps, self.settled),
            Figure::Withheld => share(self.withheld, self.segments),
            Figure::GapsNew => share(self.new_gaps, self.new),
            Figure::GapsBeyond => Some(self.beyond as f64),
            Figure::P50 => self.whole.quantile(0.5),
            Figure::P99 => self.whole.quantile(0.99),
            Figure::P999 => self.whole.quantile(0.999),
            Figure::AfterP99 => self.after.quantile(0.99),
            Figure::Swaps => share(self.swaps, self.streams),
            Figure::AffectedSwaps => share(self.affected_swaps, self.affected),
            Figure::AffectedSwapsMost => (self.affected > 0).then_some(self.affected_most as f64),
            Figure::AffectedMoves => share(self.affected_moves, self.affected),
            Figure::AffectedMovesMost => {
                (self.affected > 0).then_some(self.affected_moves_most as f64)
            }
            Figure::LeftInTwo => share(self.left_in_two, self.affected),
            Figure::Submissions => share(self.submissions, self.segments),
            Figure::Excess => self.excess,
            Figure::Refusals => share(self.refusals, self.segments),
            Figure::PoisonNodes => Some(self.poison_nodes as f64),
            Figure::FaultyShare => (self.fair > 0.0).then(|| self.faulty / self.fair),
            Figure::BackAfter => (self.fair > 0.0).then_some(self.back_after),
            Figure::Asked => share(self.work_asked, self.work),
            Figure::Lowest => share(self.lowest, self.segments),
            Figure::LowestWorst => self.lowest_worst,
            Figure::TurnsDown => Some(f64::from(self.turns_down)),
            Figure::TurnsUp => Some(f64::from(self.turns_up)),
        }
    }
}

fn most(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}
