//! What is known of pools without capacity.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Place;
use crate::ids::Market;
use crate::ledger::{self, Ledger, LedgerError};
use crate::ports::{Ec2Error, Launched, Refusal};
use crate::rows::{DryPoolRow, Location, Pool, Rung, pools_pk};

/// How long a pool that had no capacity is taken to be empty: long enough that sweeps do not ask in vain again and again, short
/// enough that capacity which comes back is found.
pub const DRY_MS: u64 = 3 * 60 * 1000;

/// DynamoDB may delete the row of a dry pool so long after it has lost its meaning.
const KEPT_S: u64 = 3600;

/// The pools without capacity in some places, as of the time at which they were read.
#[derive(Clone, Debug, Default)]
pub struct DryPools {
    places: BTreeSet<Place>,
    until: BTreeMap<(Place, Market, Pool), (u64, String)>,
}

impl DryPools {
    /// Reads what is known of `place`.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn read(&mut self, ledger: &impl Ledger, place: Place) -> Result<(), LedgerError> {
        let rows: Vec<DryPoolRow> = ledger::load_all(ledger, &pools_pk(&place), "").await?;
        self.places.insert(place);
        for row in rows {
            let what = (row.insufficient_until, row.code);
            self.until.insert((place, row.market, row.pool), what);
        }
        Ok(())
    }

    /// Whether a place was read.
    #[must_use]
    pub fn knows(&self, place: &Place) -> bool {
        self.places.contains(place)
    }

    /// The rung without its empty pools.
    ///
    /// # Errors
    /// When all are empty: when the first of them may have capacity again, in ms since 1970, and what EC2 said of it.
    pub fn filter(&self, rung: &Rung, place: Place, now: u64) -> Result<Rung, (u64, String)> {
        let mut soonest = None;
        let mut left = rung.clone();
        left.pools.retain(|pool| {
            let Some((until, code)) = self.until.get(&(place, rung.market, pool.clone())) else {
                return true;
            };
            if *until <= now {
                return true;
            }
            if soonest.as_ref().is_none_or(|(other, _)| until < other) {
                soonest = Some((*until, format!("{pool}: {code}")));
            }
            false
        });
        match soonest {
            Some(soonest) if left.pools.is_empty() => Err(soonest),
            _ => Ok(left),
        }
    }
}

/// The rows of the pools that an answer to `rung` shows to be empty. `refusals`: what a fleet said of its pools. `is_short`:
/// fewer instances came than were asked for.
#[must_use]
pub fn dried(
    rung: &Rung,
    place: Place,
    answer: &Result<Launched, Ec2Error>,
    refusals: &[Refusal],
    is_short: bool,
    now: u64,
) -> Vec<DryPoolRow> {
    let mut found: BTreeMap<Pool, &str> = empty_pools(refusals).collect();
    if is_short {
        // Where EC2 chose the zone, the pool that was asked for is another than the one it names.
        let asked = rung.pools.iter().filter(|p| p.location == Location::Any);
        let asked: Vec<(Pool, &str)> = asked
            .filter_map(|pool| {
                let of_type = |one: &&Pool| one.instance_type == pool.instance_type;
                let code = found.iter().find(|(one, _)| of_type(one))?.1;
                Some((pool.clone(), *code))
            })
            .collect();
        found.extend(asked);
    }
    match (answer, &rung.pools[..]) {
        // A pool that was refused for another reason may have capacity. When none of the rung's own is named as empty, all are
        // taken to be: it is not asked again at once.
        (Err(Ec2Error::NoCapacity(text)), pools)
            if !pools.iter().any(|pool| found.contains_key(pool)) =>
        {
            let code = code_of(text);
            found.extend(pools.iter().map(|pool| (pool.clone(), code)));
        }
        // A call that gets less than it asks for has emptied the one pool it had, unless EC2 chose among zones, or a quota
        // stopped it.
        (Ok(_), [pool]) if is_short && pool.location != Location::Any && refusals.is_empty() => {
            found.entry(pool.clone()).or_insert("PartialLaunch");
        }
        _ => {}
    }
    found
        .into_iter()
        .map(|(pool, code)| DryPoolRow {
            account: place.account,
            region: place.region,
            pool,
            market: rung.market,
            code: code.to_owned(),
            insufficient_until: now + DRY_MS,
            expires_at: (now + DRY_MS) / 1000 + KEPT_S,
        })
        .collect()
}

/// The pools of a fleet that had no capacity.
fn empty_pools(refusals: &[Refusal]) -> impl Iterator<Item = (Pool, &str)> {
    refusals.iter().filter_map(|refusal| match &refusal.error {
        Ec2Error::NoCapacity(text) => Some((refusal.pool.clone(), code_of(text))),
        Ec2Error::Throttled(_)
        | Ec2Error::Quota(_)
        | Ec2Error::TokenSpent(_)
        | Ec2Error::Refused(_)
        | Ec2Error::Transient(_)
        | Ec2Error::Unknown(_) => None,
    })
}

/// The code of an error's text `Code: words`.
pub(crate) fn code_of(text: &str) -> &str {
    text.split(':').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::LaunchApi;

    fn pool(instance_type: &str, zone: &str) -> Pool {
        Pool {
            instance_type: instance_type.to_owned(),
            location: Location::Zone(zone.to_owned()),
        }
    }

    fn empty(pools: &[Pool], refusals: &[(Pool, Ec2Error)], is_short: bool) -> Vec<String> {
        let refusals: Vec<Refusal> = refusals
            .iter()
            .cloned()
            .map(|(pool, error)| Refusal { pool, error })
            .collect();
        let rung = Rung {
            api: LaunchApi::CreateFleet,
            market: Market::OnDemand,
            pools: pools.to_vec(),
            is_one_zone: false,
        };
        let place = Place {
            account: None,
            region: "us-east-1".parse().unwrap(),
        };
        let launched = Launched {
            instances: Vec::new(),
            refusals: Vec::new(),
        };
        let answer = if is_short {
            Ok(launched)
        } else {
            Err(Ec2Error::NoCapacity("Insufficient: none".to_owned()))
        };
        let rows = dried(&rung, place, &answer, &refusals, true, 0);
        rows.iter().map(|row| row.pool.to_string()).collect()
    }

    #[test]
    fn only_pools_that_were_refused_for_want_of_capacity_are_empty() {
        let (a, b) = (pool("a", "z1"), pool("b", "z1"));
        let none = || Ec2Error::NoCapacity("Insufficient: none".to_owned());
        let quota = || Ec2Error::Quota("VcpuLimitExceeded: no".to_owned());
        let both = [a.clone(), b.clone()];
        let mixed = [(a.clone(), none()), (b.clone(), quota())];
        for is_short in [false, true] {
            assert_eq!(empty(&both, &mixed, is_short), ["a@z1"]);
        }
        // Without a word about pools, all of the call's are empty.
        assert_eq!(empty(&both, &[], false), ["a@z1", "b@z1"]);
        // What is told of pools that were not asked for in these words keeps none from being empty.
        let other = [(pool("a", "z9"), none())];
        assert_eq!(empty(&both, &other, false), ["a@z1", "a@z9", "b@z1"]);
        // One pool that gave less is empty, unless a quota was in the way.
        let one = [b.clone()];
        assert_eq!(empty(&one, &[], true), ["b@z1"]);
        assert!(empty(&one, &[(b, quota())], true).is_empty());
    }
}
