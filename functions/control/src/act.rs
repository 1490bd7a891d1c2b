//! Acting on what is meant in one place: what EC2 shows is looked at, what is left to do is done, the ledger is brought along.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use spawn_core::account::Place;
use spawn_core::control::{
    self, Control, Decision, Outcome, Outcomes, Replacement, Request, Step, Target, Way, decide,
};
use spawn_core::drain::{self, InFlight};
use spawn_core::errors::FunctionError;
use spawn_core::ids::InstanceArn;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned as _};
use spawn_core::lifecycle::Sighting;
use spawn_core::ports::{
    Ec2Error, EndInstances, InAccounts, ShowInstances, ShownInstance, StartInstances,
    StopInstances, WakeExecutions,
};
use spawn_core::reap::{ReapReason, Reaping};
use spawn_core::region::Region;
use spawn_core::rows::{LaneRow, MemberRow, SweepRow, sweep_pk};
use spawn_core::track;

use crate::{InPlace, Ports, extend, replace};

/// Seconds between two looks at what EC2 is doing.
const LOOK_AGAIN_S: u64 = 2;
/// Instances that EC2 is asked to show at a time.
const SHOWN_MAX: usize = 500;
/// How often a member's row is read again when another writer was faster.
const TRIES_MAX: u32 = 8;

/// Acts on what is meant in a place; `settled` tells whether anything is left to wait for.
pub(crate) async fn act<L, E, W>(
    place: &InPlace,
    ports: &Ports<'_, L, E, W>,
    now: u64,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    E: InAccounts + ShowInstances + EndInstances + StopInstances + StartInstances,
    W: WakeExecutions,
{
    let asked = &place.asked;
    let request = asked.request()?;
    let found = control::find(ports.ledger, &request.target, asked.account()).await?;
    // Asked again: the sweep may have been drained, or have ended, since the request was admitted.
    let here = place.lane.place();
    let asked_at = asked.at()?;
    let replaced = match request.control {
        Control::Replace => {
            replace::asked_tries(asked, &found.sweep, asked_at, ports.ledger).await?
        }
        _ => BTreeMap::new(),
    };
    match control::admit(&request, &found) {
        Ok(Way::Nothing(words)) if request.control != Control::Replace => {
            tracing::info!(words, "nothing is left to do");
            return Ok(answer(&here, false, &Outcomes::default()));
        }
        // The instance may be gone already: what became of its member is an outcome, not a refusal.
        Err(FunctionError::NotAllowed(words)) if request.control == Control::Replace => {
            let members = found.members.unwrap_or_default();
            let outcomes = replace::too_late(&members, &replaced, &words);
            return Ok(answer(&here, false, &outcomes));
        }
        admitted => drop(admitted?),
    }
    let members = match found.members {
        Some(members) => members,
        None => control::all_members(ports.ledger, &found.sweep).await?,
    };
    let members: Vec<MemberRow> = members
        .into_iter()
        .filter(|member| member.lane.place() == here)
        .collect();
    if request.control == Control::Extend {
        let outcomes = extend::extend(&request, asked, members, ports.ledger, now).await?;
        return Ok(answer(&here, false, &outcomes));
    }
    let mut outcomes = Outcomes::default();
    let mut waiting = 0;
    if request.control == Control::Stop && matches!(request.target, Target::Sweep(_)) {
        // What is on its way is stopped when it is there.
        waiting += lanes_in_flight(&found.sweep, ports.ledger, now).await?;
    }
    let ec2 = ports.ec2.of(here.account);
    let shown = shown(&ec2, &here.region, &instance_ids(&members)).await?;
    let shown: BTreeMap<&InstanceArn, &ShownInstance> =
        shown.iter().map(|one| (&one.instance.arn, one)).collect();
    let mut calls = Vec::new();
    for member in &members {
        let instance = member.instance.as_ref().and_then(|arn| shown.get(arn));
        let decision = if request.control == Control::Replace {
            let asked_try = replaced.get(&member.index).copied().unwrap_or(0);
            let next = control::replacement(&request, member, asked_try, instance.copied());
            let ends_or_plans = matches!(
                next,
                Replacement::Instance(Step::Call, _) | Replacement::PlanAgain
            );
            if ends_or_plans
                && let Some(words) =
                    replace::no_room(&found.sweep, member, ports.ledger, now).await?
            {
                outcomes.add(member.index, Outcome::NoRoom, Some(words));
                continue;
            }
            match next {
                Replacement::Instance(step, outcome) => Decision { step, outcome },
                Replacement::PlanAgain => replace::plan_again(member, ports.ledger).await?,
            }
        } else {
            decide(&request, member, instance.copied(), asked_at)
        };
        waiting += usize::from(decision.step == Step::Wait);
        if decision.step == Step::Call {
            calls.push((member.clone(), decision.outcome));
        } else {
            outcomes.add(member.index, decision.outcome, None);
        }
    }
    let refused = carry_out(&request, asked_at, &calls, &ec2, &here.region, ports).await?;
    withdraw(&calls, &refused, asked_at, ports.ledger).await?;
    for (member, outcome) in &calls {
        let id = member.instance.as_ref().map(|arn| arn.instance_id.as_str());
        match id.and_then(|id| refused.get(id)) {
            Some((outcome, words)) => outcomes.add(member.index, *outcome, Some(words.clone())),
            None => outcomes.add(member.index, *outcome, None),
        }
    }
    // What EC2 will not do is not waited for.
    let waits = waiting > 0 || calls.len() > refused.len();
    let sightings: Vec<Sighting> = shown
        .into_values()
        .map(|one| Sighting::of_state(&one.instance))
        .collect();
    track::apply(ports.ledger, &sightings, now).await?;
    track::wake(ports.ledger, ports.executions, &found.sweep.sweep_id).await?;
    Ok(answer(&here, waits, &outcomes))
}

fn answer(place: &Place, waits: bool, outcomes: &Outcomes) -> Value {
    json!({
        "place": place.to_string(),
        "settled": !waits,
        "wait_s": if waits { LOOK_AGAIN_S } else { 0 },
        "outcomes": outcomes.groups(),
    })
}

/// The ids of members' instances.
pub(crate) fn instance_ids<'a>(members: impl IntoIterator<Item = &'a MemberRow>) -> Vec<String> {
    let ids: BTreeSet<String> = members
        .into_iter()
        .filter_map(|member| Some(member.instance.as_ref()?.instance_id.clone()))
        .collect();
    ids.into_iter().collect()
}

