//! A member's settings once all levels lie over each other: what is still missing, and what does not go together.

use std::collections::HashMap;
use std::sync::Arc;

use super::fault::{Collector, Fault};
use super::fields::{self, Setting};
use super::layer::Layer;
use super::settings::{Ami, OnComplete, PlacementGroup, Settings, Spot, Ttl};
use super::sweep::RegionShare;

/// How long an instance stays up once its completion file has appeared, unless the document says otherwise.
const COMPLETION_DELAY_S: u64 = 30;

/// Bytes of commands and scripts that all distinct settings of a sweep may have together: what planning keeps in memory.
const SCRIPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is wrong with a member's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flaw {
    setting: Setting,
    problem: String,
    accepted: String,
    hint: Option<String>,
}

/// The settings of a sweep's members, equal ones once.
pub(super) struct Checked<'a> {
    regions: &'a [RegionShare],
    /// Whether the document names regions: then members may not be pinned elsewhere.
    are_regions_given: bool,
    /// Whether all members could be read: what others lack might be in what could not.
    is_whole: bool,
    known: HashMap<Layer, Option<Arc<Settings>>>,
    script_bytes: usize,
    /// What is wrong with the levels that all members share.
    shared_flaws: Vec<Flaw>,
    /// The faults found, each with the place of the first member that has them.
    flawed: Vec<(String, Vec<Flaw>)>,
}

impl<'a> Checked<'a> {
    /// `shared` is what the levels that all members share amount to.
    pub(super) fn new(
        regions: &'a [RegionShare],
        are_regions_given: bool,
        is_whole: bool,
        shared: &Layer,
    ) -> Self {
        let mut checked = Self {
            regions,
            are_regions_given,
            is_whole,
            known: HashMap::new(),
            script_bytes: 0,
            shared_flaws: Vec::new(),
            flawed: Vec::new(),
        };
        checked.shared_flaws = checked.build(shared).err().unwrap_or_default();
        checked
    }

    /// The settings that `layer`, all levels together, amounts to. `path` is where the first member with it stands.
    pub(super) fn settings(&mut self, layer: &Layer, path: &str) -> Option<Arc<Settings>> {
        if let Some(known) = self.known.get(layer) {
            return known.clone();
        }
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.script_bytes +=
            length(&layer.command) + length(&layer.user_data) + length(&layer.on_interruption);
        let settings = match self.build(layer) {
            Ok(settings) => Some(Arc::new(settings)),
            Err(flaws) => {
                self.flawed.push((path.to_owned(), flaws));
                None
            }
        };
        self.known.insert(layer.clone(), settings.clone());
        settings
    }

    /// Tells the faults: once where all members have one from a level that they share, otherwise at the first member of
    /// each kind.
    pub(super) fn finish(&self, faults: &mut Collector) {
        if self.script_bytes > SCRIPT_BYTES_MAX {
            faults.add(Fault::new(
                "",
                format!(
                    "the members' commands and scripts have {} bytes together",
                    self.script_bytes
                ),
                format!("at most {SCRIPT_BYTES_MAX} bytes; equal ones count once"),
            ));
        }
        let has_common = |flaw: &&Flaw| {
            self.flawed.len() == self.known.len()
                && self.flawed.iter().all(|(_, flaws)| flaws.contains(*flaw))
        };
        let common: Vec<&Flaw> = self.shared_flaws.iter().filter(has_common).collect();
        for (at, (path, flaws)) in self.flawed.iter().enumerate() {
            for flaw in flaws {
                let name = fields::setting(flaw.setting).name;
                let path = match common.contains(&flaw) {
                    true if at > 0 => continue,
                    true => name.to_owned(),
                    false => super::fault::join(path, name),
                };
                faults.add(
                    Fault::new(path, flaw.problem.clone(), flaw.accepted.clone())
                        .hint(flaw.hint.clone()),
                );
            }
        }
    }

