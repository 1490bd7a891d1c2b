//! What the controls ask of EC2: single instances shown, started, and freed of their protection.

use aws_sdk_ec2::types::{Filter, Tag};
use spawn_core::ports::{Ec2Error, PROTECT_TAG, ShowInstances, ShownInstance, StartInstances};
use spawn_core::region::Region;

use super::instances::cloud_instance;
use super::{Ec2, errors};
use crate::sdk::Failure;

/// Values of one filter (Amazon EC2 API Reference, `DescribeInstances`: 200).
const FILTER_VALUES_MAX: usize = 200;
/// Instances of one call, as those that end instances.
const CALL_INSTANCES_MAX: usize = 100;

/// EC2 refuses a whole call for these, and each can be the fault of one instance, or of the last that a quota has no room for
/// (Amazon EC2 API Reference, "Error codes").
const OF_ONE_INSTANCE: [&str; 10] = [
    "IncorrectInstanceState",
    "IncorrectSpotRequestState",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "InstanceLimitExceeded",
    "InvalidInstanceID.NotFound",
    "OperationNotPermitted",
    "Unsupported",
    "UnsupportedOperation",
    "VcpuLimitExceeded",
];

impl ShowInstances for Ec2 {
    async fn shown(&self, region: &Region, ids: &[String]) -> Result<Vec<ShownInstance>, Ec2Error> {
        let mut shown = Vec::new();
        // By a filter: one id that EC2 has forgotten would fail a request by ids.
        for ids in ids.chunks(FILTER_VALUES_MAX) {
            let filter = Filter::builder()
                .name("instance-id")
                .set_values(Some(ids.to_vec()))
                .build();
            let mut pages = self
                .client(*region)
                .describe_instances()
                .filters(filter)
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| errors::of_call(&error))?;
                for reservation in page.reservations.unwrap_or_default() {
                    let account = reservation.owner_id.unwrap_or_default();
                    for instance in reservation.instances.unwrap_or_default() {
                        shown.push(ShownInstance {
                            instance: cloud_instance(*region, &account, &instance)?,
                            protected: is_protected(instance.tags()),
                        });
                    }
                }
            }
        }
        Ok(shown)
    }

    async fn unprotect(&self, region: &Region, ids: &[String]) -> Result<(), Ec2Error> {
        for ids in ids.chunks(CALL_INSTANCES_MAX) {
            let tag = Tag::builder().key(PROTECT_TAG).value("false").build();
            self.client(*region)
                .create_tags()
                .set_resources(Some(ids.to_vec()))
                .tags(tag)
                .send()
                .await
                .map_err(|error| errors::of_call(&error))?;
        }
        Ok(())
    }
}

fn is_protected(tags: &[Tag]) -> bool {
    tags.iter().any(|tag| {
        tag.key() == Some(PROTECT_TAG)
            && !tag
                .value()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case("false")
    })
}

impl StartInstances for Ec2 {
    async fn start(
        &self,
        region: &Region,
        ids: &[String],
    ) -> Result<Vec<(String, Ec2Error)>, Ec2Error> {
        let client = self.client(*region);
        let mut parts: Vec<&[String]> = ids.chunks(CALL_INSTANCES_MAX).collect();
        let mut left = Vec::new();
        // A call that fails is halved until the instances stand alone that EC2 will not start: the others are started.
        while let Some(part) = parts.pop() {
            let request = client
                .start_instances()
                .set_instance_ids(Some(part.to_vec()));
            let Err(error) = request.send().await else {
                continue;
            };
            let failure = Failure::of(&error);
            let is_of_one = failure
                .code()
                .is_some_and(|code| OF_ONE_INSTANCE.contains(&code));
            match part {
                _ if !is_of_one => return Err(errors::of_failure(failure)),
                [id] => left.push((id.clone(), errors::of_failure(failure))),
                _ => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([one, other]);
                }
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protected_instance_bears_the_tag_with_any_value_but_false() {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        for (tags, protected) in [
            (vec![], false),
            (vec![tag("spawn:protect", "true")], true),
            (vec![tag("a", "b"), tag("spawn:protect", "")], true),
            (vec![tag("spawn:protect", " False")], false),
            (vec![tag("protect", "true")], false),
        ] {
            assert_eq!(is_protected(&tags), protected, "{tags:?}");
        }
    }
}
