//! What EC2 shows of its instances, a little late; and ending them.

use std::collections::BTreeMap;

use spawn_core::account::Place;
use spawn_core::ids::InstanceArn;
use spawn_core::ports::{CloudInstance, InstanceState};
use spawn_core::rows::Addresses;

use super::{Ec2, Instance, Refusal};
use crate::engine::Ms;

/// Instances of one page of DescribeInstances.
const PAGE_INSTANCES: u64 = 1_000;

impl Ec2 {
    /// The instances of a region with this tag, as they were `lag` ago. Draws one request a page.
    pub(crate) fn describe(
        &mut self,
        place: Place,
        tag: (&str, &str),
        lag: Ms,
        now: Ms,
    ) -> Result<Vec<CloudInstance>, Refusal> {
        let taken = self.place(place, now).describe_requests.take(1, now);
        self.throttle(taken)?;
        let visible = self.settings.terminated_visible;
        let found: Vec<CloudInstance> = self
            .launches
            .iter()
            .filter(|launch| launch.place == place && launch.tag(tag.0) == Some(tag.1))
            .flat_map(|launch| self.instances[launch.instances.clone()].iter())
            .filter_map(|instance| seen(instance, now, lag, visible))
            .collect();
        let more = u64::try_from(found.len()).unwrap_or(0) / PAGE_INSTANCES;
        let bucket = &mut self.place(place, now).describe_requests;
        let taken = bucket.take(more, now);
        self.throttle(taken)?;
        Ok(found)
    }

    /// Takes the tokens of terminating or stopping so many instances.
    pub(crate) fn take_endings(
        &mut self,
        place: Place,
        count: usize,
        now: Ms,
    ) -> Result<(), Refusal> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let taken = self.place(place, now).terminate_requests.take(1, now);
        self.throttle(taken)?;
        let bucket = &mut self.place(place, now).terminate_instances;
        let taken = bucket.take(count, now);
        self.throttle(taken)
    }

    /// The tags of an instance: those of its launch, and later ones.
    pub(crate) fn tags_of(&self, arn: &InstanceArn) -> BTreeMap<String, String> {
        let number = self.number(arn);
        let launch = self
            .launches
            .iter()
            .find(|launch| number.is_some_and(|number| launch.instances.contains(&number)));
        let mut tags: BTreeMap<String, String> = launch
            .map(|launch| launch.tags.iter().cloned().collect())
            .unwrap_or_default();
        tags.extend(self.later_tags.get(arn).cloned().unwrap_or_default());
        tags
    }

    /// Gives an instance a tag.
    pub(crate) fn give_tag(&mut self, place: Place, instance_id: &str, name: &str, value: &str) {
        let arn = arn_of(place, instance_id);
        let tags = self.later_tags.entry(arn).or_default();
        tags.insert(name.to_owned(), value.to_owned());
    }

    /// The number of the instance of this id in a region.
    pub(crate) fn number_of_id(&self, place: Place, instance_id: &str) -> Option<usize> {
        self.number(&arn_of(place, instance_id))
    }
}

fn arn_of(place: Place, instance_id: &str) -> InstanceArn {
    InstanceArn {
        partition: "aws".to_owned(),
        region: place.region,
        account: super::launch::account_of(place),
        instance_id: instance_id.to_owned(),
    }
}

/// An instance as EC2 shows it at `now`, which is as it was `lag` before; `None` when it was not there yet, or was gone for longer
/// than EC2 shows.
fn seen(instance: &Instance, now: Ms, lag: Ms, terminated_visible: Ms) -> Option<CloudInstance> {
    let at = now.saturating_sub(lag);
    let (since, state) = instance
        .states
        .iter()
        .rev()
        .find(|(since, _)| *since <= at)
        .copied()?;
    if state == InstanceState::Terminated && since + terminated_visible < at {
        return None;
    }
    Some(shown(instance, state, now))
}

/// An instance in a state, as a call answers it at `now`.
pub(crate) fn shown(instance: &Instance, state: InstanceState, now: Ms) -> CloudInstance {
    let over = matches!(
        state,
        InstanceState::Stopping
            | InstanceState::Stopped
            | InstanceState::ShuttingDown
            | InstanceState::Terminated
    );
    CloudInstance {
        arn: instance.arn.clone(),
        state,
        instance_type: instance.instance_type.clone(),
        market: instance.market,
        availability_zone: instance.zone.clone(),
        launched_at: instance.launched_at,
        addresses: Addresses::default(),
        state_reason: instance.reason.clone().filter(|_| over),
        seen_at: now,
    }
}
