#![allow(clippy::indexing_slicing)]

use super::*;
use crate::shape::Profile;

const TWO: Ticks = Ticks(180_000);

fn account() -> Account {
    let spec = RenditionSpec {
        name: "r".parse().unwrap(),
        width: 1000,
        height: 500,
        bitrate: 1_000_000,
        profile: Profile::High,
        level_idc: 31,
        half_rate: false,
        codec: Default::default(),
    };
    Account::new(Policy::default(), &spec, Ratio::new(20, 1).unwrap())
}

fn ask(account: &mut Account, sequence: u64) -> u32 {
    account.ask(Sequence(sequence), TWO).0.bitrate
}

fn came(account: &mut Account, sequence: u64, bits: u64) {
    account.came(Sequence(sequence), bits, None).unwrap();
}

#[test]
fn what_was_too_much_is_paid_back_and_what_was_too_little_is_caught_up() {
    let mut account = account();
    assert_eq!(ask(&mut account, 1), 1_000_000);
    came(&mut account, 1, 2_600_000);
    assert_eq!(ask(&mut account, 2), 850_000);
    came(&mut account, 2, 1_800_000);
    assert_eq!((account.owed(), ask(&mut account, 3)), (400_000, 900_000));
    came(&mut account, 3, 1_000_000);
    assert_eq!(
        (account.owed(), ask(&mut account, 4)),
        (-600_000, 1_150_000)
    );
}

#[test]
fn what_is_out_counts_as_it_was_asked_for() {
    let mut account = account();
    ask(&mut account, 1);
    came(&mut account, 1, 2_600_000);
    // 600,000 owed: the first of two pays a half of it, the second a half of the rest.
    let both = (ask(&mut account, 2), ask(&mut account, 3));
    assert_eq!(both, (850_000, 925_000));
    // In whichever order they come.
    came(&mut account, 3, 1_850_000);
    came(&mut account, 2, 1_700_000);
    assert_eq!(account.owed(), 150_000);
}

#[test]
fn what_does_not_come_leaves_no_trace_and_what_comes_twice_counts_once() {
    let mut account = account();
    ask(&mut account, 1);
    came(&mut account, 1, 2_600_000);
    ask(&mut account, 2);
    account.lost(Sequence(2));
    assert_eq!((account.owed(), ask(&mut account, 3)), (600_000, 850_000));
    came(&mut account, 3, 1_700_000);
    assert_eq!(account.came(Sequence(3), 9_000_000, None), None);
    assert_eq!(account.came(Sequence(2), 9_000_000, None), None, "too late");
    assert_eq!(account.owed(), 300_000);
}

#[test]
fn bounds_hold_and_are_told() {
    let mut account = account();
    for sequence in 0..4 {
        ask(&mut account, sequence);
    }
    let burst = |account: &mut Account, n, bits| account.came(Sequence(n), bits, None).unwrap();
    assert_eq!(burst(&mut account, 0, 6_000_000), (2_000_000, None));
    assert_eq!(
        burst(&mut account, 1, 2_000_001),
        (2_000_000, Some(Limit::Debt))
    );
    assert_eq!(account.owed(), 4_000_000, "four seconds at most");
    let (rate, limit) = account.ask(Sequence(4), TWO);
    assert_eq!((rate.bitrate, limit), (600_000, Some(Limit::Least)));
    for sequence in 2..5 {
        burst(&mut account, sequence, 0);
    }
    assert_eq!(
        account.owed(),
        -2_000_000,
        "two seconds to the good at most"
    );
    let (rate, limit) = account.ask(Sequence(5), TWO);
    assert_eq!((rate.bitrate, limit), (1_250_000, Some(Limit::Most)));
    assert!(rate.bitrate <= rate.peak && rate.peak < 1_500_000);
}

#[test]
fn results_teach_what_the_next_segment_needs() {
    let mut account = account();
    let x264 = "x264/veryfast".parse().unwrap();
    let (first, _) = account.ask(Sequence(1), TWO);
    assert_eq!(
        first.quality(&x264),
        2_300,
        "typical: a tenth of a bit a pixel"
    );
    account.came(Sequence(1), 1_000_000, Some(&x264));
    // Half of what was asked: a better quality, and more still for what is to the good.
    let (second, _) = account.ask(Sequence(2), TWO);
    assert_eq!((second.bitrate, second.quality(&x264)), (1_250_000, 1_903));
    // One that was told a bit rate pays, and teaches nothing.
    account.came(Sequence(2), 3_000_000, None);
    let (third, _) = account.ask(Sequence(3), TWO);
    assert_eq!((third.bitrate, third.quality(&x264)), (1_000_000, 2_000));
    // The limit ended it: it needs more than was seen.
    account.came(Sequence(3), 2_400_000, Some(&x264));
    let (fourth, _) = account.ask(Sequence(4), TWO);
    assert_eq!((fourth.bitrate, fourth.quality(&x264)), (900_000, 2_224));
}

/// Encoders with a law of their own, alternating, results that come late or not at all, and a scene that
/// becomes three times as demanding.
#[test]
fn the_mean_is_kept_whatever_the_law() {
    for halving in [200.0, 400.0, 800.0] {
        let mut account = account();
        let names: [EncoderName; 2] = ["a".parse().unwrap(), "b".parse().unwrap()];
        let (mut got, mut due) = (0.0, 0.0);
        let mut late: Option<(Sequence, u64, usize)> = None;
        for n in 0..60u64 {
            let which = usize::try_from(n % 2).unwrap();
            let (rate, _) = account.ask(Sequence(n), TWO);
            let quality = f64::from(rate.quality(&names[which]));
            let demand = if n < 30 { 2.0e6 } else { 6.0e6 } * [1.0, 1.4][which];
            let made = demand * 2f64.powf((2_000.0 - quality) / halving) * 2.0;
            let made = made.min(f64::from(rate.peak) * 0.82 * 2.0) as u64;
            if let Some((sequence, made, which)) = late.take() {
                account.came(sequence, made, Some(&names[which]));
            }
            match n % 7 {
                5 => account.lost(Sequence(n)),
                _ => {
                    late = Some((Sequence(n), made, which));
                    got += made as f64;
                    due += 2_000_000.0;
                }
            }
            assert!(account.owed().abs() <= 4_000_000);
        }
        let ratio = got / due;
        assert!((0.95..1.05).contains(&ratio), "{halving}: {ratio}");
    }
}
