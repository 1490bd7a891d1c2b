//! Wires launch-batch to AWS.
fn main() {}
