//! The calls of attempts, and what their answers mean.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use spawn_core::errors::FunctionError;
use spawn_core::launch::{self, After, Answer};
use spawn_core::ledger::{self, Ledger, Versioned as _};
use spawn_core::limits::{Book, Reserved};
use spawn_core::metrics::{Dimension, Measured, Metric};
use spawn_core::ports::{Clock, Ec2Error, InAccounts, LaunchInstances, LaunchRequest, Refusal};
use spawn_core::rows::{
    AttemptRow, AttemptState, BatchRow, LaunchApi, OpenAttempt, attempt_key, batch_key,
};

use crate::turn::{Lane, Run};
use crate::{Turn, When};

/// An attempt under way with its batch.
pub(crate) struct Open {
    pub(crate) batch: BatchRow,
    pub(crate) attempt: AttemptRow,
}

impl Open {
    pub(crate) fn name(&self) -> OpenAttempt {
        OpenAttempt {
            batch: self.attempt.batch,
            number: self.attempt.number,
        }
    }
}

/// A fleet launches within so long after its call, unless the call is held up on its way.
const FLEET_MS: u64 = 5_000;

/// What EC2 said to a call.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) answer: Answer,
    /// What a fleet said of the pools that gave less than was asked for.
    pub(crate) refusals: Vec<Refusal>,
    /// When the call was made, in ms since 1970; 0: it was not made now.
    pub(crate) sent_at: u64,
}

/// An attempt whose call was answered, judged and recorded.
pub(crate) struct Answered {
    pub(crate) open: Open,
    pub(crate) answer: Answer,
    /// What a fleet said of the pools that gave less than was asked for.
    pub(crate) refusals: Vec<Refusal>,
    /// When its instances were launched, as far as that is known, in ms since 1970.
    pub(crate) launched_at: u64,
    /// Whether nothing more can come of it.
    pub(crate) is_over: bool,
    /// Instances that were recorded now.
    pub(crate) recorded: u32,
}

