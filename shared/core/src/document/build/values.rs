//! Single fields of the sweep as a whole.

use serde_json::Value;

use super::super::fault::{Collector, Fault};
use super::super::fields::{self, Top};
use super::super::keys::{Located, TopLevel};
use super::super::policy;
use super::super::read::{self, Read, take};
use super::super::shape::Shape;
use super::super::sweep::{Notify, Occasion};
use crate::policy::Tolerated;
use crate::rows::OnBudget;

pub(super) fn launch_delay(top: &TopLevel<'_>, faults: &mut Collector) -> u64 {
    let Some(found) = top.get(Top::LaunchDelay) else {
        return 0;
    };
    let (min_s, max_s) = match fields::top(Top::LaunchDelay).shape {
        Shape::Duration { min_s, max_s, .. } => (min_s, max_s),
        _ => (0, u64::MAX),
    };
    keep(
        read::duration(found.value, min_s, max_s),
        found,
        Top::LaunchDelay,
        faults,
    )
    .unwrap_or(0)
}

pub(super) fn check_cost_share(notify: &Notify, has_budget: bool, faults: &mut Collector) {
    let is_share = |occasion: &Occasion| matches!(occasion, Occasion::CostShare(_));
    if !has_budget && notify.occasions.iter().any(is_share) {
        faults.add(Fault::new(
            "notify.occasions",
            "cost_share is a share of the budget, and there is none",
            "cost_share together with budget",
        ));
    }
}

/// How many failures are tolerated; said to no end where nothing happens past it.
pub(super) fn tolerated_failures(top: &TopLevel<'_>, faults: &mut Collector) -> Tolerated {
    let tolerated = field(
        top,
        Top::ToleratedFailures,
        policy::tolerated_failures,
        faults,
    );
    if let Some(found) = top.get(Top::ToleratedFailures)
        && top.get(Top::OnFailure).is_none()
    {
        faults.add(Fault::new(
            found.path.as_str(),
            "nothing happens past it without on_failure",
            "tolerated_failures together with on_failure: hold, drain or continue",
        ));
    }
    tolerated.unwrap_or_default()
}

pub(super) fn field<T>(
    top: &TopLevel<'_>,
    id: Top,
    read: impl Fn(&Value) -> Read<T>,
    faults: &mut Collector,
) -> Option<T> {
    let found = top.get(id)?;
    keep(read(found.value), found, id, faults)
}

/// Reads `on_budget`.
/// What happens at the end of a budget, which may be a standing one that the document knows nothing of.
pub(super) fn on_budget(top: &TopLevel<'_>, faults: &mut Collector) -> OnBudget {
    let Some(found) = top.get(Top::OnBudget) else {
        return OnBudget::default();
    };
    let read = if found.value.is_string() {
        read::word(found.value, &["notify", "hold", "drain"])
    } else {
        Err(read::wrong_type(found.value, "a word").into())
    };
    let read = read.map(|word| match word {
        "notify" => OnBudget::Notify,
        "hold" => OnBudget::Hold,
        _ => OnBudget::Drain,
    });
    keep(read, found, Top::OnBudget, faults).unwrap_or_default()
}

pub(super) fn whole(top: &TopLevel<'_>, id: Top, faults: &mut Collector) -> Option<u32> {
    let found = top.get(id)?;
    let Shape::Whole { min, max } = fields::top(id).shape else {
        return None;
    };
    keep(read::whole(found.value, min, max), found, id, faults)
}

pub(super) fn word(
    top: &TopLevel<'_>,
    id: Top,
    read: impl Fn(&Value) -> Read<String>,
    faults: &mut Collector,
) -> Option<String> {
    let found = top.get(id)?;
    keep(read(found.value), found, id, faults)
}

pub(super) fn keep<T>(
    read: Read<T>,
    found: &Located<'_>,
    id: Top,
    faults: &mut Collector,
) -> Option<T> {
    take(read, &found.path, fields::top(id).shape, faults)
}
