//! Launching, listing, stopping and terminating instances.

use std::future::Future;

use crate::account::AccountId;
use crate::ids::{ClientToken, InstanceArn, Market, SweepId};
use crate::region::Region;
use crate::rows::{Addresses, Pool, Rung, Shape};

/// The launch template of one shape of a sweep in one region: what every instance of the shape has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name, unique in account and region.
    pub name: String,
    /// The shape.
    pub shape: Shape,
    /// The boot script, not encoded.
    pub user_data: String,
    /// Tags of the template and of the volumes that it makes.
    pub tags: Vec<(String, String)>,
}

/// One launch call: everything in it is fixed by the attempt, so a repeat is the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchRequest {
    /// The region.
    pub region: Region,
    /// The account that owns the instances.
    pub account: String,
    /// The idempotency token.
    pub token: ClientToken,
    /// The name of the launch template.
    pub template: String,
    /// How, and from which pools.
    pub rung: Rung,
    /// How many instances are wanted; fewer are taken.
    pub count: u32,
    /// Tags of the instances.
    pub tags: Vec<(String, String)>,
}

/// What a launch call gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launched {
    /// The instances, possibly fewer than were asked for; a fleet may have none.
    pub instances: Vec<CloudInstance>,
    /// Why pools of a fleet gave less. Each describes a pool, not an instance: one may stand for any number.
    pub refusals: Vec<Refusal>,
}

impl Launched {
    /// How many instances there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.instances.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }
}

/// Why a pool of a fleet gave less than it might.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The pool; with the zone that EC2 names, if it chose one.
    pub pool: Pool,
    /// EC2's error.
    pub error: Ec2Error,
}

/// An instance as EC2 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudInstance {
    /// The instance.
    pub arn: InstanceArn,
    /// Its state.
    pub state: InstanceState,
    /// Its type.
    pub instance_type: String,
    /// How it was bought.
    pub market: Market,
    /// Its availability zone; empty when EC2 has not said yet.
    pub availability_zone: String,
    /// When it was launched (or last started), in ms since 1970.
    pub launched_at: u64,
    /// Where it can be reached; nothing that EC2 has not given yet.
    pub addresses: Addresses,
    /// EC2's code of why it is in its state, such as `Server.SpotInstanceTermination`, if EC2 says.
    pub state_reason: Option<String>,
    /// When EC2's answer came, in ms since 1970: what it shows is older.
    pub seen_at: u64,
}

/// The state of an instance, as EC2 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstanceState {
    /// Being prepared.
    Pending,
    /// Running, and billed.
    Running,
    /// About to be stopped.
    Stopping,
    /// Stopped; its volumes stay.
    Stopped,
    /// About to be terminated.
    ShuttingDown,
    /// Gone; shown for about an hour.
    Terminated,
}

impl InstanceState {
    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pending" => Self::Pending,
            "running" => Self::Running,
            "stopping" => Self::Stopping,
            "stopped" => Self::Stopped,
            "shutting-down" => Self::ShuttingDown,
            "terminated" => Self::Terminated,
            _ => return None,
        })
    }

    /// Whether the instance is gone, or on its way without return.
    #[must_use]
    pub fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// Why EC2 did not do what was asked, sorted by what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ec2Error {
    /// Too many requests, or too many instances at once: the same call later. Never a word about capacity.
    #[error("EC2 throttles: {0}")]
    Throttled(String),
    /// This pool has no capacity now: another rung of the ladder.
    #[error("EC2 has no capacity: {0}")]
    NoCapacity(String),
    /// A quota of the account has no room for so many now: fewer, elsewhere, or when instances have ended.
    #[error("a quota of the account is used up: {0}")]
    Quota(String),
    /// The token belongs to instances that are gone, or to another request: look for what it launched, then a new attempt.
    #[error("the client token is spent: {0}")]
    TokenSpent(String),
    /// The request is wrong or not permitted, and will be for ever.
    #[error("EC2 refuses: {0}")]
    Refused(String),
    /// No answer, or a failure inside EC2. Whether it took effect is not known: the same call again.
    #[error("EC2 did not answer: {0}")]
    Transient(String),
    /// EC2 answered with a code that nobody has sorted yet; it had no effect. Tried again a few times, and counted.
    #[error("EC2 answered with an error that spawn does not know: {0}")]
    Unknown(String),
}