impl<L: Ledger, E: InAccounts + LaunchInstances, C: Clock> Run<'_, L, E, C> {
    /// Makes the calls of the lane's attempts once more: whoever made them before may have died before, during or after them.
    pub(crate) async fn resume(&self, mut lane: Lane) -> Result<Turn, FunctionError> {
        if lane.row.not_before > self.now {
            return Ok(Turn::of(When::At(lane.row.not_before), 0, &lane.row));
        }
        let mut opens = self.open_attempts(&lane).await?;
        let mut sites: Vec<_> = opens
            .iter()
            .map(|one| launch::site(&lane.sweep, &one.attempt.at))
            .collect();
        sites.sort();
        sites.dedup();
        let mut book = Book::load(self.ports.ledger, self.ports.limits, &sites).await?;
        let mut soonest = None;
        let mut ready = Vec::new();
        let mut writes = Vec::new();
        let mut worn_out = Vec::new();
        for mut open in opens.drain(..) {
            if launch::is_worn_out(&open.attempt) {
                worn_out.push(open);
                continue;
            }
            let site = launch::site(&lane.sweep, &open.attempt.at);
            let api = open.attempt.rung.api;
            // Its instances were paid for when it was begun; EC2 counts one more request.
            match book.reserve(&site, api, 0, self.now, launch::HORIZON_MS) {
                Reserved::NotBefore(time) => {
                    soonest = Some(soonest.map_or(time, |other: u64| other.min(time)));
                }
                Reserved::At(time) => {
                    // Its tokens, or its place behind `launch_delay`, may be there later than now.
                    let mut time = time.max(open.attempt.send_at);
                    if lane.row.launch_delay_s > 0 {
                        // The next launch is as far from this call as from the first.
                        time = time.max(self.ports.clock.now_ms() + launch::LEAD_MS);
                        let next = time + lane.row.launch_delay_s * 1000;
                        lane.row.next_launch_at = lane.row.next_launch_at.max(next);
                    }
                    let (attempt, write) = launch::call_again(&open.attempt, time)?;
                    open.attempt = attempt;
                    open.attempt.send_at = time;
                    writes.push(write);
                    ready.push(open);
                }
            }
        }
        if ready.is_empty() && !worn_out.is_empty() {
            return self.abandon(lane, worn_out).await;
        }
        if ready.is_empty() {
            let time = soonest.unwrap_or(self.now);
            return Ok(Turn::of(When::At(time), 0, &lane.row));
        }
        writes.extend(book.writes()?);
        if lane.row.launch_delay_s > 0 {
            writes.push(lane.row.clone().replace()?);
        }
        self.commit(writes).await?;
        if lane.row.launch_delay_s > 0 {
            lane.row.version += 1;
        }
        self.call(lane, ready).await
    }

    /// Closes attempts whose calls nobody answers, once none of them can take effect any more.
    async fn abandon(&self, lane: Lane, opens: Vec<Open>) -> Result<Turn, FunctionError> {
        let words = format!("no answer came, {} times over", launch::CALLS_MAX);
        let told = Told {
            answer: Err(Ec2Error::Transient(words)),
            refusals: Vec::new(),
            sent_at: 0,
        };
        let mut answered = Vec::with_capacity(opens.len());
        for open in opens {
            let settled_at = launch::settled_at(&open.attempt, &told.answer);
            if settled_at > self.now {
                return Ok(Turn::of(When::At(settled_at), 0, &lane.row));
            }
            answered.push(self.take(&lane, open, told.clone()).await?);
        }
        self.finish(lane, answered).await
    }

    async fn open_attempts(&self, lane: &Lane) -> Result<Vec<Open>, FunctionError> {
        let ledger = self.ports.ledger;
        let row = &lane.row;
        let keys = row
            .open_attempts
            .iter()
            .map(|open| attempt_key(&row.sweep_id, &row.lane, *open))
            .collect();
        let attempts: Vec<AttemptRow> = ledger::require_all(ledger, keys).await?;
        if attempts
            .iter()
            .any(|one| one.state != AttemptState::Intended)
        {
            let text = "an attempt was closed meanwhile".to_owned();
            return Err(FunctionError::Conflict(text));
        }
        let keys = attempts
            .iter()
            .map(|one| batch_key(&row.sweep_id, &row.lane, one.batch))
            .collect();
        let batches: Vec<BatchRow> = ledger::require_all(ledger, keys).await?;
        let opens = batches.into_iter().zip(attempts);
        Ok(opens
            .map(|(batch, attempt)| Open { batch, attempt })
            .collect())
    }

    /// Calls EC2 for all these attempts at once, each at its time, and records every answer as it comes.
    pub(crate) async fn call(&self, lane: Lane, opens: Vec<Open>) -> Result<Turn, FunctionError> {
        let mut calls: FuturesUnordered<_> = opens
            .into_iter()
            .map(|open| self.launch(&lane, open))
            .collect();
        let mut answered = Vec::with_capacity(calls.len());
        while let Some((open, told)) = calls.next().await {
            self.measure(&lane, &open.attempt, &told.answer);
            answered.push(self.take(&lane, open, told).await?);
        }
        drop(calls);
        self.finish(lane, answered).await
    }

    /// Makes one call when its time has come.
    async fn launch(&self, lane: &Lane, open: Open) -> (Open, Told) {
        let attempt = &open.attempt;
        let clock = self.ports.clock;
        let early_ms = attempt.send_at.saturating_sub(clock.now_ms());
        if early_ms > 0 {
            clock.sleep_ms(early_ms).await;
        }
        let mut tags = launch::tags(&lane.sweep);
        tags.push((
            "spawn:attempt".to_owned(),
            attempt.token.as_str().to_owned(),
        ));
        let request = LaunchRequest {
            region: attempt.at.region,
            account: launch::site(&lane.sweep, &attempt.at).0,
            token: attempt.token.clone(),
            template: launch::template_name_at(&attempt.sweep_id, &attempt.at, attempt.shape),
            rung: attempt.rung.clone(),
            count: attempt.members.len(),
            tags,
        };
        let sent_at = clock.now_ms();
        let answer = self.ec2(&attempt.at).launch(&request).await;
        let (answer, refusals) = launch::judge(answer);
        let told = Told {
            answer,
            refusals,
            sent_at,
        };
        (open, told)
    }

    /// Records what an answer says of one attempt.
    async fn take(
        &self,
        lane: &Lane,
        mut open: Open,
        told: Told,
    ) -> Result<Answered, FunctionError> {
        let Told {
            answer,
            refusals,
            sent_at,
        } = told;
        let after = After::of(&open.attempt, &answer);
        let mut instances = answer
            .as_ref()
            .map(|launched| launched.instances.clone())
            .unwrap_or_default();
        if after == After::LookUp {
            let region = open.attempt.at.region;
            let token = open.attempt.token.clone();
            let found = self
                .ec2(&open.attempt.at)
                .launched_by(&region, &token)
                .await?;
            for instance in found {
                if !instances.iter().any(|one| one.arn == instance.arn) {
                    instances.push(instance);
                }
            }
        }
        let recorded = self.record(lane, &mut open, &instances).await?;
        let is_full = open.attempt.recorded.len() >= open.attempt.members.len();
        let now = self.ports.clock.now_ms();
        // A fleet's answer does not tell when it launched, and is taken for the time only when the call was held up.
        let is_known = open.attempt.rung.api == LaunchApi::RunInstances
            || after == After::LookUp
            || now > sent_at + FLEET_MS;
        let shown = instances.iter().filter(|_| is_known);
        let latest = shown.map(|one| one.launched_at.min(now)).max();
        let launched_at = sent_at.max(latest.unwrap_or(0));
        let is_over = match after {
            After::Close => true,
            After::Unanswered | After::Repeat => false,
            After::LookUp => is_full || now >= launch::settled_at(&open.attempt, &answer),
        };
        Ok(Answered {
            open,
            answer,
            refusals,
            launched_at,
            is_over,
            recorded,
        })
    }

    fn measure(&self, lane: &Lane, attempt: &AttemptRow, answer: &Answer) {
        let now = self.ports.clock.now_ms();
        let mut measured = Measured::new()
            .by(Dimension::Region, attempt.at.region)
            .property("sweep_id", &lane.sweep.sweep_id)
            .with(Metric::LaunchCalls, 1);
        match answer {
            Ok(launched) => {
                let count = i64::from(launched.len());
                measured = measured.with(Metric::InstancesLaunched, count);
                let lag = now.saturating_sub(lane.sweep.started_at);
                let lag = i64::try_from(lag).unwrap_or(i64::MAX);
                measured = measured.with(Metric::LaunchLag, lag);
            }
            Err(error) => {
                tracing::warn!(
                    sweep_id = %lane.sweep.sweep_id,
                    lane = %lane.row.lane,
                    batch = attempt.batch,
                    attempt = attempt.number,
                    rung = launch::rung_words(attempt),
                    kind = error.kind(),
                    error = %error,
                    "launch was not carried out"
                );
                measured = match error {
                    Ec2Error::Throttled(_) => measured.with(Metric::LaunchThrottles, 1),
                    Ec2Error::Unknown(_) => measured.with(Metric::UnknownErrors, 1),
                    _ => measured,
                };
            }
        }
        (self.ports.publish)(&measured, now);
    }
}
