//! Quotas that are in use: how members wait until there is room in them, and what is said when they waited in vain.
//!
//! Nobody reserves a quota, and EC2 tells only that a call was too much for it: how much room there is, is felt for with smaller
//! calls, and whether there is any again by asking now and then.

use crate::account::Place;
use crate::ids::{LaneId, Market};
use crate::launch::Ended;
use crate::launch::pools::code_of;
use crate::plan;
use crate::ports::{Ec2Error, Refusal};
use crate::rows::{AttemptRow, LaneRow, Pool, QuotaInUse};

/// How long a quota without room for one member is left alone at first; each refusal in a row doubles it.
const REST_MS: u64 = 15_000;

/// The longest such rest, when only instances of others can make room.
const REST_MS_MAX: u64 = 60_000;

/// The longest one while the sweep has instances there: their ends are noticed, and are what makes room.
const REST_WITH_OWN_MS_MAX: u64 = 240_000;

/// A lane looks so often whether an instance of its own has ended, which makes room in the quota.
const LOOK_MS: u64 = 30_000;

/// Where EC2 tells the value of an on-demand quota: "You have requested more vCPU capacity than your current vCPU limit of 32
/// allows for the instance bucket that the specified instance type belongs to." Words may change: without them the value that
/// the planner read is told.
const LIMIT_WORDS: &str = "vCPU limit of ";

/// The codes that speak of vCPUs (Amazon EC2 API Reference, "Error codes").
const VCPU_CODES: [&str; 2] = ["VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"];

/// Names what shares its quotas: the steps of a ladder at one place in one market ask for the same types.
pub(crate) fn scope(at: &LaneId, market: Market) -> String {
    format!("{} {market}", at.place())
}

/// What is known of quotas after a call for `asked` members was too much for one of them, and nothing or less was launched.
/// `live`: instances of the sweep in the region, without those of the call.
pub(crate) fn felt(
    before: Option<QuotaInUse>,
    asked: u32,
    (instance_type, words): (&str, &str),
    live: i64,
    now: u64,
) -> QuotaInUse {
    let refusals = before.map_or(0, |before| before.refusals);
    let mut quota = QuotaInUse {
        call_max: (asked / 2).max(1),
        refusals: 0,
        rest_until: 0,
        live,
        instance_type: instance_type.to_owned(),
        words: words.to_owned(),
    };
    if asked <= 1 {
        quota.refusals = refusals.saturating_add(1);
        let most = if live > 0 {
            REST_WITH_OWN_MS_MAX
        } else {
            REST_MS_MAX
        };
        quota.rest_until = now + (REST_MS << quota.refusals.min(10).saturating_sub(1)).min(most);
    }
    quota
}

/// When a quota that had no room for one member is worth asking again, in ms since 1970; `None`: now. `live`: instances of the
/// sweep in the region.
pub(crate) fn rests_until(quota: &QuotaInUse, live: i64, now: u64) -> Option<u64> {
    let has_ended = live < quota.live;
    if quota.rest_until <= now || has_ended {
        return None;
    }
    Some(if live > 0 {
        quota.rest_until.min(now + LOOK_MS)
    } else {
        quota.rest_until
    })
}

/// The first refusal of an attempt that names a quota: the type and EC2's words.
pub(crate) fn refused_by<'a>(
    attempt: &'a AttemptRow,
    error: Option<&'a Ec2Error>,
    refusals: &'a [Refusal],
) -> Option<(&'a str, &'a str)> {
    let of_pools = refusals.iter().find_map(|refusal| match &refusal.error {
        Ec2Error::Quota(words) => Some((refusal.pool.instance_type.as_str(), words.as_str())),
        _ => None,
    });
    of_pools.or_else(|| match error {
        Some(Ec2Error::Quota(words)) => {
            let pool = attempt.rung.pools.first();
            let name = pool.map_or("", |pool| pool.instance_type.as_str());
            Some((name, words.as_str()))
        }
        _ => None,
    })
}

/// Whether no quota of an attempt that was refused can hold a single member, whoever ends. EC2's own words count: what the
/// planner read may have been raised.
pub(crate) fn holds_none(lane: &LaneRow, attempt: &AttemptRow, ended: &Ended<'_>) -> bool {
    let is_too_small = |instance_type: &str, words: &str| {
        told_limit(words).is_some_and(|limit| match lane.vcpus.get(instance_type) {
            Some(vcpus) => limit < u64::from(*vcpus),
            None => limit == 0,
        })
    };
    let pools = &attempt.rung.pools;
    let words_of = |pool: &Pool| match (ended.refusals, ended.error) {
        ([], Some(Ec2Error::Quota(words))) if pools.len() == 1 => Some(words),
        (refusals, _) => refusals.iter().find_map(|refusal| match &refusal.error {
            Ec2Error::Quota(words) if refusal.pool.instance_type == pool.instance_type => {
                Some(words)
            }
            _ => None,
        }),
    };
    pools
        .iter()
        .all(|pool| words_of(pool).is_some_and(|words| is_too_small(&pool.instance_type, words)))
}

/// The value of the quota in EC2's words, in vCPUs.
fn told_limit(words: &str) -> Option<u64> {
    let (_, rest) = words.split_once(LIMIT_WORDS)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit());
    rest.get(..digits.unwrap_or(rest.len()))?.parse().ok()
}

/// What to say of a quota that `members` wait for: which it is, how much is short as far as that is known, the command that
/// raises it, and EC2's words.
pub(crate) fn words(
    lane: &LaneRow,
    (place, market): (Place, Market),
    quota: &QuotaInUse,
    members: u32,
) -> String {
    let told = &quota.words;
    let name = &quota.instance_type;
    let of_type = plan::quota_of(name, market);
    let Some(of_type) = of_type.filter(|_| VCPU_CODES.contains(&code_of(told))) else {
        return format!("a quota of {place} has no room for one more {name}; EC2 says: {told}");
    };
    let planned = (place == lane.lane.place())
        .then(|| lane.quota_vcpus.get(of_type.code).copied())
        .flatten();
    let limit = told_limit(told).or(planned);
    let needed = lane
        .vcpus
        .get(name)
        .map(|vcpus| u64::from(*vcpus) * u64::from(members));
    let is_value = limit.map_or_else(
        || "has no room for one more".to_owned(),
        |limit| format!("is {limit} vCPUs, and has no room for one more"),
    );
    let short = needed.map_or_else(String::new, |needed| {
        format!(": short by {needed} for {members} members")
    });
    let desired = match (limit, needed) {
        (Some(limit), Some(needed)) => (limit + needed).to_string(),
        _ => "VCPUS".to_owned(),
    };
    let account = place
        .account
        .map_or_else(String::new, |account| format!(" of account {account}"));
    let region = place.region;
    format!(
        "the quota {} ({}) in {region}{account} {is_value} {name}{short}; raise it with: {}; EC2 says: {told}",
        of_type.code,
        of_type.name,
        plan::raise_command(of_type.code, &desired, &region),
    )
}
