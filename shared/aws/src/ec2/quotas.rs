//! Quotas of EC2 in Service Quotas: of vCPUs, with how much of them is in use, and of the rate of calls.

use std::collections::BTreeMap;

use aws_config::Region as AwsRegion;
use aws_sdk_ec2::types::{Filter, Instance, InstanceLifecycleType, InstanceTypeInfo};
use aws_sdk_servicequotas::Client as Quotas;
use spawn_core::ports::{ReadQuotas, RunningVcpus};
use spawn_core::region::Region;

use super::Ec2;
use crate::sdk::Failure;

/// EC2's name in Service Quotas.
const SERVICE: &str = "ec2";
/// Instances of one page (API reference of `DescribeInstances`: 5 to 1,000).
const PAGE_INSTANCES: i32 = 1000;
/// Types of one page (API reference of `DescribeInstanceTypes`: 5 to 100).
const PAGE_TYPES: i32 = 100;
/// Quotas of one page (API reference of `ListAWSDefaultServiceQuotas`: 1 to 100).
const PAGE_QUOTAS: i32 = 100;
/// A quota has no applied value, only AWS's default (API reference of `GetServiceQuota`).
const NO_SUCH_QUOTA: &str = "NoSuchResourceException";
/// Instances in these states count against a quota ("Amazon EC2 On-Demand Instance quotas", Amazon EC2 User Guide: those that
/// are stopping or stopped do not).
const COUNTED: [&str; 2] = ["pending", "running"];

impl ReadQuotas for Ec2 {
    /// The value that is applied to the account. Service Quotas has none for some quotas that were never changed; AWS's
    /// default is not put in its place, since new accounts start below it.
    async fn vcpu_quota(&self, region: &Region, code: &str) -> Result<u64, String> {
        let value = self.applied(*region, code).await.map_err(words)?;
        value
            .and_then(whole)
            .ok_or_else(|| "Service Quotas gave no value".to_owned())
    }

    async fn quota_codes(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<BTreeMap<String, String>, String> {
        let mut pages = self
            .quotas(*region)
            .list_aws_default_service_quotas()
            .service_code(SERVICE)
            .into_paginator()
            .page_size(PAGE_QUOTAS)
            .send();
        let mut codes = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| words(Failure::of(&error)))?;
            for quota in page.quotas() {
                if let (Some(name), Some(code)) = (quota.quota_name(), quota.quota_code())
                    && names.iter().any(|asked| asked == name)
                {
                    codes.insert(name.to_owned(), code.to_owned());
                }
            }
            if codes.len() == names.len() {
                break;
            }
        }
        Ok(codes)
    }

    async fn quota_thousandths(&self, region: &Region, code: &str) -> Result<Option<u64>, String> {
        match self.applied(*region, code).await {
            Ok(value) => Ok(value.and_then(|value| whole((value * 1000.0).round()))),
            Err(Failure::Answer { code, .. }) if code == NO_SUCH_QUOTA => Ok(None),
            Err(failure) => Err(words(failure)),
        }
    }

    async fn running_vcpus(&self, region: &Region) -> Result<Vec<RunningVcpus>, String> {
        let client = self.client(*region);
        let states = COUNTED.map(str::to_owned).to_vec();
        let filter = Filter::builder()
            .name("instance-state-name")
            .set_values(Some(states));
        let mut pages = client
            .describe_instances()
            .filters(filter.build())
            .into_paginator()
            .page_size(PAGE_INSTANCES)
            .send();
        let mut counts: BTreeMap<(String, bool), u64> = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| words(Failure::of(&error)))?;
            for reservation in page.reservations() {
                for key in reservation.instances().iter().filter_map(kind) {
                    *counts.entry(key).or_insert(0) += 1;
                }
            }
        }
        let vcpus = self.vcpus_of(*region, counts.keys().map(|(name, _)| name.clone()));
        let vcpus = vcpus.await?;
        Ok(counts
            .into_iter()
            .map(|((instance_type, spot), count)| RunningVcpus {
                vcpus: count * vcpus.get(&instance_type).copied().unwrap_or(0),
                instance_type,
                spot,
            })
            .collect())
    }
}

impl Ec2 {
    /// A client of Service Quotas in a region.
    fn quotas(&self, region: Region) -> Quotas {
        let config = aws_sdk_servicequotas::config::Builder::from(&self.config())
            .region(AwsRegion::from_static(region.as_str()));
        Quotas::from_conf(config.build())
    }

    /// The applied value of a quota of EC2.
    async fn applied(&self, region: Region, code: &str) -> Result<Option<f64>, Failure> {
        let answer = self
            .quotas(region)
            .get_service_quota()
            .service_code(SERVICE)
            .quota_code(code)
            .send()
            .await
            .map_err(|error| Failure::of(&error))?;
        Ok(answer.quota().and_then(|quota| quota.value()))
    }

    /// The default vCPUs of types, which are what quotas count, whatever an instance's own CPU options are.
    async fn vcpus_of(
        &self,
        region: Region,
        names: impl Iterator<Item = String>,
    ) -> Result<BTreeMap<String, u64>, String> {
        let mut names: Vec<String> = names.collect();
        names.dedup();
        let client = self.client(region);
        let mut vcpus = BTreeMap::new();
        for values in names.chunks(PAGE_TYPES.unsigned_abs() as usize) {
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
                let page = page.map_err(|error| words(Failure::of(&error)))?;
                vcpus.extend(page.instance_types().iter().filter_map(vcpus_of_type));
            }
        }
        Ok(vcpus)
    }
}

fn vcpus_of_type(info: &InstanceTypeInfo) -> Option<(String, u64)> {
    let vcpus = info.v_cpu_info()?.default_v_cpus()?;
    let name = info.instance_type()?.as_str().to_owned();
    Some((name, u64::try_from(vcpus).ok()?))
}

/// Type and market of an instance.
fn kind(instance: &Instance) -> Option<(String, bool)> {
    let name = instance.instance_type()?.as_str().to_owned();
    let spot = instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
    Some((name, spot))
}

/// A quota's value as a whole number; Service Quotas gives floating-point ones.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and a part of what is counted is none"
)]
fn whole(value: f64) -> Option<u64> {
    (0.0..=1e15).contains(&value).then_some(value as u64)
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Invalid(text) | Failure::NoAnswer(text) | Failure::Answer { text, .. } => text,
    }
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_quota_is_a_whole_number_of_vcpus() {
        assert_eq!(whole(64.0), Some(64));
        assert_eq!(whole(0.0), Some(0));
        assert_eq!(whole(-1.0), None);
        assert_eq!(whole(f64::NAN), None);
    }
}
