//! What the controls need of EC2.

use std::future::Future;

use super::{CloudInstance, Ec2Error};
use crate::region::Region;

/// The tag by which a person puts an instance beyond spawn's reach: with any value but `false` it is not ended.
pub const PROTECT_TAG: &str = "spawn:protect";

/// An instance as EC2 shows it, and whether it is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownInstance {
    /// The instance.
    pub instance: CloudInstance,
    /// Whether it bears [`PROTECT_TAG`].
    pub protected: bool,
}

/// Shows single instances.
pub trait ShowInstances: Send + Sync {
    /// Those of these instances that EC2 shows; one that it does not know, or not yet, is left out. Complete, or an error.
    fn shown(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<Vec<ShownInstance>, Ec2Error>> + Send;

    /// Takes their protection away. Repeatable.
    fn unprotect(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<(), Ec2Error>> + Send;
}

/// Starts instances that are stopped.
pub trait StartInstances: Send + Sync {
    /// Starts these instances; one that runs already is no error. Answers those that EC2 will not start, each with its
    /// reason: no capacity, another state. Repeatable.
    fn start(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> impl Future<Output = Result<Vec<(String, Ec2Error)>, Ec2Error>> + Send;
}
