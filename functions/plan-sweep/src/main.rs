//! Wires plan-sweep to AWS.
fn main() {}
