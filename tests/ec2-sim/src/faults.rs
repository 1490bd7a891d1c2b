//! Faults that a test asks for through the control API: what may go wrong in the cloud, on demand.

use serde::{Deserialize, Serialize};

use crate::filter::glob_matches;
use crate::ids::Random;
use crate::limits::MarketKind;
use crate::model::Place;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// A capacity pool gives at most `capacity` more instances (default 0).
    PoolDry,
    /// `RequestLimitExceeded`.
    Throttle,
    /// The error named by `code`, `message` and `status`; the call has no effect.
    Error,
    /// The call takes `ms` longer; its effect comes first, so a caller that dies meanwhile has still launched.
    Latency,
    /// The call takes effect, then the connection is closed without an answer.
    LostResponse,
    /// The call takes no effect and is never answered.
    Hang,
    /// An event is never sent.
    LostEvent,
    /// An event is sent twice.
    DuplicateEvent,
    /// An event is sent `ms` late, so later ones may pass it.
    LateEvent,
}

/// A fault, with selectors (an absent one matches everything; texts may hold `*` and `?`) and how often it strikes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultSpec {
    pub(crate) kind: FaultKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) market: Option<MarketKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<String>,
    /// Of events: the state, as in `running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    /// Of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail_type: Option<String>,
    /// Strikes this many times (of a pool: in this many calls), then is gone; absent: until lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// Strikes with this probability, 0 to 1; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
}

/// A fault in force.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fault {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) spec: FaultSpec,
    /// How often it has struck.
    pub(crate) struck: u64,
    /// The call it struck last: one call may ask for the same pool repeatedly and counts once.
    #[serde(skip)]
    last_call: Option<u64>,
}

/// All faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    next_id: u64,
    pub(crate) all: Vec<Fault>,
}

/// A capacity pool: one instance type in one zone in one market.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool<'p> {
    pub(crate) zone: &'p str,
    pub(crate) instance_type: &'p str,
    pub(crate) market: MarketKind,
}

fn selected(wanted: Option<&String>, value: &str) -> bool {
    wanted.is_none_or(|pattern| glob_matches(pattern, value))
}

impl Faults {
    /// Adds a fault and returns its id.
    pub(crate) fn add(&mut self, spec: FaultSpec) -> u64 {
        self.next_id += 1;
        self.all.push(Fault {
            id: self.next_id,
            spec,
            struck: 0,
            last_call: None,
        });
        self.next_id
    }

    /// Lifts a fault; false when there is none of this id.
    pub(crate) fn lift(&mut self, id: u64) -> bool {
        let before = self.all.len();
        self.all.retain(|fault| fault.id != id);
        self.all.len() < before
    }

    /// The first fault of a kind that strikes this call of an action.
    pub(crate) fn strike_call(
        &mut self,
        kind: FaultKind,
        place: &Place,
        action: &str,
        random: &mut Random,
    ) -> Option<FaultSpec> {
        self.strike(kind, random, |spec| {
            selected(spec.account.as_ref(), &place.account)
                && selected(spec.region.as_ref(), place.region.name)
                && selected(spec.action.as_ref(), action)
        })
    }

    /// The first fault of a kind that strikes this event.
    pub(crate) fn strike_event(
        &mut self,
        kind: FaultKind,
        place: &Place,
        detail_type: &str,
        state: &str,
        random: &mut Random,
    ) -> Option<FaultSpec> {
        self.strike(kind, random, |spec| {
            selected(spec.account.as_ref(), &place.account)
                && selected(spec.region.as_ref(), place.region.name)
                && selected(spec.detail_type.as_ref(), detail_type)
                && selected(spec.state.as_ref(), state)
        })
    }

    fn strike(
        &mut self,
        kind: FaultKind,
        random: &mut Random,
        matches: impl Fn(&FaultSpec) -> bool,
    ) -> Option<FaultSpec> {
        let position = self.all.iter().position(|fault| {
            fault.spec.kind == kind
                && matches(&fault.spec)
                && fault
                    .spec
                    .rate
                    .is_none_or(|probability| random.chance(probability))
        })?;
        let fault = self.all.get_mut(position)?;
        fault.struck += 1;
        let spec = fault.spec.clone();
        if fault.spec.count.is_some_and(|count| fault.struck >= count) {
            self.all.remove(position);
        }
        Some(spec)
    }

