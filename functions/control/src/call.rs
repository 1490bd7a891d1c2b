//! Asking EC2, once for each instance: why an instance ends is in the ledger before, what EC2 answered is in the ledger after.

use std::collections::BTreeMap;

use spawn_core::account::Place;
use spawn_core::control::{CalledRow, Control, Outcome, Outcomes, Request, called_key};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger, LedgerError, Stored as _, Versioned as _};
use spawn_core::ports::{Ec2Error, EndInstances, StartInstances, StopInstances};
use spawn_core::ranges::Indices;
use spawn_core::reap::{ReapReason, Reaping};
use spawn_core::region::Region;
use spawn_core::rows::{MemberRow, member_key};

use crate::rewrite::rewrite;
use crate::{Ports, TRIES_MAX};

/// What EC2 answered, by member.
#[derive(Default)]
pub(crate) struct Answered {
    /// Members with whose instances it does what it was asked for.
    accepted: Vec<u32>,
    /// Those with whose instances it does not: the outcome, and its words.
    pub(crate) refused: BTreeMap<u32, (Outcome, String)>,
}

/// What an execution has asked EC2 for in a place by now.
pub(crate) async fn so_far(
    sweep: &SweepId,
    execution_arn: &str,
    place: &Place,
    ledger: &impl Ledger,
) -> Result<CalledRow, FunctionError> {
    let row = ledger::load(ledger, called_key(sweep, execution_arn, place)).await?;
    Ok(row.unwrap_or_else(|| CalledRow::new(sweep.clone(), execution_arn, place)))
}

