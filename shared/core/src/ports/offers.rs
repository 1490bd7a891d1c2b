//! What EC2 offers: types, images, regions and placement groups.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use super::Ec2Error;
use crate::region::Region;

/// What EC2 says of an instance type in a region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeFacts {
    /// The type.
    pub name: String,
    /// Its processor architectures, as EC2 names them (`x86_64`, `arm64`).
    pub architectures: Vec<String>,
    /// Its default number of vCPUs.
    pub vcpus: u32,
    /// Its memory in MiB.
    pub memory_mib: u64,
    /// Whether it can be bought on demand.
    pub on_demand: bool,
    /// Whether it can be bought as spot.
    pub spot: bool,
    /// Its GPUs and other accelerators, those of one model together.
    pub accelerators: Vec<Accelerator>,
    /// Whether its processor earns and spends credits (the T families).
    pub burstable: bool,
    /// Whether it is a whole machine without a hypervisor.
    pub bare_metal: bool,
    /// Whether EC2 counts it among the current generation.
    pub current_generation: bool,
    /// Whether it has disks of its own (instance store).
    pub instance_storage: bool,
    /// Whether it can hibernate.
    pub hibernation: bool,
    /// Whether it can have an Elastic Fabric Adapter.
    pub efa: bool,
    /// Whether it can be launched into a placement group of strategy cluster.
    pub cluster: bool,
}

/// Accelerators of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accelerator {
    /// The model as EC2 names it, such as `A10G`.
    pub name: String,
    /// What it is.
    pub kind: AcceleratorKind,
    /// How many the type has.
    pub count: u32,
    /// The memory of each in MiB; 0 when EC2 does not say.
    pub memory_mib: u64,
}

/// A kind of accelerator, as `AcceleratorTypes` of EC2's `InstanceRequirements` knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AcceleratorKind {
    /// A graphics processor.
    Gpu,
    /// A programmable gate array.
    Fpga,
    /// An accelerator of inference or training (Inferentia, Trainium).
    Inference,
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
    /// The size of its root volume in GiB, if EC2 says.
    pub root_gib: Option<u32>,
    /// The device of its root volume, such as `/dev/xvda`, when that is on EBS.
    pub root_device: Option<String>,
}

/// Answers what can be launched where.
pub trait DescribeOffers: Send + Sync {
    /// The types of a region that are named by `names`, each a type or a pattern with `*`. Names of no type are left out.
    fn instance_types(
        &self,
        region: &Region,
        names: &[String],
    ) -> impl Future<Output = Result<Vec<TypeFacts>, Ec2Error>> + Send;

    /// The availability zones of a region that offer each of the types named by `names`, as above.
    fn zones(
        &self,
        region: &Region,
        names: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, BTreeSet<String>>, Ec2Error>> + Send;

    /// The image `id`, or `None` when the region has none of that name.
    fn image(
        &self,
        region: &Region,
        id: &str,
    ) -> impl Future<Output = Result<Option<ImageFacts>, Ec2Error>> + Send;

    /// Whether the region has a placement group of this name.
    fn has_placement_group(
        &self,
        region: &Region,
        name: &str,
    ) -> impl Future<Output = Result<bool, Ec2Error>> + Send;

    /// The regions that the account may use, as the region `home` says.
    fn enabled_regions(
        &self,
        home: &Region,
    ) -> impl Future<Output = Result<BTreeSet<Region>, Ec2Error>> + Send;
}

/// vCPUs that instances of one type and market take up now, pending ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningVcpus {
    /// The type.
    pub instance_type: String,
    /// Whether they were bought as spot.
    pub spot: bool,
    /// The vCPUs of all of them.
    pub vcpus: u64,
}

/// Answers how much of EC2 an account may have, and has.
pub trait ReadQuotas: Send + Sync {
    /// The applied value of the EC2 quota `code` in vCPUs. An error says in words why it is not known: nothing is guessed in
    /// its place, and whoever asks goes on without it.
    fn vcpu_quota(
        &self,
        region: &Region,
        code: &str,
    ) -> impl Future<Output = Result<u64, String>> + Send;

    /// The codes of the EC2 quotas that have these names, by name; they are the same in every account and region. A name that
    /// Service Quotas does not have is left out. An error as above.
    fn quota_codes(
        &self,
        region: &Region,
        names: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, String>, String>> + Send;

    /// The applied value of the EC2 quota `code` in thousandths; `None`: it has none but AWS's default. An error as above.
    fn quota_thousandths(
        &self,
        region: &Region,
        code: &str,
    ) -> impl Future<Output = Result<Option<u64>, String>> + Send;

    /// The vCPUs that the account's instances take up in a region. An error as above.
    fn running_vcpus(
        &self,
        region: &Region,
    ) -> impl Future<Output = Result<Vec<RunningVcpus>, String>> + Send;
}
