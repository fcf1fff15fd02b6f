use std::time::Duration;

use super::*;

const S: fn(f64) -> Duration = Duration::from_secs_f64;

/// Devices whose slots encode so many pixels a second, all up, as a job has shown.
fn node(devices: &[(usize, f64)]) -> (Admission, Instant) {
    let (mut node, now) = calibrated(devices);
    for (device, (_, encode)) in node.devices.iter_mut().zip(devices) {
        let (decode, pixels) = (0, 1_000);
        let work = Work {
            decode,
            encode: pixels,
        };
        device.speed.observe(now, work, S(1_000.0 / encode));
    }
    (node, now)
}

/// The same before their first job.
fn calibrated(devices: &[(usize, f64)]) -> (Admission, Instant) {
    let spec = |(slots, encode): &(usize, f64)| Spec {
        slots: *slots,
        rates: Some(Rates::of_encoder(*encode)),
        warm: 2,
    };
    let mut node = Admission::new(devices.iter().map(spec));
    for (device, (slots, _)) in devices.iter().enumerate() {
        for slot in 0..*slots {
            node.set_up(SlotId { device, slot }, true);
        }
    }
    (node, Instant::now())
}

const fn slot(device: usize, slot: usize) -> SlotId {
    SlotId { device, slot }
}

/// A job of 2 s of media.
fn job(deadline: Instant, pixels: u64) -> Request {
    Request {
        caller: "a".into(),
        deadline,
        work: Work {
            decode: 0,
            encode: pixels,
        },
        media: S(2.0),
        pipeline: Some(0),
        hevc: false,
    }
}

fn from(caller: &str, mut request: Request) -> Request {
    request.caller = caller.into();
    request
}

fn with(pipeline: Affinity, mut request: Request) -> Request {
    request.pipeline = Some(pipeline);
    request
}

impl Admission {
    /// Admits a job whose body is here.
    fn take(&mut self, now: Instant, request: Request) -> Ticket {
        let ticket = self.admit(now, request).unwrap();
        self.arrived(ticket);
        ticket
    }

    fn device_of(&self, ticket: Ticket) -> usize {
        self.jobs[&ticket].device
    }

    /// Runs a job to its end in a slot.
    fn run(&mut self, now: Instant, id: SlotId, took: f64) -> Ticket {
        let ticket = self.start(now, id).unwrap();
        self.done(ticket, now + S(took));
        ticket
    }
}

fn cause<T>(result: Result<T, Refused>) -> Option<Cause> {
    result.err().map(|r| r.cause)
}

#[test]
fn one_job_may_wait_behind_each_slot() {
    let (mut node, now) = node(&[(2, 100.0)]);
    for _ in 0..4 {
        node.admit(now, job(now + S(60.0), 100)).unwrap();
    }
    let refused = node.admit(now, job(now + S(60.0), 100)).unwrap_err();
    assert_eq!(refused.cause, Cause::NoSlot);
    let load = node.load(now);
    assert_eq!(
        (load.slots, load.busy, load.queued, load.free()),
        (2, 0, 4, 0)
    );
    assert_eq!(load.wait_ms, 2000);
}

#[test]
fn the_earliest_deadline_of_those_that_are_here_goes_first() {
    let (mut node, now) = node(&[(3, 100.0)]);
    let late = node.take(now, job(now + S(30.0), 100));
    let early = node.take(now, job(now + S(10.0), 100));
    let uploading = node.admit(now, job(now + S(5.0), 100)).unwrap();
    assert_eq!(node.start(now, slot(0, 0)), Some(early));
    assert_eq!(node.start(now, slot(0, 0)), None, "the slot is taken");
    node.arrived(uploading);
    assert_eq!(node.start(now, slot(0, 1)), Some(uploading));
    node.abandon(uploading);
    assert_eq!(node.start(now, slot(0, 1)), Some(late));
    assert_eq!(node.start(now, slot(0, 2)), None);
}

