//! One batch of changes, to Route 53 and to its end.

use std::collections::BTreeSet;

use spawn_core::dns::{Action, Change, MarkRow, Naming, Record, Refusal, culprits, has_names};
use spawn_core::errors::FunctionError;
use spawn_core::ledger::Ledger;
use spawn_core::ports::{ChangeRecords, Clock, ZoneError};

use crate::facts::Unit;
use crate::lease::Lease;
use crate::report::Report;
use crate::{Ports, look};

/// How often a call is made that Route 53 throttles.
const THROTTLED_MAX: u32 = 8;

/// Calls for one batch at most. A refusal that names nothing is halved: ten calls on each side find one culprit among a
/// thousand.
const CALLS_MAX: u32 = 40;

/// Calls for one batch after Route 53 has said that a limit is reached, most likely that the zone is full: enough to let
/// deletions through, and to fill what room there is.
const FULL_CALLS_MAX: u32 = 12;

/// The wait before the first repeat, and the longest one.
const BACK_OFF_MS: (u64, u64) = (500, 15_000);

/// The wait before a repeat (from 1): twice as long each time, less a random part, so that those who were turned away
/// together do not come back together.
pub(crate) fn back_off_ms(repeat: u32, random: u64) -> u64 {
    let (first, longest) = BACK_OFF_MS;
    let full = first.saturating_mul(1 << repeat.min(10)).min(longest);
    full / 2 + random % (full / 2 + 1)
}

/// Sends the changes that are under way for `units`, whose intents are stored. Whatever is refused is left out, and the rest
/// sent again: a batch is not lost for one record. The outcome is in the units' records; units whose outcome is not known
/// keep their marks, and the zone tells later.
///
/// # Errors
/// When Route 53 cannot be used at all, or the lease is lost. What was sent by then is in the units.
pub(crate) async fn send<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    naming: &Naming,
    units: &mut [Unit],
    random: u64,
    until: u64,
    report: &mut Report,
) -> Result<(), FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let mut parts: Vec<Vec<usize>> = vec![(0..units.len()).collect()];
    let (mut calls, mut throttled, mut calls_max) = (0, 0, CALLS_MAX);
    while let Some(part) = parts.pop() {
        let changes: Vec<(usize, Change)> = part
            .iter()
            .flat_map(|place| {
                let changes = units[*place].names.under_way();
                changes.into_iter().map(move |change| (*place, change))
            })
            .collect();
        if changes.is_empty() {
            continue;
        }
        let cost = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        let wait = lease.wait_ms(cost, ports.clock.now_ms());
        if calls >= calls_max || ports.clock.now_ms() + wait >= until {
            tracing::warn!(
                calls,
                changes = cost,
                "a batch is given up for now; its members are looked at again"
            );
            report.failures += 1;
            take_back(units, part.iter().chain(parts.iter().flatten()));
            if calls_max < CALLS_MAX {
                let text = format!("the hosted zone {} is full", naming.zone);
                return Err(FunctionError::Config(text));
            }
            return Err(FunctionError::Throttled(format!(
                "{calls} calls were not enough for one batch"
            )));
        }
        lease.sleep(ports.ledger, ports.clock, wait).await?;
        lease
            .charge(ports.ledger, cost, ports.clock.now_ms())
            .await?;
        calls += 1;
        let batch: Vec<Change> = changes.iter().map(|(_, change)| change.clone()).collect();
        match ports.zones.change_records(&naming.zone, &batch).await {
            Ok(()) => {
                report.batches += 1;
                report.changes += cost;
                let now = ports.clock.now_ms();
                for place in part {
                    accepted(&mut units[place], now, report);
                }
            }
            Err(ZoneError::Throttled(text)) => {
                throttled += 1;
                tracing::info!(text, throttled, changes = cost, "Route 53 throttles");
                if throttled >= THROTTLED_MAX {
                    report.failures += 1;
                    take_back(units, part.iter().chain(parts.iter().flatten()));
                    return Err(ZoneError::Throttled(text).into());
                }
                parts.push(part);
                let wait = back_off_ms(throttled, random.rotate_left(throttled));
                lease.sleep(ports.ledger, ports.clock, wait).await?;
            }
            Err(error @ ZoneError::Transient(_)) => {
                // It may have taken effect: the intents stay, and the zone is asked.
                tracing::warn!(%error, changes = cost, "the outcome of a batch is not known");
                report.failures += 1;
                for place in &part {
                    units[*place].is_kept = true;
                }
                take_back(units, parts.iter().flatten());
                return Ok(());
            }
            Err(error @ ZoneError::Refused(_)) => {
                report.failures += 1;
                take_back(units, part.iter().chain(parts.iter().flatten()));
                return Err(error.into());
            }
            Err(ZoneError::Invalid(messages)) => {
                let mut found = culprits(&messages, &batch);
                if found.is_empty() && messages.iter().any(|text| text.contains("limit")) {
                    calls_max = calls_max.min(calls + FULL_CALLS_MAX);
                }
                if found.is_empty() && part.len() > 1 {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right.to_vec(), left.to_vec()]);
                    continue;
                }
                if found.is_empty() {
                    found = (0..batch.len()).collect();
                }
                let bad: Vec<&(usize, Change)> = found
                    .iter()
                    .filter_map(|place| changes.get(*place))
                    .collect();
                let message = messages.join("; ");
                refused(ports, lease, naming, units, &bad, &message, report).await?;
                parts.push(part);
            }
        }
    }
    Ok(())
}

