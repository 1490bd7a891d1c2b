//! Wires idle-reaper to AWS.
fn main() {}
