//! The configuration of `rackcast-ingest`.
