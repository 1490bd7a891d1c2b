//! A model of EC2: token buckets, pools of capacity, quotas, client tokens, and a view that lags behind.
//!
//! It is written from EC2's documents and shares no rule with the core, which it judges. Sources: "Request throttling for
//! the Amazon EC2 API", "Ensuring idempotency in Amazon EC2 API requests", "Eventual consistency in the Amazon EC2 API"
//! (Amazon EC2 Developer Guide); RunInstances, CreateFleet, TerminateInstances (Amazon EC2 API Reference).

mod bucket;
mod launch;
mod settings;
mod show;

use std::collections::BTreeMap;

use spawn_core::account::Place;
use spawn_core::ids::{InstanceArn, Market};
use spawn_core::ports::InstanceState;

use bucket::Bucket;
pub use bucket::Size;
pub(crate) use bucket::size;
pub(crate) use launch::{Answer, Api, Choice, Launch, Refusals};
pub use settings::Settings;
pub(crate) use show::shown;

use crate::engine::Ms;

/// An error as EC2 gives it: a code and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) words: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, words: impl Into<String>) -> Self {
        Self {
            code,
            words: words.into(),
        }
    }
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) arn: InstanceArn,
    pub(crate) instance_type: String,
    pub(crate) market: Market,
    pub(crate) zone: String,
    pub(crate) launched_at: Ms,
    /// The states that it was in, and since when.
    pub(crate) states: Vec<(Ms, InstanceState)>,
    pub(crate) reason: Option<String>,
    /// The launch that it came with.
    pub(crate) launch: usize,
    /// Seconds after boot at which its own timer ends it.
    pub(crate) kill_after_s: Option<u64>,
}

impl Instance {
    pub(crate) fn state(&self) -> InstanceState {
        self.states
            .last()
            .map_or(InstanceState::Pending, |(_, state)| *state)
    }

    /// Whether it costs money or is about to: pending or running, or on its way to stop.
    pub(crate) fn is_live(&self) -> bool {
        matches!(
            self.state(),
            InstanceState::Pending | InstanceState::Running
        )
    }
}

/// One launch call that launched something.
#[derive(Clone, Debug)]
pub(crate) struct Launched {
    pub(crate) parameters: String,
    pub(crate) instances: std::ops::Range<usize>,
    /// What a fleet did not give.
    pub(crate) refusals: Refusals,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) place: Place,
}

