//! A busy machine, to the millisecond and by the limits that are usual: who is kept from moving is told
//! from who hangs, and who hangs is found no later for it.

use super::tests::status;
use super::*;

const RULES: Rules = Rules {
    silent_after: Duration::from_millis(700),
    stalled_after: Duration::from_millis(700),
    starved_after: Duration::from_secs(10),
    forget_after: Duration::from_secs(600),
    recover_after: Duration::from_secs(5),
};

const WELL: &str = "passing: 3 streams";
const STUCK: &str = "critical: stuck: its progress stands still";
const HANGS: &str = "critical: hangs: no answer on its status socket";

/// A service that moved and said so at 0; times are milliseconds since then.
struct Scene {
    board: Board,
    start: Instant,
}

/// Since the first sample: milliseconds that it waited, and whether it wants to run.
type Seen = (u64, bool);
const ASLEEP: Seen = (0, false);
const WAITS: Seen = (0, true);

impl Scene {
    fn new() -> Self {
        let mut scene = Self {
            board: Board::new(RULES),
            start: Instant::now(),
        };
        scene.says(0, 1, 0);
        assert_eq!(scene.judged(0), WELL);
        scene
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// It answers with a progress that has stood for so long.
    fn says(&mut self, millis: u64, progress: u64, still: u64) {
        let status = ServiceStatus {
            still_ms: Some(still),
            ..status(progress)
        };
        let now = self.at(millis);
        let heard = Heard::Status(Box::new(status));
        self.board.hear(Path::new("/s"), heard, now);
    }

    fn sees(&mut self, millis: u64, own: Seen, children: Seen) {
        let now = self.at(millis);
        assert_eq!(self.board.still(now).len(), 1, "it would be looked at");
        let sample = |(waited, wants)| {
            Some(Sample {
                ran: Duration::ZERO,
                waited: Duration::from_millis(waited),
                wants,
                blocked: false,
            })
        };
        let (own, children) = (sample(own), sample(children));
        self.board.watched(Path::new("/s"), own, children, now);
    }

    fn judged(&mut self, millis: u64) -> String {
        let now = self.at(millis);
        let judged = self.board.judge(now).next().unwrap();
        format!("{}: {}", judged.verdict.state, judged.verdict.reason)
    }
}

#[test]
fn an_answer_that_is_older_than_the_wait_takes_back_nothing() {
    let mut scene = Scene::new();
    // From 199 on the supervisor gets no CPU; its worker speaks, and nobody reads it.
    for tick in (300..=700).step_by(100) {
        scene.sees(tick, WAITS, ASLEEP);
        assert_eq!(scene.judged(tick), WELL);
    }
    // It runs, and answers before it has read what its worker said.
    scene.says(710, 1, 710);
    assert_eq!(scene.judged(710), WELL);
    scene.sees(800, (511, false), ASLEEP);
    assert_eq!(scene.judged(800), WELL);
    scene.says(810, 9, 90);
    assert_eq!(scene.judged(810), WELL);

    // What it waited before it moved excuses nothing that comes after: it moved at 720.
    for tick in (1_000..1_400).step_by(100) {
        scene.sees(tick, (511, false), ASLEEP);
        scene.says(tick + 10, 9, tick - 710);
    }
    assert_eq!(scene.judged(1_419), WELL);
    assert_eq!(scene.judged(1_420), STUCK);
}

#[test]
fn nor_does_one_that_tells_of_an_old_move() {
    let mut scene = Scene::new();
    for tick in (300..=800).step_by(100) {
        scene.sees(tick, WAITS, ASLEEP);
    }
    // It had moved at 100, which nobody had asked since, and no more when it stopped running at 199.
    scene.says(810, 2, 710);
    assert_eq!(scene.judged(810), WELL);
    scene.says(890, 3, 10);
    assert_eq!(scene.judged(900), WELL);
}

#[test]
fn a_wait_that_ended_long_before_the_limit_counts_at_the_limit() {
    let mut scene = Scene::new();
    for tick in (300..=500).step_by(100) {
        scene.sees(tick, WAITS, ASLEEP);
    }
    scene.says(600, 1, 600);
    for tick in [600, 700] {
        scene.sees(tick, (400, false), ASLEEP);
        assert_eq!(scene.judged(tick), WELL);
    }
    scene.says(750, 2, 50);
    assert_eq!(scene.judged(800), WELL);
}

/// Of each 100 ms the service waits `own`, its worker `children`; it is judged by ticks. When it is ill, and
/// how.
fn ill(own: u64, children: u64, answers: bool) -> (u64, String) {
    let mut scene = Scene::new();
    let mut tick = 200;
    loop {
        tick += 100;
        let waited = |each| ((tick - 300) / 100 * each, false);
        scene.sees(tick, waited(own), waited(children));
        if answers && tick % 200 == 0 {
            scene.says(tick, 1, tick);
        }
        match scene.judged(tick) {
            verdict if verdict == WELL => {}
            verdict => return (tick, verdict),
        }
    }
}

#[test]
fn small_waits_of_both_add_up_and_nothing_else_makes_it_later() {
    for (own, children, stuck) in [(0, 0, 700), (40, 0, 1_000), (40, 30, 1_700)] {
        assert_eq!(ill(own, children, true), (stuck, STUCK.to_owned()));
    }
    // A worker's waits do not excuse a service that says nothing.
    for (own, children, silent) in [(0, 45, 700), (40, 45, 1_000)] {
        assert_eq!(ill(own, children, false), (silent, HANGS.to_owned()));
    }
}

#[test]
fn who_is_heard_late_is_judged_by_what_is_heard() {
    let mut scene = Scene::new();
    scene.says(600, 1, 600);
    // It was asked at 650, moved, and answered at 700; the agent runs again at 750.
    scene.says(750, 2, 50);
    assert_eq!(scene.judged(750), WELL);
    assert_eq!(scene.judged(850), WELL, "nothing is remembered");
    // What was judged, though, is: it was said aloud.
    assert_eq!(scene.judged(1_450), HANGS);
    scene.says(1_460, 3, 0);
    assert!(
        scene
            .judged(1_460)
            .starts_with("critical: not well for long enough yet")
    );
}

#[test]
fn who_was_ill_is_well_from_when_it_was_heard() {
    let mut scene = Scene::new();
    assert_eq!(scene.judged(1_450), HANGS);
    scene.says(1_540, 2, 0);
    let doubted = format!(
        "critical: not well for long enough yet; it was: {}",
        &HANGS[10..]
    );
    assert_eq!(scene.judged(1_450), doubted, "judged by the last look");
    scene.says(6_450, 3, 0);
    assert_eq!(scene.judged(6_539), doubted);
    assert_eq!(scene.judged(6_540), WELL);
}

#[test]
fn what_the_agent_lost_counts_for_nobody_and_is_no_credit() {
    let mut scene = Scene::new();
    scene.says(600, 1, 600);
    let now = scene.at(790);
    scene.board.lost(Duration::from_millis(88), now);
    assert_eq!(scene.judged(787), WELL);
    assert_eq!(scene.judged(788), STUCK);

    // It was heard in the middle of what was lost: it has not moved in the future.
    let mut scene = Scene::new();
    scene.says(185, 2, 0);
    let now = scene.at(190);
    scene.board.lost(Duration::from_millis(88), now);
    assert_eq!(scene.judged(889), WELL);
    assert_eq!(scene.judged(890), HANGS);
}
