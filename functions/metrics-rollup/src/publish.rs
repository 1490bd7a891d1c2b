//! The pass of a minute.

use spawn_core::errors::FunctionError;
use spawn_core::ledger::{self, Ledger, LedgerError, Stored, Versioned, Write};
use spawn_core::metrics::Measured;
use spawn_core::ports::PublishMetrics;
use spawn_core::rollup::{
    DATA_MAX, LIVE_PREFIX, PassRow, ROLLUP_PK, RollupRow, Totals, ended_key, next_pass, pass_key,
};

use crate::{Output, Ports};

/// How long the last totals of an ended sweep are kept: longer than anybody resumes one.
const KEPT_S: u64 = 90 * 24 * 3600;

/// Sends the numbers of the minute of `now` (ms since 1970), once, however often it is called in that minute.
///
/// # Errors
/// When the ledger or CloudWatch does not answer. What was not sent is sent by a later pass.
pub async fn publish<L: Ledger, M: PublishMetrics>(
    ports: &Ports<'_, L, M>,
    now: u64,
) -> Result<Output, FunctionError> {
    let minute = now / 60_000;
    let mut sent = 0;
    let note = |note, sent| Output {
        sent,
        note: Some(note),
        ..Output::default()
    };
    let last: Option<PassRow> = ledger::load(ports.ledger, pass_key()).await?;
    let is_first = last.is_none();
    let mut last = last.unwrap_or(PassRow {
        is_done: true,
        ..PassRow::default()
    });
    if !last.is_done {
        if !last.can_be_looked_up(minute) {
            return Ok(note("the pass before is not known to be done", 0));
        }
        let Some((finished, count)) = send(ports, last, true).await? else {
            return Ok(note("another call works on the pass before", 0));
        };
        last = finished;
        sent += count;
    }
    let rows: Vec<RollupRow> = ledger::load_all(ports.ledger, ROLLUP_PK, LIVE_PREFIX).await?;
    if rows.is_empty() {
        return Ok(note("no sweep is live", sent));
    }
    let Some(pass) = next_pass(&last, &rows, minute) else {
        return Ok(note("this minute has its pass", sent));
    };
    let write = if is_first {
        pass.create()
    } else {
        pass.clone().replace()
    };
    let Some(pass) = commit(ports.ledger, pass, write?, !is_first).await? else {
        return Ok(note("another call was faster", sent));
    };
    if pass.left_out > 0 {
        tracing::error!(
            sweeps = pass.left_out,
            "live sweeps have no metrics: a pass cannot hold more"
        );
    }
    let Some((pass, count)) = send(ports, pass, false).await? else {
        return Ok(note("another call was faster", sent));
    };
    sent += count;
    for row in rows.into_iter().filter(|row| row.is_ended) {
        if pass.current.get(&row.sweep_id) == Some(&row.totals) {
            keep(ports.ledger, row, now).await?;
        }
    }
    Ok(Output {
        sweeps: pass.current.len(),
        sent,
        disagreements: 0,
        note: None,
        measured: Measured::new(),
    })
}

/// Writes a pass and answers it as it is then; `None` when another call was faster.
async fn commit(
    ledger: &impl Ledger,
    mut pass: PassRow,
    write: Write,
    replaces: bool,
) -> Result<Option<PassRow>, FunctionError> {
    match ledger.commit(vec![write]).await {
        Ok(()) => {
            pass.version += u64::from(replaces);
            Ok(Some(pass))
        }
        Err(LedgerError::Condition { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sends what a pass has not sent. When an earlier call has died on it (`is_unsure`), CloudWatch is asked first whether the part
/// that comes next has arrived. Answers `None` when another call was faster.
async fn send<L: Ledger, M: PublishMetrics>(
    ports: &Ports<'_, L, M>,
    mut pass: PassRow,
    mut is_unsure: bool,
) -> Result<Option<(PassRow, usize)>, FunctionError> {
    let data = pass.data();
    let mut sent = 0;
    loop {
        let left = data.get(pass.sent..).unwrap_or_default();
        let part = left.get(..DATA_MAX).unwrap_or(left);
        let Some(first) = part.first() else { break };
        let has_arrived = is_unsure && ports.metrics.has(first).await?;
        is_unsure = false;
        if !has_arrived {
            ports.metrics.send(part).await?;
            sent += part.len();
        }
        pass.sent += part.len();
        pass.is_done = pass.sent >= data.len();
        let write = pass.clone().replace()?;
        match commit(ports.ledger, pass, write, true).await? {
            Some(noted) => pass = noted,
            None => return Ok(None),
        }
    }
    Ok(Some((pass, sent)))
}

/// Takes a sweep that has ended and was told out of the live ones, and keeps its totals for the case that it is resumed.
async fn keep(ledger: &impl Ledger, row: RollupRow, now: u64) -> Result<(), FunctionError> {
    let before: Option<RollupRow> = ledger::load(ledger, ended_key(&row.sweep_id)).await?;
    let delete = Write::Delete {
        key: row.key(),
        expect: spawn_core::ledger::Expect::Version(row.version),
    };
    let kept = RollupRow {
        version: before.as_ref().map_or(0, |before| before.version),
        base: Totals::default(),
        is_kept: true,
        expires_at: Some(now / 1000 + KEPT_S),
        ..row
    };
    let put = match before {
        Some(_) => kept.replace()?,
        None => kept.create()?,
    };
    match ledger.commit(vec![delete, put]).await {
        // It has changed meanwhile: the next pass tells what.
        Ok(()) | Err(LedgerError::Condition { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
