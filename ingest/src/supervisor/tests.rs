//! The policy of the set of generations, on virtual time.

use std::time::{Duration, Instant};

use super::Config;
use super::set::{Do, Phase, Saved, Set, Shown, Why};

const SECOND: Duration = Duration::from_secs(1);
const RETENTION: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config {
        silence: 15 * SECOND,
        start_limit: 30 * SECOND,
        stop_grace: 10 * SECOND,
        generation_limit: 3600 * SECOND,
        max_generations: 3,
    }
}

/// A set, and the clock that it goes by.
struct Scene {
    set: Set,
    now: Instant,
}

impl Scene {
    /// Generation 1 serves.
    fn new() -> Self {
        let now = Instant::now();
        let mut set = Set::new(config(), RETENTION, now);
        assert_eq!(set.tick(now), [Do::Start(1)]);
        let mut scene = Self { set, now };
        assert_eq!(scene.ready(1), [Do::TookOver(1), Do::Introduce]);
        scene
    }

    fn ready(&mut self, number: u64) -> Vec<Do> {
        self.set.heard(number, true, false, self.now)
    }

    fn idle(&mut self, number: u64) -> Vec<Do> {
        self.set.heard(number, true, true, self.now)
    }

    fn ended(&mut self, number: u64) -> Vec<Do> {
        self.set.ended(number, self.now, 0.5)
    }

    fn hand_over(&mut self) -> Vec<Do> {
        self.set.hand_over(self.now)
    }

    /// Time passes, second by second; all that is not named reports all the while.
    fn pass(&mut self, time: Duration, silent: &[u64]) -> Vec<Do> {
        let mut orders = Vec::new();
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + SECOND);
            for number in self.set.all() {
                if !silent.contains(&number) {
                    orders.extend(self.set.heard(number, false, false, self.now));
                }
            }
            orders.extend(self.set.tick(self.now));
        }
        orders
    }
}

#[test]
fn a_new_generation_takes_over_when_it_is_ready_and_not_before() {
    let mut scene = Scene::new();
    assert_eq!(scene.hand_over(), [Do::Start(2)]);
    assert_eq!(scene.pass(29 * SECOND, &[]), []);
    assert_eq!(scene.set.serving(), Some(1));
    assert_eq!(
        scene.set.others_of(2),
        [1],
        "it knows whom to ask before it accepts"
    );
    assert!(scene.set.others_of(1).is_empty(), "and is asked by nobody");
    let orders = scene.ready(2);
    assert_eq!(orders, [Do::TookOver(2), Do::Introduce, Do::Retire(1)]);
    assert_eq!(scene.set.serving(), Some(2));
    assert_eq!(scene.set.others_of(1), [2]);
}

#[test]
fn one_that_does_not_become_ready_is_killed_and_the_one_before_serves_on() {
    let mut scene = Scene::new();
    scene.hand_over();
    assert_eq!(scene.pass(30 * SECOND, &[]), [Do::Kill(2, Why::Late)]);
    assert_eq!(scene.ended(2), [Do::Introduce, Do::HandoverFailed(2)]);
    assert_eq!(scene.set.serving(), Some(1));
    assert_eq!(
        scene.pass(600 * SECOND, &[]),
        [],
        "nothing is tried again by itself"
    );
    assert_eq!(
        scene.hand_over(),
        [Do::Start(3)],
        "a number is never used again"
    );
}

#[test]
fn one_that_dies_while_it_starts_is_a_hand_over_that_failed() {
    let mut scene = Scene::new();
    scene.hand_over();
    assert_eq!(scene.ended(2), [Do::Introduce, Do::HandoverFailed(2)]);
    assert_eq!(scene.set.serving(), Some(1));
}

#[test]
fn a_hand_over_that_is_asked_for_while_one_is_under_way_follows_it() {
    let mut scene = Scene::new();
    scene.hand_over();
    assert_eq!(scene.hand_over(), []);
    let orders = scene.ready(2);
    assert_eq!(
        orders,
        [Do::TookOver(2), Do::Introduce, Do::Retire(1), Do::Start(3)]
    );
    scene.hand_over();
    let orders = scene.ended(3);
    assert_eq!(orders, [Do::Introduce, Do::HandoverFailed(3), Do::Start(4)]);
}

#[test]
fn a_retired_one_is_stopped_when_nobody_needs_it() {
    let mut scene = Scene::new();
    assert_eq!(scene.idle(1), [], "the one that serves is needed");
    scene.hand_over();
    scene.ready(2);
    assert_eq!(scene.pass(3000 * SECOND, &[]), []);
    assert_eq!(scene.idle(1), [Do::Stop(1), Do::Introduce]);
    assert!(scene.set.others_of(2).is_empty(), "it is asked no more");
    assert_eq!(scene.ended(1), [Do::Introduce]);
    assert_eq!(scene.set.all(), [2]);
}

#[test]
fn at_its_limit_a_retired_one_sends_its_publishers_away_and_ends() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.ready(2);
    assert_eq!(scene.pass(3599 * SECOND, &[]), []);
    assert_eq!(scene.pass(SECOND, &[]), [Do::Leave(1, Why::Old)]);
    assert_eq!(
        scene.set.others_of(2),
        [1],
        "what its publishers left can be played"
    );
    let rest = RETENTION + 10 * SECOND;
    assert_eq!(scene.pass(rest, &[]), [Do::Stop(1), Do::Introduce]);
    assert_eq!(scene.pass(10 * SECOND, &[]), [Do::Kill(1, Why::Stubborn)]);
    assert_eq!(scene.ended(1), [Do::Introduce]);
}

