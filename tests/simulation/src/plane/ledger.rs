//! The ledger as a function reaches it: DynamoDB with its transactions that conflict, its index that lags, and its faults.

use std::collections::BTreeMap;

use serde_json::Value;
use spawn_core::ledger::{Attributes, Key, Ledger, LedgerError, Page, Row, Write};

use super::client::Client;
use super::{Fault, Plane, State, money};
use crate::engine::Ms;

/// Bytes of a page of a query (Amazon DynamoDB Developer Guide, "Paginating table query results").
const PAGE_BYTES: usize = 1_024 * 1_024;

/// How often the adapter asks a busy ledger before the function is told, and its longest first pause.
const BUSY_TRIES: u32 = 5;
const BUSY_PAUSE_MS: u64 = 50;

/// How late the index of sweeps by status may be.
const INDEX_LAG: (Ms, Ms) = (0, 2_000);

impl Client {
    fn ledger_fault(&self) -> Option<LedgerError> {
        if self.plane.fault(Fault::LedgerBusy) {
            return Some(LedgerError::Busy("ThrottlingException".to_owned()));
        }
        if self.plane.fault(Fault::LedgerUnanswered) {
            return Some(LedgerError::Unavailable("no answer".to_owned()));
        }
        None
    }

    fn answer_lost(&self) -> Result<(), LedgerError> {
        if self.plane.fault(Fault::LedgerAnswerLost) {
            return Err(LedgerError::Unavailable("the answer is lost".to_owned()));
        }
        Ok(())
    }

    /// One try of a commit.
    async fn commit_once(&self, writes: &[Write]) -> Result<(), LedgerError> {
        let latencies = &self.plane.settings.latencies;
        self.begin("commit", latencies.ledger).await;
        if let Some(error) = self.ledger_fault() {
            return Err(error);
        }
        let hold = Hold::take(&self.plane, writes)?;
        if writes.len() > 1 {
            let held = self.plane.clock.between(latencies.transaction);
            self.plane.clock.sleep(held).await;
        }
        let result = self.effect("commit takes effect", |state, now| {
            if self.plane.settings.ignores_budgets {
                return state.commit(&money::without_limits(writes), now);
            }
            state.commit(writes, now)
        });
        drop(hold);
        self.plane.note(|| format!("  {}", told(writes, &result)));
        self.end(latencies.ledger).await;
        self.answer_lost()?;
        result
    }
}

fn told(writes: &[Write], result: &Result<(), LedgerError>) -> String {
    let keys: Vec<String> = writes
        .iter()
        .take(4)
        .map(|write| format!("{}/{}", write.key().pk, write.key().sk))
        .collect();
    let more = writes.len().saturating_sub(keys.len());
    let result = match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("{} and {more} more: {result}", keys.join(" "))
}

/// The rows of a transaction while it is under way. Let go when dropped, whoever drops it.
struct Hold<'a> {
    plane: &'a Plane,
    keys: Vec<Key>,
}

impl<'a> Hold<'a> {
    fn take(plane: &'a Plane, writes: &[Write]) -> Result<Self, LedgerError> {
        let mut state = plane.state();
        if writes.iter().any(|write| state.held.contains(write.key())) {
            return Err(LedgerError::Busy("TransactionConflict".to_owned()));
        }
        let keys: Vec<Key> = if writes.len() > 1 {
            writes.iter().map(|write| write.key().clone()).collect()
        } else {
            Vec::new()
        };
        state.held.extend(keys.iter().cloned());
        Ok(Self { plane, keys })
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut state = self.plane.state();
        for key in &self.keys {
            state.held.remove(key);
        }
    }
}

impl State {
    /// Makes changes, counts them, and checks what must hold after each.
    pub(crate) fn commit(&mut self, writes: &[Write], now: Ms) -> Result<(), LedgerError> {
        let before: BTreeMap<Key, Attributes> = writes
            .iter()
            .map(Write::key)
            .filter(|key| key.sk.starts_with("MEMBER#"))
            .filter_map(|key| Some((key.clone(), self.rows.get(key)?.clone())))
            .collect();
        self.rows.commit(writes)?;
        for write in writes {
            let bytes = self.rows.get(write.key()).map_or(0, bytes);
            self.stats.write(bytes, writes.len() > 1);
            self.note_status(write.key(), now);
        }
        self.check_writes(writes, &before, now);
        Ok(())
    }

