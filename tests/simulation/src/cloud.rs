//! EC2 in memory: launches by token, remembers what it launched, and answers repeats as EC2 does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawn_core::account::{AccountId, Place};
use spawn_core::ids::{ClientToken, InstanceArn, Market, SweepId};
use spawn_core::ports::{
    Clock as _, CloudInstance, Ec2Error, EndInstances, FindInstances, InAccounts, InstanceState,
    LaunchInstances, LaunchRequest, Launched, ListInstances, Refusal, ShowInstances, ShownInstance,
    StartInstances, StopInstances, Template,
};
use spawn_core::reap::Point;
use spawn_core::region::Region;
use spawn_core::rows::{Addresses, LaunchApi, Location, Pool};

use crate::clock::VirtualClock;
use crate::faults::Faults;

#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) request: LaunchRequest,
    pub(crate) answer: Launched,
    at: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tags: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) impaired: BTreeMap<String, u64>,
    pub(crate) points: BTreeMap<String, Vec<Point>>,
    pub(crate) without_cloudwatch: bool,
    pub(crate) ignores_ends: bool,
    next_id: u64,
    templates: BTreeMap<(Place, String), Template>,
    groups: BTreeSet<(Place, String)>,
    pub(crate) launches: BTreeMap<(Option<AccountId>, String), Past>,
    unreachable: BTreeSet<Place>,
    protected: BTreeSet<String>,
    without_capacity: BTreeSet<String>,
    not_to_stop: BTreeSet<String>,
    stops: usize,
    errors: Vec<Ec2Error>,
    room: Option<usize>,
    pools: BTreeMap<String, usize>,
    refusing: BTreeMap<String, Ec2Error>,
    forgetful: bool,
    quota: Option<usize>,
    quotas: BTreeMap<String, usize>,
    calls: usize,
    shown: BTreeMap<InstanceArn, Addresses>,
    latency_ms: u64,
    template_latency_ms: u64,
}

/// The home account's id.
const HOME_ACCOUNT: &str = "000000000000";

/// EC2 in memory, as one account sees it.
#[derive(Clone, Debug, Default)]
pub struct Cloud {
    state: Arc<Mutex<State>>,
    account: Option<AccountId>,
    faults: Arc<Faults>,
    clock: VirtualClock,
}

impl Cloud {
    /// An EC2 without instances whose calls `faults` counts, on the time of `clock`.
    #[must_use]
    pub fn new(faults: Arc<Faults>, clock: VirtualClock) -> Self {
        Self {
            state: Arc::default(),
            account: None,
            faults,
            clock,
        }
    }

