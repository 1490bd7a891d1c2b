//! Acting on what is meant in one place: what EC2 shows is looked at, what is left to do is done, the ledger is brought along.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use spawn_core::account::Place;
use spawn_core::control::{
    self, Control, Decision, Later, Outcome, Outcomes, Replacement, Step, Target, Way, decide,
};
use spawn_core::drain::{self, InFlight};
use spawn_core::errors::FunctionError;
use spawn_core::ids::InstanceArn;
use spawn_core::ledger::{self, Ledger};
use spawn_core::lifecycle::Sighting;
use spawn_core::ports::{
    EndInstances, InAccounts, InstanceState, ShowInstances, ShownInstance, StartInstances,
    StopInstances, WakeExecutions,
};
use spawn_core::region::Region;
use spawn_core::rows::{LaneRow, MemberRow, SweepRow, sweep_pk};
use spawn_core::state::MemberState;
use spawn_core::track;

use crate::{InPlace, Ports, call, extend, minutes, replace, slots, unlaunched};

/// Seconds between two looks at what EC2 is doing.
const LOOK_AGAIN_S: u64 = 2;
/// Instances that EC2 is asked to show at a time.
const SHOWN_MAX: usize = 500;

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
    let sweep_id = &found.sweep.sweep_id;
    let arn = &asked.execution_arn;
    let later = Later::than(ports.ledger, sweep_id, asked_at, arn).await?;
    let admitted = control::admit(&request, &found);
    let members = match found.members {
        Some(members) => members,
        None => control::all_members(ports.ledger, &found.sweep).await?,
    };
    let members: Vec<MemberRow> = members
        .into_iter()
        .filter(|member| member.lane.place() == here)
        .collect();
    match admitted {
        Ok(Way::Nothing(words)) if request.control != Control::Replace => {
            tracing::info!(words, "nothing is left to do");
            return Ok(answer(&here, false, &Outcomes::default()));
        }
        // It has been drained, or is over, since the request was accepted, and what became of its members is an outcome, not a
        // refusal: something may have been done already.
        Err(FunctionError::NotAllowed(words)) => {
            let outcomes = match (later.over_sweep(request.control), request.control) {
                (Some(by), _) => overtaken(&members, by.control),
                (None, Control::Replace) => replace::too_late(&members, &replaced, &words),
                (None, _) => return Err(FunctionError::NotAllowed(words)),
            };
            return Ok(answer(&here, false, &outcomes));
        }
        admitted => drop(admitted?),
    }
    if request.control == Control::Extend {
        let outcomes = extend::extend(&request, asked, members, ports.ledger, now).await?;
        return Ok(answer(&here, false, &outcomes));
    }
    let mut outcomes = Outcomes::default();
    let mut waiting = 0;
    let is_whole = matches!(request.target, Target::Sweep(_));
    if request.control == Control::Stop && is_whole && later.over_sweep(Control::Stop).is_none() {
        // What is on its way is stopped when it is there.
        waiting += lanes_in_flight(&found.sweep, ports.ledger, now).await?;
    }
    let ec2 = ports.ec2.of(here.account);
    let shown = shown(&ec2, &here.region, &instance_ids(&members)).await?;
    let shown: BTreeMap<&InstanceArn, &ShownInstance> =
        shown.iter().map(|one| (&one.instance.arn, one)).collect();
    let called = call::so_far(sweep_id, arn, &here, ports.ledger).await?;
    let mut calls = Vec::new();
    let mut given_up = Vec::new();
    let mut unlaunched = Vec::new();
    for member in &members {
        if let Some(refused) = called.refusal(member.index) {
            outcomes.add(member.index, refused.outcome, refused.error.clone());
            continue;
        }
        let instance = member.instance.as_ref().and_then(|arn| shown.get(arn));
        let was_called = called.members.contains(member.index);
        let superseded = later.over(request.control, member.index);
        let decision = if request.control == Control::Replace {
            let asked_try = replaced.get(&member.index).copied().unwrap_or(0);
            let next = control::replacement(&request, member, asked_try, instance.copied());
            let ends_or_plans = matches!(
                next,
                Replacement::Instance(Step::Call, _) | Replacement::PlanAgain
            );
            if ends_or_plans
                && superseded.is_none()
                && let Some(words) =
                    replace::no_room(&found.sweep, member, ports.ledger, now).await?
            {
                outcomes.add(member.index, Outcome::NoRoom, Some(words));
                continue;
            }
            match next {
                Replacement::Instance(step, outcome) => Decision { step, outcome },
                Replacement::PlanAgain if superseded.is_some() => Decision {
                    step: Step::Wait,
                    outcome: Outcome::Terminated,
                },
                Replacement::PlanAgain => replace::plan_again(member, ports.ledger).await?,
            }
        } else {
            decide(&request, member, instance.copied(), asked_at, was_called)
        };
        let is_left = decision.step != Step::Done
            || matches!(decision.outcome, Outcome::Held | Outcome::NotLaunched);
        if let Some(by) = superseded.filter(|_| is_left) {
            outcomes.add(member.index, Outcome::Superseded, Some(superseded_by(by)));
            given_up.extend((!was_called).then_some(member));
            continue;
        }
        if request.control == Control::Terminate && member.instance.is_none() {
            if decision.step == Step::Wait {
                unlaunched.push(member);
            } else {
                let words = match decision.outcome {
                    Outcome::Terminated => Some(unlaunched::WORDS),
                    Outcome::HadEnded => Some("it had ended without an instance"),
                    _ => None,
                };
                let words = words.map(str::to_owned);
                outcomes.add(member.index, decision.outcome, words);
            }
            continue;
        }
        let decision = called.once(request.control, member.index, decision, now);
        waiting += usize::from(decision.step == Step::Wait);
        if decision.step == Step::Call {
            calls.push((member.clone(), decision.outcome));
        } else {
            outcomes.add(member.index, decision.outcome, None);
        }
        let ends = decision.step == Step::Done && decision.outcome != Outcome::Protected;
        if request.control == Control::Terminate && ends {
            call::end_for_good(&request, asked_at, member, ports.ledger).await?;
        }
    }
    waiting += unlaunched::end(
        &request,
        asked_at,
        &found.sweep,
        &unlaunched,
        &mut outcomes,
        ports.ledger,
        now,
    )
    .await?;
    if request.control == Control::Start {
        // A stop that the ledger does not know of has a slot still; what it does know is no news, and would give one back.
        let known = members.iter().filter(|m| m.state == MemberState::Stopped);
        let known: BTreeSet<&InstanceArn> = known.flat_map(|m| &m.instance).collect();
        let is_news = |one: &&ShownInstance| is_stopped(one) && !known.contains(&one.instance.arn);
        let news = shown
            .values()
            .copied()
            .filter(is_news)
            .map(|one| Sighting::of_state(&one.instance));
        track::apply(ports.ledger, &news.collect::<Vec<_>>(), now).await?;
        let wanting = calls.iter().map(|(member, _)| member);
        let without = slots::take(sweep_id, wanting, ports.ledger).await?;
        calls.retain(|(member, _)| !without.contains(&member.index));
        for index in without {
            outcomes.add(index, Outcome::NoSlot, None);
        }
        let wanting = calls.iter().map(|(member, _)| member);
        let without = minutes::reserve(sweep_id, wanting, ports.ledger).await?;
        given_up.extend(members.iter().filter(|m| without.contains_key(&m.index)));
        calls.retain(|(member, _)| !without.contains_key(&member.index));
        for (index, words) in without {
            outcomes.add(index, Outcome::NoRoom, Some(words));
        }
    }
    let done = call::carry_out(&request, asked_at, &calls, &ec2, &here.region, ports).await?;
    let refused = calls.iter().map(|(member, _)| member);
    let refused = refused.filter(|member| done.refused.contains_key(&member.index));
    let left: Vec<&MemberRow> = refused.chain(given_up).collect();
    match request.control {
        Control::Start => slots::give_back(left, ports.ledger).await?,
        _ => call::withdraw(left.into_iter(), asked_at, ports.ledger).await?,
    }
    call::note(called, &done, now, ports.ledger).await?;
    for (member, outcome) in &calls {
        match done.refused.get(&member.index) {
            Some((outcome, words)) => outcomes.add(member.index, *outcome, Some(words.clone())),
            None => outcomes.add(member.index, *outcome, None),
        }
    }
    // What EC2 will not do is not waited for.
    let waits = waiting > 0 || calls.len() > done.refused.len();
    let sightings: Vec<Sighting> = shown
        .into_values()
        .filter(|one| request.control != Control::Start || !is_stopped(one))
        .map(|one| Sighting::of_state(&one.instance))
        .collect();
    track::apply(ports.ledger, &sightings, now).await?;
    track::wake(ports.ledger, ports.executions, &found.sweep.sweep_id).await?;
    Ok(answer(&here, waits, &outcomes))
}

fn is_stopped(shown: &ShownInstance) -> bool {
    shown.instance.state == InstanceState::Stopped
}

/// What came of members whose sweep a later control has ended.
fn overtaken(members: &[MemberRow], by: Control) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for member in members {
        outcomes.add(member.index, Outcome::Superseded, Some(superseded_by(by)));
    }
    outcomes
}

fn superseded_by(control: Control) -> String {
    format!("spawn-{control} of it was asked for later and goes before")
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