impl Ec2Error {
    /// EC2's code and words: `VcpuLimitExceeded: You have requested more …`.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Throttled(text)
            | Self::NoCapacity(text)
            | Self::Quota(text)
            | Self::TokenSpent(text)
            | Self::Refused(text)
            | Self::Transient(text)
            | Self::Unknown(text) => text,
        }
    }

    /// The name of its kind, from a fixed list.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Throttled(_) => "throttled",
            Self::NoCapacity(_) => "no_capacity",
            Self::Quota(_) => "quota",
            Self::TokenSpent(_) => "token_spent",
            Self::Refused(_) => "refused",
            Self::Transient(_) => "transient",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// EC2 of more accounts than one. The other ports of this file speak to one account: the home account, or the one that
/// [`InAccounts::of`] was asked for.
pub trait InAccounts: Sized {
    /// The same in `account`; `None` is the home account. It costs nothing: the account is asked for credentials when the
    /// first call is made, and an account that gives none answers that call with [`Ec2Error::Refused`].
    #[must_use]
    fn of(&self, account: Option<AccountId>) -> Self;
}

/// Launches instances.
pub trait LaunchInstances: Send + Sync {
    /// Creates the launch template; one of that name that exists is taken as it is (the name says what is in it). A placement
    /// group that the sweep has to itself is created before it, unless it exists.
    fn ensure_template(
        &self,
        region: &Region,
        template: &Template,
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;

    /// Launches up to `count` instances; RunInstances at least one. A repeat answers the same instances and launches none: so
    /// it is documented of RunInstances, while a repeated fleet may answer fewer than it launched, and is looked up. One call
    /// of the API, never repeated by the adapter: an error that says so had no effect.
    fn launch(
        &self,
        request: &LaunchRequest,
    ) -> impl Future<Output = Result<Launched, Ec2Error>> + Send;

    /// The instances that the attempt of this token launched, found by their tag; gone ones are shown for about an hour.
    fn launched_by(
        &self,
        region: &Region,
        token: &ClientToken,
    ) -> impl Future<Output = Result<Vec<CloudInstance>, Ec2Error>> + Send;
}

/// Shows instances.
pub trait ListInstances: Send + Sync {
    /// All instances of a sweep in a region, gone ones too as long as EC2 shows them. Complete, or an error.
    fn list(
        &self,
        region: &Region,
        sweep: &SweepId,
    ) -> impl Future<Output = Result<Vec<CloudInstance>, Ec2Error>> + Send;
}

/// Finds instances by their ids.
pub trait FindInstances: Send + Sync {
    /// Those of these instances that EC2 shows, in any order; one that it does not show is left out. Any number.
    fn find_instances(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<Vec<CloudInstance>, Ec2Error>> + Send;
}

/// Ends instances.
pub trait EndInstances: Send + Sync {
    /// Terminates these instances; one that is gone already is no error. Repeatable.
    fn terminate(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;

    /// Deletes a placement group; one that is gone already is no error. One whose instances do
    /// not end within a minute is an error.
    fn delete_placement_group(
        &self,
        region: &Region,
        name: &str,
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;

    /// Deletes a launch template; one that is gone already is no error.
    fn delete_template(
        &self,
        region: &Region,
        name: &str,
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;
}

/// Stops instances.
pub trait StopInstances: Send + Sync {
    /// Stops these instances; one that is stopped or gone already is no error. Repeatable.
    fn stop(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;
}
