//! track-instances.
