//! The records of what was launched, and the end of attempts.

use std::collections::{BTreeMap, BTreeSet};

use spawn_core::errors::FunctionError;
use spawn_core::launch::{self, Aftermath, Closing, Ended};
use spawn_core::ledger::{self, Ledger, LedgerError, Stored, Versioned};
use spawn_core::limits::Book;
use spawn_core::metrics::{Dimension, Measured, Metric};
use spawn_core::ports::{Clock, CloudInstance, Ec2Error, InAccounts, LaunchInstances};
use spawn_core::rows::{
    BatchRow, LaneRow, LaunchApi, MemberRow, ProgramRow, SweepRow, Trouble, batch_key, lane_key,
    program_key,
};

use crate::call::{Answered, Open};
use crate::turn::{Lane, Run};
use crate::{Turn, When};

impl<L: Ledger, E: InAccounts + LaunchInstances, C: Clock> Run<'_, L, E, C> {
    /// Records instances of an attempt with its members. Answers how many were recorded now.
    pub(crate) async fn record(
        &self,
        lane: &Lane,
        open: &mut Open,
        instances: &[CloudInstance],
    ) -> Result<u32, FunctionError> {
        // Of a first call that launched nothing there is nothing to record, by whomever.
        if instances.is_empty() && open.attempt.calls <= 1 {
            return Ok(0);
        }
        let before = open.attempt.recorded.len();
        let members = self.members(lane, open).await?;
        open.attempt.recorded = launch::recorded(&open.attempt, &members);
        let pairs = launch::pair(&open.attempt, &members, instances);
        let programs = self.programs(&pairs).await?;
        let (transactions, after) =
            launch::record(&lane.sweep, &open.batch, &open.attempt, pairs, &programs)?;
        for writes in transactions {
            self.commit(writes).await?;
        }
        open.attempt = after;
        Ok(open.attempt.recorded.len() - before)
    }

    async fn members(&self, lane: &Lane, open: &Open) -> Result<Vec<MemberRow>, LedgerError> {
        let indices = open.attempt.members.iter();
        let keys = indices.map(|i| lane.sweep.member_key(i)).collect();
        ledger::require_all(self.ports.ledger, keys).await
    }

    async fn programs(
        &self,
        pairs: &[(MemberRow, &CloudInstance)],
    ) -> Result<BTreeMap<u32, ProgramRow>, LedgerError> {
        let numbers: BTreeSet<u32> = pairs.iter().map(|(member, _)| member.program).collect();
        let keys = numbers
            .iter()
            .map(|&number| program_key(&self.input.sweep_id, number))
            .collect();
        let programs: Vec<ProgramRow> = ledger::require_all(self.ports.ledger, keys).await?;
        Ok(numbers.into_iter().zip(programs).collect())
    }

    /// Closes the attempts of which nothing more can come, and says when the lane goes on.
    pub(crate) async fn finish(
        &self,
        lane: Lane,
        answered: Vec<Answered>,
    ) -> Result<Turn, FunctionError> {
        let now = self.ports.clock.now_ms();
        self.note_dry_pools(&answered, now).await?;
        self.settle_tokens(&lane, &answered, now).await?;
        let is_set_back = answered
            .iter()
            .any(|one| !one.is_over || matches!(one.answer, Err(Ec2Error::Throttled(_))));
        let (setbacks, not_before) = if is_set_back {
            let setbacks = lane.row.setbacks + 1;
            (setbacks, now + launch::backoff_ms(setbacks, self.random))
        } else {
            (0, now)
        };
        let launched = answered.iter().map(|one| one.recorded).sum();
        let (over, pending): (Vec<_>, Vec<_>) = answered.into_iter().partition(|one| one.is_over);
        let mut settled = Vec::new();
        for one in pending {
            // Of a call that was answered it is known that it takes no effect any more.
            if !matches!(one.answer, Err(Ec2Error::Transient(_))) {
                let mut attempt = one.open.attempt;
                attempt.calling_until = None;
                settled.push(attempt.replace()?);
            }
        }
        if !settled.is_empty() {
            self.commit(settled).await?;
        }
        let row = self
            .close(&lane.sweep, lane.row, over, (setbacks, not_before))
            .await?;
        let next = if is_set_back {
            When::At(not_before)
        } else {
            When::Now
        };
        Ok(Turn {
            next,
            launched,
            remaining: row.pending,
        })
    }

    /// Closes attempts. Others may have changed the lane or the batches meanwhile, never the attempts: those are this
    /// launcher's as long as their versions say so.
    async fn close(
        &self,
        sweep: &SweepRow,
        mut row: LaneRow,
        over: Vec<Answered>,
        (setbacks, not_before): (u32, u64),
    ) -> Result<LaneRow, FunctionError> {
        let now = self.ports.clock.now_ms();
        for one in &over {
            log(&row, one);
        }
        let mut batches: Vec<BatchRow> = over.iter().map(|one| one.open.batch.clone()).collect();
        for _ in 0..crate::TRIES_MAX {
            let closings: Vec<Closing> = over
                .iter()
                .zip(&batches)
                .map(|(one, batch)| Closing {
                    attempt: one.open.attempt.clone(),
                    batch: batch.clone(),
                    error: one.answer.as_ref().err().map(|e| e.text().to_owned()),
                })
                .collect();
            let aftermath = Aftermath {
                not_before,
                next_launch_at: next_launch_at(&row, &over),
                setbacks,
                troubles: troubles(sweep, &row, &over, now),
            };
            let writes = launch::close(&row, closings, aftermath)?;
            match self.commit(writes).await {
                Ok(()) => {
                    let launched: u32 = over.iter().map(|o| o.open.attempt.recorded.len()).sum();
                    row.pending = row.pending.saturating_sub(launched);
                    return Ok(row);
                }
                Err(LedgerError::Condition { failed }) => {
                    let is_lost = over
                        .iter()
                        .any(|one| failed.is_empty() || failed.contains(&one.open.attempt.key()));
                    if is_lost {
                        return Err(LedgerError::Condition { failed }.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
            let key = lane_key(&row.sweep_id, &row.lane);
            row = ledger::require(self.ports.ledger, key).await?;
            let keys = over
                .iter()
                .map(|one| batch_key(&row.sweep_id, &row.lane, one.open.batch.batch))
                .collect();
            batches = ledger::require_all(self.ports.ledger, keys).await?;
        }
        let text = "the lane was changed again and again".to_owned();
        Err(FunctionError::Conflict(text))
    }

    /// Tells all sweeps which pools are empty, before anybody asks them again.
    async fn note_dry_pools(&self, answered: &[Answered], now: u64) -> Result<(), FunctionError> {
        let mut rows = BTreeMap::new();
        let mut measured: BTreeMap<String, i64> = BTreeMap::new();
        for one in answered {
            let attempt = &one.open.attempt;
            let launched = one.answer.as_ref().map_or(0, |launched| launched.len());
            let is_short = launched < attempt.members.len();
            for row in launch::dried(
                &attempt.rung,
                attempt.at.place(),
                &one.answer,
                &one.refusals,
                is_short,
                now,
            ) {
                if rows.insert(row.key(), row.row()?).is_none() {
                    *measured.entry(row.region.to_string()).or_insert(0) += 1;
                }
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        for (region, count) in measured {
            let measured = Measured::new()
                .by(Dimension::Region, region)
                .with(Metric::PoolsDry, count);
            (self.ports.publish)(&measured, now);
        }
        let rows = rows.into_values().collect();
        Ok(self.ports.ledger.put_all(rows).await?)
    }

    /// Tells the buckets what EC2 made of the calls: what it throttled has taken nothing, and a fleet only what it launched.
    async fn settle_tokens(
        &self,
        lane: &Lane,
        answered: &[Answered],
        now: u64,
    ) -> Result<(), FunctionError> {
        let news: Vec<_> = answered
            .iter()
            .filter_map(|one| {
                let attempt = &one.open.attempt;
                let asked = attempt.members.len();
                let site = launch::site(&lane.sweep, &attempt.at);
                let is_throttled = matches!(one.answer, Err(Ec2Error::Throttled(_)));
                let unused = match &one.answer {
                    _ if !one.is_over => 0,
                    Err(Ec2Error::Throttled(_)) => asked,
                    Ok(launched) if attempt.rung.api == LaunchApi::CreateFleet => {
                        asked.saturating_sub(launched.len())
                    }
                    Err(_) if attempt.rung.api == LaunchApi::CreateFleet => asked,
                    Ok(_) | Err(_) => 0,
                };
                (is_throttled || unused > 0).then_some((
                    site,
                    attempt.rung.api,
                    asked,
                    unused,
                    is_throttled,
                ))
            })
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        let mut sites: Vec<_> = news.iter().map(|(site, ..)| site.clone()).collect();
        sites.sort();
        sites.dedup();
        for _ in 0..crate::TRIES_MAX {
            let mut book = Book::load(self.ports.ledger, self.ports.limits, &sites).await?;
            for (site, api, asked, unused, is_throttled) in &news {
                if *unused > 0 {
                    book.give_back(site, *unused, now);
                }
                if *is_throttled {
                    book.throttle(site, *api, *asked, now);
                }
            }
            match self.commit(book.writes()?).await {
                Ok(()) => return Ok(()),
                // Another launcher has taken or given back tokens meanwhile.
                Err(LedgerError::Condition { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The attempts count for more: what was not given back comes back with time.
        Ok(())
    }
}

/// With `launch_delay`: when the lane may launch again after what these attempts launched. A call may have been made later than
/// planned, because its launcher stood still or the ledger was busy.
fn next_launch_at(row: &LaneRow, over: &[Answered]) -> u64 {
    let launched = over
        .iter()
        .filter(|one| row.launch_delay_s > 0 && !one.open.attempt.recorded.is_empty());
    let times = launched.map(|one| one.launched_at + row.launch_delay_s * 1000);
    times.max().unwrap_or(0)
}

/// How the lane's shapes stand after these attempts; `sweep` as it was before them.
fn troubles(
    sweep: &SweepRow,
    row: &LaneRow,
    over: &[Answered],
    now: u64,
) -> BTreeMap<u32, Trouble> {
    let mut troubles = row.troubles.clone();
    for one in over {
        let attempt = &one.open.attempt;
        let before = troubles.remove(&attempt.shape).unwrap_or_default();
        let live = sweep.live_in.get(&attempt.at.region);
        let ended = Ended {
            attempt,
            launched: attempt.recorded.len(),
            error: one.answer.as_ref().err(),
            refusals: &one.refusals,
            live: live.copied().unwrap_or(0),
            now,
        };
        if let Some(after) = launch::after_attempt(row, before, &ended) {
            troubles.insert(attempt.shape, after);
        }
    }
    troubles
}

fn log(row: &LaneRow, one: &Answered) {
    let attempt = &one.open.attempt;
    tracing::info!(
        sweep_id = %row.sweep_id,
        lane = %row.lane,
        batch = attempt.batch,
        attempt = attempt.number,
        rung = launch::rung_words(attempt),
        launched = attempt.recorded.len(),
        wanted = attempt.members.len(),
        error = one.answer.as_ref().err().map(ToString::to_string),
        "attempt closed"
    );
}
