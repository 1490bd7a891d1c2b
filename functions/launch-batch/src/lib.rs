//! launch-batch: one step of a lane. It launches one batch, records what EC2 launched, and says when to come back.
//!
//! Safe to run twice at once, to be killed anywhere and to be run again: see [`spawn_core::launch`] for the protocol.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use spawn_core::boot::Home;
use spawn_core::budget::{self, Room};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{LaneId, SweepId};
use spawn_core::launch::{self, Closing, Step};
use spawn_core::ledger::{self, Ledger, LedgerError, Stored, Versioned};
use spawn_core::ports::{CloudInstance, Ec2Error, InAccounts, LaunchInstances, LaunchRequest};
use spawn_core::retry;
use spawn_core::rows::{
    AttemptRow, AttemptState, BatchRow, LaneRow, MemberRow, OpenAttempt, ProgramRow, RetryRow,
    SweepRow, attempt_key, batch_key, lane_key, program_key, retry_prefix, sweep_key, sweep_pk,
};

/// What the state machine asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The sweep.
    pub sweep_id: SweepId,
    /// The lane.
    pub lane: LaneId,
}

/// When to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// At once.
    Launch,
    /// In `wait_s` seconds.
    Wait,
    /// When an instance of the sweep has ended.
    Slot,
    /// Never: the lane has nothing more to launch.
    Done,
}

/// The answer to the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// When to come back.
    pub next: Next,
    /// Seconds to wait when `next` is `wait`, else 0.
    pub wait_s: u64,
    /// Instances that this step recorded.
    pub launched: u32,
    /// Members of the lane not yet launched nor given up.
    pub remaining: u32,
}

/// What the handler needs of the outside.
pub struct Ports<'a, L, E> {
    /// The ledger.
    pub ledger: &'a L,
    /// EC2.
    pub ec2: &'a E,
    /// Where instances find the ledger.
    pub home: &'a Home,
}

/// How often a step starts over because another writer was faster, before it asks to be called again.
const TRIES_MAX: u32 = 10;

/// How often in a row an attempt may go unanswered before what it launched is looked up and the attempt closed.
const UNANSWERED_MAX: u32 = 20;

/// Takes one step of a lane at `now` (ms since 1970); `random` decides jitter.
///
/// # Errors
/// When the ledger does not answer. EC2's errors are answers: they decide when to come back.
pub async fn handle<L: Ledger, E: InAccounts + LaunchInstances>(
    input: Input,
    ports: &Ports<'_, L, E>,
    now: u64,
    random: u64,
) -> Result<Output, FunctionError> {
    let run = Run {
        ports,
        now,
        random,
        input: &input,
    };
    for _ in 0..TRIES_MAX {
        match run.step().await {
            // Another launcher of this lane, or a lane that took the last slots, was faster: look again.
            Err(FunctionError::Conflict(_)) => {}
            result => return result,
        }
    }
    Ok(Output {
        next: Next::Wait,
        wait_s: launch::backoff_s(2, random),
        launched: 0,
        remaining: 0,
    })
}

/// Seconds until a lane asks again whether a budget has room: instances end at any time, and nobody tells it.
const BUDGET_WAIT_S: u64 = 30;

struct Run<'a, L, E> {
    ports: &'a Ports<'a, L, E>,
    now: u64,
    random: u64,
    input: &'a Input,
}