/// What EC2 shows of these instances.
pub(crate) async fn shown(
    ec2: &impl ShowInstances,
    region: &Region,
    ids: &[String],
) -> Result<Vec<ShownInstance>, FunctionError> {
    let mut shown = Vec::new();
    for ids in ids.chunks(SHOWN_MAX) {
        shown.extend(ec2.shown(region, ids).await?);
    }
    Ok(shown)
}

/// Instances that EC2 will not do it with: the outcome, and EC2's words.
type Refusals = BTreeMap<String, (Outcome, String)>;

/// Asks EC2. The reason of an end is in the ledger before the end itself, so that whoever sees it knows why.
async fn carry_out<L, E, W>(
    request: &Request,
    asked_at: u64,
    calls: &[(MemberRow, Outcome)],
    ec2: &E,
    region: &Region,
    ports: &Ports<'_, L, E, W>,
) -> Result<Refusals, FunctionError>
where
    L: Ledger,
    E: EndInstances + StopInstances + StartInstances,
{
    let mut ids = Vec::new();
    for (member, _) in calls {
        if request.control != Control::Start
            && !announce(request, asked_at, member, ports.ledger).await?
        {
            continue;
        }
        ids.extend(member.instance.as_ref().map(|arn| arn.instance_id.clone()));
    }
    if ids.is_empty() {
        return Ok(Refusals::new());
    }
    tracing::info!(control = %request.control, %region, instances = ids.len(), "EC2 is asked");
    let mut refusals = Refusals::new();
    match request.control {
        Control::Start => {
            for (id, error) in ec2.start(region, &ids).await? {
                refusals.insert(id, refusal(&error));
            }
        }
        Control::Stop => {
            // EC2 tells of one refusal only: then each is asked for by itself.
            match ec2.stop(region, &ids).await {
                Err(Ec2Error::Refused(_)) => {
                    for id in &ids {
                        note(
                            &mut refusals,
                            id,
                            ec2.stop(region, std::slice::from_ref(id)).await,
                        )?;
                    }
                }
                result => result?,
            }
        }
        _ => match ec2.terminate(region, &ids).await {
            Err(Ec2Error::Refused(_)) => {
                for id in &ids {
                    let ended = ec2.terminate(region, std::slice::from_ref(id)).await;
                    note(&mut refusals, id, ended)?;
                }
            }
            result => result?,
        },
    }
    Ok(refusals)
}

fn note(
    refusals: &mut Refusals,
    id: &str,
    result: Result<(), Ec2Error>,
) -> Result<(), FunctionError> {
    match result {
        Ok(()) => Ok(()),
        Err(error @ Ec2Error::Refused(_)) => {
            refusals.insert(id.to_owned(), refusal(&error));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn refusal(error: &Ec2Error) -> (Outcome, String) {
    let outcome = match error {
        Ec2Error::NoCapacity(_) | Ec2Error::Quota(_) => Outcome::NoCapacity,
        _ => Outcome::Refused,
    };
    (outcome, error.to_string())
}

/// Takes the notes of those back that EC2 refused: what ends such an instance later is something else.
async fn withdraw(
    calls: &[(MemberRow, Outcome)],
    refused: &Refusals,
    asked_at: u64,
    ledger: &impl Ledger,
) -> Result<(), FunctionError> {
    let is_refused = |member: &&MemberRow| {
        let arn = member.instance.as_ref();
        arn.is_some_and(|arn| refused.contains_key(&arn.instance_id))
    };
    for member in calls.iter().map(|(member, _)| member).filter(is_refused) {
        let key = spawn_core::rows::member_key(&member.sweep_id, member.shards, member.index);
        for _ in 0..TRIES_MAX {
            let mut row: MemberRow = ledger::require(ledger, key.clone()).await?;
            let is_ours = row.reaping.as_ref().is_some_and(|r| r.at == asked_at);
            if !is_ours || row.state.is_ended() || row.instance != member.instance {
                break;
            }
            row.reaping = None;
            match ledger.commit(vec![row.replace()?]).await {
                Ok(()) => break,
                Err(LedgerError::Condition { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Lanes of the sweep that may still launch something.
async fn lanes_in_flight(
    sweep: &SweepRow,
    ledger: &impl Ledger,
    now: u64,
) -> Result<usize, FunctionError> {
    let pk = sweep_pk(&sweep.sweep_id);
    let lanes: Vec<LaneRow> = ledger::load_all(ledger, &pk, "LANE#").await?;
    let mut count = 0;
    for lane in &lanes {
        count += usize::from(drain::in_flight(ledger, lane, now).await? == InFlight::Yes);
    }
    Ok(count)
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
        let key = spawn_core::rows::member_key(&row.sweep_id, row.shards, row.index);
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
