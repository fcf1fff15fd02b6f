use proptest::prelude::*;

use super::*;

/// Scales `picture`, rows of which lie `room` bytes further apart than they are long.
fn scaled(across: Axis, down: Axis, picture: &[u8], room: usize) -> Vec<u8> {
    let (width, to) = (across.from(), (across.to(), down.to()));
    let mut source = Vec::new();
    for row in picture.chunks(width) {
        source.extend_from_slice(row);
        source.extend(vec![0xaa; room]);
    }
    let stride = to.0 + room;
    let mut target = vec![0x55; stride * to.1];
    let mut scaler = Scaler::new(across, down);
    scaler
        .scale((&source, width + room), (&mut target, stride))
        .unwrap();
    let rows = target.chunks(stride);
    for row in rows.clone() {
        assert!(row[to.0..].iter().all(|b| *b == 0x55), "beside the plane");
    }
    rows.flat_map(|row| &row[..to.0]).copied().collect()
}

/// The same by the loops of one kernel.
fn scaled_by(kernel: Kernel, across: &Axis, down: &Axis, picture: &[u8]) -> Vec<u8> {
    let mut target = vec![0; across.to() * down.to()];
    let mut scaler = Scaler::by(kernel, across.clone(), down.clone());
    scaler
        .scale((picture, across.from()), (&mut target, across.to()))
        .unwrap();
    target
}

fn luma(from: (usize, usize), to: (usize, usize)) -> (Axis, Axis) {
    (Axis::of_luma(from.0, to.0), Axis::of_luma(from.1, to.1))
}

/// The same by the book: in floating point, one sample after another.
fn reference(across: &Axis, down: &Axis, picture: &[u8]) -> Vec<f64> {
    let weight = |w: &i16| f64::from(*w) / 32_768.0;
    let mut out = Vec::new();
    for y in 0..down.to() {
        for x in 0..across.to() {
            let ((top, rows), (left, columns)) = (down.window(y), across.window(x));
            let mut sum = 0.0;
            for (j, row) in rows.iter().enumerate() {
                for (i, column) in columns.iter().enumerate() {
                    let sample = picture[(top + j) * across.from() + left + i];
                    sum += weight(row) * weight(column) * f64::from(sample);
                }
            }
            out.push(sum.clamp(0.0, 255.0));
        }
    }
    out
}

fn noise(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_plane_of_one_colour_keeps_it() {
    for (from, to) in [
        ((1920, 8), (426, 4)),
        ((100, 216), (100, 24)),
        ((7, 3), (640, 9)),
    ] {
        for colour in 0..=255 {
            let (across, down) = luma(from, to);
            let out = scaled(across, down, &vec![colour; from.0 * from.1], 0);
            assert!(out.iter().all(|b| *b == colour), "{from:?} {to:?} {colour}");
        }
    }
}

#[test]
fn a_plane_of_the_same_size_stays_as_it_is() {
    let picture = noise(130 * 70, 1);
    let (across, down) = luma((130, 70), (130, 70));
    assert_eq!(scaled(across, down, &picture, 3), picture);
}

#[test]
fn a_slope_stays_where_it_is() {
    // Luma rises by a step a sample; chroma as much for as far: two steps a sample.
    let (from, to) = (240, 60);
    let inner = |out: Vec<u8>| out[4..out.len() - 4].to_vec();
    let row: Vec<u8> = (0..240).collect();
    let out = inner(scaled(
        Axis::of_luma(from, to),
        Axis::of_luma(1, 1),
        &row,
        0,
    ));
    for (i, value) in (4..).zip(&out) {
        let right = (i as f64 + 0.5) * 4.0 - 0.5;
        assert!(
            (f64::from(*value) - right).abs() <= 0.75,
            "{i}: {value} for {right}"
        );
    }
    for (cosited, lies) in [(true, 0.0), (false, 0.5)] {
        let row: Vec<u8> = (0..120).map(|i| 2 * i).collect();
        let axis = Axis::of_chroma(from, to, cosited);
        let out = inner(scaled(axis, Axis::of_luma(1, 1), &row, 0));
        for (i, value) in (4..).zip(&out) {
            // Where the sample lies among those of luma, there and here.
            let here = 2.0 * i as f64 + lies;
            let right = (here + 0.5) * 4.0 - 0.5 - lies;
            assert!(
                (f64::from(*value) - right).abs() <= 0.75,
                "{cosited} {i}: {value} for {right}"
            );
        }
    }
}

#[test]
fn what_is_too_fine_for_the_target_is_grey_there() {
    let stripes: Vec<u8> = (0..1280)
        .map(|i| if i % 2 == 0 { 0 } else { 255 })
        .collect();
    let out = scaled(Axis::of_luma(1280, 427), Axis::of_luma(1, 1), &stripes, 0);
    assert!(
        out[3..424].iter().all(|b| (118..138).contains(b)),
        "{out:?}"
    );
}

#[test]
fn a_slice_that_is_too_short_is_an_error() {
    let (across, down) = luma((100, 100), (50, 50));
    let mut scaler = Scaler::new(across, down);
    let (source, mut target) = (vec![0; 100 * 100], vec![0; 50 * 50]);
    assert!(
        scaler
            .scale((&source[1..], 100), (&mut target, 50))
            .is_err()
    );
    assert!(scaler.scale((&source, 99), (&mut target, 50)).is_err());
    assert!(
        scaler
            .scale((&source, 100), (&mut target[1..], 50))
            .is_err()
    );
    assert!(
        scaler
            .scale((&source, usize::MAX), (&mut target, 50))
            .is_err()
    );
    assert!(scaler.scale((&source, 100), (&mut target, 50)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_size_goes_to_every_other(
        from in (1..200_usize, 1..150_usize), to in (1..200_usize, 1..150_usize),
        cosited in any::<bool>(), room in 0..70_usize, seed in any::<u32>(),
    ) {
        let axes = [
            luma(from, to),
            (Axis::of_chroma(from.0, to.0, cosited), Axis::of_chroma(from.1, to.1, false)),
        ];
        for (across, down) in axes {
            let picture = noise(across.from() * down.from(), seed);
            let right = reference(&across, &down, &picture);
            let plain = scaled_by(Kernel::Portable, &across, &down, &picture);
            let best = scaled_by(Kernel::best(), &across, &down, &picture);
            prop_assert_eq!(plain, best, "one picture, whatever the processor");
            // Each product is rounded to a 128th of a step, and the sum to a whole one.
            let products = across.window(0).1.len() + down.window(0).1.len();
            let most = 1.4 + products as f64 / 256.0;
            let out = scaled(across, down, &picture, room);
            for (out, right) in out.iter().zip(&right) {
                prop_assert!((f64::from(*out) - right).abs() < most, "{} for {}", out, right);
            }
        }
    }
}
