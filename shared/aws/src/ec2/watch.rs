//! Every instance that bears spawn's tag, whatever sweep it is of, and the marks that the reaper leaves on them.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance, InstanceStatus, Tag};
use spawn_core::ports::{Ec2Error, WatchInstances};
use spawn_core::reap::{MANAGED_TAG, ManagedInstance};
use spawn_core::region::Region;

use super::instances::{cloud_instance, described_as};
use super::shutdown::{Call, GONE, for_all};
use super::{Ec2, errors};
use crate::sdk::Failure;

/// Values of one filter (Amazon EC2 User Guide, "Filter your resources": at most 200).
const FILTER_VALUES_MAX: usize = 200;

impl WatchInstances for Ec2 {
    async fn managed(&self, region: &Region) -> Result<Vec<ManagedInstance>, Ec2Error> {
        let filter = format!("tag:{MANAGED_TAG}");
        let values = vec!["true".to_owned()];
        described_as(&self.client(*region), *region, &filter, values, managed).await
    }

    async fn shown(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> Result<Vec<ManagedInstance>, Ec2Error> {
        let client = self.client(*region);
        let mut shown = Vec::with_capacity(instance_ids.len());
        for ids in instance_ids.chunks(FILTER_VALUES_MAX) {
            // By a filter: asked for by id, one that is gone would spoil the call.
            let ids = ids.to_vec();
            shown.extend(described_as(&client, *region, "instance-id", ids, managed).await?);
        }
        Ok(shown)
    }

    /// EC2 sends no event of a failed status check, and a metric of each instance is paid for; asked this way, EC2 shows only
    /// those that fail. The two kinds of checks are two filters, and filters of one call must all hold.
    async fn impaired(&self, region: &Region) -> Result<BTreeMap<String, u64>, Ec2Error> {
        let client = self.client(*region);
        let mut impaired = BTreeMap::new();
        for name in ["instance-status.status", "system-status.status"] {
            let filter = Filter::builder().name(name).values("impaired").build();
            let mut pages = client
                .describe_instance_status()
                .filters(filter)
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| errors::of_call(&error))?;
                for status in page.instance_statuses() {
                    let Some(id) = status.instance_id() else {
                        continue;
                    };
                    let Some(since) = impaired_since(status) else {
                        continue;
                    };
                    let before = impaired.entry(id.to_owned()).or_insert(since);
                    *before = since.min(*before);
                }
            }
        }
        Ok(impaired)
    }

    async fn mark(
        &self,
        region: &Region,
        instance_ids: &[String],
        tag: &str,
        value: &str,
    ) -> Result<(), Ec2Error> {
        let mark = Mark {
            client: self.client(*region),
            tag: Tag::builder().key(tag).value(value).build(),
        };
        for_all(instance_ids, &mark).await
    }
}

/// Since when a status check fails, by the first of them. One of which EC2 does not say so is not taken for failed.
fn impaired_since(status: &InstanceStatus) -> Option<u64> {
    let checks = [status.instance_status(), status.system_status()];
    let details = checks
        .into_iter()
        .flatten()
        .flat_map(|check| check.details());
    details
        .filter_map(|detail| detail.impaired_since()?.to_millis().ok())
        .filter_map(|ms| u64::try_from(ms).ok())
        .min()
}

/// An instance with its tags.
fn managed(
    region: Region,
    account: &str,
    instance: &Instance,
) -> Result<ManagedInstance, Ec2Error> {
    let tags = instance.tags().iter().filter_map(|tag| {
        let value = tag.value().unwrap_or_default();
        Some((tag.key()?.to_owned(), value.to_owned()))
    });
    Ok(ManagedInstance {
        instance: cloud_instance(region, account, instance)?,
        tags: tags.collect(),
        can_hibernate: instance
            .hibernation_options()
            .and_then(|options| options.configured())
            .unwrap_or(false),
    })
}

struct Mark {
    client: Client,
    tag: Tag,
}

impl Call for Mark {
    async fn all(&self, ids: Vec<String>) -> Result<(), Failure> {
        let request = self
            .client
            .create_tags()
            .set_resources(Some(ids))
            .tags(self.tag.clone());
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| Failure::of(&error))
    }

    async fn one(&self, _: &str, failure: Failure) -> Result<(), Ec2Error> {
        match failure.code() {
            Some(code) if GONE.contains(&code) => Ok(()),
            _ => Err(errors::of_failure(failure)),
        }
    }
}
