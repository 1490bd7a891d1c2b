//! DescribeInstanceTypes, DescribeInstanceTypeOfferings, DescribeSpotPriceHistory (API pages of the same names).

use crate::catalogue::{
    InstanceType, instance_type, instance_types as all_types, is_offered, spot_microusd, usd,
};
use crate::clock::{iso, parse_iso};
use crate::filter::{Filters, Page, glob_matches};
use crate::wire::{Ec2Error, Xml};

use super::Call;
use super::placement::can_cluster;

const TYPE_FILTERS: &[&str] = &[
    "auto-recovery-supported",
    "bare-metal",
    "burstable-performance-supported",
    "current-generation",
    "hibernation-supported",
    "hypervisor",
    "instance-storage-supported",
    "instance-type",
    "memory-info.size-in-mib",
    "network-info.efa-supported",
    "processor-info.supported-architecture",
    "supported-root-device-type",
    "supported-usage-class",
    "supported-virtualization-type",
    "vcpu-info.default-cores",
    "vcpu-info.default-vcpus",
];

fn usage_classes(one: &InstanceType) -> Vec<String> {
    let mut classes = vec!["on-demand".to_owned()];
    if one.spot {
        classes.push("spot".to_owned());
    }
    classes
}

fn type_values(one: &InstanceType, name: &str) -> Vec<String> {
    let value = match name {
        "auto-recovery-supported" => (!one.is_bare_metal() && one.storage_gb == 0).to_string(),
        "bare-metal" => one.is_bare_metal().to_string(),
        "burstable-performance-supported" => one.burstable.to_string(),
        "current-generation" => one.current_generation.to_string(),
        "hibernation-supported" => one.hibernation.to_string(),
        "hypervisor" => one.hypervisor.unwrap_or_default().to_owned(),
        "instance-storage-supported" => (one.storage_gb > 0).to_string(),
        "instance-type" => one.name.to_owned(),
        "memory-info.size-in-mib" => one.memory_mib.to_string(),
        "network-info.efa-supported" => one.supports_efa().to_string(),
        "processor-info.supported-architecture" => one.architecture.as_str().to_owned(),
        "supported-root-device-type" => "ebs".to_owned(),
        "supported-usage-class" => return usage_classes(one),
        "supported-virtualization-type" => "hvm".to_owned(),
        "vcpu-info.default-cores" => one.cores.to_string(),
        "vcpu-info.default-vcpus" => one.vcpus.to_string(),
        _ => return Vec::new(),
    };
    vec![value]
}

pub(super) fn instance_types(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let names = call.params.texts("InstanceType");
    if names.len() > 100 {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            "At most 100 instance types are accepted.",
        ));
    }
    let page = Page::read(call.params, 5, 100)?;
    let filters = Filters::read(call.params, TYPE_FILTERS)?;
    let region = call.place.region;
    let is_here = |one: &InstanceType| {
        region
            .zones
            .iter()
            .any(|zone| is_offered(one, region, zone))
    };
    let missing: Vec<&str> = names
        .iter()
        .filter(|name| !name.contains('*') && !instance_type(name).is_some_and(is_here))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Ec2Error::new(
            "InvalidInstanceType",
            format!(
                "The following supplied instance types do not exist: [{}]",
                missing.join(", ")
            ),
        ));
    }
    let shown = all_types().iter().filter(|one| {
        is_here(one)
            && (names.is_empty() || names.iter().any(|name| glob_matches(name, one.name)))
            && filters.accept(|name| type_values(one, name))
    });
    let (shown, next) = page.cut_list(shown);
    xml.list("instanceTypeSet", shown, write_type);
    xml.opt("nextToken", next);
    Ok(())
}

fn write_type(xml: &mut Xml, one: &InstanceType) {
    xml.text("instanceType", one.name)
        .text("currentGeneration", one.current_generation)
        .text(
            "freeTierEligible",
            matches!(one.name, "t2.micro" | "t3.micro" | "t4g.small"),
        )
        .texts("supportedUsageClasses", usage_classes(one))
        .texts("supportedRootDeviceTypes", ["ebs"])
        .texts("supportedVirtualizationTypes", ["hvm"])
        .text("bareMetal", one.is_bare_metal())
        .opt("hypervisor", one.hypervisor)
        .node("processorInfo", |xml| {
            xml.texts("supportedArchitectures", [one.architecture.as_str()])
                .opt("sustainedClockSpeedInGhz", one.clock_ghz)
                .text("manufacturer", one.manufacturer);
        })
        .node("vCpuInfo", |xml| {
            xml.text("defaultVCpus", one.vcpus)
                .text("defaultCores", one.cores)
                .text("defaultThreadsPerCore", one.vcpus / one.cores.max(1));
        })
        .node("memoryInfo", |xml| {
            xml.text("sizeInMiB", one.memory_mib);
        })
        .text("instanceStorageSupported", one.storage_gb > 0);
    if one.storage_gb > 0 {
        xml.node("instanceStorageInfo", |xml| {
            xml.text("totalSizeInGB", one.storage_gb);
        });
    }
    xml.node("ebsInfo", |xml| {
        xml.text("ebsOptimizedSupport", "default")
            .text("encryptionSupport", "supported");
    })
    .node("networkInfo", |xml| {
        xml.text("networkPerformance", &one.network_performance)
            .text("maximumNetworkInterfaces", one.network_interfaces_max)
            .text("ipv4AddressesPerInterface", one.addresses_per_interface)
            .text("efaSupported", one.supports_efa());
        if one.supports_efa() {
            xml.node("efaInfo", |xml| {
                xml.text("maximumEfaInterfaces", 1);
            });
        }
    });
    if let Some(gpus) = &one.gpus {
        xml.node("gpuInfo", |xml| {
            xml.list("gpus", [gpus], |xml, gpus| {
                xml.text("name", &gpus.name)
                    .text("manufacturer", gpus.manufacturer)
                    .text("count", gpus.count)
                    .node("memoryInfo", |xml| {
                        xml.text("sizeInMiB", gpus.memory_mib);
                    });
            })
            .text(
                "totalGpuMemoryInMiB",
                gpus.memory_mib * u64::from(gpus.count),
            );
        });
    }
    xml.node("placementGroupInfo", |xml| {
        let cluster = can_cluster(one).then_some("cluster");
        let strategies = cluster.into_iter().chain(["partition", "spread"]);
        xml.texts("supportedStrategies", strategies);
    })
    .text("hibernationSupported", one.hibernation)
    .text("burstablePerformanceSupported", one.burstable)
    .text("dedicatedHostsSupported", false)
    .text(
        "autoRecoverySupported",
        !one.is_bare_metal() && one.storage_gb == 0,
    );
}

