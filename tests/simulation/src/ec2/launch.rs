//! RunInstances, and CreateFleet of type `instant`.

use spawn_core::account::Place;
use spawn_core::ids::{InstanceArn, Market};
use spawn_core::ports::InstanceState;
use spawn_core::region::Region;

use super::{Ec2, Instance, Launched, Pool, Refusal};
use crate::engine::Ms;

/// The home account.
const HOME_ACCOUNT: &str = "000000000000";

/// The call that launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Api {
    RunInstances,
    CreateFleet,
}

/// A pool that a launch may use.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) instance_type: String,
    pub(crate) market: Market,
    /// `None`: EC2 chooses.
    pub(crate) zone: Option<String>,
}

/// One launch call.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) api: Api,
    pub(crate) place: Place,
    pub(crate) token: String,
    /// All parameters as one text: a repeat must have the same.
    pub(crate) parameters: String,
    pub(crate) template: String,
    /// RunInstances: one. CreateFleet: in the order of preference.
    pub(crate) choices: Vec<Choice>,
    pub(crate) count: u32,
    pub(crate) tags: Vec<(String, String)>,
}

/// The id of the account of a place.
pub(crate) fn account_of(place: Place) -> String {
    place
        .account
        .map_or_else(|| HOME_ACCOUNT.to_owned(), |account| account.to_string())
}

impl Ec2 {
    /// Launches up to `count` instances, at least one; answers their numbers. A repeat of a token answers what it launched.
    pub(crate) fn launch(
        &mut self,
        call: Launch,
        now: Ms,
    ) -> Result<std::ops::Range<usize>, Refusal> {
        *self.launch_calls.entry((call.place, call.api)).or_insert(0) += 1;
        let region = self.place(call.place, now);
        let taken = match call.api {
            Api::RunInstances => region.run_requests.take(1, now),
            Api::CreateFleet => region.fleet_requests.take(1, now),
        };
        self.throttle(taken)?;
        let known = self.place(call.place, now).tokens.get(&call.token).copied();
        if let Some(launch) = known.filter(|_| !self.settings.forgets_tokens) {
            return self.repeat(&call, launch);
        }
        let Some(kill_after_s) = self
            .place(call.place, now)
            .templates
            .get(&call.template)
            .copied()
        else {
            return Err(Refusal::new(
                "InvalidLaunchTemplateName.NotFoundException",
                "At least one of the launch templates specified in the request does not exist.",
            ));
        };
        let enough = self
            .place(call.place, now)
            .launch_instances
            .has(u64::from(call.count), now);
        self.throttle(enough)?;
        self.check_quota(&call, now)?;
        let shares = self.shares(&call)?;
        let count: u32 = shares.iter().map(|(_, count)| count).sum();
        self.place(call.place, now)
            .launch_instances
            .take(u64::from(count), now);
        if count < call.count {
            self.partial += 1;
        }
        Ok(self.put(call, shares, kill_after_s, now))
    }

    fn repeat(&self, call: &Launch, launch: usize) -> Result<std::ops::Range<usize>, Refusal> {
        let before = &self.launches[launch];
        if before.parameters != call.parameters {
            return Err(Refusal::new(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            ));
        }
        let ended = |number: usize| self.instances[number].state().is_ending();
        if call.api == Api::RunInstances && before.instances.clone().any(ended) {
            return Err(Refusal::new(
                "IdempotentInstanceTerminated",
                "The instance of this client token has been terminated.",
            ));
        }
        Ok(before.instances.clone())
    }

    fn check_quota(&mut self, call: &Launch, now: Ms) -> Result<(), Refusal> {
        let live = self.place(call.place, now).live;
        if self
            .settings
            .quota
            .is_none_or(|max| live + call.count <= max)
        {
            return Ok(());
        }
        self.unfilled += 1;
        Err(match call.choices.first().map(|choice| choice.market) {
            Some(Market::Spot) => Refusal::new(
                "MaxSpotInstanceCountExceeded",
                "Max spot instance count exceeded",
            ),
            _ => Refusal::new(
                "VcpuLimitExceeded",
                "You have requested more vCPU capacity than your current vCPU limit allows.",
            ),
        })
    }

    /// What each pool gives, in the order of preference.
    fn shares(&mut self, call: &Launch) -> Result<Vec<(Pool, u32)>, Refusal> {
        let mut wanted = call.count;
        let mut shares = Vec::new();
        for choice in &call.choices {
            // RunInstances takes one pool: the zone that gives the most.
            let mut pools = self.pools_of(call.place.region, choice);
            pools.sort_by_key(|(_, left)| std::cmp::Reverse((*left).min(wanted)));
            let most = match call.api {
                Api::RunInstances => 1,
                Api::CreateFleet => pools.len(),
            };
            for (pool, left) in pools.into_iter().take(most) {
                let share = left.min(wanted);
                if share > 0 {
                    wanted -= share;
                    shares.push((pool, share));
                }
            }
        }
        if shares.is_empty() {
            self.unfilled += 1;
            return Err(Refusal::new(
                "InsufficientInstanceCapacity",
                "We currently do not have sufficient capacity in the Availability Zone you requested.",
            ));
        }
        Ok(shares)
    }

    fn pools_of(&self, region: Region, choice: &Choice) -> Vec<(Pool, u32)> {
        let zones: Vec<String> = match &choice.zone {
            Some(zone) => vec![zone.clone()],
            None => self.zones(region),
        };
        zones
            .into_iter()
            .map(|zone| {
                let pool = Pool {
                    zone,
                    instance_type: choice.instance_type.clone(),
                    market: choice.market,
                };
                let left = self.pools.get(&pool).copied().unwrap_or(u32::MAX);
                (pool, left)
            })
            .collect()
    }

    /// The zones of a region.
    pub(crate) fn zones(&self, region: Region) -> Vec<String> {
        ('a'..='z')
            .take(usize::try_from(self.settings.zones).unwrap_or(1))
            .map(|letter| format!("{region}{letter}"))
            .collect()
    }

    fn put(
        &mut self,
        call: Launch,
        shares: Vec<(Pool, u32)>,
        kill_after_s: Option<u64>,
        now: Ms,
    ) -> std::ops::Range<usize> {
        let first = self.instances.len();
        let launch = self.launches.len();
        for (pool, count) in shares {
            if let Some(left) = self.pools.get_mut(&pool) {
                *left -= count;
            }
            for _ in 0..count {
                let number = self.instances.len();
                // Ids that do not ascend with the launch, as EC2's do not.
                let id = u64::try_from(number + 1)
                    .unwrap_or(u64::MAX)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let arn = InstanceArn {
                    partition: "aws".to_owned(),
                    region: call.place.region,
                    account: account_of(call.place),
                    instance_id: format!("i-{id:017x}"),
                };
                self.index.insert(arn.clone(), number);
                self.instances.push(Instance {
                    arn,
                    instance_type: pool.instance_type.clone(),
                    market: pool.market,
                    zone: pool.zone.clone(),
                    launched_at: now,
                    states: vec![(now, InstanceState::Pending)],
                    reason: None,
                    launch,
                    kill_after_s,
                });
            }
        }
        let instances = first..self.instances.len();
        let region = self.place(call.place, now);
        region.live += u32::try_from(instances.len()).unwrap_or(0);
        region.tokens.insert(call.token, launch);
        self.launches.push(Launched {
            parameters: call.parameters,
            instances: instances.clone(),
            tags: call.tags,
            place: call.place,
        });
        instances
    }
}
