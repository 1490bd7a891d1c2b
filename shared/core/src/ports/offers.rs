//! What EC2 offers: types and images.

use std::future::Future;

use super::Ec2Error;
use crate::region::Region;

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