pub(super) fn offerings(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 5, 1000)?;
    let filters = Filters::read(call.params, &["instance-type", "location"])?;
    let region = call.place.region;
    let location_type = call.params.text("LocationType").unwrap_or("region");
    let mut rows: Vec<(&str, String)> = Vec::new();
    for one in all_types() {
        let zones = region
            .zones
            .iter()
            .filter(|zone| is_offered(one, region, zone));
        match location_type {
            "region" => rows.extend(zones.take(1).map(|_| (one.name, region.name.to_owned()))),
            "availability-zone" => rows.extend(zones.map(|zone| (one.name, zone.name.clone()))),
            "availability-zone-id" => rows.extend(zones.map(|zone| (one.name, zone.id.clone()))),
            other => {
                return Err(Ec2Error::invalid_value(
                    "locationType",
                    other,
                    "ec2-sim models: region, availability-zone, availability-zone-id.",
                ));
            }
        }
    }
    rows.retain(|(name, location)| {
        filters.accept(|filter| match filter {
            "location" => vec![location.clone()],
            _ => vec![(*name).to_owned()],
        })
    });
    let (shown, next) = page.cut_list(rows);
    xml.list("instanceTypeOfferingSet", shown, |xml, (name, location)| {
        xml.text("instanceType", name)
            .text("locationType", location_type)
            .text("location", location);
    });
    xml.opt("nextToken", next);
    Ok(())
}

/// What the simulator sells.
const PRODUCTS: [&str; 2] = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];
const HOUR_MS: u64 = 3_600_000;

/// Prices change never here, so the history of a pool is one row: the price in force at the start of the asked span.
pub(super) fn spot_prices(call: &mut Call<'_>, xml: &mut Xml) -> Result<(), Ec2Error> {
    let page = Page::read(call.params, 1, 1000)?;
    let filters = Filters::read(
        call.params,
        &[
            "availability-zone",
            "instance-type",
            "product-description",
            "spot-price",
            "timestamp",
        ],
    )?;
    let region = call.place.region;
    let types = call.params.texts("InstanceType");
    if let Some(unknown) = types.iter().find(|name| instance_type(name).is_none()) {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("Invalid instance type: [{unknown}]"),
        ));
    }
    let products = call.params.texts("ProductDescription");
    let zone = call.params.text("AvailabilityZone");
    if let Some(unknown) = zone.filter(|name| region.zone(name).is_none()) {
        return Err(Ec2Error::new(
            "InvalidParameterValue",
            format!("Invalid availability zone: [{unknown}]"),
        ));
    }
    let zone_id = call.params.text("AvailabilityZoneId");
    // The price has been in force since the full hour.
    let since_ms = call.now_ms - call.now_ms % HOUR_MS;
    let ends_ms = match call.params.text("EndTime") {
        None => call.now_ms,
        Some(text) => parse_iso(text)
            .ok_or_else(|| Ec2Error::invalid_value("EndTime", text, "It must be a time."))?,
    };
    let timestamp = iso(since_ms.min(ends_ms));
    let mut rows = Vec::new();
    for one in all_types()
        .iter()
        .filter(|one| one.spot && (types.is_empty() || types.iter().any(|name| name == one.name)))
    {
        for place in region
            .zones
            .iter()
            .filter(|place| is_offered(one, region, place))
        {
            if zone.is_some_and(|name| name != place.name)
                || zone_id.is_some_and(|id| id != place.id)
            {
                continue;
            }
            let price = usd(spot_microusd(one, region, &place.name));
            let product = products
                .iter()
                .find(|name| PRODUCTS.contains(&name.as_str()));
            let is_wanted = (products.is_empty() || product.is_some())
                && filters.accept(|filter| {
                    vec![match filter {
                        "availability-zone" => place.name.clone(),
                        "instance-type" => one.name.to_owned(),
                        "spot-price" => price.clone(),
                        "timestamp" => timestamp.clone(),
                        _ => PRODUCTS[0].to_owned(),
                    }]
                });
            if is_wanted {
                rows.push((one.name, place, price));
            }
        }
    }
    let (shown, next) = page.cut_list(rows);
    xml.list("spotPriceHistorySet", shown, |xml, (name, zone, price)| {
        xml.text("instanceType", name)
            .text("productDescription", PRODUCTS[0])
            .text("spotPrice", price)
            .text("timestamp", &timestamp)
            .text("availabilityZone", &zone.name)
            .text("availabilityZoneId", &zone.id);
    });
    // EC2 answers an empty token, not none, on the last page of this action.
    xml.text("nextToken", next.unwrap_or_default());
    Ok(())
}
