//! Instances as EC2 describes them.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance, InstanceLifecycleType, Reservation};
use spawn_core::ids::{InstanceArn, Market, SweepId};
use spawn_core::ports::{CloudInstance, Ec2Error, FindInstances, InstanceState, ListInstances};
use spawn_core::region::Region;
use spawn_core::rows::Addresses;

use super::{Ec2, errors};
use crate::clock::now_ms;

/// Instances of one page (API reference of `DescribeInstances`: 5 to 1,000).
const PAGE_INSTANCES: i32 = 1000;

/// The tag that names the sweep of an instance.
const SWEEP_TAG: &str = "tag:spawn:sweep-id";

impl ListInstances for Ec2 {
    async fn list(&self, region: &Region, sweep: &SweepId) -> Result<Vec<CloudInstance>, Ec2Error> {
        described(
            &self.client(*region),
            *region,
            SWEEP_TAG,
            vec![sweep.to_string()],
        )
        .await
    }
}

/// Values of one filter (Amazon EC2 User Guide, "Filter your resources": at most 200).
const FILTER_VALUES_MAX: usize = 200;

impl FindInstances for Ec2 {
    /// By a filter, which leaves out what does not exist; asked for by id, one unknown instance would spoil the call.
    async fn find_instances(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        let client = self.client(*region);
        let mut shown = Vec::with_capacity(instance_ids.len());
        for ids in instance_ids.chunks(FILTER_VALUES_MAX) {
            shown.extend(described(&client, *region, "instance-id", ids.to_vec()).await?);
        }
        Ok(shown)
    }
}

/// All instances of which the filter `name` is one of `values`, page after page.
pub(super) async fn described(
    client: &Client,
    region: Region,
    name: &str,
    values: Vec<String>,
) -> Result<Vec<CloudInstance>, Ec2Error> {
    described_as(client, region, name, values, cloud_instance).await
}

/// The same, each as `of` takes it.
pub(super) async fn described_as<T>(
    client: &Client,
    region: Region,
    name: &str,
    values: Vec<String>,
    of: fn(Region, &str, &Instance) -> Result<T, Ec2Error>,
) -> Result<Vec<T>, Ec2Error> {
    let filter = Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build();
    let mut pages = client
        .describe_instances()
        .filters(filter)
        .into_paginator()
        .page_size(PAGE_INSTANCES)
        .send();
    let mut instances = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| errors::of_call(&error))?;
        for reservation in page.reservations.unwrap_or_default() {
            instances.extend(of_reservation(region, reservation, of)?);
        }
    }
    Ok(instances)
}

fn of_reservation<T>(
    region: Region,
    reservation: Reservation,
    of: fn(Region, &str, &Instance) -> Result<T, Ec2Error>,
) -> Result<Vec<T>, Ec2Error> {
    let account = reservation.owner_id.unwrap_or_default();
    let instances = reservation.instances.unwrap_or_default();
    instances
        .iter()
        .map(|instance| of(region, &account, instance))
        .collect()
}

/// An instance of `account`. What EC2 shows without id or state is not an answer to act on.
pub(super) fn cloud_instance(
    region: Region,
    account: &str,
    instance: &Instance,
) -> Result<CloudInstance, Ec2Error> {
    let incomplete = |what: &str| {
        let id = instance.instance_id().unwrap_or("an instance");
        Ec2Error::Transient(format!("EC2 showed {id} without {what}"))
    };
    if account.is_empty() {
        return Err(incomplete("its account"));
    }
    let state = instance.state().and_then(|state| state.name());
    let state = state.and_then(|name| InstanceState::parse(name.as_str()));
    let launched_at = instance
        .launch_time()
        .and_then(|time| time.to_millis().ok());
    let spot = instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(CloudInstance {
        arn: InstanceArn {
            partition: region.partition().to_owned(),
            region,
            account: account.to_owned(),
            instance_id: instance
                .instance_id()
                .ok_or_else(|| incomplete("its id"))?
                .to_owned(),
        },
        state: state.ok_or_else(|| incomplete("a known state"))?,
        instance_type: text(instance.instance_type().map(|name| name.as_str())),
        market: if spot { Market::Spot } else { Market::OnDemand },
        availability_zone: text(
            instance
                .placement()
                .and_then(|place| place.availability_zone()),
        ),
        launched_at: launched_at
            .and_then(|ms| u64::try_from(ms).ok())
            .unwrap_or(0),
        addresses: addresses(instance),
        state_reason: instance
            .state_reason()
            .and_then(|reason| reason.code())
            .map(str::to_owned),
        seen_at: now_ms(),
    })
}

/// Where an instance can be reached. What EC2 shows and is no address is none.
fn addresses(instance: &Instance) -> Addresses {
    Addresses {
        private_ip: instance
            .private_ip_address()
            .and_then(|text| text.parse().ok()),
        public_ip: instance
            .public_ip_address()
            .and_then(|text| text.parse().ok()),
        ipv6: instance.ipv6_address().and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;
    use aws_sdk_ec2::types::{
        InstanceState as Ec2State, InstanceStateName, InstanceType, Placement, StateReason,
    };

    use super::*;

    fn shown(state: &str) -> Instance {
        Instance::builder()
            .instance_id("i-0abc")
            .instance_type(InstanceType::C5Large)
            .instance_lifecycle(InstanceLifecycleType::Spot)
            .launch_time(DateTime::from_secs(1_700_000_000))
            .placement(Placement::builder().availability_zone("eu-west-1a").build())
            .private_ip_address("10.0.0.7")
            .public_ip_address("")
            .ipv6_address("2001:db8::7")
            .state(
                Ec2State::builder()
                    .name(InstanceStateName::from(state))
                    .build(),
            )
            .state_reason(
                StateReason::builder()
                    .code("Server.SpotInstanceTermination")
                    .build(),
            )
            .build()
    }

    #[test]
    fn an_instance_is_taken_as_ec2_shows_it() {
        let region: Region = "eu-west-1".parse().unwrap();
        let instance = cloud_instance(region, "000000000000", &shown("running")).unwrap();
        assert_eq!(
            instance.arn.to_string(),
            "arn:aws:ec2:eu-west-1:000000000000:instance/i-0abc"
        );
        assert_eq!(instance.state, InstanceState::Running);
        assert_eq!(instance.instance_type, "c5.large");
        assert_eq!(instance.market, Market::Spot);
        assert_eq!(instance.availability_zone, "eu-west-1a");
        let addresses = Addresses {
            private_ip: "10.0.0.7".parse().ok(),
            public_ip: None,
            ipv6: "2001:db8::7".parse().ok(),
        };
        assert_eq!(instance.addresses, addresses);
        assert_eq!(instance.launched_at, 1_700_000_000_000);
        assert_eq!(
            instance.state_reason.as_deref(),
            Some("Server.SpotInstanceTermination")
        );
    }

    #[test]
    fn an_answer_that_does_not_name_the_instance_is_no_answer() {
        let region: Region = "eu-west-1".parse().unwrap();
        for (account, instance) in [
            ("000000000000", shown("melting")),
            ("000000000000", Instance::builder().build()),
            ("", shown("running")),
        ] {
            let result = cloud_instance(region, account, &instance);
            assert!(matches!(result, Err(Ec2Error::Transient(_))), "{result:?}");
        }
    }
}
