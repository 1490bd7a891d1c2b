//! More time for members, each block of them once.

use std::collections::BTreeMap;

use spawn_core::control::{
    ExtendedRow, Extension, Outcome, Outcomes, Request, extended, extension_block, extension_key,
};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned as _};
use spawn_core::ranges::Indices;
use spawn_core::reap::deadline;
use spawn_core::rows::{MemberRow, member_key};

use crate::Asked;

/// How often a block is read again when another writer was faster.
const TRIES_MAX: u32 = 8;

/// Gives `members`, all of one place, more time.
pub(crate) async fn extend(
    request: &Request,
    asked: &Asked,
    members: Vec<MemberRow>,
    ledger: &impl Ledger,
    now: u64,
) -> Result<Outcomes, FunctionError> {
    let Some(extension) = request.extension else {
        return Err(FunctionError::Bug(
            "an extension without its length".to_owned(),
        ));
    };
    let mut blocks: BTreeMap<u32, Vec<MemberRow>> = BTreeMap::new();
    for member in members {
        let block = extension_block(member.index);
        blocks.entry(block).or_default().push(member);
    }
    let mut outcomes = Outcomes::default();
    for (block, members) in blocks {
        extend_block(extension, asked, block, members, ledger, now, &mut outcomes).await?;
    }
    Ok(outcomes)
}

/// Extends one block, unless this execution has done so.
async fn extend_block(
    extension: Extension,
    asked: &Asked,
    block: u32,
    mut members: Vec<MemberRow>,
    ledger: &impl Ledger,
    now: u64,
    outcomes: &mut Outcomes,
) -> Result<(), FunctionError> {
    let Some(first) = members.first() else {
        return Ok(());
    };
    let sweep_id = first.sweep_id.clone();
    let name = format!("{}#{block:05}", first.lane.place());
    let key = extension_key(&sweep_id, &asked.execution_arn, &name);
    for _ in 0..TRIES_MAX {
        let done: Option<ExtendedRow> = ledger::load(ledger, key.clone()).await?;
        let mut moved = Vec::new();
        let mut left = Vec::new();
        for member in &members {
            match (&done, extended(member, extension)) {
                (Some(done), _) if done.members.iter().any(|index| index == member.index) => {
                    left.push((member.index, Outcome::Extended));
                }
                (None, Ok(deadline)) => moved.push((member.clone(), deadline)),
                (Some(_), Ok(_)) => left.push((member.index, Outcome::NotLaunched)),
                (_, Err(outcome)) => left.push((member.index, outcome)),
            }
        }
        let indices: Indices = moved.iter().map(|(member, _)| member.index).collect();
        let row = ExtendedRow {
            sweep_id: sweep_id.clone(),
            execution_arn: asked.execution_arn.clone(),
            block: name.clone(),
            members: indices.clone(),
            version: 0,
        };
        let mut result = Ok(());
        // One transaction: a block is no larger than that.
        for mut writes in deadline::change(&sweep_id, moved, now)? {
            writes.push(row.create()?);
            result = ledger.commit(writes).await;
        }
        match result {
            Ok(()) => {
                for (index, outcome) in left {
                    outcomes.add(index, outcome, None);
                }
                for index in indices.iter() {
                    outcomes.add(index, Outcome::Extended, None);
                }
                return Ok(());
            }
            // A member has moved, or this execution has done it by another call.
            Err(LedgerError::Condition { .. }) => {
                let keys = members
                    .iter()
                    .map(|m| member_key(&m.sweep_id, m.shards, m.index));
                members = ledger::require_all(ledger, keys.collect()).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let what = row_name(&key);
    Err(FunctionError::Conflict(format!(
        "the members of {what} changed {TRIES_MAX} times while they were written"
    )))
}

fn row_name(key: &ledger::Key) -> String {
    format!("{}/{}", key.pk, key.sk)
}
