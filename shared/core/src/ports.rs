//! What the domain needs of the outside, one narrow trait per capability. Adapters implement them on AWS, tests in memory.

use std::future::Future;

use crate::ids::{ClientToken, InstanceArn, Market, SweepId};
use crate::region::Region;
use crate::rows::{Rung, Shape};

/// The launch template of one shape of a sweep in one region: what every instance of the shape has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name, unique in account and region.
    pub name: String,
    /// The shape.
    pub shape: Shape,
    /// The boot script, not encoded.
    pub user_data: String,
}

/// One launch call: everything in it is fixed by the attempt, so a repeat is the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchRequest {
    /// The region.
    pub region: Region,
    /// The idempotency token.
    pub token: ClientToken,
    /// The name of the launch template.
    pub template: String,
    /// Type, place and market.
    pub rung: Rung,
    /// How many instances are wanted; fewer are taken.
    pub count: u32,
    /// Tags of the instances and their volumes.
    pub tags: Vec<(String, String)>,
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
    /// Its availability zone.
    pub availability_zone: String,
    /// When it was launched (or last started), in ms since 1970.
    pub launched_at: u64,
    /// EC2's code of why it is in its state, such as `Server.SpotInstanceTermination`, if EC2 says.
    pub state_reason: Option<String>,
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
    /// A quota of the account is used up: nothing more in this lane.
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
}

/// Launches instances.
pub trait LaunchInstances: Send + Sync {
    /// Creates the launch template; one of that name that exists is taken as it is (the name says what is in it).
    fn ensure_template(
        &self,
        region: &Region,
        template: &Template,
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;

    /// Launches up to `count` instances, at least one. A repeat answers the same instances.
    fn launch(
        &self,
        request: &LaunchRequest,
    ) -> impl Future<Output = Result<Vec<CloudInstance>, Ec2Error>> + Send;

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

/// Ends instances.
pub trait EndInstances: Send + Sync {
    /// Terminates these instances; one that is gone already is no error. Repeatable.
    fn terminate(
        &self,
        region: &Region,
        instance_ids: &[String],
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

/// What EC2 says of an instance type in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFacts {
    /// The type.
    pub name: String,
    /// Its processor architectures, as EC2 names them (`x86_64`, `arm64`).
    pub architectures: Vec<String>,
    /// Its default number of vCPUs.
    pub vcpus: u32,
    /// Its memory in MiB.
    pub memory_mib: u64,
    /// Whether it can be bought as spot.
    pub spot: bool,
}

/// What EC2 says of an image in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// The image.
    pub id: String,
    /// Its architecture.
    pub architecture: String,
    /// Whether it can be launched.
    pub available: bool,
}

/// Answers what can be launched where.
pub trait DescribeOffers: Send + Sync {
    /// The types of a region that are named by `names`, each a type or a pattern with `*`. Names of no type are left out.
    fn instance_types(
        &self,
        region: &Region,
        names: &[String],
    ) -> impl Future<Output = Result<Vec<TypeFacts>, Ec2Error>> + Send;

    /// The image `id`, or `None` when the region has none of that name.
    fn image(
        &self,
        region: &Region,
        id: &str,
    ) -> impl Future<Output = Result<Option<ImageFacts>, Ec2Error>> + Send;
}

/// Why a call to a helper service failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It may work later.
    #[error("{service} did not answer: {message}")]
    Transient {
        /// The service.
        service: &'static str,
        /// What it said.
        message: String,
    },
    /// It will not work: no permission, no such bucket.
    #[error("{service} refuses: {message}")]
    Refused {
        /// The service.
        service: &'static str,
        /// What it said.
        message: String,
    },
}

/// Reads parameters of Systems Manager.
pub trait ReadParameters: Send + Sync {
    /// The value of a parameter in a region, or `None` when there is none.
    fn parameter(
        &self,
        region: &Region,
        name: &str,
    ) -> impl Future<Output = Result<Option<String>, ServiceError>> + Send;
}

/// Reads and writes objects of S3.
pub trait Objects: Send + Sync {
    /// An object of at most `bytes_max`, or `None` when there is none. A larger one is refused.
    fn get_object(
        &self,
        bucket: &str,
        key: &str,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, ServiceError>> + Send;

    /// Puts an object; an older one of that name stays as a version.
    fn put_object(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// Wakes executions that wait for a task token.
pub trait WakeExecutions: Send + Sync {
    /// Answers a token. A token that was answered before, timed out or belongs to an ended execution is no error: there is
    /// nobody to wake.
    fn wake(&self, task_token: &str) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// How an execution ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEnd {
    /// Somebody stopped it.
    Aborted,
    /// It failed, or ran out of time.
    Failed,
}

/// Looks after the executions that submitted sweeps.
pub trait WatchExecutions: Send + Sync {
    /// How the execution ended, if it has ended without success. One that is not known any more is `None`: nothing is
    /// concluded from what cannot be looked up.
    fn bad_end(
        &self,
        execution_arn: &str,
    ) -> impl Future<Output = Result<Option<BadEnd>, ServiceError>> + Send;

    /// Starts to drain a sweep. Asked again within the same `hour` (since 1970) it starts nothing more.
    fn start_drain(
        &self,
        sweep: &SweepId,
        end: BadEnd,
        hour: u64,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
}
