//! EC2 in memory: launches by token, remembers what it launched, and answers repeats as EC2 does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawn_core::account::{AccountId, Place};
use spawn_core::ids::{ClientToken, InstanceArn, Market, SweepId};
use spawn_core::ports::{
    CloudInstance, Ec2Error, EndInstances, FindInstances, InAccounts, InstanceState,
    LaunchInstances, LaunchRequest, ListInstances, ShowInstances, ShownInstance, StartInstances,
    StopInstances, Template,
};
use spawn_core::reap::Point;
use spawn_core::region::Region;
use spawn_core::rows::Addresses;

use crate::faults::Faults;

#[derive(Clone, Debug)]
pub(crate) struct Launched {
    pub(crate) request: LaunchRequest,
    pub(crate) instances: Vec<CloudInstance>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) tags: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) points: BTreeMap<String, Vec<Point>>,
    pub(crate) without_cloudwatch: bool,
    pub(crate) ignores_ends: bool,
    now: u64,
    next_id: u64,
    templates: BTreeMap<(Place, String), Template>,
    groups: BTreeSet<(Place, String)>,
    pub(crate) launches: BTreeMap<(Option<AccountId>, String), Launched>,
    unreachable: BTreeSet<Place>,
    protected: BTreeSet<String>,
    without_capacity: BTreeSet<String>,
    errors: Vec<Ec2Error>,
    room: Option<usize>,
    calls: usize,
    shown: BTreeMap<InstanceArn, Addresses>,
}

/// The home account's id.
const HOME_ACCOUNT: &str = "000000000000";

/// EC2 in memory, as one account sees it.
#[derive(Clone, Debug, Default)]
pub struct Cloud {
    state: Arc<Mutex<State>>,
    account: Option<AccountId>,
    faults: Arc<Faults>,
}

impl Cloud {
    /// An EC2 without instances whose calls `faults` counts.
    #[must_use]
    pub fn new(faults: Arc<Faults>) -> Self {
        Self {
            state: Arc::default(),
            account: None,
            faults,
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

    /// Sets the time, in ms since 1970.
    pub fn set_now(&self, now: u64) {
        self.state().now = now;
    }

    /// The next launch calls fail with these errors, in this order.
    pub fn fail_next(&self, errors: impl IntoIterator<Item = Ec2Error>) {
        self.state().errors.extend(errors);
    }

    /// From now on a launch gets at most so many instances.
    pub fn limit_room(&self, room: Option<usize>) {
        self.state().room = room;
    }

    /// How many launch calls were made.
    #[must_use]
    pub fn launch_calls(&self) -> usize {
        self.state().calls
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
            .flat_map(|l| l.instances.clone())
            .collect()
    }

    /// An instance that somebody else has launched runs at these addresses.
    pub fn show(&self, arn: &InstanceArn, addresses: Addresses) {
        self.state().shown.insert(arn.clone(), addresses);
    }

    /// Moves an instance to a state.
    pub fn put(&self, arn: &InstanceArn, to: InstanceState, reason: Option<&str>) {
        for launch in self.state().launches.values_mut() {
            for instance in launch.instances.iter_mut().filter(|i| i.arn == *arn) {
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
            for instance in &mut launch.instances {
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
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        let state = self;
        state.calls += 1;
        let token = (place.account, request.token.as_str().to_owned());
        if !state.errors.is_empty() {
            return Err(state.errors.remove(0));
        }
        if let Some(before) = state.launches.get(&token) {
            if before.request != *request {
                return Err(Ec2Error::TokenSpent(
                    "IdempotentParameterMismatch".to_owned(),
                ));
            }
            if before.instances.iter().any(|i| i.state.is_ending()) {
                return Err(Ec2Error::TokenSpent(
                    "IdempotentInstanceTerminated".to_owned(),
                ));
            }
            return Ok(before.instances.clone());
        }
        let template = (place, request.template.clone());
        if !state.templates.contains_key(&template) {
            let text = "InvalidLaunchTemplateName.NotFoundException".to_owned();
            return Err(Ec2Error::Refused(text));
        }
        let count = usize::try_from(request.count).unwrap_or(usize::MAX);
        let count = count.min(state.room.unwrap_or(usize::MAX));
        if count == 0 {
            let text = "InsufficientInstanceCapacity".to_owned();
            return Err(Ec2Error::NoCapacity(text));
        }
        let mut instances = Vec::new();
        for _ in 0..count {
            state.next_id += 1;
            let ordinal = u32::try_from(state.next_id).unwrap_or(u32::MAX);
            // Ids that do not ascend with the launch, as EC2's do not.
            let id = state.next_id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            instances.push(CloudInstance {
                arn: InstanceArn {
                    partition: "aws".to_owned(),
                    region: request.region,
                    account: place
                        .account
                        .map_or(HOME_ACCOUNT.to_owned(), |account| account.to_string()),
                    instance_id: format!("i-{id:017x}"),
                },
                state: InstanceState::Pending,
                instance_type: request.rung.instance_type.clone(),
                market: request.rung.market,
                availability_zone: format!("{}a", request.region),
                launched_at: state.now,
                addresses: Addresses {
                    private_ip: Some(std::net::Ipv4Addr::from_bits(0x0a00_0000 + ordinal)),
                    ..Addresses::default()
                },
                state_reason: None,
            });
        }
        let launched = Launched {
            request: request.clone(),
            instances: instances.clone(),
        };
        state.launches.insert(token, launched);
        Ok(instances)
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

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<CloudInstance>, Ec2Error> {
        self.call(&request.region, |state, place| state.launch(place, request))
            .await
    }

    async fn launched_by(
        &self,
        region: &Region,
        token: &ClientToken,
    ) -> Result<Vec<CloudInstance>, Ec2Error> {
        self.call(region, |state, place| {
            let key = (place.account, token.as_str().to_owned());
            let launch = state.launches.get(&key);
            Ok(launch.map(|l| l.instances.clone()).unwrap_or_default())
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
                .flat_map(|launch| launch.instances.clone())
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
            state.put_ids(place, instance_ids, InstanceState::Stopped);
            Ok(())
        })
        .await
    }
}

impl ShowInstances for Cloud {
    async fn shown(&self, region: &Region, ids: &[String]) -> Result<Vec<ShownInstance>, Ec2Error> {
        self.call(region, |state, place| {
            let instances = state.launches.values().flat_map(|l| &l.instances);
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
                let launched = state.launches.values().flat_map(|l| l.instances.clone());
                let others = state.shown.iter().map(|(arn, addresses)| CloudInstance {
                    arn: arn.clone(),
                    state: InstanceState::Running,
                    instance_type: "t3.micro".to_owned(),
                    market: Market::OnDemand,
                    availability_zone: format!("{region}a"),
                    launched_at: state.now,
                    addresses: addresses.clone(),
                    state_reason: None,
                });
                Ok(launched
                    .chain(others)
                    .filter(|i| is_asked(&i.arn))
                    .collect())
            })
            .await
    }
}
