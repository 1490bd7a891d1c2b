//! What is known of pools without capacity.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Place;
use crate::ids::Market;
use crate::ledger::{self, Ledger, LedgerError};
use crate::ports::{Ec2Error, Launched};
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

/// The rows of the pools that an answer to `rung` shows to be empty. `is_short`: fewer instances came than were asked for.
#[must_use]
pub fn dried(
    rung: &Rung,
    place: Place,
    answer: &Result<Launched, Ec2Error>,
    is_short: bool,
    now: u64,
) -> Vec<DryPoolRow> {
    let row = |pool: Pool, code: &str| DryPoolRow {
        account: place.account,
        region: place.region,
        pool,
        market: rung.market,
        code: code.to_owned(),
        insufficient_until: now + DRY_MS,
        expires_at: (now + DRY_MS) / 1000 + KEPT_S,
    };
    let launched = match answer {
        Err(Ec2Error::NoCapacity(text)) => {
            let code = code_of(text);
            return rung.pools.iter().map(|p| row(p.clone(), code)).collect();
        }
        Err(_) => return Vec::new(),
        Ok(launched) => launched,
    };
    let mut found: BTreeMap<Pool, &str> = empty_pools(launched).collect();
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
        // A call that gets less than it asks for has emptied the one pool it had, unless EC2 chose among zones.
        if let [pool] = &rung.pools[..]
            && pool.location != Location::Any
        {
            found.entry(pool.clone()).or_insert("PartialLaunch");
        }
    }
    found
        .into_iter()
        .map(|(pool, code)| row(pool, code))
        .collect()
}

/// The pools of a fleet that had no capacity.
fn empty_pools(launched: &Launched) -> impl Iterator<Item = (Pool, &str)> {
    launched
        .refusals
        .iter()
        .filter_map(|refusal| match &refusal.error {
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
