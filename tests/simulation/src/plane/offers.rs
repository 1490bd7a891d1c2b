//! What EC2 offers, and the parameters that name images, as a function reaches them.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::ports::{
    DescribeOffers, Ec2Error, ImageFacts, LocateBuckets, ReadParameters, ReadQuotas, RunningVcpus,
    ServiceError, TypeFacts,
};
use spawn_core::region::Region;

use super::Fault;
use super::client::Client;
use crate::offers::Offers;

impl Client {
    /// A question to EC2 about what it offers.
    async fn ask<T>(
        &self,
        name: &'static str,
        answer: impl Future<Output = Result<T, Ec2Error>>,
    ) -> Result<T, Ec2Error> {
        let latency = self.plane.settings.ec2.call;
        self.ec2(name, latency, |_, _| Ok(())).await?;
        answer.await
    }
}

impl DescribeOffers for Client {
    async fn instance_types(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<Vec<TypeFacts>, Ec2Error> {
        let offers = Offers::default();
        self.ask(
            "DescribeInstanceTypes",
            offers.instance_types(region, names),
        )
        .await
    }

    async fn zones(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<BTreeMap<String, BTreeSet<String>>, Ec2Error> {
        let offers = Offers::default();
        self.ask("DescribeInstanceTypeOfferings", offers.zones(region, names))
            .await
    }

    async fn image(&self, region: &Region, id: &str) -> Result<Option<ImageFacts>, Ec2Error> {
        let offers = Offers::default();
        self.ask("DescribeImages", offers.image(region, id)).await
    }

    async fn has_placement_group(&self, region: &Region, name: &str) -> Result<bool, Ec2Error> {
        let offers = Offers::default();
        let answer = offers.has_placement_group(region, name);
        self.ask("DescribePlacementGroups", answer).await
    }

    async fn enabled_regions(&self, home: &Region) -> Result<BTreeSet<Region>, Ec2Error> {
        let offers = Offers::default();
        self.ask("DescribeRegions", offers.enabled_regions(home))
            .await
    }
}

/// Nothing is known of quotas: what EC2 refuses because of one, a launcher has to meet.
impl ReadQuotas for Client {
    async fn vcpu_quota(&self, region: &Region, code: &str) -> Result<u64, String> {
        let latency = self.plane.settings.latencies.service;
        self.begin("GetServiceQuota", latency).await;
        self.end(latency).await;
        Offers::default().vcpu_quota(region, code).await
    }

    async fn quota_codes(
        &self,
        region: &Region,
        names: &[String],
    ) -> Result<BTreeMap<String, String>, String> {
        let latency = self.plane.settings.latencies.service;
        self.begin("ListAWSDefaultServiceQuotas", latency).await;
        self.end(latency).await;
        Offers::default().quota_codes(region, names).await
    }

    async fn quota_thousandths(&self, region: &Region, code: &str) -> Result<Option<u64>, String> {
        let latency = self.plane.settings.latencies.service;
        self.begin("GetServiceQuota", latency).await;
        self.end(latency).await;
        Offers::default().quota_thousandths(region, code).await
    }

    async fn running_vcpus(&self, _region: &Region) -> Result<Vec<RunningVcpus>, String> {
        Ok(Vec::new())
    }
}

/// Buckets tell no region.
impl LocateBuckets for Client {
    async fn bucket_region(&self, _bucket: &str) -> Result<Option<Region>, ServiceError> {
        self.service("S3", "HeadBucket", |_| None).await
    }
}

impl ReadParameters for Client {
    async fn parameter(&self, region: &Region, name: &str) -> Result<Option<String>, ServiceError> {
        let latency = self.plane.settings.latencies.service;
        self.begin("GetParameter", latency).await;
        if self.plane.fault(Fault::ServiceUnanswered) {
            return Err(ServiceError::Transient {
                service: "Systems Manager",
                message: "no answer".to_owned(),
            });
        }
        self.end(latency).await;
        Offers::default().parameter(region, name).await
    }
}
