//! The whole simulated cloud as a value: no socket, no clock, no process. Callers bring the time; what must be done
//! outside comes back as [`Effect`]s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use serde::{Deserialize, Serialize};

use crate::actions::placement::PlacementGroup;
use crate::catalogue::InstanceType;
use crate::config::Settings;
use crate::events::Event;
use crate::faults::Faults;
use crate::ids::Random;
use crate::limits::{Buckets, Quotas};
use crate::model::{Instance, Place, Tags, Template, TokenMemory};
use crate::peaks::Peaks;
use crate::wire::Ec2Error;

/// Something to be done outside the world, in this order.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Send an event to the bus.
    Send(Event),
    /// The instance runs for the first time: boot it.
    Boot(Boot),
    /// The operating system is asked to end.
    Stop { instance_id: String },
    /// The instance is gone: nothing of it may live.
    Kill { instance_id: String },
    /// The instance hibernates: its processes are frozen.
    Freeze { instance_id: String },
    /// The instance comes back from hibernation.
    Thaw { instance_id: String },
}

/// What is needed to boot an instance.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    pub(crate) instance_id: String,
    pub(crate) arn: String,
    pub(crate) region: String,
    pub(crate) instance_type: &'static InstanceType,
    /// Base64.
    pub(crate) user_data: Option<String>,
}

/// Something that will happen at a time.
#[derive(Clone, Debug)]
pub(crate) enum Timer {
    /// The next state of an instance, if it still is in the one of this epoch.
    Progress { seq: u64, epoch: u64 },
    /// The boot timer inside an instance.
    Shutdown { seq: u64, shutdown_epoch: u64 },
    /// EC2 takes a spot instance back.
    Reclaim { seq: u64 },
    /// A terminated instance is no longer shown.
    Forget { seq: u64 },
    /// A late event.
    Send(Event),
}

#[derive(Debug)]
struct Due {
    at_ms: u64,
    order: u64,
    timer: Timer,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at_ms, self.order) == (other.at_ms, other.order)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}

/// Delays that a test may change while the simulator runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timing {
    pub(crate) pending_ms: u64,
    pub(crate) shutdown_ms: u64,
    pub(crate) launch_ms: u64,
    pub(crate) describe_lag_ms: u64,
    pub(crate) terminated_visible_s: u64,
    pub(crate) time_scale: u32,
}

/// A fleet that was created.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) place: Place,
    pub(crate) instance_ids: Vec<String>,
}

/// Counts of one action.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Calls {
    /// All calls.
    pub(crate) total: u64,
    /// Those that succeeded.
    pub(crate) ok: u64,
    /// Those that failed, by error code.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// The simulated cloud.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) timing: Timing,
    pub(crate) random: Random,
    pub(crate) instances: BTreeMap<u64, Instance>,
    index: HashMap<String, u64>,
    pub(crate) templates: Vec<Template>,
    pub(crate) placement_groups: Vec<PlacementGroup>,
    /// Regions that are disabled by default and that accounts have enabled.
    pub(crate) opted_in: BTreeSet<(String, &'static str)>,
    pub(crate) fleets: BTreeMap<String, Fleet>,
    /// Tags of everything that is not an instance or a template: volumes, fleets, spot requests.
    pub(crate) resource_tags: HashMap<String, (Place, Tags)>,
    pub(crate) tokens: TokenMemory,
    pub(crate) buckets: Buckets,
    pub(crate) quotas: Quotas,
    pub(crate) faults: Faults,
    pub(crate) peaks: Peaks,
    pub(crate) calls: BTreeMap<String, Calls>,
    next: u64,
    timers: BinaryHeap<Reverse<Due>>,
    effects: Vec<Effect>,
}