/// Notes what EC2 answered. A call of this function that dies before asks EC2 again: that is why EC2 is asked for states, which
/// may be asked for twice.
pub(crate) async fn note(
    mut row: CalledRow,
    answered: &Answered,
    now: u64,
    ledger: &impl Ledger,
) -> Result<(), FunctionError> {
    if answered.accepted.is_empty() && answered.refused.is_empty() {
        return Ok(());
    }
    for _ in 0..TRIES_MAX {
        let accepted: Indices = answered.accepted.iter().copied().collect();
        row.members = row.members.union(&accepted);
        let mut refused = Outcomes::default();
        for group in &row.refused {
            refused.add_group(group.clone());
        }
        for (index, (outcome, words)) in &answered.refused {
            if row.refusal(*index).is_none() {
                refused.add(*index, *outcome, Some(words.clone()));
            }
        }
        row.refused = refused.groups();
        let is_new = row.at == 0;
        row.at = now;
        let key = row.key();
        let write = if is_new {
            row.create()?
        } else {
            row.clone().replace()?
        };
        match ledger.commit(vec![write]).await {
            Ok(()) => return Ok(()),
            Err(LedgerError::Condition { .. }) => row = ledger::require(ledger, key).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(FunctionError::Conflict(format!(
        "what EC2 was asked for in {} changed {TRIES_MAX} times while it was written",
        row.place
    )))
}

/// Asks EC2. The reason of an end is in the ledger before the end itself, so that whoever sees it knows why.
pub(crate) async fn carry_out<L, E, W>(
    request: &Request,
    asked_at: u64,
    calls: &[(MemberRow, Outcome)],
    ec2: &E,
    region: &Region,
    ports: &Ports<'_, L, E, W>,
) -> Result<Answered, FunctionError>
where
    L: Ledger,
    E: EndInstances + StopInstances + StartInstances,
{
    let mut answered = Answered::default();
    let mut by_id: BTreeMap<String, u32> = BTreeMap::new();
    for (member, _) in calls {
        if request.control != Control::Start
            && !announce(request, asked_at, member, ports.ledger).await?
        {
            continue;
        }
        if let Some(arn) = &member.instance {
            by_id.insert(arn.instance_id.clone(), member.index);
        }
    }
    if by_id.is_empty() {
        return Ok(answered);
    }
    let ids: Vec<String> = by_id.keys().cloned().collect();
    tracing::info!(control = %request.control, %region, instances = ids.len(), "EC2 is asked");
    let refusals = ask(request.control, ec2, region, &ids).await?;
    for (id, index) in by_id {
        match refusals.get(&id) {
            Some(error) => {
                answered.refused.insert(index, refusal(error));
            }
            None => answered.accepted.push(index),
        }
    }
    Ok(answered)
}

/// Asks for all at once. EC2 tells of one refusal only: then each is asked for by itself. Answers the instances that it will not
/// do it with.
async fn ask(
    control: Control,
    ec2: &(impl EndInstances + StopInstances + StartInstances),
    region: &Region,
    ids: &[String],
) -> Result<BTreeMap<String, Ec2Error>, FunctionError> {
    if control == Control::Start {
        return Ok(ec2.start(region, ids).await?.into_iter().collect());
    }
    let ask = async |ids: &[String]| match control {
        Control::Stop => ec2.stop(region, ids).await,
        _ => ec2.terminate(region, ids).await,
    };
    let mut refusals = BTreeMap::new();
    match ask(ids).await {
        Err(Ec2Error::Refused(_)) => {
            for id in ids {
                match ask(std::slice::from_ref(id)).await {
                    Err(error @ Ec2Error::Refused(_)) => {
                        refusals.insert(id.clone(), error);
                    }
                    result => result?,
                }
            }
        }
        result => result?,
    }
    Ok(refusals)
}

fn refusal(error: &Ec2Error) -> (Outcome, String) {
    let outcome = match error {
        Ec2Error::NoCapacity(_) | Ec2Error::Quota(_) => Outcome::NoCapacity,
        _ => Outcome::Refused,
    };
    (outcome, error.to_string())
}

/// Takes the notes of members back that this control does nothing with after all: what ends such an instance later is something
/// else.
pub(crate) async fn withdraw(
    members: impl Iterator<Item = &MemberRow>,
    asked_at: u64,
    ledger: &impl Ledger,
) -> Result<(), FunctionError> {
    for member in members {
        let take_back = |mut row: MemberRow| {
            let is_ours = row.reaping.as_ref().is_some_and(|r| r.at == asked_at);
            if !is_ours || row.state.is_ended() {
                return Ok(None);
            }
            row.reaping = None;
            Ok(Some(vec![row.replace()?]))
        };
        rewrite(member, ledger, take_back).await?;
    }
    Ok(())
}

/// Ends a member for good whose instance is being ended already so that it gets another one: an earlier control wanted that.
pub(crate) async fn end_for_good(
    request: &Request,
    asked_at: u64,
    member: &MemberRow,
    ledger: &impl Ledger,
) -> Result<(), FunctionError> {
    let is_replaced = |reaping: &Reaping| reaping.reason == ReapReason::Replaced;
    if member.instance.is_some() && member.reaping.as_ref().is_some_and(is_replaced) {
        announce(request, asked_at, member, ledger).await?;
    }
    Ok(())
}

/// Notes in a member's row that its instance is ended or stopped because somebody asked for it. False when the member has
/// another instance by now.
async fn announce(
    request: &Request,
    asked_at: u64,
    member: &MemberRow,
    ledger: &impl Ledger,
) -> Result<bool, FunctionError> {
    let reason = match request.control {
        Control::Replace => ReapReason::Replaced,
        _ => ReapReason::Asked,
    };
    let reaping = Reaping {
        reason,
        note: request.reason.clone(),
        at: asked_at,
        stops: request.control == Control::Stop,
    };
    let mut row = member.clone();
    for _ in 0..TRIES_MAX {
        if row.instance != member.instance {
            return Ok(false);
        }
        // A member that has ended keeps its reason.
        if row.state.is_ended() || row.reaping.as_ref() == Some(&reaping) {
            return Ok(true);
        }
        row.reaping = Some(reaping.clone());
        let key = member_key(&row.sweep_id, row.shards, row.index);
        match ledger.commit(vec![row.replace()?]).await {
            Ok(()) => return Ok(true),
            Err(LedgerError::Condition { .. }) => row = ledger::require(ledger, key).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(FunctionError::Conflict(format!(
        "member {} changed {TRIES_MAX} times while it was written",
        member.index
    )))
}
