//! What the domain needs of the outside, one narrow trait per capability. Adapters implement them on AWS, tests in memory.

mod clock;
mod control;
mod dns;
mod ec2;
mod executions;
mod listing;
mod metrics;
mod notices;
mod offers;
mod prices;
mod reap;
mod services;

pub use clock::Clock;
pub use control::{PROTECT_TAG, ShowInstances, ShownInstance, StartInstances};
pub use dns::{ChangeRecords, InspectZones, RecordPage, RecordStart, ZoneCapacity, ZoneError};
pub use ec2::{
    CloudInstance, Ec2Error, EndInstances, FindInstances, InAccounts, InstanceState,
    LaunchInstances, LaunchRequest, Launched, ListInstances, Refusal, StopInstances, Template,
};
pub use executions::{BadEnd, WakeExecutions, WatchExecutions};
pub use listing::{ListSweeps, Listing, SweepsBy};
pub use metrics::PublishMetrics;
pub use notices::{PostWebhooks, PublishTopics, ReadSecrets, StartDeliveries};
pub use offers::{
    Accelerator, AcceleratorKind, DescribeOffers, ImageFacts, ReadQuotas, RunningVcpus, TypeFacts,
};
pub use prices::{AskPrices, SpotPrice};
pub use reap::{HibernateInstances, ReadUsage, WatchInstances};
pub use services::{LocateBuckets, Objects, ReadParameters, ServiceError};
