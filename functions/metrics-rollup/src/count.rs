//! The full count: every member of every live sweep, against the counts in the sweeps' rows and the totals that are told.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger};
use spawn_core::metrics::{Measured, Metric};
use spawn_core::region::Region;
use spawn_core::rollup::{LIVE_PREFIX, ROLLUP_PK, RollupRow};
use spawn_core::rows::{MemberRow, SweepRow, shard_pk, sweep_key};
use spawn_core::state::{Counts, Ended, SweepStatus};

use crate::stream::merge_into;
use crate::{Output, Ports};

/// How often a sweep is counted again when it changed meanwhile.
const TRIES_MAX: u32 = 3;

/// Counts every live sweep, and notes those whose changes the stream did not tell. A sweep that cannot be read delays no other.
///
/// # Errors
/// When the list of sweeps cannot be read, or a part of it could not be counted.
pub async fn count<L: Ledger, M>(
    ports: &Ports<'_, L, M>,
    now: u64,
) -> Result<Output, FunctionError> {
    let sweeps = sweeps(ports.ledger).await?;
    let mut disagreements = 0;
    let mut failure = None;
    for sweep_id in &sweeps {
        match one(ports.ledger, sweep_id, now).await {
            Ok(true) => {}
            Ok(false) => disagreements += 1,
            Err(error) => {
                tracing::error!(%sweep_id, %error, "sweep could not be counted");
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(Output {
            sweeps: sweeps.len(),
            disagreements,
            measured: Measured::new().with(
                Metric::LedgerDisagreements,
                i64::try_from(disagreements).unwrap_or(i64::MAX),
            ),
            ..Output::default()
        }),
    }
}

/// The sweeps that the ledger's index calls live, and those that metrics are told of.
async fn sweeps(ledger: &impl Ledger) -> Result<BTreeSet<SweepId>, FunctionError> {
    let mut sweeps = BTreeSet::new();
    for status in SweepStatus::LIVE {
        let mut from = None;
        loop {
            let page = ledger.sweeps_by_status(status.as_str(), from).await?;
            for row in &page.rows {
                if let Some(id) = row.key.pk.strip_prefix("SWEEP#") {
                    sweeps.insert(SweepId::from(id));
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    let told: Vec<RollupRow> = ledger::load_all(ledger, ROLLUP_PK, LIVE_PREFIX).await?;
    sweeps.extend(told.into_iter().map(|row| row.sweep_id));
    Ok(sweeps)
}

/// Counts a sweep; whether its row agrees with its members. One that is being planned, or that changes all the time, is not
/// judged.
async fn one(ledger: &impl Ledger, sweep_id: &SweepId, now: u64) -> Result<bool, FunctionError> {
    for _ in 0..TRIES_MAX {
        let before: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
        merge_into(ledger, &before, now).await?;
        if before.status == SweepStatus::Planning {
            return Ok(true);
        }
        let mut members: Vec<MemberRow> = Vec::new();
        for shard in 0..before.shards {
            members.extend(ledger::load_all(ledger, &shard_pk(sweep_id, shard), "MEMBER#").await?);
        }
        let after: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
        if after.version != before.version {
            continue;
        }
        let counts = Counts::tally(members.iter().map(|member| member.state));
        let mut ended: BTreeMap<Region, Ended> = before
            .ended_in
            .keys()
            .map(|region| (*region, Ended::default()))
            .collect();
        for member in members.iter().filter(|member| member.state.is_ended()) {
            ended
                .entry(member.lane.region)
                .or_default()
                .add(member.state);
        }
        if counts == before.counts && ended == before.ended_in {
            return Ok(true);
        }
        tracing::error!(
            %sweep_id,
            row = ?before.counts,
            members = ?counts,
            row_by_region = ?before.ended_in,
            members_by_region = ?ended,
            "a sweep's counts are not those of its members"
        );
        return Ok(false);
    }
    Ok(true)
}
