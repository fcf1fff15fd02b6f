//! What every daemon's metrics have in common.

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
