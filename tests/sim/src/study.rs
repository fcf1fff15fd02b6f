use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::measure::{Tally, Trace};
use crate::policy::Name;
use crate::scenario::{Figure, Scenario};
use crate::time::Time;

/// Seeds whose course is kept for the plots.
const TRACED: u64 = 10;
/// Sums of decimal fractions are not exact.
const ROUNDING: f64 = 1e-9;

/// A scenario, run with every policy for some seeds.
#[derive(Debug)]
pub struct Study {
    /// The scenario.
    pub scenario: Scenario,
    /// How many seeds.
    pub seeds: u64,
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

/// Runs a scenario for the seeds 1 to `seeds` and the given policies on so many threads. The
/// result does not depend on the threads.
pub fn simulate(scenario: &Scenario, policies: &[Name], seeds: u64, threads: usize) -> Study {
    let jobs: Vec<(u64, Name)> = (1..=seeds)
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
                    let (record, nodes) = policy.run(scenario, seed);
                    let took = began.elapsed();
                    let tally = Tally::of(scenario, &record, &nodes);
                    let trace = (seed <= TRACED).then(|| Trace::of(&record, nodes.len()));
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
    let runs = u32::try_from(seeds).unwrap_or(u32::MAX).max(1);
    done.took.values_mut().for_each(|took| *took /= runs);
    Study {
        scenario: scenario.clone(),
        seeds,
        took: done.took,
        tallies: done.tallies,
        traces,
    }
}

/// Why segments were lost, or slow as well, in one run of ours, a paragraph each: when a segment
/// was cut, and what was decided for it.
pub fn stories(scenario: &Scenario, seed: u64, slow: bool) -> Vec<String> {
    let (record, _) = Name::Ours.run(scenario, seed);
    let told = record.stories.iter().filter(|story| slow || story.lost);
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