    /// How many placement groups exist that sweeps have to themselves.
    #[must_use]
    pub fn own_groups(&self) -> usize {
        self.state().groups.len()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next launch calls fail with these errors, in this order.
    pub fn fail_next(&self, errors: impl IntoIterator<Item = Ec2Error>) {
        self.state().errors.extend(errors);
    }

    /// From now on a launch gets at most so many instances.
    pub fn limit_room(&self, room: Option<usize>) {
        self.state().room = room;
    }

    /// From now on a pool gives at most so many instances in all. It is named `us-east-1 spot c5.large@us-east-1a`, or
    /// with less of it from the left: `us-east-1 spot` is all spot pools there.
    pub fn limit_pool(&self, pool: &str, room: usize) {
        self.state().pools.insert(pool.to_owned(), room);
    }

    /// From now on a pool refuses with this error; named as in [`Cloud::limit_pool`].
    pub fn refuse_pool(&self, pool: &str, error: Ec2Error) {
        self.state().refusing.insert(pool.to_owned(), error);
    }

    /// From now on no pool refuses.
    pub fn forgive_pools(&self) {
        self.state().refusing.clear();
    }

    /// From now on a call is refused that would bring the instances that live over this number.
    pub fn limit_quota(&self, instances: Option<usize>) {
        self.state().quota = instances;
    }

    /// From now on pools give nothing to a call that would bring their instances that live over this number, though other pools
    /// of the same fleet may; named as in [`Cloud::limit_pool`].
    pub fn limit_quota_of(&self, pools: &str, instances: usize) {
        self.state().quotas.insert(pools.to_owned(), instances);
    }

    /// From now on repeated fleets are answered without their instances.
    pub fn forget_fleets(&self) {
        self.state().forgetful = true;
    }

    /// From now on an answer to a launch takes so long; it takes effect at once.
    pub fn answer_after(&self, ms: u64) {
        self.state().latency_ms = ms;
    }

    /// From now on a launch template takes so long.
    pub fn create_templates_after(&self, ms: u64) {
        self.state().template_latency_ms = ms;
    }

    /// Every launch that took effect: when, and of how many instances.
    #[must_use]
    pub fn launches(&self) -> Vec<(u64, LaunchRequest, usize)> {
        let state = self.state();
        let of = |past: &Past| (past.at, past.request.clone(), past.answer.instances.len());
        let mut all: Vec<_> = state.launches.values().map(of).collect();
        all.sort_by_key(|(at, ..)| *at);
        all
    }

    /// How many launch calls were made.
    #[must_use]
    pub fn launch_calls(&self) -> usize {
        self.state().calls
    }

    /// How many calls were made to stop instances.
    #[must_use]
    pub fn stop_calls(&self) -> usize {
        self.state().stops
    }

    /// From now on calls to this place are not answered, or are again.
    pub fn reach(&self, place: Place, reachable: bool) {
        let unreachable = &mut self.state().unreachable;
        if reachable {
            unreachable.remove(&place);
        } else {
            unreachable.insert(place);
        }
    }

    /// Protects an instance, as a person does with a tag.
    pub fn protect(&self, arn: &InstanceArn) {
        self.state().protected.insert(arn.instance_id.clone());
    }

    /// Whether an instance is protected.
    #[must_use]
    pub fn is_protected(&self, arn: &InstanceArn) -> bool {
        self.state().protected.contains(&arn.instance_id)
    }

    /// From now on EC2 refuses to stop this instance.
    pub fn refuse_to_stop(&self, arn: &InstanceArn) {
        let id = arn.instance_id.clone();
        self.state().not_to_stop.insert(id);
    }

    /// From now on there is no capacity to start this instance.
    pub fn run_dry(&self, arn: &InstanceArn) {
        let id = arn.instance_id.clone();
        self.state().without_capacity.insert(id);
    }

    /// A call to a region of this account: what it does to the state, unless nothing answers there.
    pub(crate) async fn call<T>(
        &self,
        region: &Region,
        effect: impl FnOnce(&mut State, Place) -> Result<T, Ec2Error>,
    ) -> Result<T, Ec2Error> {
        let place = Place {
            account: self.account,
            region: *region,
        };
        self.faults
            .call(|| {
                let mut state = self.state();
                if state.unreachable.contains(&place) {
                    return Err(Ec2Error::Transient(format!("{place} does not answer")));
                }
                effect(&mut state, place)
            })
            .await
    }

    /// All instances that were ever launched, in every account.
    #[must_use]
    pub fn instances(&self) -> Vec<CloudInstance> {
        let state = self.state();
        state
            .launches
            .values()
            .flat_map(|past| past.answer.instances.clone())
            .collect()
    }

    /// An instance that somebody else has launched runs at these addresses.
    pub fn show(&self, arn: &InstanceArn, addresses: Addresses) {
        self.state().shown.insert(arn.clone(), addresses);
    }

    /// Shows an instance no more, as EC2 does some time after its end.
    pub fn forget(&self, arn: &InstanceArn) {
        for launch in self.state().launches.values_mut() {
            launch.answer.instances.retain(|one| one.arn != *arn);
        }
    }

    /// Moves an instance to a state.
    pub fn put(&self, arn: &InstanceArn, to: InstanceState, reason: Option<&str>) {
        for launch in self.state().launches.values_mut() {
            for instance in launch.answer.instances.iter_mut().filter(|i| i.arn == *arn) {
                instance.state = to;
                instance.state_reason = reason.map(str::to_owned);
            }
        }
    }
}

/// The account of an instance as a place names it.
pub(crate) fn is_in(instance: &CloudInstance, place: Place) -> bool {
    let account = place
        .account
        .map_or(HOME_ACCOUNT.to_owned(), |a| a.to_string());
    instance.arn.region == place.region && instance.arn.account == account
}

impl State {
    /// Moves all instances of these ids in a place to a state.
    pub(crate) fn put_ids(&mut self, place: Place, ids: &[String], to: InstanceState) {
        if self.ignores_ends {
            return;
        }
        for launch in self.launches.values_mut() {
            for instance in &mut launch.answer.instances {
                if is_in(instance, place) && ids.contains(&instance.arn.instance_id) {
                    instance.state = to;
                }
            }
        }
    }

