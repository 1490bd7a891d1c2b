//! collect-results: settles a sweep. It gathers the members' results into one table, writes the manifest, and gives the sweep
//! its final status.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_n;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Map, Value};
use spawn_core::cost::{self, Changes, Settlement, Spent};
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::launch::{self, Forgone};
use spawn_core::ledger::{self, Condition, Expect, Ledger, LedgerError, Stored as _, Write, path};
use spawn_core::notify::PendingRow;
use spawn_core::ports::{EndInstances, InAccounts, Objects, ServiceError};
use spawn_core::prices::{PriceRow, price_pk};
use spawn_core::region::Region;
use spawn_core::result_file;
use spawn_core::rows::{LaneRow, LingeringRow, MemberRow, SweepRow, shard_pk, sweep_key, sweep_pk};
use spawn_core::settle;
use spawn_core::state::{Counts, MemberState, SweepStatus};
use spawn_core::unlaunched;

/// What the state machine asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The sweep to settle.
    pub sweep_id: SweepId,
    /// The execution whose sweep it is to be; a drain settles for whoever has it.
    #[serde(default)]
    pub execution_arn: Option<String>,
}

/// What the handler needs of the outside.
pub struct Ports<'a, L, E, O> {
    /// The ledger.
    pub ledger: &'a L,
    /// EC2.
    pub ec2: &'a E,
    /// S3.
    pub objects: &'a O,
}

/// How often members are looked at again that others change meanwhile.
const TRIES_MAX: u32 = 8;

/// Results that are read at a time.
const READS_AT_ONCE: usize = 32;

/// The most bytes of a member's result that become columns. A larger result stays where it is, and the manifest says so.
const RESULT_BYTES_MAX: u64 = 256 * 1024;

/// Settles a sweep at `now` (ms since 1970) and answers its output. A sweep that is settled already gets the same answer.
///
/// # Errors
/// When the sweep is not over or belongs to another execution, or the ledger or S3 does not answer. Repeatable.
pub async fn handle<L: Ledger, E: EndInstances + InAccounts, O: Objects>(
    input: Input,
    ports: &Ports<'_, L, E, O>,
    now: u64,
) -> Result<Value, FunctionError> {
    let sweep_id = &input.sweep_id;
    let mut sweep: SweepRow = ledger::require(ports.ledger, sweep_key(sweep_id)).await?;
    sweep.check_is_of(input.execution_arn.as_deref())?;
    if !sweep.is_over() {
        return Err(FunctionError::Conflict(format!(
            "sweep {sweep_id} is not over: {} of {} members have ended, {} instances live",
            sweep.counts.ended(),
            sweep.members,
            sweep.live
        )));
    }
    let mut members = members(ports.ledger, &sweep).await?;
    for _ in 0..TRIES_MAX {
        if sweep.status.is_ended() || !end_untried(ports.ledger, &sweep, &members, now).await? {
            break;
        }
        sweep = ledger::require(ports.ledger, sweep_key(sweep_id)).await?;
        members = self::members(ports.ledger, &sweep).await?;
    }
    if !sweep.status.is_ended() && members.iter().any(is_untried) {
        return Err(FunctionError::Conflict(format!(
            "the members of {sweep_id} changed {TRIES_MAX} times while they were settled"
        )));
    }
    let states = members.iter().map(|member| member.state);
    // Those that its planner has not come to: the sweep was drained before.
    let unwritten = usize::try_from(sweep.members).unwrap_or(usize::MAX);
    let unwritten = unwritten.saturating_sub(members.len());
    let counts = Counts::tally(states.chain(repeat_n(MemberState::Planned, unwritten)));
    if counts != sweep.counts {
        tracing::error!(%sweep_id, counts = ?sweep.counts, rows = ?counts, "counts do not fit the members");
    }
    let status = settle::final_status(&sweep, &counts);
    let ended_at = sweep.ended_at.unwrap_or(now);
    let cost = settled_cost(ports.ledger, &members, ended_at).await?;
    if sweep.status.is_ended() {
        return Ok(settle::output(
            &sweep, status, &counts, &members, &cost, ended_at,
        ));
    }
    let results = results(ports.objects, &sweep, &members).await?;
    sweep.results_note = settle::results_note(&results.unread);
    let output = settle::output(&sweep, status, &counts, &members, &cost, ended_at);
    write_files(ports, &sweep, &output, &members, &results, &cost, ended_at).await?;
    // Before the end is written: a sweep that has ended can be resumed, and makes its templates anew.
    delete_templates(ports, &sweep).await;
    close(ports.ledger, &sweep, status, &members, &cost, now).await?;
    tracing::info!(%sweep_id, %status, members = members.len(), "sweep settled");
    // Another settlement may have been faster, with its own end: answer what the ledger says.
    let sweep: SweepRow = ledger::require(ports.ledger, sweep_key(sweep_id)).await?;
    let ended_at = sweep.ended_at.unwrap_or(ended_at);
    Ok(settle::output(
        &sweep,
        sweep.status,
        &counts,
        &members,
        &cost,
        ended_at,
    ))
}

