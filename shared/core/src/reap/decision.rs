//! What can be decided about an instance, and the names of it.

use super::ReapReason;

/// What is done with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing.
    Keep,
    /// Whoever uses it is told that it will be ended; an orphan is marked.
    Warn,
    /// It is recorded in the ledger, which its launcher could not do any more.
    Adopt,
    /// It is stopped with its memory kept.
    Hibernate,
    /// It is stopped.
    Stop,
    /// It is terminated.
    Terminate,
}

impl Action {
    /// The name in logs and outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Warn => "warn",
            Self::Adopt => "adopt",
            Self::Hibernate => "hibernate",
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        }
    }

    /// Whether the instance runs no more afterwards.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Hibernate | Self::Stop | Self::Terminate)
    }
}

/// Why: a fixed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A ground to end it, now or soon.
    Reap(ReapReason),
    /// It is at work, or nothing limits its idleness.
    AtWork,
    /// It is idle, and may be for longer.
    IdleYet,
    /// Whether it is at work cannot be told.
    ActivityUnknown,
    /// It is new, or its end is.
    Grace,
    /// Its launcher may be about to record it.
    Launching,
    /// It is stopped, and its time stands still.
    Stopped,
    /// It is on its way out.
    Ending,
    /// A tag protects it.
    Protected,
    /// A tag keeps it alive.
    KeptAlive,
    /// Its launch was never recorded.
    NotRecorded,
    /// Too many would be ended at once.
    Breaker,
    /// Nothing that is known of it can have changed what follows.
    NotDue,
}

impl Reason {
    /// The name in logs, outputs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reap(reason) => reason.as_str(),
            Self::AtWork => "at_work",
            Self::IdleYet => "idle_yet",
            Self::ActivityUnknown => "activity_unknown",
            Self::Grace => "grace",
            Self::Launching => "launching",
            Self::Stopped => "stopped",
            Self::Ending => "ending",
            Self::Protected => "protected",
            Self::KeptAlive => "kept_alive",
            Self::NotRecorded => "not_recorded",
            Self::Breaker => "breaker",
            Self::NotDue => "not_due",
        }
    }
}

/// What is decided about an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// More, in words, when there is something to say.
    pub note: Option<String>,
    /// When it must be looked at again at the latest, in ms since 1970, if nothing changes.
    pub next_look: u64,
}

/// A decision, or what is needed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is decided.
    Decided(Decision),
    /// CloudWatch must be asked for the span since this time, in ms since 1970.
    AskCloudWatch(u64),
}