    fn launch(
        &mut self,
        place: Place,
        request: &LaunchRequest,
        now: u64,
    ) -> Result<Launched, Ec2Error> {
        self.calls += 1;
        let token = (place.account, request.token.as_str().to_owned());
        if !self.errors.is_empty() {
            return Err(self.errors.remove(0));
        }
        if let Some(before) = self.launches.get(&token) {
            return self.repeat(before, request);
        }
        let template = (place, request.template.clone());
        if !self.templates.contains_key(&template) {
            let text = "InvalidLaunchTemplateName.NotFoundException".to_owned();
            return Err(Ec2Error::Refused(text));
        }
        let launched = self.living().count();
        let asked = usize::try_from(request.count).unwrap_or(usize::MAX);
        if self
            .quota
            .is_some_and(|most| launched.saturating_add(asked) > most)
        {
            let text = "VcpuLimitExceeded: more than the quota".to_owned();
            return Err(Ec2Error::Quota(text));
        }
        let answer = self.fill(place, request, now);
        if request.rung.api == LaunchApi::RunInstances
            && answer.instances.is_empty()
            && let Some(refusal) = answer.refusals.first()
        {
            return Err(refusal.error.clone());
        }
        let past = Past {
            request: request.clone(),
            answer: answer.clone(),
            at: now,
        };
        self.launches.insert(token, past);
        Ok(answer)
    }

    fn repeat(&self, before: &Past, request: &LaunchRequest) -> Result<Launched, Ec2Error> {
        let spent = |code: &str| Err(Ec2Error::TokenSpent(code.to_owned()));
        if before.request != *request {
            return spent("IdempotentParameterMismatch");
        }
        match request.rung.api {
            LaunchApi::RunInstances => {
                let instances = &before.answer.instances;
                if instances.iter().any(|i| i.state.is_ending()) {
                    return spent("IdempotentInstanceTerminated");
                }
                Ok(before.answer.clone())
            }
            LaunchApi::CreateFleet if self.forgetful => Ok(Launched::default()),
            LaunchApi::CreateFleet => Ok(before.answer.clone()),
        }
    }

    /// The instances that count against quotas.
    fn living(&self) -> impl Iterator<Item = &CloudInstance> {
        let all = self.launches.values().flat_map(|p| &p.answer.instances);
        all.filter(|instance| !instance.state.is_ending())
    }

    /// Whether `count` more would pass the quota that a pool of this name draws on.
    fn passes_quota(&self, name: &str, place: Place, count: usize) -> bool {
        let Some((scope, most)) = self.quotas.iter().find(|(one, _)| name.starts_with(*one)) else {
            return false;
        };
        let name_of = |one: &CloudInstance| {
            let zone = &one.availability_zone;
            format!("{place} {} {}@{zone}", one.market, one.instance_type)
        };
        let living = self.living().filter(|one| is_in(one, place));
        let living = living.filter(|one| name_of(one).starts_with(scope));
        living.count() + count > *most
    }