impl Launched {
    pub(crate) fn tag(&self, name: &str) -> Option<&str> {
        let found = self.tags.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct InPlace {
    run_requests: Bucket,
    fleet_requests: Bucket,
    launch_instances: Bucket,
    terminate_requests: Bucket,
    terminate_instances: Bucket,
    describe_requests: Bucket,
    other_requests: Bucket,
    /// Launch templates, with the seconds after which their instances end themselves.
    templates: BTreeMap<String, Option<u64>>,
    tokens: BTreeMap<String, usize>,
    live: u32,
}

/// A pool of capacity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pool {
    pub(crate) zone: String,
    pub(crate) instance_type: String,
    pub(crate) market: Market,
}

/// EC2 in all regions and accounts.
#[derive(Debug)]
pub(crate) struct Ec2 {
    pub(crate) settings: Settings,
    places: BTreeMap<Place, InPlace>,
    instances: Vec<Instance>,
    index: BTreeMap<InstanceArn, usize>,
    launches: Vec<Launched>,
    /// Tags that instances were given after their launch.
    later_tags: BTreeMap<InstanceArn, BTreeMap<String, String>>,
    /// What is left in pools that are limited.
    pools: BTreeMap<Pool, u32>,
    /// Launch calls that arrived, by place and interface.
    pub(crate) launch_calls: BTreeMap<(Place, Api), u64>,
    /// Calls that a bucket turned away.
    pub(crate) throttled: u64,
    /// Calls that met a dry pool or a used-up quota.
    pub(crate) unfilled: u64,
    /// Launches that got fewer instances than they asked for.
    pub(crate) partial: u64,
}

impl Ec2 {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            places: BTreeMap::new(),
            instances: Vec::new(),
            index: BTreeMap::new(),
            launches: Vec::new(),
            later_tags: BTreeMap::new(),
            pools: BTreeMap::new(),
            launch_calls: BTreeMap::new(),
            throttled: 0,
            unfilled: 0,
            partial: 0,
        }
    }

    fn place(&mut self, place: Place, now: Ms) -> &mut InPlace {
        let settings = &self.settings;
        self.places.entry(place).or_insert_with(|| {
            let full = |size| Bucket::full(size, now);
            InPlace {
                run_requests: full(settings.run_requests),
                fleet_requests: full(settings.fleet_requests),
                launch_instances: full(settings.launch_instances),
                terminate_requests: full(settings.terminate_requests),
                terminate_instances: full(settings.terminate_instances),
                describe_requests: full(settings.describe_requests),
                other_requests: full(settings.other_requests),
                templates: BTreeMap::new(),
                tokens: BTreeMap::new(),
                live: 0,
            }
        })
    }

    /// Limits a pool to what is left in it; `None` makes it endless.
    pub(crate) fn set_pool(&mut self, pool: Pool, left: Option<u32>) {
        match left {
            Some(left) => self.pools.insert(pool, left),
            None => self.pools.remove(&pool),
        };
    }

    /// The instance of a number.
    pub(crate) fn instance(&self, number: usize) -> &Instance {
        &self.instances[number]
    }

    /// All instances that were ever launched.
    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The launch that an instance came with.
    pub(crate) fn launch_of(&self, instance: &Instance) -> &Launched {
        &self.launches[instance.launch]
    }

    /// The number of the instance of this ARN.
    pub(crate) fn number(&self, arn: &InstanceArn) -> Option<usize> {
        self.index.get(arn).copied()
    }

    /// Moves an instance to a state; answers whether it was in another one.
    pub(crate) fn set_state(
        &mut self,
        number: usize,
        state: InstanceState,
        reason: Option<&str>,
        now: Ms,
    ) -> bool {
        let instance = &mut self.instances[number];
        if instance.state() == state {
            return false;
        }
        let was_live = instance.is_live();
        instance.states.push((now, state));
        if let Some(reason) = reason {
            instance.reason = Some(reason.to_owned());
        }
        let is_live = instance.is_live();
        let pool = Pool {
            zone: instance.zone.clone(),
            instance_type: instance.instance_type.clone(),
            market: instance.market,
        };
        let place = self.launches[instance.launch].place;
        if was_live && !is_live {
            self.place(place, now).live -= 1;
            // What is given back can be had again.
            if let Some(left) = self.pools.get_mut(&pool) {
                *left += 1;
            }
        }
        true
    }

    /// Creates a launch template.
    pub(crate) fn create_template(
        &mut self,
        place: Place,
        name: &str,
        kill_after_s: Option<u64>,
        now: Ms,
    ) -> Result<(), Refusal> {
        self.take_other(place, now)?;
        let templates = &mut self.place(place, now).templates;
        templates.entry(name.to_owned()).or_insert(kill_after_s);
        Ok(())
    }

    /// Deletes a launch template.
    pub(crate) fn delete_template(
        &mut self,
        place: Place,
        name: &str,
        now: Ms,
    ) -> Result<(), Refusal> {
        self.take_other(place, now)?;
        self.place(place, now).templates.remove(name);
        Ok(())
    }

    /// Takes one token of the bucket of the requests that change something.
    pub(crate) fn take_other(&mut self, place: Place, now: Ms) -> Result<(), Refusal> {
        let taken = self.place(place, now).other_requests.take(1, now);
        self.throttle(taken)
    }

    fn throttle(&mut self, taken: bool) -> Result<(), Refusal> {
        if taken {
            return Ok(());
        }
        self.throttled += 1;
        Err(Refusal::new(
            "RequestLimitExceeded",
            "Request limit exceeded.",
        ))
    }
}
