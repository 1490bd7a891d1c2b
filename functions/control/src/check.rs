//! The first step: is it understood, is there such a thing, may it be done, and how?

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use spawn_core::account::Place;
use spawn_core::control::{self, Control, ControlRow, Found, Later, Request, Target, Way};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::ledger::{Condition, Ledger, LedgerError, Versioned as _, Write, path};
use spawn_core::ports::{InAccounts, PROTECT_TAG, ShowInstances, WakeExecutions};
use spawn_core::ranges::Indices;
use spawn_core::rows::{Drain, sweep_key};
use spawn_core::state::SweepStatus;
use spawn_core::{drain, track};

use crate::{Asked, Ports, slots};

/// How often the hold of a sweep is looked at again because another one was asked for meanwhile.
const HOLDS_MAX: usize = 8;

/// Checks a request and records it. A sweep that is to be drained is marked at once: from here on nothing of it is launched,
/// whatever becomes of the machine.
pub(crate) async fn check<L, E, W>(
    asked: &Asked,
    ports: &Ports<'_, L, E, W>,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    E: InAccounts + ShowInstances,
    W: WakeExecutions,
{
    let request = asked.request()?;
    let found = control::find(ports.ledger, &request.target, asked.account()).await?;
    let way = control::admit(&request, &found)?;
    // One that drains already is past that.
    if way == Way::Drain && !request.force && found.sweep.status != SweepStatus::Draining {
        heed_protection(&request, &found, ports).await?;
    }
    let sweep_id = &found.sweep.sweep_id;
    let mut resumed = None;
    if way == Way::Resume {
        let members = control::all_members(ports.ledger, &found.sweep).await?;
        resumed = Some(control::resumable(&found.sweep, &members)?);
    }
    record(&request, &found, &way, asked, ports.ledger).await?;
    tracing::info!(%sweep_id, control = %request.control, target = %request.target, "control was asked for");
    let reason = reason(&request);
    let (way, places, nothing) = match way {
        Way::Drain => {
            let drain = Drain {
                status: SweepStatus::Cancelled,
                reason: reason.clone(),
            };
            drain::mark(ports.ledger, sweep_id, None, &drain).await?;
            track::wake(ports.ledger, ports.executions, sweep_id).await?;
            if request.force {
                // A place that does not answer keeps nothing from being drained: its tags come last.
                unprotect(&found, ports).await?;
            }
            ("drain", Vec::new(), None)
        }
        Way::Places => {
            if request.control == Control::Start && matches!(request.target, Target::Sweep(_)) {
                // Before its lanes may launch again: what was stopped goes before what was never launched.
                let members = control::all_members(ports.ledger, &found.sweep).await?;
                slots::take(sweep_id, &members, ports.ledger).await?;
            }
            hold(&request, sweep_id, asked, ports).await?;
            ("places", places(&found), None)
        }
        Way::Resume => ("resume", Vec::new(), None),
        Way::Nothing(words) => ("nothing", Vec::new(), Some(words)),
    };
    Ok(json!({
        "sweep_id": sweep_id,
        "way": way,
        "places": places,
        "reason": reason,
        "members": resumed,
        // Where it is resumed: the execution that a new one takes it over from.
        "instead_of": found.sweep.execution_arn,
        "nothing_to_do": nothing,
    }))
}

/// Keeps a sweep that is stopped as a whole from launching, and lets one that is started launch again. Its execution and its
/// lanes that wait are woken: they look at how things are.
async fn hold<L, E, W>(
    request: &Request,
    sweep_id: &SweepId,
    asked: &Asked,
    ports: &Ports<'_, L, E, W>,
) -> Result<(), FunctionError>
where
    L: Ledger,
    W: WakeExecutions,
{
    if !matches!(request.target, Target::Sweep(_)) {
        return Ok(());
    }
    let mut asked_for = (request.control, reason(request));
    let stopped = path(&["stopped"]);
    // Of several the last one holds, whichever is carried out last: one that came meanwhile is seen at the second look.
    for _ in 0..HOLDS_MAX {
        let arn = &asked.execution_arn;
        let later = Later::than(ports.ledger, sweep_id, asked.at()?, arn).await?;
        if let Some(last) = later.last_hold() {
            asked_for = (last.control, words(last.control, last.reason.as_deref()));
        }
        let (set, remove) = match asked_for.0 {
            Control::Stop => {
                let reason = Value::from(asked_for.1.as_str());
                (vec![(stopped.clone(), reason)], Vec::new())
            }
            Control::Start => (Vec::new(), vec![stopped.clone()]),
            _ => return Ok(()),
        };
        let live = [SweepStatus::Launching, SweepStatus::Running];
        let live = live.iter().map(|status| Value::from(status.as_str()));
        let write = Write::Update {
            key: sweep_key(sweep_id),
            set,
            remove,
            add: Vec::new(),
            when: vec![Condition::In(path(&["status"]), live.collect())],
        };
        match ports.ledger.commit(vec![write]).await {
            Ok(()) => track::wake(ports.ledger, ports.executions, sweep_id).await?,
            // It drains or is over: nothing of it is launched anyway.
            Err(LedgerError::Condition { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if Later::than(ports.ledger, sweep_id, asked.at()?, arn).await? == later {
            return Ok(());
        }
    }
    Ok(())
}

/// Why a sweep is drained or a member ended, in its row.
fn reason(request: &Request) -> String {
    words(request.control, request.reason.as_deref())
}

fn words(control: Control, reason: Option<&str>) -> String {
    let what = match control {
        Control::Cancel => "cancelled by hand",
        Control::Replace => "replaced by hand",
        Control::Stop => "stopped by hand",
        _ => "terminated by hand",
    };
    match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    }
}

/// One lane for each place that has members which are meant.
fn places(found: &Found) -> Vec<LaneId> {
    let lanes: Vec<LaneId> = match &found.members {
        Some(members) => members.iter().map(|member| member.lane.clone()).collect(),
        None => found.sweep.lanes.clone(),
    };
    let mut seen = BTreeSet::new();
    lanes
        .into_iter()
        .filter(|lane| seen.insert(lane.place()))
        .collect()
}

/// Records who asked for what. A repeat finds the record.
async fn record(
    request: &Request,
    found: &Found,
    way: &Way,
    asked: &Asked,
    ledger: &impl Ledger,
) -> Result<(), FunctionError> {
    let sweep_id = found.sweep.sweep_id.clone();
    let mut row = ControlRow::asked(request, sweep_id, &asked.execution_arn, asked.at()?);
    let members = |found: &Found| {
        let members = found.members.as_ref()?.iter();
        Some(members.map(|member| member.index).collect())
    };
    // What does nothing goes before no other.
    row.members = match way {
        Way::Nothing(_) => Some(Indices::default()),
        Way::Drain | Way::Places | Way::Resume => members(found),
    };
    if request.control == Control::Replace {
        let members = found.members.iter().flatten();
        row.replaces = members.map(|m| (m.index, m.try_number())).collect();
    }
    match ledger.commit(vec![row.create()?]).await {
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Protected instances that are told by name.
const PROTECTED_SHOWN: usize = 20;

/// Refuses to end a sweep of which instances are protected.
async fn heed_protection<L, E, W>(
    request: &Request,
    found: &Found,
    ports: &Ports<'_, L, E, W>,
) -> Result<(), FunctionError>
where
    L: Ledger,
    E: InAccounts + ShowInstances,
{
    let mut protected = Vec::new();
    for (place, ids) in instances(found, ports.ledger).await? {
        protected.extend(protected_in(&place, &ids, ports).await?);
    }
    if protected.is_empty() {
        return Ok(());
    }
    let count = protected.len();
    protected.truncate(PROTECTED_SHOWN);
    Err(FunctionError::NotAllowed(format!(
        "spawn-{} was not begun: {count} of the sweep's instances bear the tag {PROTECT_TAG}: {}; take the tag away, \
         or ask with \"force\": true",
        request.control,
        protected.join(", ")
    )))
}

/// Takes the protection of a sweep's instances away, so that passes of the reaper end what a drain leaves. Places are looked at side by side.
async fn unprotect<L, E, W>(found: &Found, ports: &Ports<'_, L, E, W>) -> Result<(), FunctionError>
where
    L: Ledger,
    E: InAccounts + ShowInstances,
{
    let places = instances(found, ports.ledger).await?;
    let each = places.iter().map(async |(place, ids)| {
        let protected = protected_in(place, ids, ports).await?;
        if !protected.is_empty() {
            let ec2 = ports.ec2.of(place.account);
            ec2.unprotect(&place.region, &protected).await?;
        }
        Ok::<_, FunctionError>(())
    });
    for (result, (place, _)) in join_all(each).await.into_iter().zip(&places) {
        if let Err(error) = result {
            tracing::warn!(%place, %error, "what is protected there is not known; it is drained all the same");
        }
    }
    Ok(())
}

/// The instances of a sweep, by place.
async fn instances(
    found: &Found,
    ledger: &impl Ledger,
) -> Result<Vec<(Place, Vec<String>)>, FunctionError> {
    let members = control::all_members(ledger, &found.sweep).await?;
    let of = |place| crate::act::instance_ids(members.iter().filter(|m| m.lane.place() == place));
    let places = places(found).into_iter().map(|lane| lane.place());
    Ok(places.map(|place| (place, of(place))).collect())
}

/// The instances of these that are protected and live.
async fn protected_in<L, E, W>(
    place: &Place,
    ids: &[String],
    ports: &Ports<'_, L, E, W>,
) -> Result<Vec<String>, FunctionError>
where
    L: Ledger,
    E: InAccounts + ShowInstances,
{
    let ec2 = ports.ec2.of(place.account);
    let shown = crate::act::shown(&ec2, &place.region, ids).await?;
    Ok(shown
        .into_iter()
        .filter(|one| one.protected && !one.instance.state.is_ending())
        .map(|one| one.instance.arn.instance_id)
        .collect())
}
