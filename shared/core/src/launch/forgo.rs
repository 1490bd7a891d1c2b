//! The end of members that have no instance, and get none: nobody can launch them, somebody does not want them any more, or their
//! sweep is over before their next try.
//!
//! A member that waits to be launched is in a batch of its lane, or has a RETRY row. Whoever ends it takes it from there in the
//! same transaction. One in an open attempt may have an instance already: it is not ended here.

use crate::ending::EndCode;
use crate::ledger::{Expect, LedgerError, Path, Stored as _, Versioned as _, Write, path};
use crate::ranges::Indices;
use crate::reap::Reaping;
use crate::retry::as_last_tried;
use crate::rows::{BatchRow, LaneRow, MemberRow, RetryRow, SweepRow, count_move, sweep_key};
use crate::state::MemberState;

/// Members that [`give_up`] and [`forgo`] take at once: one write each, and three for batch, lane and sweep.
pub(crate) const FORGONE_MAX: u32 = 97;
/// Members that [`forgo_retries`] takes at once: two writes each, and one for the sweep.
pub const FORGONE_RETRIES_MAX: usize = 49;

/// The first members of `pending`, as many as are taken at once.
#[must_use]
pub fn to_forgo(pending: &Indices) -> Indices {
    pending.split(FORGONE_MAX).0
}

/// The writes that fail the first pending members of `batch`, which the caller has read as `members`, because their lane
/// launches their shape no more.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn give_up(
    sweep: &SweepRow,
    lane: &LaneRow,
    batch: &BatchRow,
    members: Vec<MemberRow>,
    now: u64,
) -> Result<Vec<Write>, LedgerError> {
    let reason = lane
        .troubles
        .get(&batch.shape)
        .and_then(|trouble| trouble.stopped.clone())
        .unwrap_or_else(|| "its lane launches no more".to_owned());
    from_batch(sweep, lane, batch, members, |mut member| {
        member.rungs.clone_from(&batch.rungs);
        ended(member, EndCode::LaunchFailed, reason.clone(), now)
    })
}

/// Why members are not launched, though they could be.
#[derive(Clone, Copy, Debug)]
pub enum Forgone<'a> {
    /// Somebody asked for their end.
    Asked(&'a Reaping),
    /// Their sweep is over: those that were to be tried again end as their last try left them. Others are left as they are.
    NotTriedAgain,
}

impl Forgone<'_> {
    fn end(self, mut member: MemberRow, now: u64) -> MemberRow {
        match self {
            Self::Asked(reaping) => {
                member.reaping = Some(reaping.clone());
                ended(member, reaping.reason.end_code(), reaping.words(), now)
            }
            Self::NotTriedAgain => as_last_tried(&member).unwrap_or(member),
        }
    }
}

/// The writes that end members of `batch`, which the caller has read as `members`.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn forgo(
    sweep: &SweepRow,
    lane: &LaneRow,
    batch: &BatchRow,
    members: Vec<MemberRow>,
    why: Forgone<'_>,
    now: u64,
) -> Result<Vec<Write>, LedgerError> {
    from_batch(sweep, lane, batch, members, |member| why.end(member, now))
}

/// The writes that end members which wait for another try, each with the row by which its lane would have heard of it.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn forgo_retries(
    sweep: &SweepRow,
    members: Vec<(RetryRow, MemberRow)>,
    why: Forgone<'_>,
    now: u64,
) -> Result<Vec<Write>, LedgerError> {
    let mut writes = Vec::with_capacity(2 * members.len() + 1);
    let mut moves = Moves::default();
    let waiting = i64::try_from(members.len()).unwrap_or(i64::MAX);
    for (row, member) in members {
        writes.push(Write::Delete {
            key: row.key(),
            expect: Expect::Version(row.version),
        });
        let member = why.end(member, now);
        moves.note(&member);
        writes.push(member.replace()?);
    }
    let mut add = moves.into_additions();
    add.push((path(&["retrying"]), -waiting));
    writes.push(count(sweep, add));
    Ok(writes)
}

/// The writes that take members from `batch` and its lane as `end` leaves them. One that is not planned any more is only taken.
fn from_batch(
    sweep: &SweepRow,
    lane: &LaneRow,
    batch: &BatchRow,
    members: Vec<MemberRow>,
    end: impl Fn(MemberRow) -> MemberRow,
) -> Result<Vec<Write>, LedgerError> {
    let taken: Indices = members.iter().map(|member| member.index).collect();
    let mut writes = Vec::with_capacity(members.len() + 3);
    let mut moves = Moves::default();
    for member in members {
        if member.state == MemberState::Planned {
            let member = end(member);
            moves.note(&member);
            writes.push(member.replace()?);
        }
    }
    let mut batch = batch.clone();
    batch.pending = batch.pending.without(&taken);
    let mut lane = lane.clone();
    lane.pending = lane.pending.saturating_sub(taken.len());
    writes.push(batch.replace()?);
    writes.push(lane.replace()?);
    let add = moves.into_additions();
    // DynamoDB refuses an update of nothing.
    if !add.is_empty() {
        writes.push(count(sweep, add));
    }
    Ok(writes)
}

fn ended(mut member: MemberRow, code: EndCode, reason: String, now: u64) -> MemberRow {
    member.state = code.state();
    member.code = Some(code);
    member.reason = Some(reason);
    member.ended_at = Some(now);
    member
}

/// How many members of a lane came to which end.
#[derive(Default)]
struct Moves(Vec<(Path, i64)>);

impl Moves {
    fn note(&mut self, ended: &MemberRow) {
        let region = &ended.lane.region;
        for (counter, by) in count_move(region, MemberState::Planned, ended.state, 1) {
            // DynamoDB refuses a path that comes twice.
            match self.0.iter_mut().find(|(there, _)| *there == counter) {
                Some((_, sum)) => *sum += by,
                None => self.0.push((counter, by)),
            }
        }
    }

    fn into_additions(self) -> Vec<(Path, i64)> {
        self.0
    }
}

fn count(sweep: &SweepRow, add: Vec<(Path, i64)>) -> Write {
    Write::Update {
        key: sweep_key(&sweep.sweep_id),
        set: Vec::new(),
        remove: Vec::new(),
        add,
        when: Vec::new(),
    }
}
