//! What EC2 offers, and the parameters that name its images, in memory.

use std::sync::Arc;

use spawn_core::account::AccountId;
use spawn_core::ports::{
    DescribeOffers, Ec2Error, ImageFacts, InAccounts, ReadParameters, ServiceError, TypeFacts,
};
use spawn_core::region::Region;

use crate::faults::Faults;

/// The same few types and two images in every place.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    faults: Arc<Faults>,
}

impl Offers {
    /// Offers whose calls `faults` counts.
    #[must_use]
    pub fn new(faults: Arc<Faults>) -> Self {
        Self { faults }
    }
}

/// Name, architecture, vCPUs, MiB, whether it can be had as spot.
const TYPES: [(&str, &str, u32, u64, bool); 5] = [
    ("t3.micro", "x86_64", 2, 1_024, true),
    ("c5.large", "x86_64", 2, 4_096, true),
    ("c5.xlarge", "x86_64", 4, 8_192, true),
    ("c7g.large", "arm64", 2, 4_096, true),
    ("u-3tb1.56xlarge", "x86_64", 224, 3_145_728, false),
];

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
        _region: &Region,
        names: &[String],
    ) -> Result<Vec<TypeFacts>, Ec2Error> {
        self.faults
            .call(|| {
                let asked = |name: &str| {
                    names.iter().any(|asked| match asked.split_once('*') {
                        Some((begin, end)) => name.starts_with(begin) && name.ends_with(end),
                        None => asked == name,
                    })
                };
                Ok(TYPES
                    .iter()
                    .filter(|(name, ..)| asked(name))
                    .map(|(name, architecture, vcpus, memory_mib, spot)| TypeFacts {
                        name: (*name).to_owned(),
                        architectures: vec![(*architecture).to_owned()],
                        vcpus: *vcpus,
                        memory_mib: *memory_mib,
                        spot: *spot,
                    })
                    .collect())
            })
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
