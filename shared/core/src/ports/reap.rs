//! What the reaper needs of EC2 and CloudWatch.

use std::collections::BTreeMap;
use std::future::Future;

use super::Ec2Error;
use crate::reap::{ManagedInstance, Point};
use crate::region::Region;

/// Shows and marks every instance that bears spawn's tag, whatever sweep it is of.
pub trait WatchInstances: Send + Sync {
    /// All of them in a region, gone ones too as long as EC2 shows them. Complete, or an error.
    fn managed(
        &self,
        region: &Region,
    ) -> impl Future<Output = Result<Vec<ManagedInstance>, Ec2Error>> + Send;

    /// Those of these ids that EC2 shows; an id that it does not know is left out.
    fn shown(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<Vec<ManagedInstance>, Ec2Error>> + Send;

    /// The instances of a region that fail EC2's status checks, spawn's or not, each with since when (ms since 1970). Complete, or
    /// an error.
    fn impaired(
        &self,
        region: &Region,
    ) -> impl Future<Output = Result<BTreeMap<String, u64>, Ec2Error>> + Send;

    /// Gives these instances a tag; an older value is replaced. Repeatable.
    fn mark(
        &self,
        region: &Region,
        instance_ids: &[String],
        tag: &str,
        value: &str,
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;
}

/// Hibernates instances.
pub trait HibernateInstances: Send + Sync {
    /// Hibernates these instances; one that is stopped or gone already is no error. One that EC2 will not hibernate is
    /// [`Ec2Error::Refused`], and the others are hibernated all the same. Repeatable.
    fn hibernate(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;
}

/// Reads what CloudWatch holds of instances.
pub trait ReadUsage: Send + Sync {
    /// The points of these instances between two times (ms since 1970), by instance id. An instance without points is left
    /// out. Complete, or an error.
    fn usage(
        &self,
        region: &Region,
        instance_ids: &[String],
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<BTreeMap<String, Vec<Point>>, Ec2Error>> + Send;
}
