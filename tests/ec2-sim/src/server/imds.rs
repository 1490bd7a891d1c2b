//! The instance metadata service, at `/imds/<instance-id>/latest/...`.
//!
//! Source: "Use the Instance Metadata Service to access instance metadata", "Instance metadata categories" and "Instance
//! identity documents", EC2 user guide. Version 1 is refused with 401 where the launch requires tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::http::request::Parts;
use serde_json::json;

use crate::clock::iso;
use crate::model::{Instance, State};
use crate::sim::Sim;
use crate::world::World;

use super::{Answer, answer, header};

const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// A token lives at most six hours.
const TTL_S_MAX: u64 = 21_600;

fn text(status: u16, body: impl Into<String>) -> Answer {
    answer(status, "text/plain", body.into())
}

pub(super) fn handle(sim: &Sim, parts: &Parts, rest: &str) -> Answer {
    let Some((id, path)) = rest.split_once('/') else {
        return text(404, "");
    };
    // Doubled slashes are common in clients that join paths.
    let path = path.trim_start_matches('/').replace("//", "/");
    sim.with(|world, now_ms| match (&parts.method, path.as_str()) {
        (&Method::PUT, "latest/api/token") => issue_token(world, parts, id, now_ms),
        (&Method::GET, _) => read(world, parts, id, &path, now_ms),
        _ => text(405, ""),
    })
}

/// An instance that is up with its metadata service enabled.
fn reachable(instance: &&Instance) -> bool {
    instance.spec.metadata.enabled
        && matches!(
            instance.state(),
            State::Running | State::Stopping | State::ShuttingDown
        )
}

fn issue_token(world: &mut World, parts: &Parts, id: &str, now_ms: u64) -> Answer {
    let ttl_s = header(parts, TTL_HEADER).and_then(|value| value.parse::<u64>().ok());
    let Some(ttl_s) = ttl_s.filter(|ttl_s| (1..=TTL_S_MAX).contains(ttl_s)) else {
        return text(400, "");
    };
    if world.instance(id).filter(reachable).is_none() {
        return text(404, "");
    }
    let token = STANDARD.encode(world.random.uuid());
    if let Some(instance) = world.instance_mut(id) {
        instance
            .metadata_tokens
            .retain(|_, expires_ms| *expires_ms > now_ms);
        instance
            .metadata_tokens
            .insert(token.clone(), now_ms + ttl_s * 1000);
    }
    let mut answer = text(200, token);
    answer.headers_mut().insert(TTL_HEADER, ttl_s.into());
    answer
}

fn read(world: &World, parts: &Parts, id: &str, path: &str, now_ms: u64) -> Answer {
    let Some(instance) = world.instance(id).filter(reachable) else {
        return text(404, "");
    };
    let is_valid = |token: &str| {
        instance
            .metadata_tokens
            .get(token)
            .is_some_and(|expires_ms| *expires_ms > now_ms)
    };
    let allowed = match header(parts, TOKEN_HEADER) {
        Some(token) => is_valid(token),
        None => !instance.spec.metadata.token_required,
    };
    if !allowed {
        return text(401, "");
    }
    match value(instance, path.trim_end_matches('/')) {
        Some(body) => text(200, body),
        None => text(404, ""),
    }
}

fn value(instance: &Instance, path: &str) -> Option<String> {
    let spec = &instance.spec;
    let zone_id = || {
        instance
            .place
            .region
            .zone(&instance.zone)
            .map(|zone| zone.id.clone())
    };
    if let Some(key) = path.strip_prefix("latest/meta-data/tags/instance") {
        return tag(instance, key.trim_start_matches('/'));
    }
    let body = match path {
        "latest" => "dynamic\nmeta-data\nuser-data".to_owned(),
        "latest/meta-data" => "ami-id\nami-launch-index\ninstance-id\ninstance-life-cycle\ninstance-type\nlocal-ipv4\nplacement/\nspot/".to_owned(),
        "latest/meta-data/ami-id" => spec.image.id.clone(),
        "latest/meta-data/ami-launch-index" => instance.launch_index.to_string(),
        "latest/meta-data/instance-id" => instance.id.clone(),
        "latest/meta-data/instance-type" => spec.instance_type.name.to_owned(),
        "latest/meta-data/instance-life-cycle" => spec.market.kind().as_str().to_owned(),
        "latest/meta-data/local-ipv4" => instance.private_ip.clone(),
        "latest/meta-data/public-ipv4" => instance.public_ip.clone()?,
        "latest/meta-data/reservation-id" => instance.reservation_id.clone(),
        "latest/meta-data/placement/region" => instance.place.region.name.to_owned(),
        "latest/meta-data/placement/availability-zone" => instance.zone.clone(),
        "latest/meta-data/placement/availability-zone-id" => zone_id()?,
        // 404 until there is a notice.
        "latest/meta-data/spot/instance-action" => {
            let notice = instance.notice.as_ref()?;
            json!({"action": notice.action, "time": seconds(notice.at_ms)}).to_string()
        }
        "latest/meta-data/spot/termination-time" => {
            seconds(instance.notice.as_ref().filter(|notice| notice.action == "terminate")?.at_ms)
        }
        "latest/meta-data/events/recommendations/rebalance" => {
            json!({"noticeTime": seconds(instance.rebalance_ms?)}).to_string()
        }
        "latest/dynamic/instance-identity/document" => identity(instance),
        "latest/user-data" => {
            String::from_utf8_lossy(&STANDARD.decode(spec.user_data.as_ref()?).ok()?).into_owned()
        }
        _ => return None,
    };
    Some(body)
}

/// Tags are shown only to an instance that was launched so.
fn tag(instance: &Instance, key: &str) -> Option<String> {
    if !instance.spec.metadata.tags {
        return None;
    }
    if key.is_empty() {
        return Some(instance.tags.keys().cloned().collect::<Vec<_>>().join("\n"));
    }
    instance.tags.get(key).cloned()
}

/// `2026-01-22T10:00:00Z`.
fn seconds(at_ms: u64) -> String {
    let text = iso(at_ms);
    format!("{}Z", text.get(..19).unwrap_or_default())
}

fn identity(instance: &Instance) -> String {
    let spec = &instance.spec;
    let document = json!({
        "accountId": instance.place.account,
        "architecture": spec.image.architecture.as_str(),
        "availabilityZone": instance.zone,
        "billingProducts": null,
        "devpayProductCodes": null,
        "marketplaceProductCodes": null,
        "imageId": spec.image.id,
        "instanceId": instance.id,
        "instanceType": spec.instance_type.name,
        "kernelId": null,
        "pendingTime": seconds(instance.launched_ms),
        "privateIp": instance.private_ip,
        "ramdiskId": null,
        "region": instance.place.region.name,
        "version": "2017-09-30",
    });
    format!("{document:#}")
}