#[test]
fn what_cannot_make_its_deadline_is_refused() {
    let (mut node, now) = node(&[(1, 100.0)]);
    let late = Some(Cause::DeadlineTooClose);
    assert_eq!(cause(node.admit(now, job(now, 0))), late);
    assert_eq!(cause(node.admit(now, job(now + S(0.9), 100))), late);
    node.take(now, job(now + S(2.0), 100));
    node.start(now, slot(0, 0)).unwrap();
    let refused = node.admit(now, job(now + S(1.9), 100)).unwrap_err();
    assert_eq!(
        (refused.cause, refused.retry_after),
        (Cause::DeadlineTooClose, S(1.0))
    );
    node.admit(now + S(0.5), job(now + S(2.0), 100)).unwrap();
}

#[test]
fn nobody_is_let_in_at_another_s_cost() {
    let (mut node, now) = node(&[(1, 100.0)]);
    node.admit(now, job(now + S(1.0), 100)).unwrap();
    // It would go first by its deadline, and the admitted one would miss its own.
    assert_eq!(
        cause(node.admit(now, job(now + S(0.6), 50))),
        Some(Cause::DeadlineTooClose)
    );
}

#[test]
fn devices_are_filled_in_proportion_to_their_speed() {
    let (mut node, now) = node(&[(1, 100.0), (1, 400.0)]);
    // Each stream takes a tenth of the slow device, or a fortieth of the fast one.
    let mut on = [0; 2];
    for n in 0..20 {
        let at = now + S(0.05 * f64::from(n));
        let ticket = node.take(at, job(at + S(3.0), 20));
        let device = node.device_of(ticket);
        on[device] += 1;
        node.run(at, slot(device, 0), [0.2, 0.05][device]);
    }
    assert_eq!(on, [4, 16]);
    let ratios: Vec<_> = node
        .device_loads(now + S(1.0))
        .iter()
        .map(|d| d.ratio)
        .collect();
    assert_eq!(ratios, [0.4, 0.4]);
    let later = node.device_loads(now + S(3.0));
    assert!(
        later.iter().all(|d| d.ratio == 0.0),
        "what was played is forgotten"
    );
}

#[test]
fn none_is_above_the_bar_while_another_has_room() {
    let (mut node, now) = node(&[(1, 100.0), (1, 100.0)]);
    let stream = |pixels| job(now + S(3.0), pixels);
    let first = node.take(now, with(7, stream(150)));
    assert_eq!(node.device_of(first), 0);
    node.run(now, slot(0, 0), 1.5);
    let second = node.take(now, with(7, stream(150)));
    assert_eq!(
        node.device_of(second),
        1,
        "0.75 of it is taken; warm or not"
    );
    node.run(now, slot(1, 0), 1.5);
    let third = node.take(now, with(7, stream(20)));
    assert_eq!(node.device_of(third), 0, "both are above it");
}

#[test]
fn a_warm_pipeline_is_preferred_where_it_is_as_good() {
    let (mut node, now) = node(&[(1, 100.0), (1, 100.0)]);
    let mut at = |seconds: f64, pixels: u64| {
        let at = now + S(seconds);
        let ticket = node.take(at, with(7, job(at + S(3.0), pixels)));
        let device = node.device_of(ticket);
        node.run(at, slot(device, 0), pixels as f64 / 100.0);
        device
    };
    assert_eq!(
        [at(0.0, 10), at(0.5, 10)],
        [0, 0],
        "0.10 of real time here, 0.05 there"
    );
    assert_eq!(at(1.0, 10), 0, "0.15 here: a tenth more");
    assert_eq!(at(1.5, 10), 1, "0.20 here");
}

#[test]
fn a_slot_leaves_to_another_what_that_is_warm_for() {
    let (mut node, now) = node(&[(2, 100.0)]);
    let mut next = |pipeline, ids: [SlotId; 2]| {
        let ticket = node.take(now, with(pipeline, job(now + S(9.0), 1)));
        let by = ids.map(|id| node.start(now, id).is_some());
        node.done(ticket, now + S(0.01));
        by
    };
    let (a, b) = (slot(0, 0), slot(0, 1));
    assert_eq!(next(1, [a, b]), [true, false]);
    assert_eq!(
        next(1, [b, a]),
        [false, true],
        "the first worker has it warm"
    );
    assert_eq!(next(2, [b, a]), [true, false]);
    assert_eq!(next(1, [b, a]), [false, true]);
    assert_eq!([next(3, [a, b]), next(4, [a, b])], [[true, false]; 2]);
    assert_eq!(
        next(1, [b, a]),
        [true, false],
        "two are kept warm, and this is gone"
    );
}