    fn note_status(&mut self, key: &Key, now: Ms) {
        if key.sk != "META" {
            return;
        }
        let Some(status) = self
            .rows
            .get(key)
            .and_then(|row| row.get("status")?.as_str())
        else {
            return;
        };
        let history = self.statuses.entry(key.pk.clone()).or_default();
        if history.last().is_none_or(|(_, last)| last != status) {
            history.push((now, status.to_owned()));
            // The index is another copy of the row.
            self.stats.write(512, false);
        }
    }
}

/// The bytes of a row, near enough: names, and values as text.
fn bytes(attributes: &Attributes) -> usize {
    attributes
        .iter()
        .map(|(name, value)| name.len() + bytes_of(value))
        .sum()
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(values) => 3 + values.iter().map(|v| 1 + bytes_of(v)).sum::<usize>(),
        Value::Object(map) => 3 + bytes(map),
    }
}

impl Ledger for Client {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Row>>, LedgerError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let latency = self.plane.settings.latencies.ledger;
        self.begin("get", latency).await;
        if let Some(error) = self.ledger_fault() {
            return Err(error);
        }
        let rows = self.effect("get", |state, _| {
            let rows: Vec<Option<Row>> = keys.iter().map(|key| state.rows.row(key)).collect();
            for row in &rows {
                let bytes = row.as_ref().map_or(0, |row| bytes(&row.attributes));
                state.stats.read(bytes, 1);
            }
            rows
        });
        self.end(latency).await;
        self.answer_lost()?;
        Ok(rows)
    }

    async fn query(&self, pk: &str, prefix: &str, from: Option<Key>) -> Result<Page, LedgerError> {
        let latency = self.plane.settings.latencies.ledger;
        self.begin("query", latency).await;
        if let Some(error) = self.ledger_fault() {
            return Err(error);
        }
        let page = self.effect("query", |state, _| {
            // Rows of spawn have a kilobyte or less.
            let page = state.rows.query(pk, prefix, from, PAGE_BYTES / 1_024);
            let bytes = page.rows.iter().map(|row| bytes(&row.attributes)).sum();
            state.stats.read(bytes, page.rows.len());
            page
        });
        self.end(latency).await;
        self.answer_lost()?;
        Ok(page)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), LedgerError> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.commit_once(&writes).await {
                Err(LedgerError::Busy(_)) if tries < BUSY_TRIES => {
                    let most = BUSY_PAUSE_MS << (tries - 1);
                    let pause = self.plane.clock.between((0, most));
                    self.plane.clock.sleep(pause).await;
                }
                result => return result,
            }
        }
    }

    async fn put_all(&self, rows: Vec<Row>) -> Result<(), LedgerError> {
        let latency = self.plane.settings.latencies.ledger;
        // Row by row, in any order: a death leaves some of them.
        for chunk in rows.chunks(25 * 8) {
            self.begin("put", latency).await;
            if let Some(error) = self.ledger_fault() {
                return Err(error);
            }
            self.effect("put", |state, now| {
                for row in chunk {
                    state.stats.write(bytes(&row.attributes), false);
                    state.put(row.clone(), now);
                }
            });
            self.end(latency).await;
            self.answer_lost()?;
        }
        Ok(())
    }

    async fn sweeps_by_status(
        &self,
        status: &str,
        _from: Option<Key>,
    ) -> Result<Page, LedgerError> {
        let latency = self.plane.settings.latencies.ledger;
        self.begin("query", latency).await;
        if let Some(error) = self.ledger_fault() {
            return Err(error);
        }
        let lag = self.plane.clock.between(INDEX_LAG);
        let page = self.effect("query the index", |state, now| {
            state.stats.read(0, 0);
            let shown = |history: &Vec<(Ms, String)>| {
                history
                    .iter()
                    .rev()
                    .find(|(since, _)| *since + lag <= now)
                    .is_some_and(|(_, shown)| shown == status)
            };
            let rows = state
                .statuses
                .iter()
                .filter(|(_, history)| shown(history))
                .map(|(pk, _)| Row {
                    key: Key::new(pk.clone(), "META"),
                    attributes: Attributes::new(),
                })
                .collect();
            Page { rows, next: None }
        });
        self.end(latency).await;
        Ok(page)
    }
}