/// Nothing of these units' changes was made, and they are not sent now.
fn take_back<'a>(units: &mut [Unit], places: impl Iterator<Item = &'a usize>) {
    for place in places {
        units[*place].names.undone();
        units[*place].is_kept = true;
    }
}

/// Route 53 has taken a unit's changes.
fn accepted(unit: &mut Unit, now: u64, report: &mut Report) {
    let made = unit.names.under_way();
    let has_new = made.iter().any(|change| change.action == Action::Create);
    unit.names.done();
    let running_at = unit
        .member
        .as_ref()
        .filter(|member| has_new && has_names(member))
        .and_then(|member| member.running_at);
    if let Some(running_at) = running_at {
        report.lags_ms.push(now.saturating_sub(running_at));
    }
}

/// Judges the changes that a refused batch was refused for, by what the zone shows of their records.
async fn refused<L, Z, E, C>(
    ports: &Ports<'_, L, Z, E, C>,
    lease: &mut Lease,
    naming: &Naming,
    units: &mut [Unit],
    bad: &[&(usize, Change)],
    message: &str,
    report: &mut Report,
) -> Result<(), FunctionError>
where
    L: Ledger,
    Z: ChangeRecords,
    C: Clock,
{
    let ids: BTreeSet<_> = bad
        .iter()
        .map(|(_, change)| change.record.id.clone())
        .collect();
    let shown = look::shown(ports, lease, &naming.zone, &ids).await?;
    let now = ports.clock.now_ms();
    for (place, change) in bad {
        let unit = &mut units[*place];
        let there = shown.get(&change.record.id);
        match unit.names.refuse(change, there, message, now) {
            Refusal::Own | Refusal::Gone => {}
            Refusal::Foreign => {
                if let Some(there) = there {
                    tell_foreign(&unit.mark, there, report);
                }
            }
            Refusal::Rejected => {
                report.failures += 1;
                tracing::error!(
                    sweep_id = %unit.mark.sweep_id,
                    member = unit.mark.index,
                    record = %change.record.id,
                    values = change.record.values.join(" "),
                    message,
                    "Route 53 refused a record"
                );
            }
        }
    }
    Ok(())
}

/// Tells of a record that somebody else has made or changed, and that is left alone.
pub(crate) fn tell_foreign(mark: &MarkRow, record: &Record, report: &mut Report) {
    report.foreign += 1;
    tracing::warn!(
        sweep_id = %mark.sweep_id,
        member = mark.index,
        record = %record.id,
        values = record.values.join(" "),
        "a record that spawn did not make stands at a member's name and is left alone"
    );
}
