//! One turn of a lane: what it does next, and the intents of new attempts.

use std::collections::BTreeMap;

use spawn_core::errors::FunctionError;
use spawn_core::ids::LaneId;
use spawn_core::launch::{self, Chosen, DryPools, Facts, PARALLEL_MAX, Selection};
use spawn_core::ledger::{self, Ledger, LedgerError, Stored, Versioned, Write};
use spawn_core::limits::Book;
use spawn_core::ports::{Clock, Ec2Error, InAccounts, LaunchInstances};
use spawn_core::retry;
use spawn_core::rows::{
    BatchRow, LaneRow, RetryRow, SweepRow, Trouble, batch_key, lane_key, retry_prefix, sweep_key,
    sweep_pk,
};

use crate::afford::Unaffordable;
use crate::call::Open;
use crate::{Input, Ports, Random, Turn, When, conflict_ms};

/// Batches that are read together when those with members left are looked for.
const BATCHES_READ: u32 = 20;

/// Ms until a lane asks again whether standing budgets have room: instances of other sweeps end at any time, and nobody tells it.
const BUDGET_WAIT_MS: u64 = 30_000;

/// How often a busy ledger is asked by a launcher, beside the tries of its adapter.
const BUSY_TRIES_MAX: u32 = 8;

/// A turn of a lane at a moment.
pub(crate) struct Run<'a, L, E, C> {
    pub(crate) ports: &'a Ports<'a, L, E, C>,
    pub(crate) input: &'a Input,
    pub(crate) now: u64,
    pub(crate) random: u64,
}

/// A lane with its sweep, as a turn has read them.
pub(crate) struct Lane {
    pub(crate) sweep: SweepRow,
    pub(crate) row: LaneRow,
}

