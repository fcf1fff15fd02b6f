use super::*;

const S: fn(f64) -> Duration = Duration::from_secs_f64;

/// A node whose slots make 100 pixels a second.
fn node(slots: usize) -> (Admission, Instant) {
    let now = Instant::now();
    let mut rate = Rate::default();
    rate.observe(now, 100, S(1.0));
    let mut node = Admission::new(rate);
    node.set_slots(slots);
    (node, now)
}

fn code(result: Result<Ticket, Refused>) -> Option<RefusalCode> {
    result.err().map(|r| r.code)
}

#[test]
fn one_job_may_wait_behind_each_slot() {
    let (mut node, now) = node(2);
    for _ in 0..4 {
        node.admit(now, now + S(60.0), 100).unwrap();
    }
    let refused = node.admit(now, now + S(60.0), 100).unwrap_err();
    assert_eq!(refused.code, RefusalCode::NoSlot);
    let load = node.load(now);
    assert_eq!(
        (load.slots, load.busy, load.queued, load.free()),
        (2, 0, 4, 0)
    );
    assert_eq!((load.pixel_rate, load.wait_ms), (200.0, 2000));
}

#[test]
fn the_earliest_deadline_of_those_that_are_here_goes_first() {
    let (mut node, now) = node(1);
    node.set_slots(3);
    let late = node.admit(now, now + S(30.0), 100).unwrap();
    let early = node.admit(now, now + S(10.0), 100).unwrap();
    let uploading = node.admit(now, now + S(5.0), 100).unwrap();
    node.set_slots(1);
    node.arrived(late);
    node.arrived(early);
    assert_eq!(node.start(now), Some(early));
    assert_eq!(node.start(now), None, "the slot is taken");
    node.arrived(uploading);
    node.done(early, now + S(1.0));
    assert_eq!(node.start(now), Some(uploading));
    node.abandon(uploading);
    assert_eq!(node.start(now), Some(late));
}

#[test]
fn what_cannot_make_its_deadline_is_refused() {
    let (mut node, now) = node(1);
    assert_eq!(
        code(node.admit(now, now, 1)),
        Some(RefusalCode::DeadlineTooClose)
    );
    assert_eq!(
        code(node.admit(now, now + S(0.9), 100)),
        Some(RefusalCode::DeadlineTooClose)
    );
    let first = node.admit(now, now + S(2.0), 100).unwrap();
    node.arrived(first);
    node.start(now).unwrap();
    let refused = node.admit(now, now + S(1.9), 100).unwrap_err();
    assert_eq!(
        refused,
        Refused {
            code: RefusalCode::DeadlineTooClose,
            retry_after: S(1.0)
        }
    );
    node.admit(now + S(0.5), now + S(2.0), 100).unwrap();
}

#[test]
fn nobody_is_let_in_at_another_s_cost() {
    let (mut node, now) = node(1);
    node.admit(now, now + S(1.0), 100).unwrap();
    // It would go first by its deadline, and the admitted one would miss its own.
    assert_eq!(
        code(node.admit(now, now + S(0.6), 50)),
        Some(RefusalCode::DeadlineTooClose)
    );
}

#[test]
fn a_node_that_knows_nothing_of_its_speed_tries() {
    let now = Instant::now();
    let mut node = Admission::new(Rate::default());
    assert_eq!(
        code(node.admit(now, now + S(1.0), 1)),
        Some(RefusalCode::NoDevice)
    );
    node.set_slots(1);
    let ticket = node.admit(now, now + S(0.1), u64::MAX).unwrap();
    node.arrived(ticket);
    node.start(now).unwrap();
    node.done(ticket, now + S(2.0));
    assert!(node.load(now).pixel_rate > 0.0);
}

#[test]
fn a_node_that_was_slow_once_tries_again_when_idle() {
    let (mut node, now) = node(1);
    let refused = |node: &mut Admission, at| code(node.admit(at, at + S(1.0), 1_000));
    assert_eq!(
        refused(&mut node, now + S(9.9)),
        Some(RefusalCode::DeadlineTooClose)
    );
    assert_eq!(refused(&mut node, now + S(10.0)), None);
    assert_eq!(
        refused(&mut node, now + S(10.0)),
        Some(RefusalCode::DeadlineTooClose),
        "one at a time"
    );
}

#[test]
fn draining_admits_nothing_and_finishes_the_rest() {
    let (mut node, now) = node(1);
    let ticket = node.admit(now, now + S(9.0), 100).unwrap();
    node.set_draining(true);
    assert_eq!(
        code(node.admit(now, now + S(9.0), 100)),
        Some(RefusalCode::Draining)
    );
    node.arrived(ticket);
    assert_eq!(node.start(now), Some(ticket));
    assert!(!node.is_idle());
    node.done(ticket, now + S(1.0));
    assert!(node.is_idle() && node.load(now).draining);
}

#[test]
fn the_rate_follows_what_jobs_take() {
    let now = Instant::now();
    let mut rate = Rate::new(0.5, S(10.0));
    assert_eq!(rate.time_for(100), Duration::ZERO);
    rate.observe(now, 100, S(1.0));
    rate.observe(now, 200, S(1.0));
    assert_eq!((rate.per_slot(), rate.time_for(300)), (150.0, S(2.0)));
    rate.observe(now, 0, S(1.0));
    rate.observe(now, 1, Duration::ZERO);
    assert_eq!(rate.per_slot(), 150.0, "what says nothing changes nothing");
}
