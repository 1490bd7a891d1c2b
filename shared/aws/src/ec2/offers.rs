//! Instance types and images.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Image, ImageState, InstanceTypeInfo, UsageClassType};
use spawn_core::ports::{DescribeOffers, Ec2Error, ImageFacts, TypeFacts};
use spawn_core::region::Region;

use super::{Ec2, errors};
use crate::sdk::Failure;

/// Types of one page (API reference of `DescribeInstanceTypes`: 5 to 100).
const PAGE_TYPES: i32 = 100;
/// Values of one filter (Amazon EC2 User Guide, "Filter your resources": at most 200).
const FILTER_VALUES_MAX: usize = 200;
/// There is no such image in the region, or none any more.
const NO_IMAGE: [&str; 3] = [
    "InvalidAMIID.Malformed",
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
];

impl DescribeOffers for Ec2 {
    /// By the filter `instance-type`, which takes `*` and leaves out what does not exist; asked for by name, one unknown type
    /// would spoil the call.
    async fn instance_types(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<Vec<TypeFacts>, Ec2Error> {
        let client = self.client(*region);
        let mut types = BTreeMap::new();
        for values in names.chunks(FILTER_VALUES_MAX) {
            let filter = Filter::builder()
                .name("instance-type")
                .set_values(Some(values.to_vec()));
            let mut pages = client
                .describe_instance_types()
                .filters(filter.build())
                .into_paginator()
                .page_size(PAGE_TYPES)
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| errors::of_call(&error))?;
                let facts = page.instance_types().iter().filter_map(type_facts);
                types.extend(facts.map(|facts| (facts.name.clone(), facts)));
            }
        }
        Ok(types.into_values().collect())
    }

    async fn image(&self, region: &Region, id: &str) -> Result<Option<ImageFacts>, Ec2Error> {
        match self
            .client(*region)
            .describe_images()
            .image_ids(id)
            .send()
            .await
        {
            Ok(answer) => Ok(answer
                .images()
                .iter()
                .find_map(|image| image_facts(id, image))),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.code().is_some_and(|code| NO_IMAGE.contains(&code)) {
                    return Ok(None);
                }
                Err(errors::of_failure(failure))
            }
        }
    }
}

/// The facts of a type that EC2 describes in full; one without size or architecture cannot be planned with.
fn type_facts(info: &InstanceTypeInfo) -> Option<TypeFacts> {
    let architectures = info.processor_info()?.supported_architectures();
    Some(TypeFacts {
        name: info.instance_type()?.as_str().to_owned(),
        architectures: architectures
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect(),
        vcpus: u32::try_from(info.v_cpu_info()?.default_v_cpus()?).ok()?,
        memory_mib: u64::try_from(info.memory_info()?.size_in_mib()?).ok()?,
        spot: info
            .supported_usage_classes()
            .contains(&UsageClassType::Spot),
    })
}

fn image_facts(id: &str, image: &Image) -> Option<ImageFacts> {
    (image.image_id() == Some(id)).then(|| ImageFacts {
        id: id.to_owned(),
        architecture: image
            .architecture()
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        available: image.state() == Some(&ImageState::Available),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        ArchitectureType, ArchitectureValues, InstanceType, MemoryInfo, ProcessorInfo, VCpuInfo,
    };

    use super::*;

    #[test]
    fn a_type_is_taken_as_ec2_describes_it() {
        let processor = ProcessorInfo::builder().supported_architectures(ArchitectureType::Arm64);
        let info = InstanceTypeInfo::builder()
            .instance_type(InstanceType::C7gLarge)
            .processor_info(processor.build())
            .v_cpu_info(VCpuInfo::builder().default_v_cpus(2).build())
            .memory_info(MemoryInfo::builder().size_in_mib(4096).build())
            .supported_usage_classes(UsageClassType::OnDemand)
            .supported_usage_classes(UsageClassType::Spot);
        let expected = TypeFacts {
            name: "c7g.large".to_owned(),
            architectures: vec!["arm64".to_owned()],
            vcpus: 2,
            memory_mib: 4096,
            spot: true,
        };
        assert_eq!(type_facts(&info.build()), Some(expected));
        assert_eq!(type_facts(&InstanceTypeInfo::builder().build()), None);
    }

    #[test]
    fn an_image_that_is_not_ready_is_shown_as_such() {
        let image = |state| {
            Image::builder()
                .image_id("ami-1")
                .architecture(ArchitectureValues::X8664)
                .state(state)
                .build()
        };
        let available = |state| image_facts("ami-1", &image(state)).unwrap().available;
        assert!(available(ImageState::Available));
        assert!(!available(ImageState::Pending));
        assert_eq!(image_facts("ami-2", &image(ImageState::Available)), None);
    }
}
