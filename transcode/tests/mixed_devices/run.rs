//! The machine and its streams.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use rackcast_transcode::admission::{Admission, Rates, Request, SlotId, Spec, Ticket, Work};

/// The bar for real time: busy time over media time.
const BAR: f64 = 0.8;
const MEDIA: f64 = 2.0;
/// What a caller gives a segment: 1.5 times its length.
const DEADLINE: f64 = 3.0;
/// Encoded pixels a second of the slowest device's slots.
const SLOWEST: f64 = 60e6;
/// Over so many seconds utilisation is looked at: five segments of each stream.
const WINDOW: f64 = 5.0 * MEDIA;
const SECONDS: f64 = 60.0;

#[derive(Clone, Copy)]
pub(crate) struct Device {
    pub(crate) slots: usize,
    /// Relative to the slowest.
    pub(crate) speed: f64,
}

pub(crate) struct Stream {
    pub(crate) caller: &'static str,
    /// Encoded pixels of a segment.
    pub(crate) pixels: u64,
    pipeline: u64,
}

/// What a slot did.
pub(crate) struct Busy {
    pub(crate) device: usize,
    pub(crate) from: f64,
    until: f64,
}

enum Event {
    Ask(usize),
    Arrived(Ticket),
    End(Ticket),
}

pub(crate) struct Run {
    random: Random,
    devices: Vec<Device>,
    pub(crate) streams: Vec<Stream>,
    /// They are told apart in the sums, not by the node.
    pub(crate) one_caller: bool,
    pub(crate) throttle: Option<(usize, std::ops::Range<f64>, f64)>,
    start: Instant,
    node: Admission,
    /// By time, in microseconds, and a number that makes it unique.
    events: BTreeMap<u64, Event>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    number: u64,
    jobs: BTreeMap<Ticket, (u64, f64)>,
    pub(crate) busy: Vec<Busy>,
    pub(crate) callers: BTreeMap<&'static str, (u32, u32)>,
    /// How long each caller waited for a yes or a no, really.
    pub(crate) answers: Vec<Duration>,
    pub(crate) admitted: u32,
    pub(crate) refused: u32,
    pub(crate) late: u32,
}

/// 2 to 8 devices; the fastest is four times as fast as the slowest.
pub(crate) fn machine(random: &mut Random) -> Vec<Device> {
    let more = random.below(7);
    let mut speeds = vec![1.0, 4.0];
    speeds.extend((0..more).map(|_| random.between(1.0, 4.0)));
    let slots = |speed| Device {
        slots: 1 + random.below(3),
        speed,
    };
    speeds.into_iter().map(slots).collect()
}

impl Run {
    /// Streams that together ask for `offered` of what the devices can do.
    pub(crate) fn new(seed: u64, devices: Vec<Device>, offered: f64) -> Self {
        let mut random = Random(seed);
        let spec = |device: &Device| Spec {
            slots: device.slots,
            rates: Some(Rates::of_encoder(SLOWEST * device.speed)),
            warm: 4,
        };
        let mut node = Admission::new(devices.iter().map(spec));
        for id in slots(&devices) {
            node.set_up(id, true);
        }
        let capacity: f64 = devices.iter().map(|d| d.slots as f64 * d.speed).sum();
        let mut wanted = offered * capacity * SLOWEST;
        let mut streams = Vec::new();
        while wanted > 0.0 {
            // From a tenth to six tenths of the slowest slot.
            let rate = (random.between(0.1, 0.6) * SLOWEST).min(wanted);
            wanted -= rate.max(0.02 * SLOWEST);
            streams.push(Stream {
                caller: ["a", "b", "c"][random.below(3)],
                pixels: (rate * MEDIA) as u64,
                pipeline: random.below(6) as u64,
            });
        }
        Self {
            random,
            devices,
            streams,
            one_caller: false,
            throttle: None,
            start: Instant::now(),
            node,
            events: BTreeMap::new(),
            queue: BinaryHeap::new(),
            number: 0,
            jobs: BTreeMap::new(),
            busy: Vec::new(),
            callers: BTreeMap::new(),
            answers: Vec::new(),
            admitted: 0,
            refused: 0,
            late: 0,
        }
    }