impl World {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Self {
            timing: Timing {
                pending_ms: settings.pending_ms,
                shutdown_ms: settings.shutdown_ms,
                launch_ms: settings.launch_ms,
                describe_lag_ms: settings.describe_lag_ms,
                terminated_visible_s: settings.terminated_visible_s,
                time_scale: settings.time_scale,
            },
            random: Random::new(seed),
            instances: BTreeMap::new(),
            index: HashMap::new(),
            templates: Vec::new(),
            placement_groups: Vec::new(),
            opted_in: BTreeSet::new(),
            fleets: BTreeMap::new(),
            resource_tags: HashMap::new(),
            tokens: TokenMemory::default(),
            buckets: Buckets::new(settings.throttling),
            quotas: Quotas::default(),
            faults: Faults::default(),
            peaks: Peaks::default(),
            calls: BTreeMap::new(),
            next: 0,
            timers: BinaryHeap::new(),
            effects: Vec::new(),
            settings,
        }
    }

    /// A number that was not used before.
    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Takes what has to be done outside.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn set_timer(&mut self, at_ms: u64, timer: Timer) {
        let order = self.next();
        self.timers.push(Reverse(Due {
            at_ms,
            order,
            timer,
        }));
    }

    /// When the next timer is due.
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.timers.peek().map(|due| due.0.at_ms)
    }

    /// The next timer that is due, with the time it was due at.
    pub(crate) fn pop_due(&mut self, now_ms: u64) -> Option<(u64, Timer)> {
        if self.next_due_ms()? > now_ms {
            return None;
        }
        self.timers.pop().map(|due| (due.0.at_ms, due.0.timer))
    }

    pub(crate) fn insert(&mut self, instance: Instance) {
        self.index.insert(instance.id.clone(), instance.seq);
        self.instances.insert(instance.seq, instance);
    }

    pub(crate) fn remove(&mut self, seq: u64) {
        if let Some(instance) = self.instances.remove(&seq) {
            self.index.remove(&instance.id);
            self.resource_tags.remove(&instance.volume_id);
            if let Some(request) = instance.spot_request_id {
                self.resource_tags.remove(&request);
            }
        }
    }

    /// The instance of this id, wherever it is.
    pub(crate) fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.get(self.index.get(id)?)
    }

    pub(crate) fn instance_mut(&mut self, id: &str) -> Option<&mut Instance> {
        self.instances.get_mut(self.index.get(id)?)
    }

    /// Instances of a place in launch order.
    pub(crate) fn instances_of(&self, place: &Place) -> impl Iterator<Item = &Instance> {
        self.instances
            .values()
            .filter(move |instance| instance.place == *place)
    }

    /// How far back a view of the cloud looks at this moment.
    pub(crate) fn view_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.timing.describe_lag_ms)
    }

    /// The sequence numbers of instances named in a request. One unknown id fails the whole call; an instance that the
    /// eventually consistent view does not show yet is unknown ("Eventual consistency in the Amazon EC2 API").
    pub(crate) fn find_all(
        &self,
        place: &Place,
        ids: &[String],
        now_ms: u64,
    ) -> Result<Vec<u64>, Ec2Error> {
        let view_ms = self.view_ms(now_ms);
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for id in ids {
            if !is_instance_id(id) {
                return Err(Ec2Error::new(
                    "InvalidInstanceID.Malformed",
                    format!("Invalid id: \"{id}\""),
                ));
            }
            match self.instance(id) {
                Some(one) if one.place == *place && one.seen_at(view_ms).is_some() => {
                    if !found.contains(&one.seq) {
                        found.push(one.seq);
                    }
                }
                _ => missing.push(id.clone()),
            }
        }
        if missing.is_empty() {
            Ok(found)
        } else {
            Err(Ec2Error::instances_not_found(&missing))
        }
    }

    /// Counts a call and how it ended.
    pub(crate) fn count_call(&mut self, action: &str, error_code: Option<&str>) {
        let calls = self.calls.entry(action.to_owned()).or_default();
        calls.total += 1;
        match error_code {
            None => calls.ok += 1,
            Some(code) => *calls.errors.entry(code.to_owned()).or_default() += 1,
        }
    }

    /// Ends everything and forgets everything, faults, quotas, counters and bucket levels included. Instances end without events.
    /// Whether the account has the region.
    pub(crate) fn is_enabled(&self, place: &Place) -> bool {
        let key = (place.account.clone(), place.region.name);
        !place.region.opt_in || self.opted_in.contains(&key)
    }

    pub(crate) fn reset(&mut self) {
        let seed = self.random.next_u64();
        let next = self.next;
        let timing = self.timing.clone();
        let mut effects: Vec<Effect> = self.take_effects();
        effects.extend(
            self.instances
                .values()
                .filter(|instance| !instance.state().is_ended())
                .map(|instance| Effect::Kill {
                    instance_id: instance.id.clone(),
                }),
        );
        *self = Self::new(self.settings.clone(), seed);
        // Numbers go on: a page token of before the reset must not show an instance of after it twice.
        self.next = next;
        self.timing = timing;
        self.effects = effects;
    }
}

/// `i-` and 8 or 17 hexadecimal digits.
fn is_instance_id(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        (digits.len() == 17 || digits.len() == 8)
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
