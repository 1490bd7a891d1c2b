//! How much the functions log.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Bytes of a line beside its message and fields: time, level, target, request id, as JSON.
const LINE: u64 = 180;

/// Bytes that Lambda itself writes of an invocation: START, END and REPORT.
pub(super) const OF_AN_INVOCATION: u64 = 330;

/// Counts the bytes of what is logged, and writes nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Length(usize);

impl Visit for Length {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Quotes, colon and comma of JSON.
        self.0 += field.name().len() + format!("{value:?}").len() + 6;
    }
}

impl Subscriber for Meter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut length = Length::default();
        event.record(&mut length);
        let bytes = LINE + u64::try_from(length.0).unwrap_or(0);
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
