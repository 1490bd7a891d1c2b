//! How soon the control plane acts on the local stack, as a distribution; for a machine that does nothing else.

#[path = "../tests/beside/mod.rs"]
mod beside;

fn main() {
    beside::run_python(&local::StackOptions::default(), &["latency.py"]);
}
