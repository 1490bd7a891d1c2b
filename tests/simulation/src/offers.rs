//! What EC2 offers, and the parameters that name its images, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spawn_core::account::AccountId;
use spawn_core::pattern;
use spawn_core::ports::{
    Accelerator, AcceleratorKind, DescribeOffers, Ec2Error, ImageFacts, InAccounts, ReadParameters,
    ReadQuotas, RunningVcpus, ServiceError, TypeFacts,
};
use spawn_core::region::Region;

use crate::faults::Faults;

/// The same few types and two images in every place, but for what a test has set.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    faults: Arc<Faults>,
    /// vCPU quotas by region and code. One that is not here cannot be read.
    pub quotas: BTreeMap<(Region, String), u64>,
    /// Applied quotas of the rate of calls by region and name, in thousandths; their codes are their names.
    pub rates: BTreeMap<(Region, String), u64>,
    /// Why Service Quotas does not tell the rate of calls, if it does not.
    pub rate_refusal: Option<String>,
    /// What runs in a region.
    pub running: BTreeMap<Region, Vec<RunningVcpus>>,
    /// Types that a region does not offer.
    pub missing: BTreeSet<(Region, String)>,
    /// Why EC2 does not tell what types there are, if it does not.
    pub refusal: Option<Ec2Error>,
    /// What EC2 says instead of that in single regions.
    pub silent: BTreeMap<Region, Ec2Error>,
}

impl Offers {
    /// Offers whose calls `faults` counts.
    #[must_use]
    pub fn new(faults: Arc<Faults>) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }

    /// The types of a region that `names` name.
    fn named(&self, region: &Region, names: &[String]) -> impl Iterator<Item = TypeFacts> {
        let asked = |name: &str| names.iter().any(|asked| pattern::matches(name, asked));
        TYPES.iter().filter_map(move |(name, ..)| {
            let missing = self.missing.contains(&(*region, (*name).to_owned()));
            (asked(name) && !missing).then(|| facts(name)).flatten()
        })
    }
}

/// Name, architecture, vCPUs, MiB, whether it can be had as spot.
const TYPES: [(&str, &str, u32, u64, bool); 8] = [
    ("t3.micro", "x86_64", 2, 1_024, true),
    ("c5.large", "x86_64", 2, 4_096, true),
    ("c5.xlarge", "x86_64", 4, 8_192, true),
    ("c5n.18xlarge", "x86_64", 72, 196_608, true),
    ("c7g.large", "arm64", 2, 4_096, true),
    ("g5.xlarge", "x86_64", 4, 16_384, true),
    ("m5.large", "x86_64", 2, 8_192, true),
    ("u-3tb1.56xlarge", "x86_64", 224, 3_145_728, false),
];

/// The one placement group that exists, in every region.
const PLACEMENT_GROUP: &str = "tight";

/// What EC2 says of the type `name`.
fn facts(name: &str) -> Option<TypeFacts> {
    let (name, architecture, vcpus, memory_mib, spot) =
        TYPES.iter().find(|(one, ..)| *one == name)?;
    let gpu = Accelerator {
        name: "A10G".to_owned(),
        kind: AcceleratorKind::Gpu,
        count: 1,
        memory_mib: 24_576,
    };
    Some(TypeFacts {
        name: (*name).to_owned(),
        architectures: vec![(*architecture).to_owned()],
        vcpus: *vcpus,
        memory_mib: *memory_mib,
        on_demand: true,
        spot: *spot,
        accelerators: name.starts_with('g').then_some(gpu).into_iter().collect(),
        burstable: name.starts_with('t'),
        current_generation: true,
        hibernation: !name.starts_with('u'),
        efa: *name == "c5n.18xlarge",
        cluster: !name.starts_with('t'),
        ..TypeFacts::default()
    })
}

impl ReadQuotas for Offers {
    async fn vcpu_quota(&self, region: &Region, code: &str) -> Result<u64, String> {
        self.faults
            .call(|| {
                let quota = self.quotas.get(&(*region, code.to_owned())).copied();
                quota.ok_or_else(|| "NoSuchResourceException".to_owned())
            })
            .await
    }

    async fn quota_codes(
        &self,
        _region: &Region,
        names: &[String],
    ) -> Result<BTreeMap<String, String>, String> {
        self.faults
            .call(|| {
                let codes = names.iter().map(|name| (name.clone(), name.clone()));
                self.rate_refusal
                    .clone()
                    .map_or_else(|| Ok(codes.collect()), Err)
            })
            .await
    }

    async fn quota_thousandths(&self, region: &Region, code: &str) -> Result<Option<u64>, String> {
        self.faults
            .call(|| {
                let value = self.rates.get(&(*region, code.to_owned())).copied();
                self.rate_refusal.clone().map_or(Ok(value), Err)
            })
            .await
    }

    async fn running_vcpus(&self, region: &Region) -> Result<Vec<RunningVcpus>, String> {
        self.faults
            .call(|| Ok(self.running.get(region).cloned().unwrap_or_default()))
            .await
    }
}

/// The images, by architecture.
const IMAGES: [(&str, &str); 2] = [("ami-0000000a", "x86_64"), ("ami-0000000b", "arm64")];

impl InAccounts for Offers {
    fn of(&self, _account: Option<AccountId>) -> Self {
        self.clone()
    }
}

impl DescribeOffers for Offers {
    async fn instance_types(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<Vec<TypeFacts>, Ec2Error> {
        self.faults
            .call(|| match self.silent.get(region).or(self.refusal.as_ref()) {
                Some(error) => Err(error.clone()),
                None => Ok(self.named(region, names).collect()),
            })
            .await
    }

    async fn zones(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<BTreeMap<String, BTreeSet<String>>, Ec2Error> {
        self.faults
            .call(|| {
                let zones: BTreeSet<String> = ["a", "b", "c"]
                    .into_iter()
                    .map(|letter| format!("{region}{letter}"))
                    .collect();
                let types = self.named(region, names);
                Ok(types.map(|one| (one.name, zones.clone())).collect())
            })
            .await
    }

    async fn has_placement_group(&self, _region: &Region, name: &str) -> Result<bool, Ec2Error> {
        self.faults.call(|| Ok(name == PLACEMENT_GROUP)).await
    }

    async fn enabled_regions(&self, _home: &Region) -> Result<BTreeSet<Region>, Ec2Error> {
        self.faults
            .call(|| Ok(Region::all().filter(|region| !region.is_opt_in()).collect()))
            .await
    }

    async fn image(&self, _region: &Region, id: &str) -> Result<Option<ImageFacts>, Ec2Error> {
        self.faults
            .call(|| {
                let found = IMAGES.iter().find(|(image, _)| *image == id);
                Ok(found.map(|(image, architecture)| ImageFacts {
                    id: (*image).to_owned(),
                    architecture: (*architecture).to_owned(),
                    available: true,
                    root_gib: Some(8),
                    root_device: Some("/dev/xvda".to_owned()),
                }))
            })
            .await
    }
}

impl ReadParameters for Offers {
    async fn parameter(
        &self,
        _region: &Region,
        name: &str,
    ) -> Result<Option<String>, ServiceError> {
        self.faults
            .call(|| {
                let found = IMAGES
                    .iter()
                    .find(|(_, architecture)| name.ends_with(architecture));
                Ok(found.map(|(image, _)| (*image).to_owned()))
            })
            .await
    }
}
