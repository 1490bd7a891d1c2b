//! The control API under `/_sim/`: what tests see and change. JSON in, JSON out; see the README for its reference.

use hyper::Method;
use hyper::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::faults::FaultSpec;
use crate::lifecycle::SPOT_NOTICE_S;
use crate::limits::{MarketKind, QuotaRule, Size};
use crate::model::{Place, State};
use crate::sim::Sim;
use crate::world::{Effect, World};

use super::state_dump::{self, Selection};
use super::{Answer, answer};

/// Why a control call is refused: a status and a sentence.
#[derive(Debug)]
struct Refusal(u16, String);

type Outcome = Result<Value, Refusal>;

fn bad(message: impl Into<String>) -> Refusal {
    Refusal(400, message.into())
}

fn missing(message: impl Into<String>) -> Refusal {
    Refusal(404, message.into())
}

/// Reads a JSON body; an empty one counts as `{}`.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| bad(error.to_string()))
}

pub(super) fn handle(sim: &Sim, parts: &Parts, path: &str, body: &[u8]) -> Answer {
    let query = parts.uri.query().unwrap_or_default();
    let outcome = sim.with(|world, now_ms| route(world, &parts.method, path, query, body, now_ms));
    match outcome {
        Ok(value) => answer(200, "application/json", value.to_string()),
        Err(Refusal(status, message)) => answer(
            status,
            "application/json",
            json!({"error": message}).to_string(),
        ),
    }
}

fn route(
    world: &mut World,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
    now_ms: u64,
) -> Outcome {
    let path: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match (method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => {
            Ok(json!({"ok": true, "mode": format!("{:?}", world.settings.mode).to_lowercase()}))
        }
        ("GET", ["instances"]) => Ok(state_dump::instances(world, &Selection::read(query))),
        ("GET", ["instances", id]) => world
            .instance(id)
            .map(state_dump::instance)
            .ok_or_else(|| missing(format!("no instance {id}"))),
        ("POST", ["instances", id, verb]) => on_instance(world, id, verb, body, now_ms),
        ("GET", ["peaks"]) => to_json(&world.peaks),
        ("GET", ["calls"]) => to_json(&world.calls),
        ("DELETE", ["calls"]) => {
            world.calls.clear();
            Ok(json!({}))
        }
        ("POST", ["reset"]) => {
            world.reset();
            Ok(json!({}))
        }
        ("GET", ["faults"]) => to_json(&world.faults.all),
        ("POST", ["faults"]) => Ok(json!({"id": world.faults.add(read::<FaultSpec>(body)?)})),
        ("DELETE", ["faults"]) => {
            world.faults.all.clear();
            Ok(json!({}))
        }
        ("DELETE", ["faults", id]) => match id.parse().is_ok_and(|id| world.faults.lift(id)) {
            true => Ok(json!({})),
            false => Err(missing(format!("no fault {id}"))),
        },
        ("GET", ["quotas"]) => to_json(&world.quotas.rules),
        ("GET", ["quotas", "limits"]) => quota_limits(world, query),
        ("POST", ["quotas"]) => {
            world.quotas.rules.push(read::<QuotaRule>(body)?);
            Ok(json!({}))
        }
        ("DELETE", ["quotas"]) => {
            world.quotas.rules.clear();
            Ok(json!({}))
        }
        ("POST", ["regions"]) => enable_region(world, body),
        ("GET", ["buckets"]) => Ok(show_buckets(world)),
        ("POST", ["buckets"]) => set_buckets(world, body),
        ("GET", ["timing"]) => to_json(&world.timing),
        ("POST", ["timing"]) => set_timing(world, body),
        _ => Err(missing(format!(
            "no {method} /_sim/{}; see the README of ec2-sim",
            path.join("/")
        ))),
    }
}

fn to_json(value: &impl serde::Serialize) -> Outcome {
    serde_json::to_value(value).map_err(|error| Refusal(500, error.to_string()))
}

/// The quotas in force in one place, by class and market.
fn quota_limits(world: &World, query: &str) -> Outcome {
    let (mut account, mut region) = ("000000000000", "us-east-1");
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "account" => account = value,
            "region" => region = value,
            _ => {}
        }
    }
    let place = Place::new(account, region).ok_or_else(|| bad(format!("no region {region}")))?;
    to_json(&world.quotas.limits(&place))
}

/// A region that an account enables or disables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionOpt {
    account: Option<String>,
    region: String,
    enabled: bool,
}