impl<L: Ledger, E: InAccounts + LaunchInstances, C: Clock> Run<'_, L, E, C> {
    /// EC2 in the account of a lane.
    pub(crate) fn ec2(&self, at: &LaneId) -> E {
        self.ports.ec2.of(at.account)
    }

    /// Commits writes, again if the ledger is busy: a sweep's row is shared by all its lanes, and a launch whose record fails
    /// is asked of EC2 once more.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        let mut tries = 0;
        loop {
            match self.ports.ledger.commit(writes.clone()).await {
                Err(LedgerError::Busy(_)) if tries < BUSY_TRIES_MAX => tries += 1,
                result => return result,
            }
            let mut random = Random(self.random ^ self.ports.clock.now_ms() ^ u64::from(tries));
            let pause_ms = random.next() % conflict_ms(tries);
            self.ports.clock.sleep_ms(pause_ms).await;
        }
    }

    pub(crate) async fn turn(&self) -> Result<Turn, FunctionError> {
        let ledger = self.ports.ledger;
        let Input {
            sweep_id,
            lane,
            execution_arn,
        } = self.input;
        let sweep: SweepRow = ledger::require(ledger, sweep_key(sweep_id)).await?;
        let row: LaneRow = ledger::require(ledger, lane_key(sweep_id, lane)).await?;
        // Attempts under way are finished even when the sweep drains: what they launched must be in the ledger to be reaped.
        if !sweep.is_of(execution_arn.as_deref()) && row.open_attempts.is_empty() {
            return Ok(Turn::of(When::Never, 0, &row));
        }
        let row = self.gather_retries(&sweep, row).await?;
        let lane = Lane { sweep, row };
        if !lane.row.open_attempts.is_empty() {
            return self.resume(lane).await;
        }
        if !lane.sweep.may_launch() {
            return Ok(Turn::of(When::Never, 0, &lane.row));
        }
        let batches = self.next_batches(&lane.row).await?;
        let Some(first) = batches.first() else {
            return Ok(Turn::of(When::Never, 0, &lane.row));
        };
        let is_stopped = |batch: &&BatchRow| {
            let trouble = lane.row.troubles.get(&batch.shape);
            trouble.is_some_and(|trouble| trouble.stopped.is_some())
        };
        if let Some(batch) = batches.iter().find(is_stopped) {
            return self.give_up(&lane, batch).await;
        }
        if lane.row.not_before > self.now {
            return Ok(Turn::of(When::At(lane.row.not_before), 0, &lane.row));
        }
        let mut lane = lane;
        lane.row.next_batch = first.batch;
        self.select(lane, &batches).await
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
        self.commit(retry::gather(&lane, &rows)?).await?;
        Ok(ledger::require(ledger, lane_key(&lane.sweep_id, &lane.lane)).await?)
    }

    /// The first batches with members left: enough for a turn, those that rest not counted.
    async fn next_batches(&self, lane: &LaneRow) -> Result<Vec<BatchRow>, FunctionError> {
        let mut found = Vec::new();
        let mut ready = 0;
        let mut from = lane.next_batch;
        while from < lane.batches && ready < PARALLEL_MAX {
            let to = (from + BATCHES_READ).min(lane.batches);
            let keys = (from..to)
                .map(|number| batch_key(&lane.sweep_id, &lane.lane, number))
                .collect();
            let batches: Vec<BatchRow> = ledger::require_all(self.ports.ledger, keys).await?;
            for batch in batches.into_iter().filter(|b| !b.pending.is_empty()) {
                let trouble = lane.troubles.get(&batch.shape);
                if trouble.is_none_or(|trouble| trouble.rest_until <= self.now) {
                    ready += 1;
                }
                found.push(batch);
            }
            from = to;
        }
        Ok(found)
    }

    /// Decides what is launched, looking at one place after the other until it is clear.
    async fn select(&self, lane: Lane, batches: &[BatchRow]) -> Result<Turn, FunctionError> {
        let ledger = self.ports.ledger;
        let mut peers = BTreeMap::new();
        let mut dry = DryPools::default();
        let mut book = Book::default();
        let mut look = lane.row.lane.clone();
        loop {
            let site = launch::site(&lane.sweep, &look);
            if !book.has(&site) {
                book.join(Book::load(ledger, self.ports.limits, &[site]).await?);
            }
            if !dry.knows(&look.place()) {
                dry.read(ledger, look.place()).await?;
            }
            if look != lane.row.lane && !peers.contains_key(&look) {
                let key = lane_key(&lane.sweep.sweep_id, &look);
                let peer: LaneRow = ledger::require(ledger, key).await?;
                peers.insert(look.clone(), peer);
            }
            let facts = Facts {
                sweep: &lane.sweep,
                lane: &lane.row,
                peers: &peers,
                batches,
                dry: &dry,
                now: self.now,
            };
            let mut taken = book.clone();
            match launch::select(&facts, &mut taken) {
                Selection::Look(place) if place == look => {
                    let text = format!("lane {place} lacks a shape of its peer {}", lane.row.lane);
                    return Err(FunctionError::Bug(text));
                }
                Selection::Look(place) => look = place,
                Selection::Begin(chosen) => return self.begin(lane, peers, chosen, taken).await,
                Selection::Note(troubles) => return self.note(lane, troubles).await,
                Selection::Wait(time) => return Ok(Turn::of(When::At(time), 0, &lane.row)),
                Selection::AwaitSlot => return Ok(Turn::of(When::Slot, 0, &lane.row)),
            }
        }
    }

    /// Notes the trouble of shapes, so that their members rest or are given up.
    async fn note(
        &self,
        lane: Lane,
        troubles: BTreeMap<u32, Trouble>,
    ) -> Result<Turn, FunctionError> {
        for (shape, trouble) in &troubles {
            tracing::warn!(
                sweep_id = %lane.sweep.sweep_id,
                lane = %lane.row.lane,
                shape,
                rounds = trouble.rounds,
                rest_until = trouble.rest_until,
                reason = trouble.stopped.as_deref().or(trouble.last_error.as_deref()),
                is_given_up = trouble.stopped.is_some(),
                "ladder had nothing"
            );
        }
        let mut row = lane.row;
        row.troubles.extend(troubles);
        self.commit(vec![row.clone().replace()?]).await?;
        Ok(Turn::of(When::Now, 0, &row))
    }

    /// Writes the intents, then launches.
    async fn begin(
        &self,
        mut lane: Lane,
        peers: BTreeMap<LaneId, LaneRow>,
        chosen: Vec<Chosen>,
        mut book: Book,
    ) -> Result<Turn, FunctionError> {
        let mut chosen = match self.afford(&lane, &peers, chosen, &mut book).await? {
            Ok(chosen) => chosen,
            Err(Unaffordable::Now(charged_at_most, budget)) => {
                let again = When::At(self.now + BUDGET_WAIT_MS);
                let next = charged_at_most.map_or(again, When::Charged);
                return self.await_budget(lane.row, budget, next).await;
            }
            Err(Unaffordable::Ever(shapes)) => {
                let stop = |(shape, words): (u32, String)| {
                    let mut trouble = lane.row.troubles.get(&shape).cloned().unwrap_or_default();
                    trouble.stopped = Some(words);
                    (shape, trouble)
                };
                let troubles = shapes.into_iter().map(stop).collect();
                return self.note(lane, troubles).await;
            }
        };
        lane.row.waits_for = None;
        let places: BTreeMap<(&LaneId, u32), u32> = chosen
            .iter()
            .map(|one| ((&one.at, one.batch.shape), one.step))
            .collect();
        for ((at, shape), step) in places {
            let row = match peers.get(at) {
                Some(peer) => peer.clone(),
                None => lane.row.clone(),
            };
            match self.ensure_templates(&lane.sweep, row, shape).await? {
                Ok(row) if row.lane == lane.row.lane => lane.row = row,
                Ok(_) => {}
                Err(Ec2Error::Throttled(_) | Ec2Error::Transient(_)) => {
                    return self.set_back(lane.row).await;
                }
                Err(error) => {
                    let mut trouble = lane.row.troubles.remove(&shape).unwrap_or_default();
                    let words = format!("the launch template: {error}");
                    trouble.refused.insert(step, words);
                    return self.note(lane, [(shape, trouble)].into()).await;
                }
            }
        }
        if lane.row.launch_delay_s > 0 {
            // Templates may have taken long: the call is not to be late by that, and the next one too early.
            let soonest = self.ports.clock.now_ms() + launch::LEAD_MS;
            for one in &mut chosen {
                one.send_at = one.send_at.max(soonest);
            }
        }
        let (attempts, mut writes) = launch::begin(&lane.sweep, &lane.row, &chosen, self.now)?;
        writes.extend(book.writes()?);
        self.commit(writes).await?;
        lane.row.version += 1;
        let mut open = Vec::with_capacity(attempts.len());
        for (attempt, one) in attempts.into_iter().zip(&chosen) {
            tracing::info!(
                sweep_id = %lane.sweep.sweep_id,
                lane = %lane.row.lane,
                batch = attempt.batch,
                attempt = attempt.number,
                members = %attempt.members,
                rung = launch::rung_words(&attempt),
                api = attempt.rung.api.as_str(),
                "attempt began"
            );
            let mut batch = one.batch.clone();
            batch.version += 1;
            batch.attempts = attempt.number;
            batch.pending = batch.pending.without(&attempt.members);
            open.push(Open { batch, attempt });
        }
        lane.row.open_attempts = open.iter().map(Open::name).collect();
        if lane.row.launch_delay_s > 0
            && let Some(last) = open.iter().map(|one| one.attempt.send_at).max()
        {
            lane.row.next_launch_at = last + lane.row.launch_delay_s * 1000;
        }
        self.call(lane, open).await
    }

    /// Notes which budget has no room, for whoever asks why nothing is launched, and asks to come back.
    async fn await_budget(
        &self,
        row: LaneRow,
        budget: String,
        next: When,
    ) -> Result<Turn, FunctionError> {
        tracing::info!(sweep_id = %row.sweep_id, lane = %row.lane, budget, "no room in a budget");
        let words = format!("{budget} has no room for more");
        if row.waits_for.as_ref() != Some(&words) {
            let mut noted = row.clone();
            noted.waits_for = Some(words);
            self.commit(vec![noted.replace()?]).await?;
        }
        Ok(Turn::of(next, 0, &row))
    }

    /// Creates the launch templates of a lane up to a shape, before the first attempt with it. Answers the lane's row as it is
    /// then; an error of EC2 is an answer of its own.
    async fn ensure_templates(
        &self,
        sweep: &SweepRow,
        mut lane: LaneRow,
        shape: u32,
    ) -> Result<Result<LaneRow, Ec2Error>, FunctionError> {
        if shape < lane.templates {
            return Ok(Ok(lane));
        }
        for shape in lane.templates..=shape {
            let Some(template) = launch::template_of(sweep, &lane, shape, self.ports.home) else {
                let text = format!("lane {} has no shape {shape}", lane.lane);
                return Err(FunctionError::Bug(text));
            };
            let region = lane.lane.region;
            let ec2 = self.ec2(&lane.lane);
            if let Err(error) = ec2.ensure_template(&region, &template).await {
                return Ok(Err(error));
            }
        }
        lane.templates = shape + 1;
        let write = lane.clone().replace()?;
        self.commit(vec![write]).await?;
        lane.version += 1;
        Ok(Ok(lane))
    }

    /// Notes that a call was throttled or not answered, and asks to come back later.
    pub(crate) async fn set_back(&self, mut row: LaneRow) -> Result<Turn, FunctionError> {
        row.setbacks += 1;
        row.not_before = self.now + launch::backoff_ms(row.setbacks, self.random);
        self.commit(vec![row.clone().replace()?]).await?;
        Ok(Turn::of(When::At(row.not_before), 0, &row))
    }

    /// Fails members that will not be launched, as many as one transaction holds.
    async fn give_up(&self, lane: &Lane, batch: &BatchRow) -> Result<Turn, FunctionError> {
        let keys = launch::to_forgo(&batch.pending)
            .iter()
            .map(|index| lane.sweep.member_key(index))
            .collect();
        let members = ledger::require_all(self.ports.ledger, keys).await?;
        let writes = launch::give_up(&lane.sweep, &lane.row, batch, members, self.now)?;
        self.commit(writes).await?;
        tracing::warn!(
            sweep_id = %lane.sweep.sweep_id,
            lane = %lane.row.lane,
            batch = batch.batch,
            "members were given up"
        );
        Ok(Turn::of(When::Now, 0, &lane.row))
    }
}
