//! `rackcast-ingest`.
fn main() {}
