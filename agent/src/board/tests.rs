use rackcast_service::status::{Health, Role};

use super::*;

const RULES: Rules = Rules {
    silent_after: Duration::from_secs(10),
    stalled_after: Duration::from_secs(30),
    starved_after: Duration::from_secs(60),
    forget_after: Duration::from_secs(600),
    recover_after: Duration::ZERO,
};

/// A board with one service, on virtual time.
struct Scene {
    board: Board,
    start: Instant,
}

pub(super) fn status(progress: u64) -> ServiceStatus {
    ServiceStatus {
        role: Role::Ingest,
        instance: "1".into(),
        node: "n".into(),
        version: "1".into(),
        pid: 1,
        protocol: 1,
        ready: true,
        draining: false,
        health: Health::passing("3 streams"),
        endpoints: BTreeMap::new(),
        tags: Vec::new(),
        meta: BTreeMap::new(),
        weight: 1,
        progress,
        still_ms: None,
        beat_ms: 250,
        work: 0,
        devices: Vec::new(),
        gpu_driver: String::new(),
        generations: Vec::new(),
        waiting: Default::default(),
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(RULES)
    }

    fn with(rules: Rules) -> Self {
        Self {
            board: Board::new(rules),
            start: Instant::now(),
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn says(&mut self, second: u64, status: ServiceStatus) -> String {
        self.hears(second, Heard::Status(Box::new(status)))
    }

    fn hears(&mut self, second: u64, heard: Heard) -> String {
        self.board.hear(Path::new("/s"), heard, self.at(second));
        self.judged(second)
    }

    fn judged(&mut self, second: u64) -> String {
        let judged = self.board.judge(self.at(second)).next();
        judged.map_or("unknown".into(), |judged| {
            format!("{}: {}", judged.verdict.state, judged.verdict.reason)
        })
    }
}

#[test]
fn a_service_is_what_it_says() {
    let mut scene = Scene::new();
    assert_eq!(scene.hears(0, Heard::Absent), "unknown");
    assert_eq!(scene.hears(0, Heard::Nothing), "unknown");
    let starting = ServiceStatus {
        ready: false,
        ..status(0)
    };
    assert_eq!(scene.says(1, starting), "critical: starting");
    assert_eq!(scene.says(2, status(1)), "passing: 3 streams");
    let draining = ServiceStatus {
        ready: false,
        draining: true,
        ..status(2)
    };
    assert_eq!(scene.says(3, draining), "passing: 3 streams");
    let ill = ServiceStatus {
        health: Health::critical("no device"),
        ..status(3)
    };
    assert_eq!(scene.says(4, ill.clone()), "critical: no device");
    let ill = ServiceStatus {
        ready: false,
        ..ill
    };
    assert_eq!(scene.says(5, ill), "critical: no device");
}

#[test]
fn a_service_that_stands_still_is_stuck() {
    let mut scene = Scene::new();
    scene.says(0, status(7));
    assert_eq!(scene.says(29, status(7)), "passing: 3 streams");
    assert_eq!(
        scene.says(30, status(7)),
        "critical: stuck: its progress stands still"
    );
    assert_eq!(scene.says(31, status(8)), "passing: 3 streams");
    // A restarted service counts from the beginning, perhaps to the same number.
    let restarted = ServiceStatus {
        pid: 2,
        ..status(8)
    };
    assert_eq!(scene.says(61, restarted), "passing: 3 streams");
}

#[test]
fn a_process_that_was_critical_must_be_well_for_a_while() {
    let rules = Rules {
        recover_after: Duration::from_secs(5),
        ..RULES
    };
    let mut scene = Scene::with(rules);
    let ill = ServiceStatus {
        health: Health::critical("no device"),
        ..status(1)
    };
    let yet = "critical: not well for long enough yet; it was: no device";
    assert_eq!(scene.says(0, status(0)), "passing: 3 streams");
    assert_eq!(scene.says(1, ill.clone()), "critical: no device", "at once");
    assert_eq!(
        [scene.says(2, status(2)), scene.says(6, status(6))],
        [yet; 2]
    );
    assert_eq!(scene.says(7, status(7)), "passing: 3 streams");
    // It relapses: the time counts anew.
    scene.says(8, ill.clone());
    scene.says(9, status(9));
    scene.says(13, ill);
    assert_eq!(
        [scene.says(14, status(14)), scene.says(18, status(18))],
        [yet; 2]
    );
    assert_eq!(scene.says(19, status(19)), "passing: 3 streams");
    // So does silence, and another process is another matter.
    scene.hears(29, Heard::Nothing);
    let hung = "critical: not well for long enough yet; it was: hangs: no answer on its status \
                socket";
    assert_eq!(scene.says(30, status(30)), hung);
    let restarted = ServiceStatus {
        pid: 2,
        ..status(0)
    };
    assert_eq!(scene.says(31, restarted), "passing: 3 streams");
}

#[test]
fn a_process_that_was_never_ready_has_not_been_ill() {
    let mut scene = Scene::with(Rules {
        recover_after: Duration::from_secs(5),
        ..RULES
    });
    let empty = ServiceStatus {
        ready: false,
        health: Health::critical("0 of 1 workers up"),
        ..status(1)
    };
    assert_eq!(scene.says(0, empty.clone()), "critical: 0 of 1 workers up");
    assert_eq!(scene.says(1, status(2)), "passing: 3 streams", "at once");
    // The same later is a fault.
    scene.says(2, empty);
    let yet = "critical: not well for long enough yet; it was: 0 of 1 workers up";
    assert_eq!(scene.says(3, status(4)), yet);
}

#[test]
fn a_service_that_answers_late_is_given_time() {
    let mut scene = Scene::new();
    scene.says(0, status(1));
    assert_eq!(scene.hears(9, Heard::Nothing), "passing: 3 streams");
    let hangs = "critical: hangs: no answer on its status socket";
    assert_eq!(scene.hears(10, Heard::Nothing), hangs);
    assert_eq!(scene.says(11, status(2)), "passing: 3 streams");
}

#[test]
fn who_is_not_let_run_is_given_more_time_than_who_hangs() {
    let socket = Path::new("/s");
    let mut scene = Scene::new();
    scene.says(0, status(1));
    assert_eq!(scene.board.still(scene.at(3)), []);
    assert_eq!(scene.board.still(scene.at(4)), [(socket.into(), 1)]);
    let watched = |own: Option<Sample>, children: [Option<Sample>; 2]| {
        let mut scene = Scene::new();
        scene.says(0, status(1));
        scene.says(29, status(1));
        for (second, children) in [(10, children[0]), (29, children[1])] {
            let now = scene.at(second);
            scene.board.watched(socket, own, children, now);
        }
        scene
    };
    let (stuck, well) = (
        "critical: stuck: its progress stands still",
        "passing: 3 streams",
    );
    // It sleeps, and so do its children, if it has any: it hangs.
    let sleeps = Some(Sample::default());
    assert_eq!(watched(sleeps, [sleeps; 2]).judged(30), stuck);
    assert_eq!(watched(sleeps, [None; 2]).judged(30), stuck);
    // Its children are not let run: it answers, and has nothing to tell.
    let waits = |seconds| {
        Some(Sample {
            waited: Duration::from_secs(seconds),
            ..Sample::default()
        })
    };
    let mut scene = watched(sleeps, [waits(0), waits(15)]);
    assert_eq!(scene.judged(30), well);
    let hangs = "critical: hangs: no answer on its status socket";
    assert_eq!(scene.judged(39), hangs);
    assert_eq!(scene.says(60, status(1)), stuck, "not for ever");
    assert_eq!(scene.says(61, status(2)), well);
    assert_eq!(scene.says(91, status(2)), stuck, "it moved since");
}

#[test]
fn a_process_that_is_not_let_run_is_not_silent_and_its_children_do_not_excuse_it() {
    let socket = Path::new("/s");
    for (own, children, expected) in [
        (5, 0, "passing: 3 streams"),
        (0, 5, "critical: hangs: no answer on its status socket"),
    ] {
        let mut scene = Scene::new();
        scene.says(0, status(1));
        for (share, second) in [(0_u64, 4), (1, 10)] {
            let waited = |seconds| {
                Some(Sample {
                    waited: Duration::from_secs(seconds * share),
                    ..Sample::default()
                })
            };
            let now = scene.at(second);
            scene
                .board
                .watched(socket, waited(own), waited(children), now);
        }
        assert_eq!(scene.judged(10), expected);
    }
}

#[test]
fn time_that_the_agent_did_not_have_and_a_service_that_does_not_beat_count_for_little() {
    let mut scene = Scene::new();
    scene.says(0, status(1));
    let now = scene.at(100);
    scene.board.lost(Duration::from_secs(100), now);
    assert_eq!(scene.says(109, status(1)), "passing: 3 streams");
    let stuck = "critical: stuck: its progress stands still";
    assert_eq!(scene.says(130, status(1)), stuck);

    // Nor does a process count that cannot be looked at.
    let mut scene = Scene::new();
    scene.says(0, status(1));
    scene.says(29, status(1));
    let now = scene.at(29);
    scene.board.watched(Path::new("/s"), None, None, now);
    assert_eq!(scene.judged(30), "passing: 3 streams");

    let silent = |progress| ServiceStatus {
        beat_ms: 0,
        ..status(progress)
    };
    let mut scene = Scene::new();
    scene.says(0, silent(1));
    assert_eq!(scene.says(59, silent(1)), "passing: 3 streams");
    assert_eq!(scene.says(60, silent(1)), stuck);
}

#[test]
fn what_moved_before_it_was_asked_counts_from_then() {
    let since = |progress, seconds: u64| ServiceStatus {
        still_ms: Some(seconds * 1000),
        ..status(progress)
    };
    let mut scene = Scene::new();
    scene.says(0, status(1));
    scene.says(20, since(2, 5));
    assert_eq!(scene.says(44, since(2, 29)), "passing: 3 streams");
    let stuck = "critical: stuck: its progress stands still";
    assert_eq!(scene.says(45, since(2, 30)), stuck);

    // It never takes back what was known: here machine and service stood still together.
    let mut scene = Scene::new();
    scene.says(0, status(1));
    let now = scene.at(100);
    scene.board.lost(Duration::from_secs(100), now);
    scene.says(101, since(2, 100));
    assert_eq!(scene.says(129, since(2, 128)), "passing: 3 streams");
    assert_eq!(scene.says(130, since(2, 129)), stuck);
}

#[test]
fn a_service_that_vanishes_is_critical_at_once_and_forgotten_late() {
    let mut scene = Scene::new();
    scene.says(0, status(1));
    let gone = "critical: not running: nobody listens on its status socket";
    assert_eq!(scene.hears(1, Heard::Absent), gone);
    assert_eq!(scene.hears(600, Heard::Absent), gone);
    assert_eq!(scene.hears(601, Heard::Absent), "unknown");

    scene.says(0, status(1));
    scene.hears(1, Heard::Absent);
    assert_eq!(scene.says(2, status(1)), "passing: 3 streams");
    assert_eq!(scene.hears(602, Heard::Absent), gone, "counted anew");
}

#[test]
fn a_service_that_drained_is_forgotten_when_it_ends() {
    let mut scene = Scene::new();
    scene.says(
        0,
        ServiceStatus {
            draining: true,
            ..status(1)
        },
    );
    assert_eq!(scene.hears(1, Heard::Absent), "unknown");
}