/// Its worker would begin anew: a device that is less busy is better.
#[test]
fn what_no_worker_keeps_draws_no_job() {
    let devices_of = |warm: usize, kept: bool, fails: bool| {
        let spec = Spec {
            slots: 1,
            rates: Some(Rates::of_encoder(100.0)),
            warm,
        };
        let (mut node, now) = (Admission::new([spec; 2]), Instant::now());
        for device in 0..2 {
            node.set_up(slot(device, 0), true);
        }
        [0.0, 0.5].map(|seconds| {
            let at = now + S(seconds);
            let mut request = with(7, job(at + S(3.0), 10));
            request.pipeline = request.pipeline.filter(|_| kept);
            let ticket = node.take(at, request);
            let device = node.device_of(ticket);
            node.start(at, slot(device, 0)).unwrap();
            match fails {
                true => node.abandon(ticket),
                false => node.done(ticket, at + S(0.1)),
            }
            device
        })
    };
    assert_eq!(devices_of(2, true, false), [0, 0], "it is warm there");
    assert_eq!(devices_of(0, true, false), [0, 1], "as openh264 is not");
    assert_eq!(devices_of(2, false, false), [0, 1], "nor an HEVC encoder");
    assert_eq!(devices_of(2, true, true), [0, 1], "nor what has failed");
}

#[test]
fn another_worker_is_cold() {
    let (mut node, now) = node(&[(2, 100.0)]);
    let (a, b) = (slot(0, 0), slot(0, 1));
    let ticket = node.take(now, job(now + S(9.0), 1));
    node.start(now, a).unwrap();
    node.done(ticket, now);
    node.take(now, job(now + S(9.0), 1));
    assert_eq!(node.start(now, b), None);
    node.set_up(a, true);
    assert!(node.start(now, b).is_some());
}

#[test]
fn a_free_slot_takes_over_what_it_will_have_done_sooner() {
    let (mut node, now) = node(&[(1, 100.0), (1, 100.0)]);
    let first = node.take(now, job(now + S(9.0), 100));
    let second = node.take(now, job(now + S(9.0), 40));
    let third = node.take(now, job(now + S(9.0), 10));
    assert_eq!([first, second, third].map(|t| node.device_of(t)), [0, 1, 1]);
    node.start(now, slot(1, 0)).unwrap();
    assert_eq!(node.start(now, slot(0, 0)), Some(first), "its own");
    let soon = now + S(0.2);
    node.abandon(first);
    assert_eq!(
        node.start(soon, slot(0, 0)),
        Some(third),
        "which would wait there for 0.2 s"
    );
    assert_eq!(node.device_of(third), 0);
}

#[test]
fn a_slow_device_takes_nothing_over_that_it_would_have_done_later() {
    let (mut node, now) = node(&[(1, 100.0), (1, 400.0)]);
    let busy = node.take(now, job(now + S(9.0), 100));
    let waits = node.take(now, with(1, job(now + S(9.0), 100)));
    assert_eq!([busy, waits].map(|t| node.device_of(t)), [1, 1]);
    node.start(now, slot(1, 0)).unwrap();
    assert_eq!(node.start(now, slot(0, 0)), None, "0.5 s there, 1 s here");
}

#[test]
fn what_waits_for_a_device_that_is_gone_is_done_by_another() {
    let (mut node, now) = node(&[(1, 100.0), (1, 100.0)]);
    let ticket = node.take(now, job(now + S(9.0), 100));
    assert_eq!(node.device_of(ticket), 0);
    assert_eq!(node.start(now, slot(1, 0)), None);
    node.set_up(slot(0, 0), false);
    assert_eq!(node.start(now, slot(1, 0)), Some(ticket));
    assert_eq!(node.load(now).slots, 1);
}

