//! Resuming: an ended sweep is planned again with the members that did not complete.
//!
//! ```text
//! labels in DNS                                       taken again, if it has names
//! new execution -> sweep; old execution -> nothing    (one transaction, from the status and the execution that were read:
//! sweep: planning, under the new execution             of two resumptions one is refused)
//! lanes, then members: as if nothing had been tried   (each only while the sweep is planning; a repeat does what is left)
//! sweep: launching                                    (only from planning: a drain that came meanwhile stays)
//! ```

use serde_json::Value;
use spawn_core::control::{
    AGAIN_MEMBERS_MAX, all_members, is_resumed, lane_again, lanes_to_launch, launch_again,
    plan_again, reopen, resumable,
};
use spawn_core::dns::{Naming, PlannedNames};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger, LedgerError, Versioned as _};
use spawn_core::rows::{
    ExecutionRow, LaneRow, MemberRow, SweepRow, execution_key, sweep_key, sweep_pk,
};
use spawn_core::state::SweepStatus;

use crate::{Output, names};

/// What an input asks to resume.
pub(crate) struct Asked {
    sweep_id: SweepId,
    /// The execution that is replaced; one that another has replaced already is not replaced again.
    instead_of: Option<String>,
}

/// The sweep that an input asks to resume.
pub(crate) fn asked(input: &Value) -> Option<Asked> {
    let text = |name| input.get(name).and_then(Value::as_str);
    Some(Asked {
        sweep_id: SweepId::from(text("resume")?),
        instead_of: text("instead_of").map(str::to_owned),
    })
}

/// How often a chunk of members is read again when another writer was faster.
const TRIES_MAX: u32 = 8;

/// Resumes a sweep under the execution `execution_arn`. A repeat by the same execution finishes what was begun.
pub(crate) async fn resume(
    asked: &Asked,
    execution_arn: &str,
    trace: Option<&str>,
    ledger: &impl Ledger,
    naming: Option<&Naming>,
    now: u64,
) -> Result<Output, FunctionError> {
    let sweep_id = &asked.sweep_id;
    let Some(sweep) = ledger::load::<SweepRow>(ledger, sweep_key(sweep_id)).await? else {
        return Err(FunctionError::NotFound(format!(
            "there is no sweep `{sweep_id}`"
        )));
    };
    if sweep.execution_arn != execution_arn {
        if asked
            .instead_of
            .as_ref()
            .is_some_and(|of| *of != sweep.execution_arn)
        {
            return Err(resumed_by_another(sweep_id));
        }
        begin(&sweep, execution_arn, trace, ledger, naming, now).await?;
    } else if sweep.status.may_launch() {
        // Planned by a call before this one, whose answer was lost.
        return output(&sweep, ledger).await;
    } else if sweep.status != SweepStatus::Planning {
        return Err(drained(sweep_id));
    }
    reopen_lanes(sweep_id, ledger).await?;
    reopen_members(&sweep, ledger).await?;
    match ledger
        .commit(vec![launch_again(&sweep, execution_arn)])
        .await
    {
        Ok(()) => {}
        Err(LedgerError::Condition { .. }) => {
            let now: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
            if !now.status.may_launch() {
                return Err(drained(sweep_id));
            }
        }
        Err(error) => return Err(error.into()),
    }
    tracing::info!(%sweep_id, "sweep resumed");
    output(&sweep, ledger).await
}

fn resumed_by_another(sweep_id: &SweepId) -> FunctionError {
    FunctionError::NotAllowed(format!(
        "sweep {sweep_id} was resumed by another execution, or this one was cancelled"
    ))
}

fn drained(sweep_id: &SweepId) -> FunctionError {
    FunctionError::NotAllowed(format!("sweep {sweep_id} was drained while it was resumed"))
}

/// Takes the sweep over, if it is over and none of those members lives that are to run again.
async fn begin(
    sweep: &SweepRow,
    execution_arn: &str,
    trace: Option<&str>,
    ledger: &impl Ledger,
    naming: Option<&Naming>,
    now: u64,
) -> Result<(), FunctionError> {
    let sweep_id = &sweep.sweep_id;
    if !sweep.status.is_ended() {
        return Err(FunctionError::NotAllowed(format!(
            "sweep {sweep_id} cannot be resumed: it is {}, not over",
            sweep.status
        )));
    }
    let members = all_members(ledger, sweep).await?;
    resumable(sweep, &members)?;
    if let (Some(naming), Some(names)) = (naming, planned_names(sweep, &members)) {
        names::claim(ledger, naming, &names, sweep_id, names::Mode::Take, now).await?;
    }
    let key = execution_key(&sweep.execution_arn);
    let old: Option<ExecutionRow> = ledger::load(ledger, key).await?;
    match ledger
        .commit(reopen(sweep, old, execution_arn, trace)?)
        .await
    {
        Ok(()) => Ok(()),
        Err(LedgerError::Condition { .. }) => Err(resumed_by_another(sweep_id)),
        Err(error) => Err(error.into()),
    }
}

