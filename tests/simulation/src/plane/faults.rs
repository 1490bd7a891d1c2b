//! What goes wrong, how often, and how often it did.

use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A function dies before or after a call to the outside.
    Crash,
    /// A function's answer is lost while it goes on working.
    AnswerLost,
    /// A function stands still for a while in the middle of its work.
    Stall,
    /// The ledger is busy.
    LedgerBusy,
    /// The ledger does not answer, and did nothing.
    LedgerUnanswered,
    /// The ledger did it, and its answer is lost.
    LedgerAnswerLost,
    /// EC2 throttles beyond its buckets.
    Ec2Throttled,
    /// EC2 does not answer, and did nothing.
    Ec2Unanswered,
    /// EC2 did it, and its answer is lost.
    Ec2AnswerLost,
    /// EC2 refuses a launch as not permitted.
    Ec2Refused,
    /// A pool is dry for a while.
    DryPool,
    /// EC2's view is half a minute old.
    StaleView,
    /// An event is lost.
    EventLost,
    /// An event is delivered twice.
    EventDoubled,
    /// An event is minutes late.
    EventLate,
    /// EC2 takes a spot instance back.
    SpotLoss,
    /// An instance dies without a word.
    InstanceLost,
    /// Step Functions, S3 or another service does not answer.
    ServiceUnanswered,
    /// The schedule skips a minute.
    ScheduleSkipped,
    /// Somebody stops the execution.
    ExecutionStopped,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 20] = [
        Self::Crash,
        Self::AnswerLost,
        Self::Stall,
        Self::LedgerBusy,
        Self::LedgerUnanswered,
        Self::LedgerAnswerLost,
        Self::Ec2Throttled,
        Self::Ec2Unanswered,
        Self::Ec2AnswerLost,
        Self::Ec2Refused,
        Self::DryPool,
        Self::StaleView,
        Self::EventLost,
        Self::EventDoubled,
        Self::EventLate,
        Self::SpotLoss,
        Self::InstanceLost,
        Self::ServiceUnanswered,
        Self::ScheduleSkipped,
        Self::ExecutionStopped,
    ];

    /// The kind in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "function died",
            Self::AnswerLost => "function's answer lost",
            Self::Stall => "function stood still",
            Self::LedgerBusy => "ledger busy",
            Self::LedgerUnanswered => "ledger unavailable",
            Self::LedgerAnswerLost => "ledger's answer lost",
            Self::Ec2Throttled => "EC2 throttled",
            Self::Ec2Unanswered => "EC2 unavailable",
            Self::Ec2AnswerLost => "EC2's answer lost",
            Self::Ec2Refused => "EC2 launch not permitted",
            Self::DryPool => "pool dry",
            Self::StaleView => "EC2's view stale",
            Self::EventLost => "event lost",
            Self::EventDoubled => "event doubled",
            Self::EventLate => "event late",
            Self::SpotLoss => "spot instance taken back",
            Self::InstanceLost => "instance lost",
            Self::ServiceUnanswered => "other service unavailable",
            Self::ScheduleSkipped => "schedule skipped",
            Self::ExecutionStopped => "execution stopped",
        }
    }
}

/// How often each kind happens, in 10,000 chances; none that is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(pub BTreeMap<Fault, u32>);

impl Rates {
    /// The rate of a kind.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u32 {
        self.0.get(&fault).copied().unwrap_or(0)
    }
}