#[test]
fn each_caller_has_its_share_when_places_are_short() {
    let (mut node, now) = node(&[(4, 100.0)]);
    let ask = |who| from(who, job(now + S(60.0), 100));
    let a: Vec<_> = (0..8).map(|_| node.take(now, ask("a"))).collect();
    assert_eq!(cause(node.admit(now, ask("b"))), Some(Cause::NoSlot));
    node.abandon(a[0]);
    assert_eq!(
        cause(node.admit(now, ask("a"))),
        Some(Cause::Share),
        "another wants it"
    );
    node.admit(now, ask("b")).unwrap();
    node.abandon(a[1]);
    node.abandon(a[2]);
    assert_eq!(cause(node.admit(now, ask("a"))), None);
    assert_eq!(cause(node.admit(now, ask("a"))), Some(Cause::Share));
    // What nobody has asked for again is anyone's.
    node.admit(now + S(4.0), ask("a")).unwrap();
}

#[test]
fn small_jobs_are_not_starved_by_large_ones() {
    let (mut node, now) = node(&[(2, 1000.0)]);
    let large: Vec<_> = (0..4)
        .map(|_| node.take(now, job(now + S(60.0), 1000)))
        .collect();
    let small = || job(now + S(60.0), 10);
    assert_eq!(cause(node.admit(now, small())), Some(Cause::NoSlot));
    node.abandon(large[0]);
    assert_eq!(
        cause(node.admit(now, job(now + S(60.0), 1000))),
        Some(Cause::Share)
    );
    node.admit(now, small()).unwrap();
}

#[test]
fn a_wish_that_can_never_be_met_takes_nothing_from_others() {
    let (mut node, now) = node(&[(1, 100.0)]);
    for _ in 0..9 {
        let impossible = from("b", job(now + S(0.5), 100));
        assert_eq!(
            cause(node.admit(now, impossible)),
            Some(Cause::DeadlineTooClose)
        );
    }
    node.admit(now, job(now + S(9.0), 100)).unwrap();
    node.admit(now, job(now + S(9.0), 100)).unwrap();
}

#[test]
fn a_node_that_knows_nothing_of_its_speed_tries() {
    let now = Instant::now();
    let mut node = Admission::new([Spec {
        slots: 1,
        rates: None,
        warm: 1,
    }]);
    assert_eq!(
        cause(node.admit(now, job(now + S(1.0), 1))),
        Some(Cause::NoDevice)
    );
    node.set_up(slot(0, 0), true);
    node.take(now, job(now + S(0.1), u64::MAX));
    node.run(now, slot(0, 0), 2.0);
    assert!(node.load(now).pixel_rate > 0.0);
}

#[test]
fn a_calibration_that_no_job_has_confirmed_keeps_no_first_job_out() {
    let (mut node, now) = calibrated(&[(1, 1.0)]);
    node.take(now, job(now + S(1.0), 100));
    let late = Some(Cause::DeadlineTooClose);
    assert_eq!(cause(node.admit(now, job(now + S(1.0), 100))), late);
    node.run(now, slot(0, 0), 0.5);
    assert_eq!(cause(node.admit(now, job(now + S(1.0), 100))), None);
}

#[test]
fn a_device_that_was_slow_once_is_tried_again_when_idle() {
    let (mut node, now) = calibrated(&[(1, 1000.0)]);
    node.take(now, job(now + S(9.0), 100));
    node.run(now, slot(0, 0), 1.0);
    let mut ask = |at: f64| cause(node.admit(now + S(at), job(now + S(at + 0.9), 100)));
    assert_eq!(ask(10.9), Some(Cause::DeadlineTooClose));
    assert_eq!(ask(11.0), None);
    assert_eq!(ask(11.0), Some(Cause::DeadlineTooClose), "one at a time");
}

