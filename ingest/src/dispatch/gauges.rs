//! What the router knows and may spend just now, as gauges.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Instant;

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Registry};
use rackcast_route::Router;

use rackcast_service::metrics::Make;

/// Standings that are shown as 0 when no node has them.
const STANDINGS: [&str; 11] = [
    "unmeasured",
    "good",
    "returning",
    "overdue",
    "slow",
    "failed",
    "blocked",
    "ejected",
    "trial",
    "zone-abandoned",
    "draining",
];

/// Powers of two of output pixels: from less than any segment's up to more than any's.
const CLASSES: RangeInclusive<u32> = 16..=36;

/// Gauges over the router; [`measure`](Self::measure) brings them up to date.
#[derive(Debug)]
pub(super) struct Gauges {
    nodes: IntGaugeVec,
    zones: IntGaugeVec,
    slots: IntGaugeVec,
    budgets: IntGaugeVec,
    subset: IntGauge,
    level: Gauge,
    pressure: GaugeVec,
    circuits: IntGauge,
    slow: GaugeVec,
}

impl Gauges {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let make = Make(registry);
        Ok(Self {
            nodes: make.gauges(
                "rackcast_ingest_discovery_nodes",
                "Transcode nodes by how they stand with this ingest",
                &["standing"],
            )?,
            zones: make.gauges(
                "rackcast_ingest_route_zones",
                "Zones of transcode nodes that get work (open), or that are abandoned as a whole",
                &["state"],
            )?,
            slots: make.gauges(
                "rackcast_ingest_route_slots",
                "Slots of the nodes that this ingest may give work, and the free ones of them",
                &["state"],
            )?,
            budgets: make.gauges(
                "rackcast_ingest_dispatch_budget_available",
                "Requests that could be made at this instant, by the budget that they draw on",
                &["budget"],
            )?,
            subset: make.gauge(
                "rackcast_ingest_route_subset_nodes",
                "Transcode nodes in this ingest's share of the fleet",
            )?,
            pressure: make.fractions(
                "rackcast_ingest_route_pressure_ratio",
                "What degradation was last decided by",
                &["share"],
            )?,
            level: make.fraction(
                "rackcast_ingest_route_degradation_level",
                "Rungs that are left out of the streams' ladders, because the nodes cannot carry all",
            )?,
            circuits: make.gauge(
                "rackcast_ingest_route_open_circuits",
                "Streams that are not transcoded for a while because they kept failing",
            )?,
            slow: make.fractions(
                "rackcast_ingest_route_slow_ratio",
                "Multiple of the predicted time beyond which a segment of so many pixels is hedged",
                &["pixels"],
            )?,
        })
    }

    pub(super) fn measure(&self, router: &mut Router, now: Instant) {
        let standing = router.snapshot(now);
        let available = [
            ("retries", standing.retries_left),
            ("refusals", standing.refusals_left),
        ];
        let available = available.map(|(budget, n)| (budget, n.into()));
        set(&self.budgets, available);
        self.level.set(standing.level.as_rungs());
        let pressure = standing.pressure;
        for (share, value) in [
            ("trouble", pressure.trouble),
            ("utilisation", pressure.utilisation),
            ("busy", pressure.busy),
            ("believed", pressure.believed),
        ] {
            self.pressure.with_label_values(&[share]).set(value);
        }
        let circuits = standing.circuits_open;
        self.circuits
            .set(i64::try_from(circuits).unwrap_or(i64::MAX));
        for class in CLASSES {
            let slow = router.slow_after(1 << class);
            if let Some(slow) = slow {
                let pixels = (1u64 << class).to_string();
                let gauge = self.slow.with_label_values(&[pixels]);
                gauge.set(slow);
            }
        }
        let table = router.table();
        let mut nodes: BTreeMap<_, i64> = STANDINGS.map(|s| (s, 0)).into();
        let mut subset = 0;
        for node in table.nodes(now) {
            subset += i64::from(node.in_subset);
            *nodes.entry(node.standing.as_str()).or_default() += 1;
        }
        set(&self.nodes, nodes);
        self.subset.set(subset);
        let mut zones = BTreeMap::from([("open", 0), ("abandoned", 0)]);
        for zone in table.zones(now) {
            // Until its trial is over it is given no more than that.
            let state = if zone.left_until.is_some() {
                "abandoned"
            } else {
                "open"
            };
            *zones.entry(state).or_default() += 1;
        }
        set(&self.zones, zones);
        let capacity = table.capacity(now);
        let slots = [("all", capacity.slots), ("free", capacity.free)];
        set(&self.slots, slots.map(|(state, n)| (state, n.into())));
    }
}

fn set(gauges: &IntGaugeVec, values: impl IntoIterator<Item = (&'static str, i64)>) {
    for (label, value) in values {
        gauges.with_label_values(&[label]).set(value);
    }
}
