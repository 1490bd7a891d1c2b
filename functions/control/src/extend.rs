//! More time for members, each block of them once.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::budget::{NoRoom, Purse};
use spawn_core::control::{
    ExtendedRow, Extension, Group, Outcome, Outcomes, Request, extended, extension_block,
    extension_key, reserve_longer,
};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned as _};
use spawn_core::ranges::Indices;
use spawn_core::reap::deadline;
use spawn_core::rows::{MemberRow, member_key};

use crate::{Asked, TRIES_MAX};

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
    let mut told = Told::default();
    for (block, members) in blocks {
        extend_block(extension, asked, block, members, ledger, now, &mut told).await?;
    }
    Ok(told.outcomes)
}

/// An instance asks the ledger once more so long before its end, in ms.
const LEARNS_MS: u64 = 25_000;
const LATE_WORDS: &str =
    "it had only seconds left: its instance may have ended before it learned of this";

/// What came of the members so far.
#[derive(Default)]
struct Told {
    outcomes: Outcomes,
    /// What was said of a budget first. It is said again of later members: with its own amounts for each of ten thousand an
    /// answer would be larger than a state machine takes.
    no_room: BTreeMap<String, String>,
}

impl Told {
    fn words(&mut self, no_room: NoRoom) -> String {
        self.no_room
            .entry(no_room.budget)
            .or_insert(no_room.words)
            .clone()
    }

    fn add(&mut self, groups: Vec<Group>) {
        for group in groups {
            self.outcomes.add_group(group);
        }
    }

    /// Says what this execution did by a call before.
    fn again(&mut self, done: &ExtendedRow, members: &[MemberRow], extension: Extension) {
        let mut is_told: BTreeSet<u32> = done.members.iter().collect();
        for group in &done.refused {
            is_told.extend(group.members.iter());
        }
        for index in done.members.iter() {
            self.outcomes.add(index, Outcome::Extended, None);
        }
        self.add(done.refused.clone());
        for member in members.iter().filter(|one| !is_told.contains(&one.index)) {
            let outcome = extended(member, extension).err();
            let outcome = outcome.unwrap_or(Outcome::NotLaunched);
            self.outcomes.add(member.index, outcome, None);
        }
    }
}

/// Extends one block, unless this execution has done so. A member that no budget has room for keeps its deadline.
async fn extend_block(
    extension: Extension,
    asked: &Asked,
    block: u32,
    mut members: Vec<MemberRow>,
    ledger: &impl Ledger,
    now: u64,
    told: &mut Told,
) -> Result<(), FunctionError> {
    let Some(first) = members.first() else {
        return Ok(());
    };
    let sweep_id = first.sweep_id.clone();
    let name = format!("{}#{block:05}", first.lane.place());
    let key = extension_key(&sweep_id, &asked.execution_arn, &name);
    for _ in 0..TRIES_MAX {
        if let Some(done) = ledger::load::<ExtendedRow>(ledger, key.clone()).await? {
            told.again(&done, &members, extension);
            return Ok(());
        }
        let charged_to = members
            .iter()
            .flat_map(|member| &member.spent)
            .flat_map(|spent| spent.charged_to.iter().cloned());
        let mut purse = Purse::open(ledger, &sweep_id, charged_to.collect()).await?;
        let mut moved = Vec::new();
        let mut left = Outcomes::default();
        let mut refused = Outcomes::default();
        for member in &members {
            let deadline = match extended(member, extension) {
                Ok(deadline) => deadline,
                Err(outcome) => {
                    left.add(member.index, outcome, None);
                    continue;
                }
            };
            let mut longer = member.clone();
            match reserve_longer(&mut longer, deadline, &mut purse) {
                Ok(()) => moved.push((longer, deadline)),
                Err(no_room) => {
                    refused.add(member.index, Outcome::NoRoom, Some(told.words(no_room)));
                }
            }
        }
        let indices: Indices = moved.iter().map(|(member, _)| member.index).collect();
        let row = ExtendedRow {
            sweep_id: sweep_id.clone(),
            execution_arn: asked.execution_arn.clone(),
            block: name.clone(),
            members: indices.clone(),
            refused: refused.groups(),
            version: 0,
        };
        let mut result = Ok(());
        // One transaction: a block is no larger than that. A block of which nothing is moved leaves no row.
        if let Some(mut writes) = deadline::change(&sweep_id, moved, now)?.pop() {
            writes.push(row.create()?);
            result = ledger.commit(purse.into_writes(writes)).await;
        }
        match result {
            Ok(()) => {
                told.add(left.groups());
                told.add(row.refused);
                for member in members.iter().filter(|m| indices.contains(m.index)) {
                    let left = deadline::left(member, now);
                    let late = left.is_some_and(|left| left < LEARNS_MS);
                    let words = late.then(|| LATE_WORDS.to_owned());
                    told.outcomes.add(member.index, Outcome::Extended, words);
                }
                return Ok(());
            }
            // A member has moved, a budget has less room, or this execution has done it by another call.
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
