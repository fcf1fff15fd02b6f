use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
/// What is not refused for so long was taken on.
const WITHIN: Duration = Duration::from_millis(200);

fn purse(now: Instant) -> Purse {
    Purse::new(Retries::default(), budget::Config::refusals(), now)
}

fn retry(need: Need, deadline: Instant) -> Price {
    Price {
        retry: true,
        refusal: false,
        need,
        deadline,
    }
}

/// Segments that bring a token.
fn bring(purse: &mut Purse, now: Instant) {
    for _ in 0..10 {
        let share = purse.segment(now + WITHIN, now);
        purse.admitted(share);
    }
}

#[test]
fn what_is_only_late_stands_back_for_what_may_be_lost() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    let (loss, late) = (
        retry(Need::Loss, t0 + 3000 * MS),
        retry(Need::Lateness, t0 + 1000 * MS),
    );
    assert!(p.pay(loss, t0), "there is one");
    assert_eq!(p.affords(loss, t0), Err(Short::Retries));
    bring(&mut p, t0 + MS);
    for need in [Need::Lateness, Need::Doubt] {
        let other = retry(need, t0 + 1000 * MS);
        assert_eq!(p.affords(other, t0 + 2 * MS), Err(Short::Retries));
    }
    assert!(p.pay(loss, t0 + 2 * MS));
    // Nobody is in need any more.
    let later = t0 + 4000 * MS;
    assert!(p.pay(late, later));
}

#[test]
fn what_is_lost_first_goes_first_unless_it_does_not_ask_again() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    let (soon, far) = (
        retry(Need::Loss, t0 + 500 * MS),
        retry(Need::Loss, t0 + 2500 * MS),
    );
    assert!(p.pay(far, t0));
    assert_eq!(p.affords(soon, t0), Err(Short::Retries));
    bring(&mut p, t0 + MS);
    assert_eq!(p.affords(far, t0 + 2 * MS), Err(Short::Retries));
    let mut gone = p;
    assert!(
        gone.pay(far, t0 + 100 * MS),
        "it waits for no one who is gone"
    );
    assert_eq!(gone.affords(soon, t0 + 100 * MS), Err(Short::Retries));
}

#[test]
fn what_is_only_late_keeps_to_its_part() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    let mut paid = 0;
    for i in 0..1000u32 {
        let now = t0 + 2 * MS * i;
        let share = p.segment(now + WITHIN, now);
        p.arrived(now);
        p.admitted(share);
        paid += u32::from(p.pay(retry(Need::Lateness, now + 3000 * MS), now));
    }
    assert!((20..=33).contains(&paid), "{paid} of 1000");
}

#[test]
fn a_segment_that_is_refused_brings_nothing_until_it_is_taken_on() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    let loss = retry(Need::Loss, t0 + 3000 * MS);
    assert!(p.pay(loss, t0));
    let shares: Vec<Share> = (0..10).map(|_| p.segment(t0 + WITHIN, t0)).collect();
    assert_eq!(
        p.affords(loss, t0 + MS),
        Err(Short::Retries),
        "not known yet"
    );
    for share in &shares {
        assert!(p.refused(*share, t0 + MS));
    }
    let later = t0 + 2 * WITHIN;
    assert_eq!(p.affords(loss, later), Err(Short::Retries));
    assert_eq!(p.spent().segments, 0);
    bring(&mut p, later);
    assert!(p.pay(loss, later));
    let share = p.segment(later + WITHIN, later);
    assert!(!p.refused(share, later + WITHIN), "too late for a refusal");
}

#[test]
fn a_burst_is_paid_at_once_and_no_window_exceeds_the_bound() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    // A hundred streams whose segments come every two seconds; all that a node has fails
    // again and again, and everybody wants to be paid.
    let period = 2000 * MS;
    let mut due = vec![None; 100];
    let (mut segments, mut grants) = (Vec::new(), Vec::new());
    for tick in 0..1200u32 {
        let now = t0 + 20 * MS * tick;
        let stream = usize::try_from(tick % 100).unwrap();
        if let Some(entry) = due[stream].take() {
            p.unexpect(entry);
        }
        due[stream] = p.expect(now + period, now);
        let share = p.segment(now + WITHIN, now);
        p.arrived(now);
        p.admitted(share);
        segments.push(now);
        // Bursts of eight every three seconds, and one at a time between them.
        let wanted = if tick % 150 == 0 {
            8
        } else {
            u32::from(tick % 40 == 0)
        };
        for _ in 0..wanted {
            if p.pay(retry(Need::Slow, now + 3000 * MS), now) {
                grants.push(now);
            }
        }
    }
    let at_once = |at| grants.iter().filter(|g| **g == at).count();
    let most = grants.iter().map(|g| at_once(*g)).max().unwrap();
    assert!((4..=6).contains(&most), "{most} at once");
    // Windows that reach beyond the end lack what did not come any more.
    assert_eq!(excess(&grants, &segments, t0 + 20 * MS * 1199), None);
}

