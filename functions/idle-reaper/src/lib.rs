//! idle-reaper.
