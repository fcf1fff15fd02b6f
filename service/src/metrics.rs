//! What every daemon's metrics have in common.

mod make;

use std::collections::{BTreeSet, HashMap};

pub use make::Make;
use prometheus::core::{Atomic, Collector, GenericGaugeVec};
use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder};

/// Registers `rackcast_build_info{role, version}`, always 1.
///
/// # Errors
/// The registry has it already.
pub fn build_info(registry: &Registry, role: &str, version: &str) -> Result<(), prometheus::Error> {
    let opts = Opts::new(
        "rackcast_build_info",
        "The running version; the value is always 1.",
    );
    let info = IntGaugeVec::new(opts, &["role", "version"])?;
    info.with_label_values(&[role, version]).set(1);
    registry.register(Box::new(info))
}

/// The registry's content in Prometheus' text format, and its content type.
///
/// # Errors
/// A metric has no samples or a broken name.
pub fn encode(registry: &Registry) -> Result<(Vec<u8>, &'static str), prometheus::Error> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok((text, prometheus::TEXT_FORMAT))
}

/// Has a gauge of one label show these values and no others. What stays is never gone between: a scrape
/// may come at any time, and a series that it misses has an alert wait anew.
pub fn show<'a, P: Atomic>(
    gauge: &GenericGaugeVec<P>,
    values: impl IntoIterator<Item = (&'a str, P::T)>,
) {
    let families = gauge.collect();
    let metrics = families.iter().flat_map(|family| family.get_metric());
    let labels = metrics.flat_map(|metric| metric.get_label());
    let mut gone: BTreeSet<&str> = labels.map(|label| label.value()).collect();
    for (label, value) in values {
        gauge.with_label_values(&[label]).set(value);
        gone.remove(label);
    }
    for label in gone {
        // It was there just now.
        let _ = gauge.remove_label_values(&[label]);
    }
}

/// The expositions of several processes as one: each family once, with the samples of all. They
/// must differ in a label.
pub fn merge(expositions: &[impl AsRef<str>]) -> String {
    struct Family {
        /// Whose comments stand above the samples.
        told_by: usize,
        lines: String,
    }
    let mut families: Vec<Family> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (teller, text) in expositions.iter().enumerate() {
        let mut current = None;
        for line in text.as_ref().lines() {
            let comment = line
                .strip_prefix("# HELP ")
                .or_else(|| line.strip_prefix("# TYPE "));
            if let Some(rest) = comment {
                let name = rest.split(' ').next().unwrap_or_default();
                current = Some(*known.entry(name).or_insert_with(|| {
                    let lines = String::new();
                    families.push(Family {
                        told_by: teller,
                        lines,
                    });
                    families.len() - 1
                }));
            }
            if let Some(family) = current.and_then(|index| families.get_mut(index))
                && (comment.is_none() || family.told_by == teller)
            {
                family.lines.push_str(line);
                family.lines.push('\n');
            }
        }
    }
    families.into_iter().map(|family| family.lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_again_was_never_gone() {
        let gauge = IntGaugeVec::new(Opts::new("health", "h"), &["service"]).unwrap();
        show(&gauge, [("a", 1), ("b", 2)]);
        let series = gauge.with_label_values(&["a"]);
        show(&gauge, [("a", 3)]);
        assert_eq!(series.get(), 3, "it is the same series");
        let shown = gauge.collect()[0].get_metric().len();
        assert_eq!(shown, 1, "and the only one");
    }

    #[test]
    fn each_family_stands_once_with_the_samples_of_all() {
        let new = "# HELP a what\n# TYPE a counter\na{g=\"2\"} 1\n# TYPE c gauge\nc{g=\"2\"} 3\n";
        let old = "# HELP a WHAT\n# TYPE a counter\na{g=\"1\"} 9\n# HELP b why\n# TYPE b gauge\nb{g=\"1\"} 2\n";
        let merged = "# HELP a what\n# TYPE a counter\na{g=\"2\"} 1\na{g=\"1\"} 9\n\
                      # TYPE c gauge\nc{g=\"2\"} 3\n# HELP b why\n# TYPE b gauge\nb{g=\"1\"} 2\n";
        assert_eq!(merge(&[new, old]), merged);
        assert_eq!(merge(&[new]), new);
        assert_eq!(merge(&["nonsense"]), "");
    }
}
