//! A sweep as its document describes it, with every member spelt out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::Faults;
use super::settings::Settings;
use super::uri::S3Uri;
use crate::account::AccountId;
use crate::instance_metrics::Wanted;
use crate::money::MicroDollars;
use crate::policy::{OnFailure, Retries, Tolerated};
use crate::region::Region;
use crate::rows::OnBudget;

/// The most members of a sweep.
pub const MEMBERS_MAX: u32 = 100_000;

/// A sweep that can be planned: every value checked, every member there.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The sweep's name, part of ids, tags, S3 keys and DNS names.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is paid from.
    pub project: String,
    /// Its members, in the order of their indices, which begin at 0.
    pub members: Vec<Member>,
    /// Where members without a region of their own may run; at least one.
    pub regions: Vec<RegionShare>,
    /// How they are distributed over `regions`.
    pub distribution: Distribution,
    /// Which regions are preferred where there is a choice.
    pub region_order: RegionOrder,
    /// The buckets that the sweep's data lie in, as far as the document names them: of `inputs`, then of `params`.
    pub data_buckets: Vec<String>,
    /// The most instances at a time.
    pub max_concurrent: Option<u32>,
    /// The most instances at a time in each region.
    pub max_concurrent_per_region: Option<u32>,
    /// Seconds between two launches of a lane.
    pub launch_delay_s: u64,
    /// What it may cost.
    pub budget: Option<MicroDollars>,
    /// What happens as the budget comes to its end.
    pub on_budget: OnBudget,
    /// Where results go.
    pub results: Results,
    /// What is copied into a member's working directory before its command starts.
    pub inputs: Vec<S3Uri>,
    /// Who is told, and of what.
    pub notify: Notify,
    /// Whether its members get names in DNS, where the operator has a domain for them.
    pub naming: bool,
    /// Whether the output of its members' programs goes to CloudWatch Logs.
    pub logs: bool,
    /// What its members' machines report to CloudWatch.
    pub instance_metrics: Wanted,
    /// The accounts over which the members of each region are spread; none: the home account.
    pub accounts: Vec<AccountId>,
    /// How often members are tried again.
    pub retries: Retries,
    /// What happens when more members fail than are tolerated.
    pub on_failure: OnFailure,
    /// How many may fail.
    pub tolerated_failures: Tolerated,
    /// Whether to show the plan and launch nothing.
    pub dry_run: bool,
}

/// One point of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its number, from 0.
    pub index: u32,
    /// Its name, unique in the sweep.
    pub name: Option<String>,
    /// Its parameters in the order of the document.
    pub params: Map<String, Value>,
    /// How it is run.
    pub settings: Arc<Settings>,
}

/// A region and how many members it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionShare {
    /// The region.
    pub region: Region,
    /// The number of members, those that are pinned to it included; `None` for a share of those without a place.
    pub count: Option<u32>,
    /// Whether the document names it; otherwise a pattern brings it in, and it is left out when it cannot be used.
    pub is_named: bool,
}

/// How members are distributed over the regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Counts and pinned members are honoured, the rest is spread evenly.
    Balanced,
    /// The rest goes to the region with the lowest price, as far as its quota has room, then to the next.
    Cheapest,
    /// The rest is spread evenly over the regions, and the members of a region over its availability zones.
    Spread,
    /// The rest is spread evenly, and a region that has capacity first takes over what waits elsewhere.
    Opportunistic,
    /// Every member has its place, by a region's count or by a region of its own.
    Explicit,
}

/// Which regions are preferred where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionOrder {
    /// As the document gives them.
    Document,
    /// The cheapest first.
    Price,
    /// The nearest to the data first.
    Distance,
}

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The bucket; `None` for the operator's.
    pub bucket: Option<String>,
    /// The file that a member writes its result to, relative to its working directory.
    pub file: String,
}

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// ARNs of SNS topics; none means the operator's.
    pub topics: Vec<String>,
    /// The occasions.
    pub occasions: Vec<Occasion>,
    /// Webhooks, by the names of the Parameter Store parameters that hold their addresses.
    pub webhooks: Vec<String>,
}

/// An occasion to tell somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The sweep has ended, in whatever way.
    End,
    /// The sweep has failed.
    Failure,
    /// The first member has failed.
    FirstFailure,
    /// So many percent of the budget are spent.
    CostShare(u8),
    /// A member, or the sweep, takes longer than it should.
    Overdue,
}

/// What an operator sets once for all sweeps of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorDefaults {
    /// An image id, or the name of an SSM parameter.
    pub ami: Option<String>,
    /// An instance type, or whatever a document may say there.
    pub instance_type: Option<String>,
    /// The key pair to log in with.
    pub key_name: Option<String>,
    /// The name of the instance profile.
    pub instance_profile: Option<String>,
    /// The budget of a sweep that names none.
    pub budget: Option<MicroDollars>,
    /// The owner of a sweep that names none.
    pub owner: Option<String>,
    /// The region of members that name none.
    pub home_region: Region,
    /// Who can be told.
    pub reach: Reach,
}

/// Who can be told of a sweep: what spawn has no permission for would never hear of it. Patterns in which `*` stands for any text;
/// none at all: anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// ARNs of SNS topics.
    pub topics: Vec<String>,
    /// Names of the parameters that hold webhooks' addresses.
    pub webhooks: Vec<String>,
}

impl Sweep {
    /// Reads a document, its table of members (when `params` names one in S3) or why there is none, and what overrides it.
    ///
    /// # Errors
    /// Every fault of the document at once.
    pub fn from_document(
        doc: &Value,
        table: Option<Result<Vec<Map<String, Value>>, Faults>>,
        overrides: &Map<String, Value>,
        operator: &OperatorDefaults,
    ) -> Result<Self, Faults> {
        super::build::build(doc, table, overrides, operator)
    }
}
