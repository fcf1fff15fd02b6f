//! The controller against a fleet of which it is told more or less of the truth.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Pixels a second of each rung of each of 200 streams.
const RUNGS: [f64; 4] = [60e6, 27e6, 12e6, 4e6];
const STREAMS: u64 = 200;
const TICK: Duration = Duration::from_millis(500);

struct Fleet {
    degrade: Degrade,
    config: Config,
    now: Instant,
    rng: SmallRng,
    /// What the nodes make of what is asked of them when nothing is left out.
    capacity: f64,
    /// What the table believes of that.
    belief: f64,
    levels: Vec<Level>,
}

fn demand(level: Level) -> f64 {
    let each = (0..STREAMS).map(|s| {
        let left = left(4, drops(4, level, Group::of(s), 3), &[]);
        left.iter().map(|i| RUNGS[usize::from(i)]).sum::<f64>()
    });
    each.sum()
}

impl Fleet {
    fn new(belief: f64) -> Self {
        let now = Instant::now();
        Self {
            degrade: Degrade::new(now),
            config: Config::default(),
            now,
            rng: SmallRng::seed_from_u64(3),
            capacity: 1.0,
            belief,
            levels: vec![Level::NONE],
        }
    }

    /// Half a second: 100 segments begin; of those that do not fit, most are in trouble.
    fn tick(&mut self) -> Option<Shift> {
        let full = demand(Level::NONE);
        let asked = demand(self.degrade.level());
        let makes = self.capacity * full;
        let busy = (asked / makes).min(1.0);
        let trouble = ((asked - makes) / asked).max(0.0);
        for _ in 0..100 {
            self.degrade.begun();
            if self.rng.random_bool(trouble) {
                self.degrade.troubled();
            }
        }
        let noise = self.rng.random_range(0.93..1.07);
        let capacity = Capacity {
            slots: 1000,
            free: (1000.0 * (1.0 - busy)) as u32,
            pixel_rate: makes * self.belief * noise,
        };
        self.now += TICK;
        assert!(self.degrade.is_due(self.now));
        let shift = self
            .degrade
            .decide(capacity, 3, demand, &self.config, self.now);
        self.levels.push(self.degrade.level());
        shift
    }

    fn run(&mut self, capacity: f64, seconds: u32) {
        self.capacity = capacity;
        for _ in 0..seconds * 2 {
            self.tick();
        }
    }

    /// How often the level turned from rising to falling or back.
    fn turns(&self) -> usize {
        let moves = self.levels.windows(2).filter(|w| w[0] != w[1]);
        let rising: Vec<bool> = moves.map(|w| w[1] > w[0]).collect();
        rising.windows(2).filter(|w| w[0] != w[1]).count()
    }

    fn utilisation(&self) -> f64 {
        demand(self.degrade.level()) / (self.capacity * demand(Level::NONE))
    }
}

#[test]
fn twice_the_load_is_met_once_and_undone_once_whatever_is_believed() {
    for belief in [0.7, 0.9, 1.0, 1.1, 1.5, 3.0] {
        let mut fleet = Fleet::new(belief);
        fleet.run(2.0, 20);
        assert_eq!(fleet.degrade.level(), Level::NONE);
        fleet.run(0.5, 120);
        assert!(fleet.utilisation() <= 1.0, "belief {belief}");
        assert!(
            fleet.utilisation() >= 0.5,
            "belief {belief}: far too much left out"
        );
        let within: Vec<_> = fleet.levels[40..].iter().take(40).collect();
        assert_eq!(
            within.last(),
            Some(&&fleet.degrade.level()),
            "belief {belief}: late"
        );
        assert_eq!(fleet.turns(), 0, "belief {belief}: {:?}", fleet.levels);
        fleet.run(2.0, 120);
        assert_eq!(fleet.degrade.level(), Level::NONE, "belief {belief}");
        assert_eq!(fleet.turns(), 1, "belief {belief}: {:?}", fleet.levels);
    }
}

#[test]
fn every_stream_keeps_its_lowest_rung_while_they_all_fit() {
    let mut fleet = Fleet::new(1.0);
    // The lowest rungs are 4 % of all.
    fleet.run(0.06, 60);
    let level = fleet.degrade.level();
    assert!(level <= Level::rungs(3), "{level}");
    for stream in 0..STREAMS {
        let left = left(4, drops(4, level, Group::of(stream), 3), &[]);
        assert!(left.contains(3));
    }
    fleet.run(0.02, 60);
    let level = fleet.degrade.level();
    assert!(
        level > Level::rungs(3) && level < Level::rungs(4),
        "{level}"
    );
}

#[test]
fn trouble_of_a_fleet_with_room_is_no_overload() {
    let mut fleet = Fleet::new(1.0);
    fleet.capacity = 3.0;
    for _ in 0..100 {
        for _ in 0..50 {
            fleet.degrade.troubled();
        }
        assert_eq!(fleet.tick(), None);
    }
}