    /// Takes instances from the request's pools, one after the other.
    fn fill(&mut self, place: Place, request: &LaunchRequest, now: u64) -> Launched {
        let mut answer = Launched::default();
        let mut missing = usize::try_from(request.count).unwrap_or(usize::MAX);
        for pool in &request.rung.pools {
            if missing == 0 {
                break;
            }
            let name = format!("{place} {} {pool}", request.rung.market);
            let refusing = self.refusing.iter().find(|(one, _)| name.starts_with(*one));
            if let Some((_, error)) = refusing {
                answer.refusals.push(Refusal {
                    pool: pool.clone(),
                    error: error.clone(),
                });
                continue;
            }
            if self.passes_quota(&name, place, missing) {
                let text = "VcpuLimitExceeded: more than the quota".to_owned();
                answer.refusals.push(Refusal {
                    pool: pool.clone(),
                    error: Ec2Error::Quota(text),
                });
                continue;
            }
            let mut limits = self.pools.iter_mut();
            let limit = limits.find(|(one, _)| name.starts_with(*one));
            let room = limit.map_or(usize::MAX, |(_, room)| {
                let given = missing.min(*room);
                *room -= given;
                given
            });
            let count = missing.min(room).min(self.room.unwrap_or(usize::MAX));
            for _ in 0..count {
                let instance = self.instance(place, request, pool, now);
                answer.instances.push(instance);
            }
            if count < missing {
                let text = "InsufficientInstanceCapacity: no more".to_owned();
                answer.refusals.push(Refusal {
                    pool: pool.clone(),
                    error: Ec2Error::NoCapacity(text),
                });
            }
            missing -= count;
            if self.room.is_some() && count > 0 {
                break;
            }
        }
        answer
    }

    fn instance(
        &mut self,
        place: Place,
        request: &LaunchRequest,
        pool: &Pool,
        now: u64,
    ) -> CloudInstance {
        self.next_id += 1;
        let ordinal = u32::try_from(self.next_id).unwrap_or(u32::MAX);
        // Ids that do not ascend with the launch, as EC2's do not.
        let id = self.next_id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        CloudInstance {
            arn: InstanceArn {
                partition: "aws".to_owned(),
                region: request.region,
                account: place
                    .account
                    .map_or(HOME_ACCOUNT.to_owned(), |account| account.to_string()),
                instance_id: format!("i-{id:017x}"),
            },
            state: InstanceState::Pending,
            instance_type: pool.instance_type.clone(),
            market: request.rung.market,
            availability_zone: match &pool.location {
                Location::Zone(zone) => zone.clone(),
                Location::Any | Location::Subnet(_) => format!("{}a", request.region),
            },
            launched_at: now,
            addresses: Addresses {
                private_ip: Some(std::net::Ipv4Addr::from_bits(0x0a00_0000 + ordinal)),
                ..Addresses::default()
            },
            state_reason: None,
            seen_at: now,
        }
    }
}

impl InAccounts for Cloud {
    fn of(&self, account: Option<AccountId>) -> Self {
        Self {
            account,
            ..self.clone()
        }
    }
}

impl LaunchInstances for Cloud {
    async fn ensure_template(&self, region: &Region, template: &Template) -> Result<(), Ec2Error> {
        let latency_ms = self.state().template_latency_ms;
        if latency_ms > 0 {
            self.clock.sleep_ms(latency_ms).await;
        }
        self.call(region, |state, place| {
            let group = template.shape.placement_group.as_ref();
            if let Some(group) = group.filter(|group| group.is_own) {
                state.groups.insert((place, group.name.clone()));
            }
            let key = (place, template.name.clone());
            state
                .templates
                .entry(key)
                .or_insert_with(|| template.clone());
            Ok(())
        })
        .await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Launched, Ec2Error> {
        let now = self.clock.now_ms();
        let answer = self
            .call(&request.region, |state, place| {
                state.launch(place, request, now)
            })
            .await;
        let latency_ms = self.state().latency_ms;
        if latency_ms > 0 {
            self.clock.sleep_ms(latency_ms).await;
        }
        answer
    }

    async fn launched_by(
        &self,
        region: &Region,
        token: &ClientToken,
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        self.call(region, |state, place| {
            let key = (place.account, token.as_str().to_owned());
            let launch = state.launches.get(&key);
            Ok(launch
                .map(|past| past.answer.instances.clone())
                .unwrap_or_default())
        })
        .await
    }
}

impl ListInstances for Cloud {
    async fn list(&self, region: &Region, sweep: &SweepId) -> Result<Vec<CloudInstance>, Ec2Error> {
        self.call(region, |state, place| {
            let tag = ("spawn:sweep-id".to_owned(), sweep.to_string());
            let of_sweep = state
                .launches
                .values()
                .filter(|l| l.request.tags.contains(&tag));
            Ok(of_sweep
                .flat_map(|past| past.answer.instances.clone())
                .filter(|instance| is_in(instance, place))
                .collect())
        })
        .await
    }
}

impl EndInstances for Cloud {
    async fn terminate(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        self.call(region, |state, place| {
            state.put_ids(place, instance_ids, InstanceState::Terminated);
            Ok(())
        })
        .await
    }