/// Ends the members that were to be tried again, as their last try left them: they have run, and what became of that is told.
/// Answers whether there were any.
async fn end_untried(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    members: &[MemberRow],
    now: u64,
) -> Result<bool, LedgerError> {
    let waiting: Vec<&MemberRow> = members.iter().filter(|one| is_untried(one)).collect();
    unlaunched::end(ledger, sweep, &waiting, Forgone::NotTriedAgain, now).await?;
    Ok(!waiting.is_empty())
}

/// Whether a member has run, and waits for another try.
fn is_untried(member: &MemberRow) -> bool {
    member.state == MemberState::Planned && !member.tries.is_empty()
}

/// What all instances have cost, spot by the prices that were in force while they ran.
async fn settled_cost(
    ledger: &impl Ledger,
    members: &[MemberRow],
    ended_at: u64,
) -> Result<Settlement, FunctionError> {
    let regions: BTreeSet<Region> = members
        .iter()
        .flat_map(|member| member.spent.iter().map(|spent| spent.region))
        .collect();
    let mut changes = Changes::new();
    for region in regions {
        let rows: Vec<PriceRow> = ledger::load_all(ledger, &price_pk(&region), "").await?;
        let of_region = rows
            .into_iter()
            .map(|row| ((region, row.item), row.changes));
        changes.extend(of_region.filter(|(_, changes)| !changes.is_empty()));
    }
    cost::settle(members, &changes, ended_at).ok_or_else(|| {
        FunctionError::Bug("the cost of the sweep is beyond what can be counted".to_owned())
    })
}

/// All members of a sweep, by index.
async fn members(ledger: &impl Ledger, sweep: &SweepRow) -> Result<Vec<MemberRow>, LedgerError> {
    let mut members = Vec::new();
    for shard in 0..sweep.shards {
        let pk = shard_pk(&sweep.sweep_id, shard);
        members.extend(ledger::load_all::<MemberRow>(ledger, &pk, "MEMBER#").await?);
    }
    members.sort_by_key(|member| member.index);
    Ok(members)
}

/// Writes the table and the manifest. Writing them twice writes the same.
async fn write_files<L, E, O: Objects>(
    ports: &Ports<'_, L, E, O>,
    sweep: &SweepRow,
    output: &Value,
    members: &[MemberRow],
    results: &Results,
    cost: &Settlement,
    ended_at: u64,
) -> Result<(), FunctionError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for row in settle::results_table(members, &results.fields, cost) {
        csv.write_record(row)
            .map_err(|error| FunctionError::Bug(error.to_string()))?;
    }
    let table = csv
        .into_inner()
        .map_err(|error| FunctionError::Bug(error.to_string()))?;
    let bucket = &sweep.results_bucket;
    ports
        .objects
        .put_object(bucket, &settle::results_key(sweep), "text/csv", table)
        .await?;
    let manifest = settle::manifest(sweep, output, members, &results.unread, cost, ended_at);
    let manifest = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| FunctionError::Bug(error.to_string()))?;
    ports
        .objects
        .put_object(
            bucket,
            &settle::manifest_key(sweep),
            "application/json",
            manifest,
        )
        .await?;
    Ok(())
}

/// What the members' results hold: their fields, or why a file that is meant to be JSON has none, by index.
#[derive(Default)]
struct Results {
    fields: BTreeMap<u32, Map<String, Value>>,
    unread: BTreeMap<u32, String>,
}

async fn results(
    objects: &impl Objects,
    sweep: &SweepRow,
    members: &[MemberRow],
) -> Result<Results, FunctionError> {
    let with_result = members
        .iter()
        .filter_map(|member| Some((member.index, member.result_key.clone()?)));
    let read: Vec<_> = stream::iter(with_result)
        .map(|(index, key)| async move {
            // The key is the instance's word: it may only name what lies under its own sweep.
            if !key.starts_with(&format!("sweeps/{}/", sweep.sweep_id)) {
                let words = "its key is not one of the sweep".to_owned();
                return Ok::<_, FunctionError>((index, Err(Some(words))));
            }
            let bucket = &sweep.results_bucket;
            let fields = match objects.get_object(bucket, &key, RESULT_BYTES_MAX).await {
                Ok(Some(body)) => result_file::fields(&body),
                Ok(None) => Err("it is not there".to_owned()),
                Err(ServiceError::Refused { message, .. }) => Err(message),
                Err(error) => return Err(error.into()),
            };
            // Nobody expects columns of a file that is not meant to be JSON.
            Ok((
                index,
                fields.map_err(|why| result_file::is_json(&key).then_some(why)),
            ))
        })
        .buffer_unordered(READS_AT_ONCE)
        .try_collect()
        .await?;
    let mut results = Results::default();
    for (index, fields) in read {
        match fields {
            Ok(fields) => drop(results.fields.insert(index, fields)),
            Err(Some(why)) => {
                tracing::warn!(sweep_id = %sweep.sweep_id, member = index, why, "result has no fields");
                results.unread.insert(index, why);
            }
            Err(None) => {}
        }
    }
    Ok(results)
}

