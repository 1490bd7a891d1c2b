//! Hollow mode: no process runs; each member is reported completed a while after its ledger row appeared.
//!
//! The row has key `INSTANCE#<arn>` / `INSTANCE`. As a real member would, the simulator writes the report into it, sends the
//! event `Spawn Member Report`, and shuts the instance down from inside.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::now_ms;
use crate::config::Settings;
use crate::events::{Event, report, send_events};
use crate::gateway::{Gateway, GatewayError};
use crate::sim::Sim;
use crate::world::Boot;

/// Between two looks at the table.
const POLL: Duration = Duration::from_millis(300);
/// Keys in one BatchGetItem (API BatchGetItem).
const KEYS_MAX: usize = 100;
/// Looks at the table in one round: a thousand instances cost little, ten thousand are seen in turns.
const LOOKS_MAX: usize = 5;
/// Reports written at once.
const REPORTS_MAX: usize = 8;

/// What hollow mode hears of instances.
#[derive(Debug)]
enum News {
    Booted(Boot),
    Ended(String),
}

/// Tells hollow mode which instances there are.
#[derive(Debug)]
pub(crate) struct HollowMembers(mpsc::UnboundedSender<News>);

impl HollowMembers {
    pub(crate) fn add(&self, boot: Boot) {
        // Fails only when the simulator is stopping.
        let _stopping = self.0.send(News::Booted(boot));
    }

    pub(crate) fn remove(&self, instance_id: &str) {
        let _stopping = self.0.send(News::Ended(instance_id.to_owned()));
    }
}

/// The members that wait for their row, and those whose time runs.
#[derive(Debug)]
pub(crate) struct Hollow {
    news: mpsc::UnboundedReceiver<News>,
    gateway: Arc<Gateway>,
    sim: Arc<Sim>,
    table: String,
    after_ms: u64,
    /// ARN of every instance that runs.
    running: HashMap<String, String>,
    waiting: VecDeque<String>,
    /// Instances with the time of their report, which only grows.
    due: VecDeque<(u64, String)>,
}

impl Hollow {
    pub(crate) fn new(
        settings: &Settings,
        gateway: Arc<Gateway>,
        sim: Arc<Sim>,
    ) -> (HollowMembers, Self) {
        let (members, news) = mpsc::unbounded_channel();
        let hollow = Self {
            news,
            gateway,
            sim,
            table: settings.table.clone(),
            after_ms: settings.hollow_after_ms,
            running: HashMap::new(),
            waiting: VecDeque::new(),
            due: VecDeque::new(),
        };
        (HollowMembers(members), hollow)
    }

    /// Runs until the simulator stops.
    pub(crate) async fn run(mut self) {
        let (events, queue) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(send_events(Arc::clone(&self.gateway), queue));
        loop {
            if self.running.is_empty() {
                match self.news.recv().await {
                    Some(news) => self.hear(news),
                    None => return,
                }
            }
            while let Ok(news) = self.news.try_recv() {
                self.hear(news);
            }
            self.look().await;
            self.report_due(&events).await;
            tokio::time::sleep(POLL).await;
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Booted(boot) => {
                self.waiting.push_back(boot.instance_id.clone());
                self.running.insert(boot.instance_id, boot.arn);
            }
            News::Ended(instance_id) => {
                self.running.remove(&instance_id);
            }
        }
    }

    /// Looks for the rows of those that wait, in turns.
    async fn look(&mut self) {
        for _ in 0..LOOKS_MAX {
            let mut batch: Vec<(String, String)> = Vec::new();
            while batch.len() < KEYS_MAX {
                let Some(id) = self.waiting.pop_front() else {
                    break;
                };
                if let Some(arn) = self.running.get(&id) {
                    batch.push((id, arn.clone()));
                }
            }
            if batch.is_empty() {
                return;
            }
            let found = match find_rows(&self.gateway, &self.table, &batch).await {
                Ok(found) => found,
                Err(error) => {
                    report(&format!("BatchGetItem failed: {error}"));
                    Vec::new()
                }
            };
            let due_ms = now_ms() + self.after_ms;
            let was_short = batch.len() < KEYS_MAX;
            for (id, arn) in batch {
                if found.contains(&partition_key(&arn)) {
                    self.due.push_back((due_ms, id));
                } else {
                    self.waiting.push_back(id);
                }
            }
            if was_short {
                return;
            }
        }
    }

    /// Reports those whose time has come, and ends them. The row is written before the news of it is sent.
    async fn report_due(&mut self, events: &mpsc::UnboundedSender<Event>) {
        let mut reports = JoinSet::new();
        loop {
            let is_due = self
                .due
                .front()
                .is_some_and(|(at_ms, _)| *at_ms <= now_ms());
            if is_due && reports.len() < REPORTS_MAX {
                let Some((_, id)) = self.due.pop_front() else {
                    continue;
                };
                let Some(arn) = self.running.get(&id).cloned() else {
                    continue;
                };
                let (gateway, table) = (Arc::clone(&self.gateway), self.table.clone());
                reports.spawn(async move { (write_report(&gateway, &table, &arn).await, id, arn) });
                continue;
            }
            match reports.join_next().await {
                None => return,
                Some(Ok((Ok(()), id, arn))) => {
                    // Both fail only when the simulator is stopping.
                    let _stopping = events.send(Event::member_report(&arn, now_ms()));
                    self.sim.with(|world, now_ms| {
                        if let Some(seq) = world.instance(&id).map(|instance| instance.seq) {
                            world.shut_down_from_inside(seq, now_ms);
                        }
                    });
                }
                Some(Ok((Err(error), id, _))) => {
                    report(&format!("the report of {id} could not be written: {error}"));
                    // A row that is gone, or a table that is busy: looked for again.
                    self.waiting.push_back(id);
                }
                Some(Err(error)) => report(&format!("a report was given up: {error}")),
            }
        }
    }
}

fn partition_key(arn: &str) -> String {
    format!("INSTANCE#{arn}")
}

/// The partition keys of rows that exist.
async fn find_rows(
    gateway: &Gateway,
    table: &str,
    batch: &[(String, String)],
) -> Result<Vec<String>, GatewayError> {
    let keys: Vec<Value> = batch
        .iter()
        .map(|(_, arn)| json!({"pk": {"S": partition_key(arn)}, "sk": {"S": "INSTANCE"}}))
        .collect();
    let body = json!({"RequestItems": {table: {"Keys": keys, "ProjectionExpression": "pk", "ConsistentRead": true}}});
    let answer = gateway
        .call("dynamodb", "DynamoDB_20120810.BatchGetItem", "1.0", &body)
        .await?;
    let rows = answer
        .pointer(&format!("/Responses/{table}"))
        .and_then(Value::as_array);
    Ok(rows
        .map(|rows| {
            rows.iter()
                .filter_map(|row| row.pointer("/pk/S")?.as_str().map(ToOwned::to_owned))
                .collect()
        })
        .unwrap_or_default())
}

/// Writes exit code 0 into the row, which must still exist.
async fn write_report(gateway: &Gateway, table: &str, arn: &str) -> Result<(), GatewayError> {
    let body = json!({
        "TableName": table,
        "Key": {"pk": {"S": partition_key(arn)}, "sk": {"S": "INSTANCE"}},
        "UpdateExpression": "SET report_exit_code = :code, report_at = :at, report_reason = :reason",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": {
            ":code": {"N": "0"},
            ":at": {"N": now_ms().to_string()},
            ":reason": {"S": "hollow member"},
        },
    });
    gateway
        .call("dynamodb", "DynamoDB_20120810.UpdateItem", "1.0", &body)
        .await
        .map(drop)
}
