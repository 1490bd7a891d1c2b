//! collect-results.
