//! EC2 simulator.