#[test]
fn draining_admits_nothing_and_finishes_the_rest() {
    let (mut node, now) = node(&[(1, 100.0)]);
    let ticket = node.take(now, job(now + S(9.0), 100));
    node.set_draining(true);
    assert_eq!(
        cause(node.admit(now, job(now + S(9.0), 100))),
        Some(Cause::Draining)
    );
    assert_eq!(node.start(now, slot(0, 0)), Some(ticket));
    assert!(!node.is_idle());
    node.done(ticket, now + S(1.0));
    assert!(node.is_idle() && node.load(now).draining);
}

#[test]
fn what_was_withdrawn_leaves_no_trace() {
    let (mut node, now) = node(&[(1, 100.0)]);
    let ticket = node.admit(now, job(now + S(9.0), 100)).unwrap();
    node.withdraw(ticket);
    let load = node.device_loads(now)[0];
    assert_eq!((load.ratio, load.queued, node.is_idle()), (0.0, 0, true));
    let ticket = node.take(now, job(now + S(9.0), 100));
    node.start(now, slot(0, 0)).unwrap();
    node.withdraw(ticket);
    assert!(!node.is_idle(), "its worker is not free yet");
}

#[test]
fn what_comes_while_a_worker_is_replaced_waits_for_it_if_it_has_the_time() {
    let (mut node, now) = node(&[(1, 1_000.0)]);
    node.fell(now, slot(0, 0));
    let refused = node.admit(now, job(now + S(0.4), 10)).unwrap_err();
    assert_eq!(refused.cause, Cause::DeadlineTooClose);
    let ticket = node.take(now, job(now + S(3.0), 10));
    assert_eq!(node.start(now, slot(0, 0)), None, "nobody is there yet");
    let later = now + S(0.3);
    node.set_up(slot(0, 0), true);
    assert_eq!(node.start(later, slot(0, 0)), Some(ticket));
    node.done(ticket, later);
    // One that stays away is not waited for, nor one that has failed.
    node.fell(later, slot(0, 0));
    let gone = later + S(3.0);
    let refused = node.admit(gone, job(gone + S(9.0), 10)).unwrap_err();
    assert_eq!(refused.cause, Cause::NoDevice);
    node.fell(gone, slot(0, 0));
    node.set_up(slot(0, 0), false);
    let refused = node.admit(gone, job(gone + S(9.0), 10)).unwrap_err();
    assert_eq!(refused.cause, Cause::NoDevice);
}

#[test]
fn the_jobs_of_a_device_that_will_be_back_wait_for_it() {
    let (mut node, now) = node(&[(1, 1_000.0), (1, 100.0)]);
    let waits = node.take(now, job(now + S(9.0), 100));
    assert_eq!(node.device_of(waits), 0);
    node.fell(now, slot(0, 0));
    let soon = now + S(0.1);
    assert_eq!(node.start(soon, slot(1, 0)), None, "it is ten times slower");
    node.set_up(slot(0, 0), true);
    assert_eq!(node.start(soon, slot(0, 0)), Some(waits));
    node.done(waits, now + S(0.2));

    // Of a device that stays away, whoever is free takes them, however slow.
    let waits = node.take(now, job(now + S(9.0), 100));
    node.fell(now, slot(0, 0));
    let gone = now + S(3.0);
    assert_eq!(node.start(gone, slot(1, 0)), Some(waits));
}

#[test]
fn hevc_goes_where_it_can() {
    let (mut node, now) = node(&[(2, 1_000.0), (1, 100.0)]);
    let asked = || Request {
        hevc: true,
        ..job(now + S(9.0), 10)
    };
    let refused = node.admit(now, asked()).unwrap_err();
    assert_eq!(refused.cause, Cause::Unsupported);
    node.set_hevc(slot(1, 0), true);
    let ticket = node.take(now, asked());
    assert_eq!(node.start(now, slot(0, 0)), None, "it is not taken over");
    assert_eq!(node.start(now, slot(1, 0)), Some(ticket));
    let plain = node.take(now, job(now + S(9.0), 10));
    assert_eq!(node.start(now, slot(0, 1)), Some(plain));
}
