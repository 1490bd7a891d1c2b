//! Wires track-instances to AWS.
fn main() {}