fn enable_region(world: &mut World, body: &[u8]) -> Outcome {
    let wanted: RegionOpt = read(body)?;
    let account = wanted.account.as_deref().unwrap_or("000000000000");
    let place = Place::new(account, &wanted.region)
        .filter(|place| place.region.opt_in)
        .ok_or_else(|| bad(format!("no opt-in region {}", wanted.region)))?;
    let key = (place.account, place.region.name);
    if wanted.enabled {
        world.opted_in.insert(key);
    } else {
        world.opted_in.remove(&key);
    }
    Ok(json!({}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interrupt {
    notice_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Impair {
    /// So many seconds ago.
    #[serde(default)]
    since_s: u64,
}

/// What the shim sends for `shutdown`, `poweroff` and `halt`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shutdown {
    /// In so many minutes; absent or 0: now.
    #[serde(default)]
    minutes: u64,
    /// Take the last shutdown back.
    #[serde(default)]
    cancel: bool,
    /// Halt without power off.
    #[serde(default)]
    halt: bool,
}

fn on_instance(world: &mut World, id: &str, verb: &str, body: &[u8], now_ms: u64) -> Outcome {
    let Some(instance) = world.instance(id) else {
        return Err(missing(format!("no instance {id}")));
    };
    let (seq, state, market) = (instance.seq, instance.state(), instance.spec.market.kind());
    if state != State::Running {
        return Err(Refusal(
            409,
            format!("instance {id} is {}, not running", state.as_str()),
        ));
    }
    match verb {
        "interrupt" => {
            let wanted: Interrupt = read(body)?;
            if market != MarketKind::Spot {
                return Err(Refusal(
                    409,
                    format!("instance {id} is not a spot instance"),
                ));
            }
            let at_ms = world.interrupt(seq, wanted.notice_s.unwrap_or(SPOT_NOTICE_S), now_ms);
            Ok(json!({"reclaimed_at_ms": at_ms}))
        }
        "impair" => {
            let wanted: Impair = read(body)?;
            let since_ms = now_ms.saturating_sub(wanted.since_s * 1000);
            world.impair(seq, since_ms);
            Ok(json!({"since_ms": since_ms}))
        }
        "rebalance" => {
            world.recommend_rebalance(seq, now_ms);
            Ok(json!({}))
        }
        "shutdown" => {
            let wanted: Shutdown = read(body)?;
            if wanted.cancel {
                world.cancel_shutdown(seq);
                return Ok(json!({"cancelled": true}));
            }
            if wanted.halt {
                // "The halt command doesn't initiate a shutdown. If used, it places the CPU into HLT, and the instance
                // remains running." ("Change the instance initiated shutdown behavior", EC2 user guide.)
                world.cancel_shutdown(seq);
                world.effect(Effect::Kill {
                    instance_id: id.to_owned(),
                });
                return Ok(json!({"halted": true}));
            }
            if wanted.minutes == 0 {
                world.shut_down_from_inside(seq, now_ms);
                return Ok(json!({"at_ms": now_ms}));
            }
            Ok(json!({"at_ms": world.schedule_shutdown(seq, wanted.minutes, now_ms)}))
        }
        _ => Err(missing(format!(
            "no verb {verb}; there are impair, interrupt, rebalance, shutdown"
        ))),
    }
}

fn show_buckets(world: &World) -> Value {
    let levels: Vec<Value> = world
        .buckets
        .levels()
        .map(|(place, name, tokens)| {
            json!({"account": place.account, "region": place.region.name, "bucket": name, "tokens": tokens})
        })
        .collect();
    json!({"enabled": world.buckets.enabled, "sizes": world.buckets.overrides(), "levels": levels})
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketSettings {
    enabled: Option<bool>,
    #[serde(default)]
    sizes: std::collections::HashMap<String, Size>,
}

fn set_buckets(world: &mut World, body: &[u8]) -> Outcome {
    let wanted: BucketSettings = read(body)?;
    if let Some((name, _)) = wanted
        .sizes
        .iter()
        .find(|(_, size)| !(size.capacity >= 0.0 && size.refill_per_s >= 0.0))
    {
        return Err(bad(format!(
            "bucket {name} needs a capacity and a refill of at least 0"
        )));
    }
    world.buckets.enabled = wanted.enabled.unwrap_or(world.buckets.enabled);
    for (name, size) in wanted.sizes {
        world.buckets.resize(&name, size);
    }
    Ok(show_buckets(world))
}

/// Fields that are absent stay as they are.
fn set_timing(world: &mut World, body: &[u8]) -> Outcome {
    let mut merged = to_json(&world.timing)?;
    let wanted: serde_json::Map<String, Value> = read(body)?;
    if let Some(fields) = merged.as_object_mut() {
        fields.extend(wanted);
    }
    let timing: crate::world::Timing =
        serde_json::from_value(merged).map_err(|error| bad(error.to_string()))?;
    if timing.time_scale == 0 {
        return Err(bad("time_scale must be at least 1"));
    }
    world.timing = timing;
    to_json(&world.timing)
}
