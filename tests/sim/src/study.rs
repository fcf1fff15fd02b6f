use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::measure::{Tally, Trace, restless};
use crate::policy::Name;
use crate::scenario::{Figure, Scenario};
use crate::time::Time;

/// The first so many seeds are those whose course is kept for the plots.
const TRACED: u64 = 10;
/// Sums of decimal fractions are not exact.
const ROUNDING: f64 = 1e-9;

/// A scenario, run with every policy for some seeds.
#[derive(Debug)]
pub struct Study {
    /// The scenario.
    pub scenario: Scenario,
    /// Which seeds.
    pub seeds: Range<u64>,
    /// How long a run of each policy took on average, of real time.
    pub took: BTreeMap<Name, Duration>,
    pub(crate) tallies: BTreeMap<Name, Tally>,
    pub(crate) traces: BTreeMap<Name, Trace>,
}

/// What the threads put together.
#[derive(Default)]
struct Done {
    tallies: BTreeMap<Name, Tally>,
    took: BTreeMap<Name, Duration>,
    traces: BTreeMap<(Name, u64), Trace>,
}

/// Runs a scenario for these seeds and the given policies on so many threads. The result does not
/// depend on the threads.
pub fn simulate(
    scenario: &Scenario,
    policies: &[Name],
    seeds: Range<u64>,
    threads: usize,
) -> Study {
    let traced = seeds.start.saturating_add(TRACED);
    let jobs: Vec<(u64, Name)> = seeds
        .clone()
        .flat_map(|seed| policies.iter().map(move |p| (seed, *p)))
        .collect();
    let next = AtomicU64::new(0);
    let done = Mutex::new(Done::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let job = usize::try_from(i).ok().and_then(|i| jobs.get(i));
                    let Some(&(seed, policy)) = job else { return };
                    let began = Instant::now();
                    let (record, nodes) = policy.run(scenario, seed, false);
                    let took = began.elapsed();
                    let tally = Tally::of(scenario, &record);
                    let trace = (seed < traced).then(|| Trace::of(&record, nodes.len()));
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.tallies.entry(policy).or_default().merge(&tally);
                    *done.took.entry(policy).or_default() += took;
                    done.traces.extend(trace.map(|t| ((policy, seed), t)));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut traces: BTreeMap<Name, Trace> = BTreeMap::new();
    for ((policy, _), trace) in done.traces {
        traces.entry(policy).or_default().merge(trace);
    }
    let runs = u32::try_from(seeds.end.saturating_sub(seeds.start));
    let runs = runs.unwrap_or(u32::MAX).max(1);
    done.took.values_mut().for_each(|took| *took /= runs);
    Study {
        scenario: scenario.clone(),
        seeds,
        took: done.took,
        tallies: done.tallies,
        traces,
    }
}

/// Of which segments what was decided is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Those that were lost.
    Lost,
    /// Those that took more than a third of their time as well.
    Slow,
    /// Those of streams whose node a fault befell and that moved more than once because of it.
    Moved,
}

/// What was decided for some segments of one run of ours and why, a paragraph each.
pub fn stories(scenario: &Scenario, seed: u64, told: Told) -> Vec<String> {
    let (record, _) = Name::Ours.run(scenario, seed, true);
    let restless = match told {
        Told::Moved => restless(&record),
        Told::Lost | Told::Slow => Vec::new(),
    };
    let told = record.stories.iter().filter(|story| match told {
        Told::Lost => story.lost,
        Told::Slow => story.lost || story.slow,
        Told::Moved => restless.contains(&story.stream),
    });
    let told = told.map(|story| {
        let head = format!("stream {}, cut at {:.3} s", story.stream, story.cut.secs());
        format!("{head}\n  {}\n", story.steps.join("\n  "))
    });
    told.collect()
}

impl Study {
    /// A figure of a policy; `None` where there is nothing that it could be of.
    pub fn figure(&self, policy: Name, figure: Figure) -> Option<f64> {
        self.tallies.get(&policy)?.figure(figure)
    }

    /// When each fault begins and ends.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (Time, Time)> {
        let faults = self.scenario.faults.iter();
        faults.map(|f| (Time::after(f.at), f.until.map_or(Time::NEVER, Time::after)))
    }

    /// What was expected of ours and did not come: figure, bound, and what was seen.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (figure, bound) in &self.scenario.expect {
            let mut fail = |what: String| {
                failures.push(format!("{}: {figure}: {what}", self.scenario.name));
            };
            let Some(seen) = self.figure(Name::Ours, *figure) else {
                fail("expected, but there is nothing to measure it by".to_owned());
                continue;
            };
            if let Some(min) = bound.min.filter(|min| seen < *min - ROUNDING) {
                fail(format!("at least {min} expected, {seen:.6} seen"));
            }
            if let Some(max) = bound.max.filter(|max| seen > *max + ROUNDING) {
                fail(format!("at most {max} expected, {seen:.6} seen"));
            }
            if let Some(factor) = bound.oracle {
                match self.figure(Name::Oracle, *figure) {
                    Some(best) if seen > best * factor => fail(format!(
                        "at most {factor} times the oracle's {best:.4} expected, {seen:.4} seen \
                         ({:.3} times)",
                        seen / best
                    )),
                    Some(_) => {}
                    None => fail("the oracle was not run".to_owned()),
                }
            }
            if bound.beats_baselines {
                let baselines = self.tallies.keys().filter(|name| name.is_baseline());
                for name in baselines.copied() {
                    let theirs = self.figure(name, *figure).unwrap_or(f64::NAN);
                    if !figure.is_better(seen, theirs) {
                        fail(format!(
                            "better than {name}'s {theirs:.6} expected, {seen:.6} seen"
                        ));
                    }
                }
            }
        }
        failures
    }
}