    pub(crate) fn run(mut self) -> Self {
        for stream in 0..self.streams.len() {
            let phase = self.random.between(0.0, MEDIA);
            self.after(phase, Event::Ask(stream));
        }
        while let Some(Reverse((at, number))) = self.queue.pop() {
            let now = at as f64 / 1e6;
            if now > SECONDS {
                break;
            }
            match self.events.remove(&number).unwrap() {
                Event::Ask(stream) => self.ask(now, stream),
                Event::Arrived(ticket) => self.node.arrived(ticket),
                Event::End(ticket) => {
                    let (_, deadline) = self.jobs.remove(&ticket).unwrap();
                    self.late += u32::from(now > deadline);
                    self.node.done(ticket, self.start + seconds(now));
                }
            }
            for id in slots(&self.devices) {
                if let Some(ticket) = self.node.start(self.start + seconds(now), id) {
                    self.begin(now, id.device, ticket);
                }
            }
        }
        self
    }

    fn ask(&mut self, now: f64, number: usize) {
        self.after(now + MEDIA, Event::Ask(number));
        let stream = &self.streams[number];
        let request = Request {
            caller: if self.one_caller {
                "all"
            } else {
                stream.caller
            }
            .into(),
            deadline: self.start + seconds(now + DEADLINE),
            work: Work {
                decode: 0,
                encode: stream.pixels,
            },
            media: seconds(MEDIA),
            pipeline: Some(stream.pipeline),
            hevc: false,
        };
        let (asked, got) = self.callers.entry(stream.caller).or_default();
        *asked += 1;
        let before = Instant::now();
        let answer = self.node.admit(self.start + seconds(now), request);
        self.answers.push(before.elapsed());
        match answer {
            Ok(ticket) => {
                *got += 1;
                self.admitted += 1;
                self.jobs.insert(ticket, (stream.pixels, now + DEADLINE));
                let upload = self.random.between(0.005, 0.03);
                self.after(now + upload, Event::Arrived(ticket));
            }
            Err(_) => self.refused += 1,
        }
    }

    fn begin(&mut self, now: f64, device: usize, ticket: Ticket) {
        let (pixels, _) = self.jobs[&ticket];
        let mut takes = pixels as f64 / (SLOWEST * self.devices[device].speed);
        if let Some((_, _, slower)) = self
            .throttle
            .as_ref()
            .filter(|(d, when, _)| *d == device && when.contains(&now))
        {
            takes *= slower;
        }
        takes *= self.random.between(0.85, 1.15);
        self.busy.push(Busy {
            device,
            from: now,
            until: now + takes,
        });
        self.after(now + takes, Event::End(ticket));
    }

    fn after(&mut self, at: f64, event: Event) {
        self.number += 1;
        self.events.insert(self.number, event);
        self.queue.push(Reverse(((at * 1e6) as u64, self.number)));
    }

    /// Busy time of a device over what its slots had, in a window.
    fn used(&self, device: usize, from: f64, until: f64) -> f64 {
        let within = |b: &Busy| (b.until.min(until) - b.from.max(from)).max(0.0);
        let busy: f64 = self
            .busy
            .iter()
            .filter(|b| b.device == device)
            .map(within)
            .sum();
        busy / ((until - from) * self.devices[device].slots as f64)
    }

    pub(crate) fn busy_share(&self) -> f64 {
        let weight = |d: &Device| d.slots as f64 * d.speed;
        let all: f64 = self.devices.iter().map(weight).sum();
        let used = |(n, d): (usize, &Device)| weight(d) * self.used(n, WINDOW, SECONDS);
        self.devices.iter().enumerate().map(used).sum::<f64>() / all
    }

    /// Wherever a device was above the bar, no other had room for the smallest of its streams.
    pub(crate) fn check_windows(&self, seed: u64) {
        let smallest = self.streams.iter().map(|s| s.pixels).min().unwrap() as f64 / MEDIA;
        let windows = (SECONDS / MEDIA) as usize - 6;
        for window in 1..windows {
            let from = window as f64 * MEDIA;
            let used = |device| self.used(device, from, from + WINDOW);
            let all: Vec<_> = (0..self.devices.len()).map(used).collect();
            for (device, used) in all.iter().enumerate().filter(|(_, used)| **used > BAR) {
                for (other, room) in all.iter().enumerate().filter(|(n, _)| *n != device) {
                    let Device { slots, speed } = self.devices[other];
                    let with = room + smallest / (SLOWEST * speed * slots as f64);
                    assert!(
                        with > BAR,
                        "seed {seed}, from {from} s: device {device} at {used}, {other} at {room}"
                    );
                }
            }
        }
    }
}

fn slots(devices: &[Device]) -> Vec<SlotId> {
    let of = |(device, d): (usize, &Device)| (0..d.slots).map(move |slot| SlotId { device, slot });
    devices.iter().enumerate().flat_map(of).collect()
}

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}