    async fn delete_placement_group(&self, region: &Region, name: &str) -> Result<(), Ec2Error> {
        self.call(region, |state, place| {
            state.groups.remove(&(place, name.to_owned()));
            Ok(())
        })
        .await
    }

    async fn delete_template(&self, region: &Region, name: &str) -> Result<(), Ec2Error> {
        self.call(region, |state, place| {
            state.templates.remove(&(place, name.to_owned()));
            Ok(())
        })
        .await
    }
}

impl StopInstances for Cloud {
    async fn stop(&self, region: &Region, instance_ids: &[String]) -> Result<(), Ec2Error> {
        self.call(region, |state, place| {
            state.stops += 1;
            if let Some(id) = instance_ids
                .iter()
                .find(|id| state.not_to_stop.contains(*id))
            {
                return Err(Ec2Error::Refused(format!("UnsupportedOperation: {id}")));
            }
            state.put_ids(place, instance_ids, InstanceState::Stopped);
            Ok(())
        })
        .await
    }
}

impl ShowInstances for Cloud {
    async fn shown(&self, region: &Region, ids: &[String]) -> Result<Vec<ShownInstance>, Ec2Error> {
        self.call(region, |state, place| {
            let instances = state
                .launches
                .values()
                .flat_map(|past| &past.answer.instances);
            Ok(instances
                .filter(|one| is_in(one, place) && ids.contains(&one.arn.instance_id))
                .map(|one| ShownInstance {
                    instance: one.clone(),
                    protected: state.protected.contains(&one.arn.instance_id),
                })
                .collect())
        })
        .await
    }

    async fn unprotect(&self, region: &Region, ids: &[String]) -> Result<(), Ec2Error> {
        self.call(region, |state, _| {
            state.protected.retain(|id| !ids.contains(id));
            Ok(())
        })
        .await
    }
}

impl StartInstances for Cloud {
    async fn start(
        &self,
        region: &Region,
        ids: &[String],
    ) -> Result<Vec<(String, Ec2Error)>, Ec2Error> {
        self.call(region, |state, place| {
            let (dry, started): (Vec<String>, Vec<String>) = ids
                .iter()
                .cloned()
                .partition(|id| state.without_capacity.contains(id));
            state.put_ids(place, &started, InstanceState::Running);
            let no_capacity = |id| {
                let error = Ec2Error::NoCapacity("InsufficientInstanceCapacity".to_owned());
                (id, error)
            };
            Ok(dry.into_iter().map(no_capacity).collect())
        })
        .await
    }
}

impl FindInstances for Cloud {
    async fn find_instances(
        &self,
        region: &Region,
        instance_ids: &[String],
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        self.faults
            .call(|| {
                let state = self.state();
                let is_asked = |arn: &InstanceArn| {
                    arn.region == *region && instance_ids.contains(&arn.instance_id)
                };
                let launched = state.launches.values();
                let launched = launched.flat_map(|past| past.answer.instances.clone());
                let others = state.shown.iter().map(|(arn, addresses)| CloudInstance {
                    arn: arn.clone(),
                    state: InstanceState::Running,
                    instance_type: "t3.micro".to_owned(),
                    market: Market::OnDemand,
                    availability_zone: format!("{region}a"),
                    launched_at: self.clock.now_ms(),
                    addresses: addresses.clone(),
                    state_reason: None,
                    seen_at: self.clock.now_ms(),
                });
                Ok(launched
                    .chain(others)
                    .filter(|i| is_asked(&i.arn))
                    .collect())
            })
            .await
    }
}