/// The labels that the sweep had, to be taken again: they were free when it was over.
fn planned_names(sweep: &SweepRow, members: &[MemberRow]) -> Option<PlannedNames> {
    let label = sweep.dns_label.clone()?;
    let mut claims = vec![(label.clone(), "sweep_id".to_owned())];
    let of_members = members.iter().filter_map(|member| {
        let path = format!("member {}", member.index);
        Some((member.dns_name.clone()?, path))
    });
    claims.extend(of_members);
    Some(PlannedNames {
        label,
        claims,
        records: 0,
    })
}

/// Nothing stops the lanes any more.
async fn reopen_lanes(sweep_id: &SweepId, ledger: &impl Ledger) -> Result<(), FunctionError> {
    let lanes: Vec<LaneRow> = ledger::load_all(ledger, &sweep_pk(sweep_id), "LANE#").await?;
    for lane in lanes {
        let again = lane_again(&lane);
        if again != lane {
            ledger.commit(vec![again.replace()?]).await?;
        }
    }
    Ok(())
}

/// Every member that did not complete is planned again.
async fn reopen_members(sweep: &SweepRow, ledger: &impl Ledger) -> Result<(), FunctionError> {
    for _ in 0..TRIES_MAX {
        let members = all_members(ledger, sweep).await?;
        let again: Vec<MemberRow> = members.into_iter().filter(is_resumed).collect();
        let mut is_settled = true;
        for chunk in again.chunks(AGAIN_MEMBERS_MAX) {
            match ledger.commit(plan_again(sweep, chunk)?).await {
                Ok(()) => {}
                // Some late observation, or a drain: what is left is read again.
                Err(LedgerError::Condition { .. }) => is_settled = false,
                Err(error) => return Err(error.into()),
            }
        }
        let now: SweepRow = ledger::require(ledger, sweep_key(&sweep.sweep_id)).await?;
        if now.status != SweepStatus::Planning {
            return Err(drained(&sweep.sweep_id));
        }
        if is_settled {
            return Ok(());
        }
    }
    Err(FunctionError::Conflict(format!(
        "the members of {} changed {TRIES_MAX} times while they were planned again",
        sweep.sweep_id
    )))
}

/// What the sweep's machine gets, as from a plan.
async fn output(sweep: &SweepRow, ledger: &impl Ledger) -> Result<Output, FunctionError> {
    let pk = sweep_pk(&sweep.sweep_id);
    let lanes: Vec<LaneRow> = ledger::load_all(ledger, &pk, "LANE#").await?;
    let members = all_members(ledger, sweep).await?;
    Ok(Output {
        sweep_id: sweep.sweep_id.clone(),
        sweep_name: sweep.name.clone(),
        dry_run: false,
        members: sweep.members,
        lanes: lanes_to_launch(&lanes, &members),
        timeout_s: timeout_s(sweep, &lanes),
        log_group: sweep.log_group.clone(),
        plan: None,
        manifest: format!(
            "s3://{}/sweeps/{}/plan.json",
            sweep.results_bucket, sweep.sweep_id
        ),
    })
}

/// What launching and settling may take beside the members' own time.
const MARGIN_S: u64 = 6 * 3600;

/// How long the new execution waits until it asks whether the sweep is overdue: every wave of members at its longest ttl, and a
/// margin. A day where that cannot be told: it asks again.
fn timeout_s(sweep: &SweepRow, lanes: &[LaneRow]) -> u64 {
    const DAY_S: u64 = 24 * 3600;
    let at_once = sweep.max_concurrent.unwrap_or(sweep.members).max(1);
    let waves = u64::from(sweep.members.div_ceil(at_once).max(1));
    let longest: Option<u64> = lanes
        .iter()
        .map(|lane| lane.ttl_s)
        .try_fold(0, |longest, ttl| ttl.map(|ttl| longest.max(ttl)));
    longest.map_or(DAY_S, |ttl| {
        (waves.saturating_mul(ttl) + MARGIN_S).min(EXECUTION_S_MAX)
    })
}

/// A year: an execution lives no longer (AWS Step Functions Developer Guide, "Service quotas").
const EXECUTION_S_MAX: u64 = 365 * 24 * 3600;