#[test]
fn high_utilisation_without_trouble_is_none_either() {
    let mut fleet = Fleet::new(0.5);
    fleet.run(1.02, 60);
    assert_eq!(fleet.degrade.level(), Level::NONE);
}

#[test]
fn a_fleet_that_is_gone_decides_nothing() {
    let mut fleet = Fleet::new(1.0);
    fleet.run(0.5, 20);
    let before = fleet.degrade.level();
    for _ in 0..20 {
        fleet.now += TICK;
        fleet.degrade.begun();
        fleet.degrade.troubled();
        let gone = Capacity {
            slots: 0,
            free: 0,
            pixel_rate: 0.0,
        };
        let shift = fleet
            .degrade
            .decide(gone, 3, demand, &fleet.config, fleet.now);
        assert_eq!(shift, None);
    }
    assert_eq!(fleet.degrade.level(), before);
}

#[test]
fn a_load_at_the_edge_does_not_make_it_swing() {
    let mut fleet = Fleet::new(1.0);
    for i in 0..600 {
        fleet.capacity = if i % 20 < 10 { 0.97 } else { 1.05 };
        fleet.tick();
    }
    assert!(fleet.turns() <= 2, "{:?}", fleet.levels);
}

#[test]
fn it_can_be_switched_off() {
    let mut fleet = Fleet::new(1.0);
    fleet.config.enabled = false;
    fleet.run(0.3, 60);
    assert_eq!(fleet.degrade.level(), Level::NONE);
}

#[test]
fn switched_off_in_the_midst_it_leaves_nothing_out() {
    let mut fleet = Fleet::new(1.0);
    fleet.run(0.5, 60);
    let before = fleet.degrade.level();
    assert!(before > Level::NONE);
    fleet.config.enabled = false;
    let shift = fleet.tick().map(|s| (s.from, s.to));
    assert_eq!(shift, Some((before, Level::NONE)));
}

#[test]
fn when_deep_ladders_leave_short_ones_keep_their_lowest() {
    let mut fleet = Fleet::new(1.0);
    fleet.run(0.1, 60);
    let level = fleet.degrade.level();
    assert!(
        level > Level::rungs(1) && level < Level::rungs(3),
        "{level}"
    );
    fleet.degrade.rebase(1);
    assert_eq!(fleet.degrade.level(), Level::rungs(1));
    let short = drops(2, fleet.degrade.level(), Group::milli(0), 1);
    assert_eq!(short, 1, "the lowest of two is left");
}

#[test]
fn as_many_are_without_the_lowest_however_deep_the_deepest_is() {
    let mut fleet = Fleet::new(1.0);
    fleet.run(0.02, 60);
    let beyond = fleet.degrade.level().beyond(Level::rungs(3));
    assert!(beyond > Level::NONE);
    for deepest in [1, 4, 3] {
        fleet.degrade.rebase(deepest);
        let level = fleet.degrade.level();
        assert_eq!(level, Level::rungs(deepest).and(beyond));
    }
}

/// One stream alone: a segment every two seconds, each of them late.
#[test]
fn an_ingest_of_one_stream_leaves_rungs_out_too() {
    let (mut degrade, config) = (Degrade::new(Instant::now()), Config::default());
    let begun = degrade.signals_since;
    let demand = |level: Level| RUNGS.iter().skip(drops(4, level, Group::milli(0), 3)).sum();
    let full = Capacity {
        slots: 4,
        free: 0,
        pixel_rate: 40e6,
    };
    let decided = (1..=20u32).find_map(|tick| {
        if tick % 4 == 0 {
            degrade.begun();
            degrade.troubled();
        }
        degrade.decide(full, 3, demand, &config, begun + tick * TICK)
    });
    let level = decided.expect("all of it is in trouble").to;
    assert_eq!(drops(4, level, Group::milli(0), 3), 2, "{level}");
}

/// Its own demand is next to nothing beside the fleet's, which others keep full.
#[test]
fn an_ingest_of_one_stream_sees_in_time_that_the_fleet_is_full() {
    let (mut degrade, config) = (Degrade::new(Instant::now()), Config::default());
    let begun = degrade.signals_since;
    let demand = |level: Level| RUNGS.iter().skip(drops(4, level, Group::milli(0), 3)).sum();
    let full = Capacity {
        slots: 400,
        free: 0,
        pixel_rate: 40e9,
    };
    let decided = (1..=5u32).find(|segment| {
        degrade.begun();
        degrade.troubled();
        let now = begun + *segment * Duration::from_secs(2);
        degrade.decide(full, 3, demand, &config, now).is_some()
    });
    assert!(decided.is_some(), "not after ten seconds");
}
