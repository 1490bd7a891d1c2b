//! Wires collect-results to AWS.
fn main() {}