/// The first window of a second or more, of those that end by then, with more grants than it brought.
fn excess(grants: &[Instant], segments: &[Instant], last: Instant) -> Option<String> {
    for (i, from) in grants.iter().enumerate() {
        for to in &grants[i..] {
            let length = (*to - *from).max(1000 * MS);
            let within = |at: &&Instant| **at >= *from && **at <= *from + length;
            let n = segments.iter().filter(within).count();
            let spent = grants.iter().filter(within).count();
            let most = 0.1 * n as f64 + length.as_secs_f64();
            if *from + length <= last && spent as f64 > most + 1e-6 {
                return Some(format!("{spent} > {most} in {length:?}"));
            }
        }
    }
    None
}

#[test]
fn what_is_granted_ahead_lets_nothing_wait_that_has_to_pay_for_it() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    // Fifty segments in a second, and fifty more that are due in the next.
    for i in 0..50 {
        let at = t0 + 20 * MS * i;
        let share = p.segment(at + WITHIN, at);
        p.admitted(share);
    }
    let now = t0 + 1000 * MS;
    let mut due: Vec<_> = (0..50).map(|i| p.expect(now + 20 * MS * i, now)).collect();
    due.reverse();
    let loss = retry(Need::Loss, now + 3000 * MS);
    while p.pay(loss, now) {}
    assert_eq!(p.spent().retries, 4);
    assert!(!p.presses(now));
    // What comes is sent: nothing presses. What comes and is not sent makes it press.
    for sends in [true, false] {
        let mut pressed = false;
        for i in 0..20 {
            let at = now + 20 * MS * (i + if sends { 0 } else { 20 });
            due.pop().unwrap().into_iter().for_each(|e| p.unexpect(e));
            if sends {
                let share = p.segment(at + WITHIN, at);
                p.admitted(share);
            }
            pressed |= p.presses(at);
        }
        assert_eq!(pressed, !sends);
    }
}

#[test]
fn nothing_counts_ahead_while_too_little_of_the_fleet_is_well() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    for i in 0..50 {
        p.expect(t0 + 20 * MS * i, t0);
    }
    let left = |p: &mut Purse| p.retries_left(t0);
    assert_eq!(left(&mut p), 4);
    p.count_ahead(false);
    assert_eq!(left(&mut p), 1);
}

proptest! {
    /// Counting nothing ahead, the bound is exact, whatever is refused, and whenever that is known.
    #[test]
    fn what_is_refused_after_a_grant_takes_no_window_above_the_bound(
        steps in prop::collection::vec((0u64..400, 0u8..12, 0u8..4, any::<u16>()), 1..100),
    ) {
        let t0 = Instant::now();
        let strict = Retries { ahead: 0.0, ..Retries::default() };
        let mut p = Purse::new(strict, budget::Config::refusals(), t0);
        let (mut now, mut out) = (t0, Vec::new());
        let (mut segments, mut grants) = (Vec::new(), Vec::new());
        for (pause, sends, pays, chance) in steps {
            now += Duration::from_millis(pause);
            // Of what is out, some is refused, some is taken on, and some is not heard of.
            for (i, (at, share)) in out.drain(..).enumerate() {
                let taken = match chance >> (2 * (i % 8)) & 3 {
                    0 => !p.refused(share, now),
                    1 => {
                        p.admitted(share);
                        true
                    }
                    _ => true,
                };
                segments.extend(taken.then_some(at));
            }
            out.extend((0..sends).map(|_| (now, p.segment(now + WITHIN, now))));
            for _ in 0..pays {
                if p.pay(retry(Need::Loss, now + 3000 * MS), now) {
                    grants.push(now);
                }
            }
            let refunds = grants.last().is_some_and(|at| now - *at < WITHIN);
            if chance.is_multiple_of(3) && refunds {
                let at = grants.pop().unwrap();
                p.refund(at, at + WITHIN, now);
            }
        }
        segments.extend(out.iter().map(|(at, _)| *at));
        prop_assert_eq!(excess(&grants, &segments, now + 2000 * MS), None);
    }
}

#[test]
fn what_a_node_refused_at_once_is_given_back() {
    let t0 = Instant::now();
    let mut p = purse(t0);
    let loss = retry(Need::Loss, t0 + 3000 * MS);
    assert!(p.pay(loss, t0));
    assert_eq!(p.affords(loss, t0 + MS), Err(Short::Retries));
    p.refund(t0, t0 + WITHIN, t0 + 100 * MS);
    assert_eq!(p.spent().retries, 0);
    assert!(p.pay(loss, t0 + 100 * MS));
    // What comes so late is no refusal: the node had read it.
    let at = t0 + 100 * MS;
    p.refund(at, at + WITHIN, at + WITHIN);
    assert_eq!(p.spent().retries, 1);
}
