//! EC2 and CloudWatch as the reaper reaches them.

use std::collections::BTreeMap;

use spawn_core::ports::{
    CloudInstance, Ec2Error, FindInstances, HibernateInstances, ReadUsage, StopInstances as _,
    WatchInstances,
};
use spawn_core::reap::{MANAGED_TAG, ManagedInstance, Point};
use spawn_core::region::Region;

use super::client::Client;

impl Client {
    /// Instances with the tags of their launch and those that they were given later.
    fn with_tags(&self, instances: Vec<CloudInstance>) -> Vec<ManagedInstance> {
        let state = self.plane.state();
        let managed = |instance: CloudInstance| ManagedInstance {
            tags: state.ec2.tags_of(&instance.arn),
            can_hibernate: false,
            instance,
        };
        instances.into_iter().map(managed).collect()
    }
}

impl WatchInstances for Client {
    async fn managed(&self, region: &Region) -> Result<Vec<ManagedInstance>, Ec2Error> {
        let all = self
            .describe(region, (MANAGED_TAG, "true".to_owned()))
            .await?;
        Ok(self.with_tags(all))
    }

    async fn shown(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> Result<Vec<ManagedInstance>, Ec2Error> {
        let mut all = self.managed(region).await?;
        all.retain(|one| instance_ids.contains(&one.instance.arn.instance_id));
        Ok(all)
    }

    /// No instance of this model is impaired.
    async fn impaired(&self, _: &Region) -> Result<BTreeMap<String, u64>, Ec2Error> {
        Ok(BTreeMap::new())
    }

    async fn mark(
        &self,
        region: &Region,
        instance_ids: &[String],
        tag: &str,
        value: &str,
    ) -> Result<(), Ec2Error> {
        let latency = self.plane.settings.ec2.call;
        let place = self.place(region);
        self.ec2("CreateTags", latency, |plane, _| {
            let mut state = plane.state();
            for id in instance_ids {
                state.ec2.give_tag(place, id, tag, value);
            }
            Ok(())
        })
        .await
    }
}

impl FindInstances for Client {
    async fn find_instances(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        let mut all = self
            .describe(region, (MANAGED_TAG, "true".to_owned()))
            .await?;
        all.retain(|one| instance_ids.contains(&one.arn.instance_id));
        Ok(all)
    }
}

impl HibernateInstances for Client {
    /// No instance of this model can hibernate.
    async fn hibernate(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        self.stop(region, instance_ids).await
    }
}

impl ReadUsage for Client {
    /// CloudWatch holds nothing here.
    async fn usage(
        &self,
        _: &Region,
        _: &[String],
        _: u64,
        _: u64,
    ) -> Result<BTreeMap<String, Vec<Point>>, Ec2Error> {
        Ok(BTreeMap::new())
    }
}
