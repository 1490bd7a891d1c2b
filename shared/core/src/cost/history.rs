//! What a bill is made of: when an instance ran, and what it cost then.

use serde::{Deserialize, Serialize};

use super::text;
use crate::ids::Market;
use crate::money::MicroDollars;

/// The life of one instance, as far as it costs money.
///
/// In a file, amounts are US dollars as text (`"0.68"`) and moments ISO 8601 (`"2026-01-22T10:00:00Z"`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// What it is called in the bill.
    #[serde(default)]
    pub name: String,
    /// How it was bought.
    pub market: Market,
    /// What an hour cost from when on, in the order of time.
    pub prices: Vec<PriceFrom>,
    /// When it ran, in the order of time.
    pub running: Vec<Run>,
    /// Its volume.
    #[serde(default)]
    pub volume: Option<Volume>,
    /// What an hour of its public IPv4 address costs, if it had one; it has it while it runs.
    #[serde(default, with = "text::dollars_or_none")]
    pub public_ipv4_hour: Option<MicroDollars>,
}

/// A price that holds until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceFrom {
    /// From when on, in ms since 1970. The first price holds before it, too.
    #[serde(with = "text::moment")]
    pub from: u64,
    /// The price of an hour.
    #[serde(with = "text::dollars")]
    pub hour: MicroDollars,
}

/// One time of running, from a start to a stop, a termination, or the moment of the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// When it began to run, in ms since 1970. (`pending` is not billed.)
    #[serde(with = "text::moment")]
    pub from: u64,
    /// When it ceased to run; missing while it runs.
    #[serde(default, with = "text::moment_or_none")]
    pub to: Option<u64>,
    /// Who ended it.
    #[serde(default)]
    pub ended_by: EndedBy,
}

/// Who ended an instance or stopped it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// The user: by a call, by a shutdown from inside, by spawn.
    #[default]
    User,
    /// EC2, which took a spot instance back.
    Ec2,
}

/// A volume, billed while it exists, whether its instance runs or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its size in GiB.
    pub gib: u32,
    /// What a GiB costs for a month.
    #[serde(with = "text::dollars")]
    pub gib_month: MicroDollars,
    /// When it was created; missing: with the instance's first run.
    #[serde(default, with = "text::moment_or_none")]
    pub from: Option<u64>,
    /// When it was deleted; missing: with the end of the instance's last run, or not yet.
    #[serde(default, with = "text::moment_or_none")]
    pub to: Option<u64>,
    /// The hours of a month; missing: those of the calendar's month (672 to 744).
    #[serde(default)]
    pub month_hours: Option<u32>,
}
