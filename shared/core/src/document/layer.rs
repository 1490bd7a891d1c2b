//! Settings as one level of the document gives them, and how levels lie over each other.

use serde_json::Value;

use super::fault::{Collector, Fault};
use super::fields::{self, Setting};
use super::read::{Read, bool, duration, duration_or_none, take, text};
use super::settings::{Ami, InstanceTypes, OnComplete, PlacementGroup, Spot};
use super::shape::Shape;
use super::{aws, idleness, names, requirements};
use crate::reap::IdleRules;
use crate::region::Region;

/// The settings that one level gives; those that it does not give are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Layer {
    pub(super) region: Option<Region>,
    pub(super) availability_zone: Option<(String, Region)>,
    pub(super) instance_types: Option<InstanceTypes>,
    pub(super) spot: Option<Spot>,
    pub(super) ami: Option<Ami>,
    pub(super) key_name: Option<String>,
    pub(super) iam_role: Option<String>,
    pub(super) security_group_ids: Option<Vec<String>>,
    pub(super) subnet_ids: Option<Vec<String>>,
    pub(super) placement_group: Option<PlacementGroup>,
    pub(super) efa: Option<bool>,
    pub(super) user_data: Option<String>,
    pub(super) command: Option<String>,
    /// The inner `None` is the word none.
    pub(super) ttl_s: Option<Option<u64>>,
    pub(super) idle_timeout_s: Option<Option<u64>>,
    pub(super) idle: Option<IdleRules>,
    pub(super) hibernate_on_idle: Option<bool>,
    pub(super) on_complete: Option<OnComplete>,
    pub(super) completion_file: Option<String>,
    pub(super) completion_delay_s: Option<u64>,
    pub(super) on_interruption: Option<String>,
    pub(super) dns_name: Option<String>,
    /// Whether a region or zone is given that could not be read: then nobody knows where the member belongs.
    pub(super) lost_place: Option<()>,
}

impl Layer {
    /// Reads one setting that stands at `path`. Null is the same as leaving it out.
    pub(super) fn read(&mut self, id: Setting, value: &Value, path: &str, faults: &mut Collector) {
        if value.is_null() {
            return;
        }
        let shape = fields::setting(id).shape;
        if self.has_the_other_way(id) {
            let fault = Fault::new(
                path,
                "instance_type and instance_requirements are two ways to say the same",
                "one of the two",
            );
            faults.add(
                fault.hint(
                    "types that requirements may choose from go into their allowed_instance_types"
                        .to_owned(),
                ),
            );
            return;
        }
        if let Err(problems) = self.set(id, value, shape) {
            take::<()>(Err(problems), path, shape, faults);
            // It is there, if wrong: nobody shall be told that it is missing, too.
            match id {
                Setting::Ttl => self.ttl_s = Some(None),
                Setting::InstanceType | Setting::InstanceRequirements => {
                    self.instance_types = Some(InstanceTypes::Exact(Vec::new()))
                }
                Setting::Command => self.command = Some(String::new()),
                Setting::UserData => self.user_data = Some(String::new()),
                Setting::Region | Setting::AvailabilityZone => self.lost_place = Some(()),
                _ => {}
            }
        }
    }

    /// The region that a member with this layer belongs to: its own, or that of its zone.
    pub(super) fn place(&self) -> Option<Region> {
        let of_zone = self.availability_zone.as_ref().map(|(_, region)| *region);
        self.region.or(of_zone)
    }

    /// Whether the level says already by the other of two fields what `id` says.
    fn has_the_other_way(&self, id: Setting) -> bool {
        let has_requirements = self
            .instance_types
            .as_ref()
            .map(|types| matches!(types, InstanceTypes::Requirements(_)));
        match id {
            Setting::InstanceType => has_requirements == Some(true),
            Setting::InstanceRequirements => has_requirements == Some(false),
            _ => false,
        }
    }

