//! Instance types, images, zones, regions and placement groups.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    Filter, Image, ImageState, InstanceTypeInfo, LocationType, PlacementGroupStrategy,
    UsageClassType,
};
use spawn_core::ports::{
    Accelerator, AcceleratorKind, DescribeOffers, Ec2Error, ImageFacts, TypeFacts,
};
use spawn_core::region::Region;

use super::{Ec2, errors};
use crate::sdk::Failure;

/// Types of one page (API reference of `DescribeInstanceTypes`: 5 to 100).
const PAGE_TYPES: i32 = 100;
/// Offerings of one page (API reference of `DescribeInstanceTypeOfferings`: 5 to 1,000).
const PAGE_OFFERINGS: i32 = 1000;
/// Values of one filter (Amazon EC2 User Guide, "Filter your resources": at most 200).
const FILTER_VALUES_MAX: usize = 200;
/// There is no such image in the region, or none any more.
const NO_IMAGE: [&str; 3] = [
    "InvalidAMIID.Malformed",
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
];

/// There is no such placement group in the region.
const NO_GROUP: &str = "InvalidPlacementGroup.Unknown";

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

    async fn zones(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<BTreeMap<String, BTreeSet<String>>, Ec2Error> {
        let client = self.client(*region);
        let mut zones: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for values in names.chunks(FILTER_VALUES_MAX) {
            let filter = Filter::builder()
                .name("instance-type")
                .set_values(Some(values.to_vec()));
            let mut pages = client
                .describe_instance_type_offerings()
                .location_type(LocationType::AvailabilityZone)
                .filters(filter.build())
                .into_paginator()
                .page_size(PAGE_OFFERINGS)
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| errors::of_call(&error))?;
                for offering in page.instance_type_offerings() {
                    if let (Some(name), Some(zone)) =
                        (offering.instance_type(), offering.location())
                    {
                        let of_type = zones.entry(name.as_str().to_owned()).or_default();
                        of_type.insert(zone.to_owned());
                    }
                }
            }
        }
        Ok(zones)
    }

    async fn has_placement_group(&self, region: &Region, name: &str) -> Result<bool, Ec2Error> {
        let client = self.client(*region);
        match client
            .describe_placement_groups()
            .group_names(name)
            .send()
            .await
        {
            Ok(answer) => Ok(answer
                .placement_groups()
                .iter()
                .any(|group| group.group_name() == Some(name))),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.code() == Some(NO_GROUP) {
                    return Ok(false);
                }
                Err(errors::of_failure(failure))
            }
        }
    }

    /// Regions that this version does not know are left out: it could not name them.
    async fn enabled_regions(&self, home: &Region) -> Result<BTreeSet<Region>, Ec2Error> {
        let answer = self.client(*home).describe_regions().send().await;
        let answer = answer.map_err(|error| errors::of_call(&error))?;
        Ok(answer
            .regions()
            .iter()
            .filter_map(|region| region.region_name()?.parse().ok())
            .collect())
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
    let is_sold_as = |class| info.supported_usage_classes().contains(class);
    Some(TypeFacts {
        name: info.instance_type()?.as_str().to_owned(),
        architectures: architectures
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect(),
        vcpus: u32::try_from(info.v_cpu_info()?.default_v_cpus()?).ok()?,
        memory_mib: u64::try_from(info.memory_info()?.size_in_mib()?).ok()?,
        on_demand: is_sold_as(&UsageClassType::OnDemand),
        spot: is_sold_as(&UsageClassType::Spot),
        accelerators: accelerators(info),
        burstable: info.burstable_performance_supported() == Some(true),
        bare_metal: info.bare_metal() == Some(true),
        current_generation: info.current_generation() == Some(true),
        instance_storage: info.instance_storage_supported() == Some(true),
        hibernation: info.hibernation_supported() == Some(true),
        efa: info
            .network_info()
            .is_some_and(|network| network.efa_supported() == Some(true)),
        cluster: info.placement_group_info().is_some_and(|groups| {
            let strategies = groups.supported_strategies();
            strategies.contains(&PlacementGroupStrategy::Cluster)
        }),
    })
}