/// Gives the sweep its final status, unless it has one.
async fn close(
    ledger: &impl Ledger,
    sweep: &SweepRow,
    status: SweepStatus,
    members: &[MemberRow],
    cost: &Settlement,
    now: u64,
) -> Result<(), FunctionError> {
    let settled = serde_json::to_value(cost).map_err(|e| FunctionError::Bug(e.to_string()))?;
    let write = Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: vec![
            (path(&["status"]), Value::from(status.as_str())),
            (path(&["ended_at"]), Value::from(now)),
            (path(&["settled"]), settled),
            (
                path(&["results_note"]),
                Value::from(sweep.results_note.as_deref()),
            ),
        ],
        remove: Vec::new(),
        add: Vec::new(),
        // A drain that began meanwhile decides the status: then this settlement is repeated.
        when: vec![Condition::Equals(
            path(&["status"]),
            Value::from(sweep.status.as_str()),
        )],
    };
    // Whoever is to be told of the end is told, whatever becomes of the machine that waits for this.
    let pending = PendingRow {
        sweep_id: sweep.sweep_id.clone(),
        ended_at: now,
        version: 0,
    };
    let tell = Write::Put {
        row: pending.row()?,
        expect: Expect::Absent,
    };
    let mut writes = vec![write, tell];
    // What is stopped lives no more, and its volume costs.
    let mut instances = members.iter().flat_map(|member| &member.spent);
    if sweep.live > 0 || instances.any(Spent::is_there) {
        let lingering = LingeringRow {
            sweep_id: sweep.sweep_id.clone(),
            ended_at: now,
            version: 0,
        };
        writes.push(Write::Put {
            row: lingering.row()?,
            expect: Expect::Absent,
        });
    }
    match ledger.commit(writes).await {
        Ok(()) => Ok(()),
        Err(LedgerError::Condition { .. }) => {
            let now: SweepRow = ledger::require(ledger, sweep_key(&sweep.sweep_id)).await?;
            if now.status.is_ended() {
                return Ok(());
            }
            Err(FunctionError::Conflict(format!(
                "sweep {} became {} while it was settled",
                sweep.sweep_id, now.status
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// Deletes the sweep's own launch templates and placement groups. One that stays costs nothing and is told: the sweep is settled all the same.
async fn delete_templates<L: Ledger, E: EndInstances + InAccounts, O>(
    ports: &Ports<'_, L, E, O>,
    sweep: &SweepRow,
) {
    let pk = sweep_pk(&sweep.sweep_id);
    let lanes = match ledger::load_all::<LaneRow>(ports.ledger, &pk, "LANE#").await {
        Ok(lanes) => lanes,
        Err(error) => {
            tracing::warn!(sweep_id = %sweep.sweep_id, %error, "launch templates were not looked up");
            return;
        }
    };
    let templates: BTreeSet<_> = lanes
        .iter()
        .flat_map(|lane| {
            let shapes = u32::try_from(lane.shapes.len()).unwrap_or(0);
            (0..shapes).map(|shape| (lane.lane.place(), launch::template_name(lane, shape)))
        })
        .collect();
    let own_groups: BTreeSet<_> = lanes
        .iter()
        .flat_map(|lane| {
            let groups = lane
                .shapes
                .iter()
                .filter_map(|shape| shape.placement_group.as_ref());
            let own = groups.filter(|group| group.is_own);
            own.map(|group| (lane.lane.place(), group.name.clone()))
        })
        .collect();
    for (place, name) in own_groups {
        let ec2 = ports.ec2.of(place.account);
        if let Err(error) = ec2.delete_placement_group(&place.region, &name).await {
            tracing::warn!(sweep_id = %sweep.sweep_id, group = name, %error, "placement group stays");
        }
    }
    for (place, name) in templates {
        let ec2 = ports.ec2.of(place.account);
        if let Err(error) = ec2.delete_template(&place.region, &name).await {
            tracing::warn!(sweep_id = %sweep.sweep_id, template = name, %error, "launch template stays");
        }
    }
}