    fn build(&self, layer: &Layer) -> Result<Settings, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let mut flaw = |setting, problem: String, accepted: String, hint: Option<&str>| {
            flaws.push(Flaw {
                setting,
                problem,
                accepted,
                hint: hint.map(str::to_owned),
            });
        };
        let accepted = |setting| fields::setting(setting).shape.accepted();
        let missing = match self.is_whole {
            true => "it is missing",
            false => "it is missing, unless what could not be read gives it",
        };
        if layer.instance_types.is_none() {
            let problem = format!("{missing}, and the operator gives no default");
            flaw(
                Setting::InstanceType,
                problem,
                accepted(Setting::InstanceType),
                None,
            );
        }
        if layer.ttl_s.is_none() {
            let problem = format!("{missing}: every instance needs an end");
            let hint = "write ttl: none for instances that may live for ever";
            flaw(Setting::Ttl, problem, accepted(Setting::Ttl), Some(hint));
        }
        let spot = layer.spot.unwrap_or(Spot::OnDemand);
        let on_complete = layer.on_complete.unwrap_or(OnComplete::Terminate);
        if spot != Spot::OnDemand && matches!(on_complete, OnComplete::Stop | OnComplete::Hibernate)
        {
            let word = if on_complete == OnComplete::Stop {
                "stop"
            } else {
                "hibernate"
            };
            let problem =
                format!("{word} does not go with spot: a one-time spot instance cannot be stopped");
            flaw(
                Setting::OnComplete,
                problem,
                "terminate or none".to_owned(),
                None,
            );
        }
        let zone = layer.availability_zone.as_ref();
        let region = layer.place();
        if let (Some(region), Some((zone, of_zone))) = (region, zone)
            && region != *of_zone
        {
            let problem = format!("{zone} does not lie in {region}");
            flaw(
                Setting::AvailabilityZone,
                problem,
                format!("a zone of {region}"),
                None,
            );
        }
        let is_listed = |share: &RegionShare| Some(share.region) == region;
        if let Some(region) = region
            && self.are_regions_given
            && !self.regions.iter().any(is_listed)
        {
            let names = self.region_names();
            match zone {
                Some((zone, _)) if layer.region.is_none() => {
                    let problem = format!("{zone} does not lie in the sweep's regions");
                    let accepted = format!("a zone of {names}");
                    flaw(Setting::AvailabilityZone, problem, accepted, None);
                }
                _ => {
                    let problem = format!("{region} is not among the sweep's regions");
                    flaw(Setting::Region, problem, names, None);
                }
            }
        }
        if layer.subnet_ids.as_ref().is_some_and(|ids| ids.len() > 1) {
            let one = "one subnet".to_owned();
            if layer.efa == Some(true) {
                let problem = "several subnets do not go with efa: the adapter belongs to one, and its traffic stays there";
                flaw(Setting::SubnetIds, problem.to_owned(), one.clone(), None);
            }
            if layer.placement_group == Some(PlacementGroup::Cluster) {
                let problem = "several subnets do not go with a cluster placement group, which lies in one availability zone";
                flaw(Setting::SubnetIds, problem.to_owned(), one, None);
            }
        }
        if let Some(Ami::ByRegion(images)) = &layer.ami {
            // Of regions that a pattern brings in, planning takes those that have an image.
            let targets: Vec<_> = match region {
                Some(region) => vec![region],
                None => {
                    let named = self.regions.iter().filter(|share| share.is_named);
                    named.map(|share| share.region).collect()
                }
            };
            for region in targets
                .into_iter()
                .filter(|region| !images.contains_key(region))
            {
                let problem = format!("it gives no image for {region}");
                flaw(
                    Setting::Ami,
                    problem,
                    "an image for each region that members may run in".to_owned(),
                    None,
                );
            }
        }
        match (&layer.instance_types, layer.ttl_s) {
            (Some(instance_types), Some(ttl_s)) if flaws.is_empty() => Ok(Settings {
                region,
                availability_zone: zone.map(|(name, _)| name.clone()),
                instance_types: instance_types.clone(),
                spot,
                ami: layer.ami.clone(),
                key_name: layer.key_name.clone(),
                iam_role: layer.iam_role.clone(),
                security_group_ids: layer.security_group_ids.clone().unwrap_or_default(),
                subnet_ids: layer.subnet_ids.clone().unwrap_or_default(),
                placement_group: layer.placement_group.clone(),
                efa: layer.efa.unwrap_or(false),
                user_data: layer.user_data.clone(),
                command: layer.command.clone(),
                ttl: ttl_s.map_or(Ttl::None, Ttl::Seconds),
                idle_timeout_s: layer.idle_timeout_s.flatten(),
                idle: layer.idle.clone().unwrap_or_default(),
                hibernate_on_idle: layer.hibernate_on_idle.unwrap_or(false),
                on_complete,
                completion_file: layer.completion_file.clone(),
                completion_delay_s: layer.completion_delay_s.unwrap_or(COMPLETION_DELAY_S),
                on_interruption: layer.on_interruption.clone(),
                dns_name: layer.dns_name.clone(),
            }),
            _ => Err(flaws),
        }
    }

    fn region_names(&self) -> String {
        let names: Vec<&str> = self
            .regions
            .iter()
            .map(|share| share.region.as_str())
            .collect();
        names.join(", ")
    }
}