#[test]
fn of_too_many_the_oldest_leaves() {
    let mut scene = Scene::new();
    for new in 2..=3 {
        scene.hand_over();
        scene.ready(new);
    }
    assert_eq!(scene.set.others_of(3), [2, 1], "the newest is asked first");
    scene.hand_over();
    let orders = scene.ready(4);
    let expected = [
        Do::TookOver(4),
        Do::Introduce,
        Do::Retire(3),
        Do::Leave(1, Why::TooMany),
    ];
    assert_eq!(orders, expected);
}

#[test]
fn the_one_that_serves_is_replaced_when_it_dies_and_older_ones_stay() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.ready(2);
    assert_eq!(scene.ended(2), [Do::Introduce]);
    assert_eq!(scene.set.serving(), None);
    let orders = scene.pass(SECOND, &[]);
    assert_eq!(orders, [Do::Start(3)]);
    assert_eq!(scene.ready(3), [Do::TookOver(3), Do::Introduce]);
    assert_eq!(scene.set.others_of(3), [1]);
}

#[test]
fn one_that_dies_again_and_again_is_started_with_growing_pauses() {
    let mut scene = Scene::new();
    scene.ended(1);
    let mut pauses = Vec::new();
    for number in 2..7 {
        let due = scene.set.wakes_at().unwrap();
        pauses.push(due - scene.now);
        scene.now = due;
        assert_eq!(scene.set.tick(due), [Do::Start(number)]);
        assert_eq!(
            scene.ended(number),
            [Do::Introduce],
            "with none that serves it is no hand-over"
        );
    }
    assert!(pauses.is_sorted() && pauses[0] < pauses[4], "{pauses:?}");
}

#[test]
fn whoever_falls_silent_is_killed_once_and_replaced_if_it_served() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.ready(2);
    assert_eq!(scene.pass(15 * SECOND, &[1]), [Do::Kill(1, Why::Silent)]);
    assert_eq!(scene.pass(SECOND, &[1]), []);
    assert_eq!(scene.ended(1), [Do::Introduce]);
    assert_eq!(
        scene.set.serving(),
        Some(2),
        "an old one that dies takes its own streams alone"
    );
    assert_eq!(scene.pass(15 * SECOND, &[2]), [Do::Kill(2, Why::Silent)]);
    scene.ended(2);
    assert_eq!(scene.pass(SECOND, &[]), [Do::Start(3)]);
}

#[test]
fn stop_stops_all_and_nothing_starts_any_more() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.ready(2);
    scene.hand_over();
    assert_eq!(
        scene.set.stop(scene.now),
        [Do::Stop(1), Do::Stop(2), Do::Stop(3)]
    );
    assert_eq!(scene.hand_over(), []);
    scene.ended(1);
    scene.ended(3);
    assert!(!scene.set.is_over());
    assert_eq!(scene.pass(10 * SECOND, &[]), [Do::Kill(2, Why::Stubborn)]);
    scene.ended(2);
    assert!(scene.set.is_over());
    assert_eq!(scene.pass(60 * SECOND, &[]), []);
}

#[test]
fn what_one_program_leaves_the_next_goes_on_with() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.ready(2);
    scene.pass(1000 * SECOND, &[]);
    let saved = scene.set.save(scene.now);
    let generations = vec![
        (1, Phase::Retired, 1_000_000),
        (2, Phase::Serving, 1_000_000),
    ];
    assert_eq!(
        saved,
        Saved {
            next: 3,
            generations
        }
    );
    scene.now += SECOND;
    scene.set = Set::resume(config(), RETENTION, &saved, scene.now);
    assert_eq!(scene.set.serving(), Some(2));
    assert_eq!(scene.hand_over(), [Do::Start(3)]);
    scene.ready(3);
    assert_eq!(scene.pass(2599 * SECOND, &[]), []);
    assert_eq!(scene.pass(SECOND, &[]), [Do::Leave(1, Why::Old)]);
}

#[test]
fn limits_that_change_hold_at_once() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.ready(2);
    scene.pass(100 * SECOND, &[]);
    let short = Config {
        generation_limit: 50 * SECOND,
        ..config()
    };
    scene.set.configure(short, RETENTION);
    assert_eq!(scene.pass(SECOND, &[]), [Do::Leave(1, Why::Old)]);
}

#[test]
fn each_is_shown_with_its_age_and_its_limit() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.ready(2);
    scene.pass(100 * SECOND, &[]);
    let retired = Shown {
        number: 1,
        phase: Phase::Retired,
        age: 100 * SECOND,
        left: Some(config().generation_limit - 100 * SECOND),
    };
    let serving = Shown {
        number: 2,
        phase: Phase::Serving,
        age: 100 * SECOND,
        left: None,
    };
    assert_eq!(scene.set.show(scene.now), [retired, serving]);
}

#[test]
fn time_that_the_supervisor_did_not_have_is_nobodys_silence() {
    let mut scene = Scene::new();
    // It wakes a minute late, and hears nobody before the clock.
    scene.now += 60 * SECOND;
    scene.set.lost(50 * SECOND);
    assert_eq!(scene.set.tick(scene.now), []);
    assert_eq!(scene.pass(5 * SECOND, &[1]), [Do::Kill(1, Why::Silent)]);
}

#[test]
fn time_that_the_supervisor_did_not_have_makes_nobody_late() {
    let mut scene = Scene::new();
    scene.hand_over();
    scene.now += 60 * SECOND;
    scene.set.lost(59 * SECOND);
    assert_eq!(scene.set.tick(scene.now), []);
    assert_eq!(scene.pass(28 * SECOND, &[]), []);
    assert_eq!(scene.pass(SECOND, &[]), [Do::Kill(2, Why::Late)]);
}
