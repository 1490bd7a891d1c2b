//! Members that are launched alike.

use std::collections::HashMap;
use std::sync::Arc;

use crate::document::{OnComplete, Settings, Sweep, Ttl};
use crate::ids::Market;
use crate::reap::IdleRules;

/// Members whose launch settings are the same, whatever they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    /// What they are launched with; everything else in it is blank.
    pub(crate) settings: Settings,
    /// Where the document says so, such as `params[3].`; empty when it holds for all members.
    pub(crate) at: String,
    /// Their indices.
    pub(crate) members: Vec<u32>,
}

impl Class {
    /// The market that they are bought on first.
    pub(crate) fn market(&self) -> Market {
        match self.settings.spot {
            crate::document::Spot::OnDemand => Market::OnDemand,
            crate::document::Spot::Spot | crate::document::Spot::SpotThenOnDemand => Market::Spot,
        }
    }
}

/// The classes of a sweep, in the order of their first members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    pub(crate) all: Vec<Class>,
    /// The class of each member, by index.
    pub(crate) of_member: Vec<usize>,
}

impl Classes {
    /// The classes of the sweep's members.
    #[must_use]
    pub fn of(sweep: &Sweep) -> Self {
        let mut classes = Self::default();
        let mut by_settings: HashMap<Settings, usize> = HashMap::new();
        let mut by_pointer: HashMap<*const Settings, usize> = HashMap::new();
        for member in &sweep.members {
            let pointer = Arc::as_ptr(&member.settings);
            let class = *by_pointer.entry(pointer).or_insert_with(|| {
                let settings = launch_settings(&member.settings);
                *by_settings.entry(settings.clone()).or_insert_with(|| {
                    classes.all.push(Class {
                        settings,
                        at: format!("params[{}].", member.index),
                        members: Vec::new(),
                    });
                    classes.all.len() - 1
                })
            });
            classes.all[class].members.push(member.index);
            classes.of_member.push(class);
        }
        // What all members have in common the document says once, and not of a member.
        if let [only] = classes.all.as_mut_slice() {
            only.at.clear();
        }
        classes
    }
}

/// The part of the settings that decides how an instance is launched.
fn launch_settings(settings: &Settings) -> Settings {
    Settings {
        region: settings.region,
        availability_zone: settings.availability_zone.clone(),
        instance_types: settings.instance_types.clone(),
        spot: settings.spot,
        ami: settings.ami.clone(),
        key_name: settings.key_name.clone(),
        iam_role: settings.iam_role.clone(),
        security_group_ids: settings.security_group_ids.clone(),
        subnet_ids: settings.subnet_ids.clone(),
        placement_group: settings.placement_group.clone(),
        efa: settings.efa,
        user_data: None,
        command: None,
        ttl: Ttl::None,
        idle_timeout_s: None,
        idle: IdleRules::default(),
        hibernate_on_idle: settings.hibernate_on_idle,
        on_complete: match settings.on_complete {
            // An instance that is to hibernate is launched as one.
            OnComplete::Hibernate => OnComplete::Hibernate,
            OnComplete::Terminate | OnComplete::Stop | OnComplete::None => OnComplete::Terminate,
        },
        completion_file: None,
        completion_delay_s: 0,
        on_interruption: None,
        dns_name: None,
    }
}
