//! The state of the cloud as JSON, for tests.

use serde_json::{Map, Value, json};

use crate::clock::iso;
use crate::model::Instance;
use crate::world::World;

/// Which instances to show.
#[derive(Debug, Default)]
pub(super) struct Selection {
    account: Option<String>,
    region: Option<String>,
    sweep: Option<String>,
    state: Option<String>,
}

impl Selection {
    /// Reads `account`, `region`, `sweep` and `state` from a query string.
    pub(super) fn read(query: &str) -> Self {
        let mut selection = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = Some(value.into_owned()).filter(|value| !value.is_empty());
            match name.as_ref() {
                "account" => selection.account = value,
                "region" => selection.region = value,
                "sweep" => selection.sweep = value,
                "state" => selection.state = value,
                _ => {}
            }
        }
        selection
    }

    fn accepts(&self, instance: &Instance) -> bool {
        let matches =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|one| one == value);
        matches(&self.account, &instance.place.account)
            && matches(&self.region, instance.place.region.name)
            && matches(&self.state, instance.state().as_str())
            && self
                .sweep
                .as_ref()
                .is_none_or(|sweep| instance.sweep.as_ref() == Some(sweep))
    }
}

/// The selected instances, how many are in each state, and the peaks of all.
pub(super) fn instances(world: &World, selection: &Selection) -> Value {
    let mut states: Map<String, Value> = Map::new();
    let mut shown = Vec::new();
    for one in world
        .instances
        .values()
        .filter(|one| selection.accepts(one))
    {
        let count = states
            .get(one.state().as_str())
            .and_then(Value::as_u64)
            .unwrap_or(0);
        states.insert(one.state().as_str().to_owned(), json!(count + 1));
        shown.push(instance(one));
    }
    json!({"instances": shown, "states": states, "peaks": world.peaks})
}

/// One instance with its history.
pub(super) fn instance(one: &Instance) -> Value {
    let history: Vec<Value> = one
        .history
        .iter()
        .map(|change| {
            json!({
                "state": change.state.as_str(),
                "at_ms": change.at_ms,
                "at": iso(change.at_ms),
                "reason": change.cause.reason().map(|(code, _)| code),
            })
        })
        .collect();
    json!({
        "instance_id": one.id,
        "arn": one.arn(),
        "account": one.place.account,
        "region": one.place.region.name,
        "zone": one.zone,
        "subnet_id": one.subnet_id,
        "instance_type": one.spec.instance_type.name,
        "market": one.spec.market.kind().as_str(),
        "image_id": one.spec.image.id,
        "state": one.state().as_str(),
        "launch_index": one.launch_index,
        "client_token": one.client_token,
        "reservation_id": one.reservation_id,
        "fleet_id": one.fleet_id,
        "shutdown_behavior": one.shutdown_behavior.as_str(),
        "shutdown_at_ms": one.shutdown_at_ms,
        "spot_notice": one.notice.as_ref().map(|notice| json!({"action": notice.action, "at_ms": notice.at_ms})),
        "tags": one.tags,
        "sweep": one.sweep,
        "history": history,
    })
}
