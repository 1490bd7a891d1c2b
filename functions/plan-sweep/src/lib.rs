//! plan-sweep.
