//! EC2 and CloudWatch in memory as the reaper sees them: tags, marks, hibernation, and points of metrics.

use std::collections::BTreeMap;

use spawn_core::ports::{Ec2Error, HibernateInstances, InstanceState, ReadUsage, WatchInstances};
use spawn_core::reap::{MANAGED_TAG, ManagedInstance, Point};
use spawn_core::region::Region;

use crate::cloud::{Cloud, State, is_in};

impl Cloud {
    /// Gives an instance a tag, as a person does.
    pub fn tag(&self, instance_id: &str, name: &str, value: &str) {
        let mut state = self.state();
        let tags = state.tags.entry(instance_id.to_owned()).or_default();
        tags.insert(name.to_owned(), value.to_owned());
    }

    /// From now on an instance fails EC2's status checks, since this time (ms since 1970).
    pub fn impair(&self, instance_id: &str, since: u64) {
        self.state().impaired.insert(instance_id.to_owned(), since);
    }

    /// What CloudWatch holds of an instance from now on.
    pub fn put_points(&self, instance_id: &str, points: Vec<Point>) {
        self.state().points.insert(instance_id.to_owned(), points);
    }

    /// From now on CloudWatch answers, or does not.
    pub fn cloudwatch_answers(&self, answers: bool) {
        self.state().without_cloudwatch = !answers;
    }

    /// From now on EC2 takes every call to end an instance and ends none, or does again.
    pub fn ignore_ends(&self, ignored: bool) {
        self.state().ignores_ends = ignored;
    }
}

impl State {
    fn managed(&self, place: spawn_core::account::Place) -> Vec<ManagedInstance> {
        let mut all = Vec::new();
        for launch in self.launches.values() {
            for instance in launch
                .answer
                .instances
                .iter()
                .filter(|one| is_in(one, place))
            {
                let mut tags: BTreeMap<String, String> =
                    launch.request.tags.iter().cloned().collect();
                if let Some(own) = self.tags.get(&instance.arn.instance_id) {
                    tags.extend(own.clone());
                }
                all.push(ManagedInstance {
                    instance: instance.clone(),
                    can_hibernate: tags.contains_key("test:can-hibernate"),
                    tags,
                });
            }
        }
        all
    }
}

impl WatchInstances for Cloud {
    async fn managed(&self, region: &Region) -> Result<Vec<ManagedInstance>, Ec2Error> {
        self.call(region, |state, place| {
            let mut all = state.managed(place);
            all.retain(|one| one.tag(MANAGED_TAG) == Some("true"));
            Ok(all)
        })
        .await
    }

    async fn shown(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> Result<Vec<ManagedInstance>, Ec2Error> {
        self.call(region, |state, place| {
            let mut all = state.managed(place);
            all.retain(|one| instance_ids.contains(&one.instance.arn.instance_id));
            Ok(all)
        })
        .await
    }

    async fn impaired(&self, region: &Region) -> Result<BTreeMap<String, u64>, Ec2Error> {
        self.call(region, |state, _| Ok(state.impaired.clone()))
            .await
    }

    async fn mark(
        &self,
        region: &Region,
        instance_ids: &[String],
        tag: &str,
        value: &str,
    ) -> Result<(), Ec2Error> {
        self.call(region, |state, _| {
            for id in instance_ids {
                let tags = state.tags.entry(id.clone()).or_default();
                tags.insert(tag.to_owned(), value.to_owned());
            }
            Ok(())
        })
        .await
    }
}

impl HibernateInstances for Cloud {
    async fn hibernate(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        self.call(region, |state, place| {
            let can: Vec<String> = state
                .managed(place)
                .into_iter()
                .filter(|one| one.can_hibernate)
                .map(|one| one.instance.arn.instance_id)
                .filter(|id| instance_ids.contains(id))
                .collect();
            state.put_ids(place, &can, InstanceState::Stopped);
            if can.len() < instance_ids.len() {
                let text = "UnsupportedHibernationConfiguration".to_owned();
                return Err(Ec2Error::Refused(text));
            }
            Ok(())
        })
        .await
    }
}

impl ReadUsage for Cloud {
    async fn usage(
        &self,
        region: &Region,
        instance_ids: &[String],
        from: u64,
        to: u64,
    ) -> Result<BTreeMap<String, Vec<Point>>, Ec2Error> {
        self.call(region, |state, _| {
            if state.without_cloudwatch {
                return Err(Ec2Error::Transient("CloudWatch does not answer".to_owned()));
            }
            let of = |id: &String| {
                let points = state.points.get(id)?;
                let within = points.iter().filter(|p| p.at >= from && p.at <= to);
                Some((id.clone(), within.copied().collect()))
            };
            Ok(instance_ids.iter().filter_map(of).collect())
        })
        .await
    }
}
