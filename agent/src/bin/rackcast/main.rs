//! `rackcast`: the operator's command.
fn main() {}
