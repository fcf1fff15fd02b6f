//! What a stream may ask for: circuits.

use std::time::Duration;

use rackcast_route::degrade::Reduction;
use rackcast_route::plan::{Event, Renditions, Step};

use crate::support::{Ingest, MEDIA, PATIENCE, WORKS, member, ms};

const ZONES: [(&str, &str); 4] = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")];

fn poison(i: &mut Ingest) -> Vec<Step> {
    let mut s = i.begin();
    let first = s.last().attempt;
    i.claim(&mut s, first);
    if s.sends.len() < 2 {
        i.wait(&mut s, PATIENCE - ms(200));
    }
    let second = s.last().attempt;
    i.claim(&mut s, second);
    assert!(s.plan.is_over());
    i.pass(MEDIA);
    s.notes
}

#[test]
fn a_stream_of_poison_loses_its_transcoding_and_one_segment_tries_again() {
    let mut i = Ingest::over(&ZONES);
    let now = i.now;
    let allowance = i.router.allowance(i.stream, &WORKS, MEDIA, now);
    assert_eq!(
        (allowance.asked, allowance.why),
        (Renditions::first(3), None)
    );
    let mut notes = Vec::new();
    for _ in 0..3 {
        notes = poison(&mut i);
    }
    assert!(notes.iter().any(|n| matches!(n, Step::CircuitOpened(_))));
    let now = i.now;
    let allowance = i.router.allowance(i.stream, &WORKS, MEDIA, now);
    assert_eq!(allowance.asked, Renditions::NONE);
    assert!(matches!(allowance.why, Some(Reduction::Circuit { .. })));
    assert_eq!(i.router.snapshot(now).circuits_open, 1);
    // Others are not touched by it.
    let other = i.router.open(now);
    assert_eq!(i.router.allowance(other, &WORKS, MEDIA, now).why, None);

    i.pass(Duration::from_secs(13));
    let now = i.now;
    assert_eq!(i.router.allowance(i.stream, &WORKS, MEDIA, now).why, None);
    let mut trial = i.begin();
    assert_ne!(i.router.allowance(i.stream, &WORKS, MEDIA, now).why, None);
    let attempt = trial.last().attempt;
    i.complete(&mut trial, attempt, ms(100));
    assert!(trial.notes.contains(&Step::CircuitClosed));
    let now = i.now;
    assert_eq!(i.router.allowance(i.stream, &WORKS, MEDIA, now).why, None);
    assert_eq!(i.router.snapshot(now).circuits_open, 0);
}

#[test]
fn a_stream_that_is_closed_leaves_nothing_behind_and_its_plans_still_end() {
    let mut i = Ingest::over(&ZONES);
    let mut s = i.begin();
    i.router.close(i.stream);
    assert_eq!(i.router.snapshot(i.now).streams, 0);
    let attempt = s.last().attempt;
    i.complete(&mut s, attempt, ms(100));
    assert!(s.plan.is_over());
    i.tell(&mut s, Event::Wake);
}

#[test]
fn a_stream_that_moves_tells_from_where_though_that_node_is_gone() {
    let mut i = Ingest::over(&ZONES);
    let mut homes = Vec::new();
    let mut moved = Vec::new();
    for _ in 0..3 {
        let mut s = i.begin();
        let attempt = s.last().attempt;
        homes.push(s.last().name.clone());
        let first = s.plan.trail().entries().iter().find_map(|e| match &e.step {
            Step::Sent(sent) => Some(sent.moved_from.as_ref().map(ToString::to_string)),
            _ => None,
        });
        moved.extend(first);
        i.complete(&mut s, attempt, ms(100));
        i.pass(MEDIA);
        // The first home leaves the catalog.
        let left = ZONES.iter().filter(|(name, _)| *name != homes[0]);
        let left = left.map(|(name, zone)| member(name, zone, 4));
        i.router.table_mut().update_members(left, i.now);
    }
    assert_ne!(homes[0], homes[1]);
    assert_eq!(moved, [None, Some(homes[0].clone()), None]);
}

#[test]
fn a_stream_goes_where_no_other_one_is_due() {
    let mut i = Ingest::over(&[]);
    let (now, members) = (i.now, [member("a", "x", 1), member("b", "y", 1)]);
    i.router.table_mut().update_members(members, now);
    let resident = i.stream;
    let segment = |i: &mut Ingest, stream| {
        i.stream = stream;
        let now = i.now;
        let _ = i.router.allowance(stream, &WORKS, MEDIA, now);
        let mut s = i.begin();
        let sent = s.last().clone();
        i.complete(&mut s, sent.attempt, ms(100));
        sent.name
    };
    let mut elsewhere = 0;
    for turn in 0..50 {
        let lives = segment(&mut i, resident);
        i.pass(MEDIA - ms(150));
        // It is due in 50 ms, and the only slot would be taken for 100.
        let now = i.now;
        let guest = i.router.open(now);
        let there = segment(&mut i, guest) == lives;
        i.router.close(guest);
        // Who little is known of is tried out, whoever is due.
        elsewhere += u32::from(!there && turn >= 10);
    }
    assert_eq!(elsewhere, 40);
}

#[test]
fn a_stream_lives_on_one_node_while_it_is_to_come_and_on_none_when_it_is_over() {
    let mut i = Ingest::over(&ZONES);
    let streams: Vec<_> = (0..5).map(|_| i.router.open(i.now)).collect();
    let live = |i: &Ingest| -> u32 { i.router.table().nodes(i.now).map(|n| n.streams).sum() };
    for _ in 0..40 {
        for stream in &streams {
            i.stream = *stream;
            let now = i.now;
            let _ = i.router.allowance(*stream, &WORKS, MEDIA, now);
            let mut s = i.begin();
            let attempt = s.last().attempt;
            i.complete(&mut s, attempt, ms(100));
        }
        assert_eq!(live(&i), 5);
        i.pass(MEDIA - ms(500));
    }
    i.router.close(streams[0]);
    assert_eq!(live(&i), 4, "whoever is over");
    let now = i.now;
    let _ = i.router.allowance(streams[1], &WORKS, MEDIA, now);
    assert_eq!(live(&i), 3, "until it is known where the next one goes");
    i.pass(Duration::from_secs(60));
    streams[1..].iter().for_each(|s| i.router.close(*s));
    assert_eq!(live(&i), 0);
}