    /// How many instances a pool would give to this call; None is without bound. Asking counts as striking.
    pub(crate) fn pool_capacity(
        &mut self,
        place: &Place,
        pool: Pool<'_>,
        call: u64,
    ) -> Option<u32> {
        let mut least: Option<u32> = None;
        for fault in self
            .all
            .iter_mut()
            .filter(|fault| is_of_pool(&fault.spec, place, pool))
        {
            if fault.last_call != Some(call) {
                if fault.spec.count.is_some_and(|count| fault.struck >= count) {
                    continue;
                }
                fault.struck += 1;
                fault.last_call = Some(call);
            }
            let capacity = fault.spec.capacity.unwrap_or(0);
            least = Some(least.map_or(capacity, |one| one.min(capacity)));
        }
        least
    }

    /// Takes launched instances out of the pool's remaining capacity.
    pub(crate) fn draw(&mut self, place: &Place, pool: Pool<'_>, launched: u32) {
        for fault in self
            .all
            .iter_mut()
            .filter(|fault| is_of_pool(&fault.spec, place, pool))
        {
            fault.spec.capacity = fault
                .spec
                .capacity
                .map(|capacity| capacity.saturating_sub(launched));
        }
    }

    /// Drops pool faults whose calls are used up, except for the call in progress.
    pub(crate) fn prune(&mut self, call: u64) {
        self.all.retain(|fault| {
            fault.last_call == Some(call)
                || fault.spec.count.is_none_or(|count| fault.struck < count)
        });
    }
}

fn is_of_pool(spec: &FaultSpec, place: &Place, pool: Pool<'_>) -> bool {
    spec.kind == FaultKind::PoolDry
        && selected(spec.account.as_ref(), &place.account)
        && selected(spec.region.as_ref(), place.region.name)
        && selected(spec.zone.as_ref(), pool.zone)
        && selected(spec.instance_type.as_ref(), pool.instance_type)
        && spec.market.is_none_or(|market| market == pool.market)
}

#[cfg(test)]
mod tests {
    use super::{FaultKind, FaultSpec, Faults, Pool};
    use crate::ids::Random;
    use crate::limits::MarketKind;
    use crate::model::Place;

    fn spec(json: &str) -> FaultSpec {
        serde_json::from_str(json).unwrap()
    }

    fn here() -> Place {
        Place::new("000000000000", "us-east-1").unwrap()
    }

    #[test]
    fn a_counted_fault_strikes_that_often_and_is_gone() {
        let mut faults = Faults::default();
        faults.add(spec(r#"{"kind":"throttle","action":"Run*","count":2}"#));
        let mut random = Random::new(1);
        let mut strike = |action| {
            faults
                .strike_call(FaultKind::Throttle, &here(), action, &mut random)
                .is_some()
        };
        assert!(!strike("CreateFleet"));
        assert_eq!(
            [(); 3].map(|()| strike("RunInstances")),
            [true, true, false]
        );
    }

    #[test]
    fn a_pool_fault_counts_calls_not_questions() {
        let mut faults = Faults::default();
        faults.add(spec(
            r#"{"kind":"pool-dry","instance_type":"c5.*","market":"spot","count":1}"#,
        ));
        let pool = |market| Pool {
            zone: "us-east-1a",
            instance_type: "c5.large",
            market,
        };
        assert_eq!(
            faults.pool_capacity(&here(), pool(MarketKind::OnDemand), 1),
            None
        );
        assert_eq!(
            faults.pool_capacity(&here(), pool(MarketKind::Spot), 1),
            Some(0)
        );
        assert_eq!(
            faults.pool_capacity(&here(), pool(MarketKind::Spot), 1),
            Some(0)
        );
        assert_eq!(
            faults.pool_capacity(&here(), pool(MarketKind::Spot), 2),
            None
        );
    }

    #[test]
    fn a_limited_pool_runs_out() {
        let mut faults = Faults::default();
        faults.add(spec(r#"{"kind":"pool-dry","capacity":3}"#));
        let pool = Pool {
            zone: "us-east-1a",
            instance_type: "c5.large",
            market: MarketKind::Spot,
        };
        assert_eq!(faults.pool_capacity(&here(), pool, 1), Some(3));
        faults.draw(&here(), pool, 2);
        assert_eq!(faults.pool_capacity(&here(), pool, 2), Some(1));
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(serde_json::from_str::<FaultSpec>(r#"{"kind":"throttle","acton":"x"}"#).is_err());
    }
}
