//! What a run is made of.

use super::faults::Rates;
use crate::ec2;
use crate::engine::Ms;

/// How members live.
#[derive(Clone, Debug)]
pub struct MemberLife {
    /// From boot to the runner.
    pub boot: (Ms, Ms),
    /// How long the program runs.
    pub run: (Ms, Ms),
    /// Programs that end with an exit code other than 0, in 10,000.
    pub fails: u32,
}

/// How fast the services are.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// A read or a single write of the ledger.
    pub ledger: (Ms, Ms),
    /// How long a transaction holds its rows.
    pub transaction: (Ms, Ms),
    /// S3, Systems Manager, Step Functions' own calls.
    pub service: (Ms, Ms),
    /// From a state machine to a warm function, and back.
    pub invoke: (Ms, Ms),
    /// From one state to the next.
    pub transition: (Ms, Ms),
    /// From an event to its message in the queue.
    pub event: (Ms, Ms),
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            ledger: (3, 9),
            transaction: (5, 14),
            service: (15, 60),
            invoke: (6, 25),
            transition: (10, 30),
            event: (200, 1_500),
        }
    }
}

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// EC2.
    pub ec2: ec2::Settings,
    /// Times of the other services.
    pub latencies: Latencies,
    /// Members.
    pub life: MemberLife,
    /// Faults.
    pub rates: Rates,
    /// When they stop, in ms since 1970.
    pub faults_until: Ms,
    /// Whether what happens is noted: for the hash of a run, and its trace.
    pub notes: bool,
    /// Whether the reconcile pass runs every minute.
    pub reconcile: bool,
    /// Whether AWS tells its prices.
    pub is_priced: bool,
    /// A limit of the home account for each day, in micro-dollars.
    pub account_budget: Option<i64>,
    /// Whether the ledger ignores that a write asks for room in a budget: no ledger does, and the simulation must notice.
    pub ignores_budgets: bool,
}