/// The accelerators of a type. Inferentia and Trainium stand both among the inference accelerators and among the Neuron
/// devices of newer answers; the latter count where they are there.
fn accelerators(info: &InstanceTypeInfo) -> Vec<Accelerator> {
    let count = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok());
    let mib = |mib: Option<i32>| mib.and_then(|mib| u64::try_from(mib).ok()).unwrap_or(0);
    let mut all = Vec::new();
    for gpu in info.gpu_info().map_or(&[][..], |info| info.gpus()) {
        let memory = gpu.memory_info().and_then(|memory| memory.size_in_mib());
        all.push((
            AcceleratorKind::Gpu,
            gpu.name(),
            count(gpu.count()),
            mib(memory),
        ));
    }
    for fpga in info.fpga_info().map_or(&[][..], |info| info.fpgas()) {
        let memory = fpga.memory_info().and_then(|memory| memory.size_in_mib());
        all.push((
            AcceleratorKind::Fpga,
            fpga.name(),
            count(fpga.count()),
            mib(memory),
        ));
    }
    let neuron = info
        .neuron_info()
        .map_or(&[][..], |info| info.neuron_devices());
    for device in neuron {
        let memory = device.memory_info().and_then(|memory| memory.size_in_mib());
        all.push((
            AcceleratorKind::Inference,
            device.name(),
            count(device.count()),
            mib(memory),
        ));
    }
    if neuron.is_empty() {
        for device in info
            .inference_accelerator_info()
            .map_or(&[][..], |info| info.accelerators())
        {
            let memory = device.memory_info().and_then(|memory| memory.size_in_mib());
            all.push((
                AcceleratorKind::Inference,
                device.name(),
                count(device.count()),
                mib(memory),
            ));
        }
    }
    all.into_iter()
        .filter_map(|(kind, name, count, memory_mib)| {
            Some(Accelerator {
                name: name?.to_owned(),
                kind,
                count: count?,
                memory_mib,
            })
        })
        .collect()
}

/// The size of the volume that the image's root device is made of.
fn root_gib(image: &Image) -> Option<u32> {
    let root = image.root_device_name()?;
    let mappings = image.block_device_mappings().iter();
    let mut of_root = mappings.filter(|mapping| mapping.device_name() == Some(root));
    let gib = of_root.find_map(|mapping| mapping.ebs()?.volume_size())?;
    u32::try_from(gib).ok()
}

fn image_facts(id: &str, image: &Image) -> Option<ImageFacts> {
    (image.image_id() == Some(id)).then(|| ImageFacts {
        id: id.to_owned(),
        architecture: image
            .architecture()
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        available: image.state() == Some(&ImageState::Available),
        root_gib: root_gib(image),
        root_device: root_gib(image).and(image.root_device_name().map(str::to_owned)),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        ArchitectureType, ArchitectureValues, GpuDeviceInfo, GpuDeviceMemoryInfo, GpuInfo,
        InstanceType, MemoryInfo, NetworkInfo, PlacementGroupInfo, ProcessorInfo, VCpuInfo,
    };

    use super::*;

    #[test]
    fn a_type_is_taken_as_ec2_describes_it() {
        let processor = ProcessorInfo::builder().supported_architectures(ArchitectureType::Arm64);
        let gpu = GpuDeviceInfo::builder()
            .name("A10G")
            .count(4)
            .memory_info(GpuDeviceMemoryInfo::builder().size_in_mib(24_576).build());
        let groups = PlacementGroupInfo::builder()
            .supported_strategies(PlacementGroupStrategy::Cluster)
            .build();
        let info = InstanceTypeInfo::builder()
            .gpu_info(GpuInfo::builder().gpus(gpu.build()).build())
            .placement_group_info(groups)
            .network_info(NetworkInfo::builder().efa_supported(true).build())
            .hibernation_supported(true)
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
            on_demand: true,
            spot: true,
            accelerators: vec![Accelerator {
                name: "A10G".to_owned(),
                kind: AcceleratorKind::Gpu,
                count: 4,
                memory_mib: 24_576,
            }],
            hibernation: true,
            efa: true,
            cluster: true,
            ..TypeFacts::default()
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