    fn set(&mut self, id: Setting, value: &Value, shape: Shape) -> Read<()> {
        let bytes_max = match shape {
            Shape::Text { bytes_max } => bytes_max,
            _ => usize::MAX,
        };
        let (min_s, max_s) = match shape {
            Shape::Duration { min_s, max_s, .. } => (min_s, max_s),
            _ => (0, u64::MAX),
        };
        let owned = || text(value, bytes_max).map(str::to_owned);
        match id {
            Setting::Region => self.region = Some(aws::region(value)?),
            Setting::AvailabilityZone => self.availability_zone = Some(aws::zone(value)?),
            Setting::InstanceType => self.instance_types = Some(aws::instance_types(value)?),
            Setting::InstanceRequirements => {
                self.instance_types = Some(requirements::read(value)?);
            }
            Setting::PlacementGroup => self.placement_group = Some(aws::placement_group(value)?),
            Setting::Efa => self.efa = Some(bool(value)?),
            Setting::Spot => self.spot = Some(aws::spot(value)?),
            Setting::Ami => self.ami = Some(aws::ami(value)?),
            Setting::KeyName => self.key_name = Some(owned()?),
            Setting::IamRole => self.iam_role = Some(aws::role(value)?),
            Setting::SecurityGroupIds => self.security_group_ids = Some(aws::ids(value, "sg-")?),
            Setting::SubnetIds => self.subnet_ids = Some(aws::ids(value, "subnet-")?),
            Setting::UserData => self.user_data = Some(owned()?),
            Setting::Command => self.command = Some(owned()?),
            Setting::Ttl => self.ttl_s = Some(duration_or_none(value, min_s, max_s)?),
            Setting::IdleTimeout => {
                self.idle_timeout_s = Some(duration_or_none(value, min_s, max_s)?)
            }
            Setting::Idle => self.idle = Some(idleness::idle(value)?),
            Setting::HibernateOnIdle => self.hibernate_on_idle = Some(bool(value)?),
            Setting::OnComplete => self.on_complete = Some(aws::on_complete(value)?),
            Setting::CompletionFile => self.completion_file = Some(owned()?),
            Setting::CompletionDelay => {
                self.completion_delay_s = Some(duration(value, min_s, max_s)?)
            }
            Setting::OnInterruption => self.on_interruption = Some(owned()?),
            Setting::DnsName => self.dns_name = Some(names::dns_label(value)?),
        }
        Ok(())
    }

    /// Forgets one setting.
    pub(super) fn clear(&mut self, id: Setting) {
        if matches!(id, Setting::Region | Setting::AvailabilityZone) {
            self.lost_place = None;
        }
        match id {
            Setting::Region => self.region = None,
            Setting::AvailabilityZone => self.availability_zone = None,
            Setting::InstanceType | Setting::InstanceRequirements => self.instance_types = None,
            Setting::PlacementGroup => self.placement_group = None,
            Setting::Efa => self.efa = None,
            Setting::Spot => self.spot = None,
            Setting::Ami => self.ami = None,
            Setting::KeyName => self.key_name = None,
            Setting::IamRole => self.iam_role = None,
            Setting::SecurityGroupIds => self.security_group_ids = None,
            Setting::SubnetIds => self.subnet_ids = None,
            Setting::UserData => self.user_data = None,
            Setting::Command => self.command = None,
            Setting::Ttl => self.ttl_s = None,
            Setting::IdleTimeout => self.idle_timeout_s = None,
            Setting::Idle => self.idle = None,
            Setting::HibernateOnIdle => self.hibernate_on_idle = None,
            Setting::OnComplete => self.on_complete = None,
            Setting::CompletionFile => self.completion_file = None,
            Setting::CompletionDelay => self.completion_delay_s = None,
            Setting::OnInterruption => self.on_interruption = None,
            Setting::DnsName => self.dns_name = None,
        }
    }

    /// Lays `over` on top: what it gives wins.
    pub(super) fn overlay(&mut self, over: &Self) {
        macro_rules! overlay {
            ($($field:ident),*) => {
                $(if over.$field.is_some() { self.$field.clone_from(&over.$field); })*
            };
        }
        if over.region.is_some() || over.availability_zone.is_some() {
            self.lost_place = None;
        }
        // A region of a higher level moves the member out of the zone of a lower one, unless that zone lies in it.
        let moved = over.region.filter(|_| over.availability_zone.is_none());
        if let (Some(region), Some((_, of_zone))) = (moved, &self.availability_zone)
            && region != *of_zone
        {
            self.availability_zone = None;
        }
        // And a zone of a higher level moves it into that zone's region, see `place`.
        if over.region.is_none() && over.availability_zone.is_some() {
            self.region = None;
        }
        overlay!(
            region,
            availability_zone,
            instance_types,
            spot,
            ami,
            key_name,
            iam_role,
            security_group_ids,
            subnet_ids,
            placement_group,
            efa,
            user_data,
            command,
            ttl_s,
            idle_timeout_s,
            idle,
            hibernate_on_idle,
            on_complete,
            completion_file,
            completion_delay_s,
            on_interruption,
            dns_name,
            lost_place
        );
    }
}