impl<L: Ledger, E: InAccounts + LaunchInstances> Run<'_, L, E> {
    /// EC2 in the lane's account.
    fn ec2(&self) -> E {
        self.ports.ec2.of(self.input.lane.account)
    }

    async fn step(&self) -> Result<Output, FunctionError> {
        let ledger = self.ports.ledger;
        let Input { sweep_id, lane } = self.input;
        let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
        let lane: LaneRow = ledger::require(ledger, lane_key(sweep_id, lane)).await?;
        let lane = self.gather_retries(&sweep, lane).await?;
        let batch = self.next_batch(&lane).await?;
        let step = launch::next_step(&sweep, &lane, batch.as_ref(), self.now);
        match (step, batch) {
            (Step::Resume(open), _) => self.resume(&sweep, &lane, open).await,
            (Step::Begin(count), Some(batch)) => self.begin(&sweep, lane, batch, count).await,
            (Step::GiveUp, Some(batch)) => self.give_up(&sweep, &lane, &batch).await,
            (Step::Wait(seconds), _) => Ok(answer(Next::Wait, seconds, 0, &lane)),
            (Step::AwaitSlot, _) => Ok(answer(Next::Slot, 0, 0, &lane)),
            (Step::Done | Step::Begin(_) | Step::GiveUp, _) => Ok(answer(Next::Done, 0, 0, &lane)),
        }
    }

    /// Puts members that are to be tried again into a batch of the lane.
    async fn gather_retries(
        &self,
        sweep: &SweepRow,
        lane: LaneRow,
    ) -> Result<LaneRow, FunctionError> {
        if sweep.retrying <= 0 || !sweep.may_launch() {
            return Ok(lane);
        }
        let ledger = self.ports.ledger;
        let prefix = retry_prefix(&lane.lane);
        let page = ledger
            .query(&sweep_pk(&lane.sweep_id), &prefix, None)
            .await?;
        let rows: Result<Vec<RetryRow>, _> = page.rows.into_iter().map(Stored::from_row).collect();
        let rows = rows?;
        if rows.is_empty() {
            return Ok(lane);
        }
        tracing::info!(sweep_id = %sweep.sweep_id, lane = %lane.lane, waiting = rows.len(), "members are tried again");
        ledger.commit(retry::gather(&lane, &rows)?).await?;
        Ok(ledger::require(ledger, lane_key(&lane.sweep_id, &lane.lane)).await?)
    }

    /// The first batch with members left.
    async fn next_batch(&self, lane: &LaneRow) -> Result<Option<BatchRow>, FunctionError> {
        for number in lane.next_batch..lane.batches {
            let key = batch_key(&lane.sweep_id, &lane.lane, number);
            let batch: BatchRow = ledger::require(self.ports.ledger, key).await?;
            if !batch.pending.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Writes the intent, then launches.
    async fn begin(
        &self,
        sweep: &SweepRow,
        lane: LaneRow,
        batch: BatchRow,
        count: u32,
    ) -> Result<Output, FunctionError> {
        let lane = match self.ensure_template(lane, batch.shape).await? {
            Ok(lane) => lane,
            Err(output) => return Ok(output),
        };
        let standing = budget::standing(self.ports.ledger, sweep, &lane.lane, self.now).await?;
        let each = lane.prices.commitment(batch.shape);
        let count = match budget::room(sweep, &standing, each, count) {
            Room::For(count) => count,
            Room::Later => {
                tracing::info!(sweep_id = %sweep.sweep_id, lane = %lane.lane, "no room in a budget");
                return Ok(answer(Next::Wait, BUDGET_WAIT_S, 0, &lane));
            }
            Room::Never(words) => {
                let mut stopped = lane.clone();
                stopped.stopped = Some(words);
                self.ports.ledger.commit(vec![stopped.replace()?]).await?;
                return Ok(answer(Next::Launch, 0, 0, &lane));
            }
        };
        let (attempt, writes) = launch::begin(sweep, &lane, &batch, count, &standing, self.now)?;
        self.ports.ledger.commit(writes).await?;
        tracing::info!(
            sweep_id = %sweep.sweep_id,
            lane = %lane.lane,
            batch = attempt.batch,
            attempt = attempt.number,
            members = %attempt.members,
            instance_type = %attempt.rung.instance_type,
            market = %attempt.rung.market,
            "attempt began"
        );
        let open = OpenAttempt {
            batch: attempt.batch,
            number: attempt.number,
        };
        // Read again, so that what follows holds the versions that were just written.
        let lane: LaneRow =
            ledger::require(self.ports.ledger, lane_key(&lane.sweep_id, &lane.lane)).await?;
        self.resume(sweep, &lane, open).await
    }

    /// Creates the launch template of a shape before its first attempt. An error of EC2 is an answer of its own.
    async fn ensure_template(
        &self,
        lane: LaneRow,
        shape: u32,
    ) -> Result<Result<LaneRow, Output>, FunctionError> {
        if shape < lane.templates {
            return Ok(Ok(lane));
        }
        let mut lane = lane;
        for shape in lane.templates..=shape {
            let Some(template) = launch::template_of(&lane, shape, self.ports.home) else {
                return Err(FunctionError::Bug(format!(
                    "lane {} has no shape {shape}",
                    lane.lane
                )));
            };
            let region = lane.lane.region;
            match self.ec2().ensure_template(&region, &template).await {
                Ok(()) => {}
                Err(Ec2Error::Throttled(_) | Ec2Error::Transient(_)) => {
                    return self.set_back(&lane).await.map(Err);
                }
                Err(error) => {
                    let mut stopped = lane.clone();
                    stopped.stopped = Some(format!("the launch template: {error}"));
                    self.ports.ledger.commit(vec![stopped.replace()?]).await?;
                    return Ok(Err(answer(Next::Launch, 0, 0, &lane)));
                }
            }
        }
        lane.templates = shape + 1;
        self.ports
            .ledger
            .commit(vec![lane.clone().replace()?])
            .await?;
        let key = lane_key(&lane.sweep_id, &lane.lane);
        Ok(Ok(ledger::require(self.ports.ledger, key).await?))
    }

    /// Makes the call of an attempt, again if need be, and records what it launched.
    async fn resume(
        &self,
        sweep: &SweepRow,
        lane: &LaneRow,
        open: OpenAttempt,
    ) -> Result<Output, FunctionError> {
        let key = attempt_key(&lane.sweep_id, &lane.lane, open);
        let attempt: AttemptRow = ledger::require(self.ports.ledger, key).await?;
        let key = batch_key(&lane.sweep_id, &lane.lane, open.batch);
        let batch: BatchRow = ledger::require(self.ports.ledger, key).await?;
        if attempt.state != AttemptState::Intended {
            // Closed between our reads: look again.
            return Err(FunctionError::Conflict(
                "the attempt was closed meanwhile".to_owned(),
            ));
        }
        let Some(template) = launch::template_of(lane, attempt.shape, self.ports.home) else {
            return Err(FunctionError::Bug(format!(
                "attempt {} names a shape that lane {} does not have",
                attempt.number, lane.lane
            )));
        };
        let request = LaunchRequest {
            region: lane.lane.region,
            token: attempt.token.clone(),
            template: template.name,
            rung: attempt.rung.clone(),
            count: attempt.members.len(),
            tags: tags(sweep, &attempt),
        };
        let open = Open {
            sweep,
            lane,
            batch,
            attempt,
        };
        match self.ec2().launch(&request).await {
            Ok(instances) => self.record(open, &instances, None).await,
            Err(Ec2Error::Throttled(message)) => {
                tracing::warn!(sweep_id = %sweep.sweep_id, lane = %lane.lane, message, "launch was throttled");
                self.set_back(lane).await
            }
            Err(Ec2Error::Transient(message)) if lane.setbacks < UNANSWERED_MAX => {
                tracing::warn!(sweep_id = %sweep.sweep_id, lane = %lane.lane, message, "launch was not answered");
                self.set_back(lane).await
            }
            Err(error) => self.end_in_error(open, error).await,
        }
    }

    /// Ends an attempt whose call EC2 will not carry out (any more). An earlier call of the same attempt may have launched,
    /// whatever this one is answered: what the token launched is told by the tag that every instance got in the request.
    async fn end_in_error(&self, open: Open<'_>, error: Ec2Error) -> Result<Output, FunctionError> {
        let region = &open.lane.lane.region;
        let token = &open.attempt.token;
        let found = self.ec2().launched_by(region, token).await?;
        if !found.is_empty() {
            // The rest goes back to the batch, and its next attempt meets the error if it still stands.
            return self.record(open, &found, Some(error)).await;
        }
        match error {
            Ec2Error::Quota(_) | Ec2Error::Refused(_) => {
                let stop = Some(error.to_string());
                self.close(open, Some(&error), self.now, stop).await
            }
            // Another try, and not for ever.
            Ec2Error::NoCapacity(_)
            | Ec2Error::TokenSpent(_)
            | Ec2Error::Transient(_)
            | Ec2Error::Throttled(_) => self.next_rung(open, &error).await,
        }
    }

    /// Records the instances of an attempt with its members, then closes it.
    async fn record(
        &self,
        mut open: Open<'_>,
        instances: &[CloudInstance],
        error: Option<Ec2Error>,
    ) -> Result<Output, FunctionError> {
        let members = self.members(open.sweep, &open.attempt).await?;
        let pairs = launch::pair(&open.attempt, &members, instances);
        let programs = self.programs(&pairs).await?;
        for writes in launch::record(open.sweep, &open.attempt, pairs, &programs)? {
            self.ports.ledger.commit(writes).await?;
        }
        if error.is_none() && instances.len() < usize_of(open.attempt.members.len()) {
            // EC2 gave what this pool had: go on with the next one.
            let rungs = launch::ladder(&shape_of(&open)?, open.lane.lane.market).len();
            let next = usize_of(open.batch.rung) + 1;
            open.batch.rung = u32::try_from(next % rungs.max(1)).unwrap_or(0);
            open.batch.rounds = 0;
        }
        let not_before = self.now + open.lane.launch_delay_s * 1000;
        self.close(open, error.as_ref(), not_before, None).await
    }

    /// Closes an attempt for which there was no capacity and moves its batch up the ladder.
    async fn next_rung(
        &self,
        mut open: Open<'_>,
        error: &Ec2Error,
    ) -> Result<Output, FunctionError> {
        let rungs = launch::ladder(&shape_of(&open)?, open.lane.lane.market).len();
        let (not_before, stop) = match launch::after_no_capacity(&mut open.batch, rungs) {
            Some(seconds) => (self.now + seconds * 1000, None),
            None => {
                let rounds = launch::ROUNDS_MAX;
                let words =
                    format!("EC2 launched nothing in any pool, {rounds} times over; last: {error}");
                (self.now, Some(words))
            }
        };
        self.close(open, Some(error), not_before, stop).await
    }

    /// Closes an attempt: members without an instance go back to the batch, and their slots too.
    async fn close(
        &self,
        open: Open<'_>,
        error: Option<&Ec2Error>,
        not_before: u64,
        stop: Option<String>,
    ) -> Result<Output, FunctionError> {
        let Open {
            sweep,
            lane,
            batch,
            attempt,
        } = open;
        // Read after recording: a member counts as launched when its row says so, whoever recorded it.
        let members = self.members(sweep, &attempt).await?;
        let closing = Closing {
            launched: launch::launched(&members, &attempt),
            error: error.map(ToString::to_string),
            not_before,
            stop,
        };
        let count = closing.launched.len();
        let stopped = closing.stop.clone();
        let writes = launch::close(lane, &batch, &attempt, closing)?;
        self.ports.ledger.commit(writes).await?;
        tracing::info!(
            sweep_id = %sweep.sweep_id,
            lane = %lane.lane,
            batch = attempt.batch,
            attempt = attempt.number,
            launched = count,
            wanted = attempt.members.len(),
            error = error.map(ToString::to_string),
            stopped,
            "attempt closed"
        );
        let mut lane = lane.clone();
        lane.pending = lane.pending.saturating_sub(count);
        Ok(answer(Next::Launch, 0, count, &lane))
    }

    /// Fails members that will not be launched, as many as one transaction holds.
    async fn give_up(
        &self,
        sweep: &SweepRow,
        lane: &LaneRow,
        batch: &BatchRow,
    ) -> Result<Output, FunctionError> {
        let keys = launch::to_give_up(batch)
            .iter()
            .map(|index| sweep.member_key(index))
            .collect();
        let members: Vec<MemberRow> = ledger::require_all(self.ports.ledger, keys).await?;
        let writes = launch::give_up(sweep, lane, batch, members, self.now)?;
        self.ports.ledger.commit(writes).await?;
        tracing::warn!(sweep_id = %sweep.sweep_id, lane = %lane.lane, reason = lane.stopped, "members were given up");
        Ok(answer(Next::Launch, 0, 0, lane))
    }

    /// Notes that a call was throttled or not answered, and asks to come back later.
    async fn set_back(&self, lane: &LaneRow) -> Result<Output, FunctionError> {
        let mut row = lane.clone();
        row.setbacks += 1;
        let wait_s = launch::backoff_s(row.setbacks, self.random);
        self.ports.ledger.commit(vec![row.replace()?]).await?;
        Ok(answer(Next::Wait, wait_s, 0, lane))
    }

    async fn members(
        &self,
        sweep: &SweepRow,
        attempt: &AttemptRow,
    ) -> Result<Vec<MemberRow>, LedgerError> {
        let keys = attempt
            .members
            .iter()
            .map(|i| sweep.member_key(i))
            .collect();
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
}

/// An attempt under way with all it belongs to.
struct Open<'a> {
    sweep: &'a SweepRow,
    lane: &'a LaneRow,
    batch: BatchRow,
    attempt: AttemptRow,
}

fn shape_of(open: &Open<'_>) -> Result<spawn_core::rows::Shape, FunctionError> {
    let shape = open.lane.shapes.get(usize_of(open.attempt.shape));
    shape.cloned().ok_or_else(|| {
        FunctionError::Bug(format!(
            "lane {} lost shape {}",
            open.lane.lane, open.attempt.shape
        ))
    })
}

/// The tags of an attempt's instances and volumes. They are in the launch request, so no instance ever lacks them.
fn tags(sweep: &SweepRow, attempt: &AttemptRow) -> Vec<(String, String)> {
    [
        ("Name", sweep.sweep_id.as_str()),
        ("spawn:managed", "true"),
        ("spawn:sweep-id", sweep.sweep_id.as_str()),
        ("spawn:sweep-name", &sweep.name),
        ("spawn:owner", &sweep.owner),
        ("spawn:project", &sweep.project),
        ("spawn:attempt", attempt.token.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

fn answer(next: Next, wait_s: u64, launched: u32, lane: &LaneRow) -> Output {
    Output {
        next,
        wait_s,
        launched,
        remaining: lane.pending,
    }
}

/// A `u32` as an index; `usize` has at least 32 bits wherever spawn runs.
fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
