//! Who is told how a stack comes up.

use std::time::Duration;

/// Hears about each step of a start.
pub trait Narrator: Send + Sync {
    /// A step begins that may take a while.
    fn begins(&self, step: &str);
    /// News from within a step.
    fn tells(&self, step: &str, news: &str);
    /// A step ended well.
    fn ends(&self, step: &str, took: Duration);
}

/// Hears nothing: for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Narrator for Silent {
    fn begins(&self, _: &str) {}
    fn tells(&self, _: &str, _: &str) {}
    fn ends(&self, _: &str, _: Duration) {}
}
