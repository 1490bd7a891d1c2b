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

/// Which choices of a fleet gave nothing, or less than was asked for, and why.
pub(crate) type Refusals = Vec<(usize, Refusal)>;

/// What a launch call gave.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The numbers of the instances.
    pub(crate) instances: std::ops::Range<usize>,
    /// What a fleet did not give.
    pub(crate) refusals: Refusals,
    /// Whether they were launched by this very call.
    pub(crate) is_new: bool,
}

/// What each pool gives.
#[derive(Default)]
struct Shares {
    pools: Vec<(Pool, u32)>,
    refusals: Refusals,
}

impl Ec2 {
    /// Launches up to `count` instances: RunInstances at least one, or it fails; a fleet what it gets. A repeat of a token
    /// answers what it launched.
    pub(crate) fn launch(&mut self, call: Launch, now: Ms) -> Result<Answer, Refusal> {
        *self.launch_calls.entry((call.place, call.api)).or_insert(0) += 1;
        let place = self.place(call.place, now);
        let taken = match call.api {
            Api::RunInstances => place.run_requests.take(1, now),
            Api::CreateFleet => place.fleet_requests.take(1, now),
        };
        self.throttle(taken)?;
        let known = self.place(call.place, now).tokens.get(&call.token).copied();
        if let Some(launch) = known.filter(|_| !self.settings.forgets_tokens) {
            return self.repeat(&call, launch);
        }
        let templates = &self.place(call.place, now).templates;
        let Some(kill_after_s) = templates.get(&call.template).copied() else {
            return Err(Refusal::new(
                "InvalidLaunchTemplateName.NotFoundException",
                "At least one of the launch templates specified in the request does not exist.",
            ));
        };
        let shares = match self.fill(&call, now) {
            Ok(shares) => shares,
            Err(refusal) if call.api == Api::RunInstances => return Err(refusal),
            // A fleet is answered all the same, and says of each of its pools what was in the way.
            Err(refusal) => Shares {
                pools: Vec::new(),
                refusals: (0..call.choices.len())
                    .map(|choice| (choice, refusal.clone()))
                    .collect(),
            },
        };
        let count: u32 = shares.pools.iter().map(|(_, count)| count).sum();
        let bucket = &mut self.place(call.place, now).launch_instances;
        // It was asked before whether it has them.
        let taken = bucket.take(u64::from(count), now);
        debug_assert!(taken);
        if count < call.count {
            self.partial += 1;
        }
        Ok(self.put(call, shares, kill_after_s, now))
    }

    fn repeat(&self, call: &Launch, launch: usize) -> Result<Answer, Refusal> {
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
        Ok(Answer {
            instances: before.instances.clone(),
            refusals: before.refusals.clone(),
            is_new: false,
        })
    }

    /// What the pools give to a call, if its bucket and quota allow it.
    fn fill(&mut self, call: &Launch, now: Ms) -> Result<Shares, Refusal> {
        let bucket = &mut self.place(call.place, now).launch_instances;
        let enough = bucket.has(u64::from(call.count), now);
        self.throttle(enough)?;
        self.check_quota(call, now)?;
        let shares = self.shares(call);
        if shares.pools.is_empty() {
            self.unfilled += 1;
            if call.api == Api::RunInstances {
                return Err(no_capacity());
            }
        }
        Ok(shares)
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
    fn shares(&mut self, call: &Launch) -> Shares {
        let mut wanted = call.count;
        let mut shares = Shares::default();
        for (number, choice) in call.choices.iter().enumerate() {
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
                    shares.pools.push((pool, share));
                }
            }
            if wanted > 0 {
                shares.refusals.push((number, no_capacity()));
            }
        }
        shares
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

    fn put(&mut self, call: Launch, shares: Shares, kill_after_s: Option<u64>, now: Ms) -> Answer {
        let first = self.instances.len();
        let launch = self.launches.len();
        for (pool, count) in shares.pools {
            if let Some(left) = self.pools.get_mut(&pool) {
                *left -= count;
            }
            for _ in 0..count {
                self.born(&call, &pool, launch, kill_after_s, now);
            }
        }
        let instances = first..self.instances.len();
        let place = self.place(call.place, now);
        place.live += u32::try_from(instances.len()).unwrap_or(0);
        place.tokens.insert(call.token, launch);
        self.launches.push(Launched {
            parameters: call.parameters,
            instances: instances.clone(),
            refusals: shares.refusals.clone(),
            tags: call.tags,
            place: call.place,
        });
        Answer {
            instances,
            refusals: shares.refusals,
            is_new: true,
        }
    }

    fn born(
        &mut self,
        call: &Launch,
        pool: &Pool,
        launch: usize,
        kill_after_s: Option<u64>,
        now: Ms,
    ) {
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

fn no_capacity() -> Refusal {
    Refusal::new(
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient capacity in the Availability Zone you requested.",
    )
}
