use super::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

struct Record {
    health: Health,
    config: Config,
    rng: SmallRng,
}

impl Record {
    fn new() -> Self {
        let config = Config::default();
        Self {
            health: Health::new(0.0, &config),
            config,
            rng: SmallRng::seed_from_u64(7),
        }
    }

    fn fail(&mut self, kind: FailureKind, t: f64) -> Option<f64> {
        let failure = Failure {
            kind,
            sent: t,
            decisive: false,
            capped: false,
        };
        self.health.failure(failure, t, &self.config, &mut self.rng)
    }

    fn succeed(&mut self, sent: f64, t: f64) -> bool {
        self.health.success(sent, t, &self.config)
    }
}

const SOFT: FailureKind = FailureKind::Internal;

#[test]
fn one_failure_is_doubt_then_a_trial_and_three_eject() {
    let mut r = Record::new();
    assert_eq!(r.fail(SOFT, 1.0), None);
    assert_eq!(r.health.stand(2.9), Stand::Doubted(SOFT));
    assert_eq!(r.health.stand(3.0), Stand::OnTrial(SOFT));
    assert_eq!(r.fail(SOFT, 3.0), None);
    assert_eq!(r.health.stand(6.9), Stand::Doubted(SOFT), "twice as long");
    let length = r.fail(SOFT, 7.0).unwrap_or_default();
    assert!((6.0..=8.0).contains(&length), "{length}");
    assert_eq!(r.health.stand(7.0 + length), Stand::OnTrial(SOFT));
    assert!(r.succeed(15.0, 15.5));
    assert_eq!(r.health.stand(15.5), Stand::Fine);
}

#[test]
fn a_success_in_between_forgives_unless_it_was_sent_before() {
    let mut r = Record::new();
    assert_eq!(r.fail(SOFT, 1.0), None);
    assert!(!r.succeed(0.5, 1.1));
    assert_eq!(r.health.failures(), 1);
    assert!(!r.succeed(1.0, 1.2));
    assert_eq!((r.health.failures(), r.health.stand(1.2)), (0, Stand::Fine));
}

#[test]
fn some_kinds_need_less() {
    let mut r = Record::new();
    assert!(r.fail(FailureKind::Connect, 1.0).is_some());
    let mut r = Record::new();
    assert_eq!(r.fail(FailureKind::WrongMedia, 1.0), None);
    assert!(r.fail(FailureKind::WrongMedia, 2.0).is_some());
}

#[test]
fn a_fifth_of_bad_results_ejects_though_never_in_a_row() {
    let mut r = Record::new();
    let mut t = 0.0;
    for i in 0..30u32 {
        t = f64::from(i);
        if i % 3 == 2 {
            if r.fail(SOFT, t).is_some() {
                break;
            }
        } else {
            r.succeed(t, t);
        }
    }
    assert_eq!(t, 11.0, "at the 12th result, 4 of which are bad");
}

#[test]
fn ejections_grow_to_their_limit_and_good_conduct_forgives() {
    let mut r = Record::new();
    let mut t = 0.0;
    let mut lengths = Vec::new();
    for _ in 0..6 {
        let length = r.fail(FailureKind::Connect, t).unwrap_or_default();
        lengths.push(length);
        t += length;
        assert!(r.succeed(t, t));
        t += 1.0;
    }
    let limits = [8.0, 16.0, 20.0, 20.0, 20.0, 20.0];
    for (length, limit) in lengths.iter().zip(limits) {
        assert!((limit * 0.75..=limit).contains(length), "{lengths:?}");
    }
    t += 60.0;
    assert!(r.fail(FailureKind::Connect, t).unwrap_or_default() <= 8.0);
}

