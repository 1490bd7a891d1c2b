//! launch-batch.
