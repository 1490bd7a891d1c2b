//! Local stack.
fn main() {}