#[test]
fn results_of_requests_from_before_the_ejection_change_nothing() {
    let mut r = Record::new();
    let length = r.fail(FailureKind::Connect, 10.0).unwrap_or_default();
    assert!(!r.succeed(9.9, 10.5));
    let before = Failure {
        kind: SOFT,
        sent: 9.9,
        decisive: false,
        capped: false,
    };
    let t = 10.0 + length;
    assert_eq!(r.health.failure(before, t, &r.config, &mut r.rng), None);
    assert_eq!(r.health.stand(t), Stand::OnTrial(FailureKind::Connect));
}

#[test]
fn a_new_and_a_returning_node_start_slowly() {
    let mut r = Record::new();
    let c = r.config.clone();
    assert!((r.health.share(0.0, &c) - 0.1).abs() < 1e-9);
    assert_eq!(r.health.share(10.0, &c), 1.0);
    let mut t = 100.0;
    for _ in 0..3 {
        t += r.fail(FailureKind::Connect, t).unwrap_or_default();
        assert!(r.succeed(t, t));
        assert!((r.health.share(t, &c) - 0.1).abs() < 1e-9);
        assert!(r.health.share(t + 9.0, &c) < 1.0);
        assert_eq!(r.health.share(t + 10.0, &c), 1.0);
        t += 1.0;
    }
}

#[test]
fn a_probe_shortens_the_first_wait_of_a_node_that_could_not_be_reached() {
    let mut r = Record::new();
    let length = r.fail(FailureKind::Connect, 0.0).unwrap_or_default();
    assert!(r.health.wants_probe(1.0));
    r.health.reached(1.0);
    assert_eq!(r.health.stand(1.0), Stand::OnTrial(FailureKind::Connect));
    assert!(length > 1.0 && r.succeed(1.0, 1.0));
    let second = r.fail(FailureKind::Connect, 2.0).unwrap_or_default();
    r.health.reached(3.0);
    assert!(
        matches!(r.health.stand(1.9 + second), Stand::Ejected { .. }),
        "one that comes and goes waits"
    );
}

#[test]
fn beyond_the_cap_a_soft_ejection_is_marked() {
    let mut r = Record::new();
    let mut failure = Failure {
        kind: SOFT,
        sent: 0.0,
        decisive: true,
        capped: true,
    };
    assert!(
        r.health
            .failure(failure, 0.0, &r.config, &mut r.rng)
            .is_some()
    );
    assert!(matches!(
        r.health.stand(0.0),
        Stand::Ejected { capped: true, .. }
    ));
    assert!(!r.health.softly_ejected());
    let mut r = Record::new();
    failure.kind = FailureKind::Connect;
    assert!(
        r.health
            .failure(failure, 0.0, &r.config, &mut r.rng)
            .is_some()
    );
    assert!(matches!(
        r.health.stand(0.0),
        Stand::Ejected { capped: false, .. }
    ));
}

/// A node that was ejected and came back, and when it did.
fn returned() -> (Record, f64) {
    let mut r = Record::new();
    let ejected = [1.0, 1.1, 1.2].map(|t| r.fail(SOFT, t));
    let back = 2.2 + ejected[2].unwrap_or_default();
    assert!(r.succeed(back - 1.0, back));
    (r, back)
}

#[test]
fn who_is_on_its_way_back_is_out_again_with_one_failure() {
    for kind in [SOFT, FailureKind::WrongMedia, FailureKind::Slow] {
        let (mut r, back) = returned();
        assert!(
            r.fail(kind, back + 1.0).is_some(),
            "with a part of its share"
        );
    }
    let (mut r, back) = returned();
    assert_eq!(r.fail(SOFT, back + 11.0), None, "with all of it");
    let mut new = Record::new();
    assert_eq!(new.fail(SOFT, 1.0), None, "a new one has broken no promise");
}

#[test]
fn a_failure_of_what_was_sent_before_its_return_is_not_held_against_a_node() {
    let (mut r, back) = returned();
    let old = Failure {
        kind: FailureKind::TimedOut,
        sent: 0.5,
        decisive: false,
        capped: false,
    };
    let ejected = r.health.failure(old, back + 1.0, &r.config, &mut r.rng);
    assert_eq!(ejected, None, "no more than a doubt");
}
