//! EventBridge, the queue of instance events, and the functions that it wakes.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Fault, Function, Plane};
use crate::engine::Ms;

/// As infra/template.yaml sets them: messages of a batch, functions at a time, how long a message that failed stays
/// invisible, and how often it is tried.
const BATCH: usize = 10;
const FUNCTIONS_MAX: usize = 10;
const VISIBILITY: Ms = 720_000;
const RECEIVES_MAX: u32 = 8;

/// How late a late event is.
const LATE: (Ms, Ms) = (30_000, 600_000);

#[derive(Clone, Debug)]
struct Message {
    number: u64,
    receives: u32,
    body: String,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    sent: u64,
    waiting: VecDeque<Message>,
    functions: usize,
    /// Messages that failed too often.
    pub(crate) dead: u64,
}

impl Plane {
    /// Puts an event on the bus, which delivers it to the queue: mostly once, mostly at once.
    pub(crate) fn deliver(self: &Arc<Self>, event: Value) {
        if self.fault(Fault::EventLost) {
            return;
        }
        let body = event.to_string();
        if self.fault(Fault::EventDoubled) {
            self.send(body.clone());
        }
        self.send(body);
    }

    fn send(self: &Arc<Self>, body: String) {
        let mut delay = self.clock.between(self.settings.latencies.event);
        if self.fault(Fault::EventLate) {
            delay += self.clock.between(LATE);
        }
        let plane = Arc::clone(self);
        self.clock.after(delay, move || {
            let number = {
                let mut state = plane.state();
                state.queue.sent += 1;
                state.stats.queue_requests += 1;
                state.queue.sent
            };
            plane.arrive(Message {
                number,
                receives: 0,
                body,
            });
        });
    }

    fn arrive(self: &Arc<Self>, message: Message) {
        let start = {
            let mut state = self.state();
            state.queue.waiting.push_back(message);
            let start = state.queue.functions < FUNCTIONS_MAX;
            if start {
                state.queue.functions += 1;
            }
            start
        };
        if start {
            let plane = Arc::clone(self);
            self.clock.spawn(async move { plane.consume().await });
        }
    }

    /// One of the queue's pollers: takes a batch, calls the function, until the queue is empty.
    async fn consume(self: Arc<Self>) {
        loop {
            // A poll gathers what comes meanwhile.
            self.clock.sleep(self.clock.between((20, 120))).await;
            let batch: Vec<Message> = {
                let mut state = self.state();
                let count = state.queue.waiting.len().min(BATCH);
                let batch: Vec<Message> = state.queue.waiting.drain(..count).collect();
                if batch.is_empty() {
                    state.queue.functions -= 1;
                    return;
                }
                // One to receive, one to delete.
                state.stats.queue_requests += 2;
                batch
            };
            self.process(batch).await;
        }
    }

    async fn process(self: &Arc<Self>, batch: Vec<Message>) {
        let batch: Vec<Message> = batch
            .into_iter()
            .map(|mut message| {
                message.receives += 1;
                message
            })
            .collect();
        let records: Vec<Value> = batch
            .iter()
            .map(|message| {
                json!({
                    "messageId": message.number.to_string(),
                    "body": message.body,
                    "attributes": {"ApproximateReceiveCount": message.receives.to_string()},
                })
            })
            .collect();
        let event = json!({"Records": records});
        let answer = self.invoke(Function::TrackInstances, event).await;
        let failed: Vec<String> = match &answer {
            Ok(answer) => answer["batchItemFailures"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned))
                .collect(),
            Err(_) => batch.iter().map(|m| m.number.to_string()).collect(),
        };
        for message in batch {
            if !failed.contains(&message.number.to_string()) {
                continue;
            }
            if message.receives >= RECEIVES_MAX {
                self.state().queue.dead += 1;
                continue;
            }
            let plane = Arc::clone(self);
            self.clock.after(VISIBILITY, move || plane.arrive(message));
        }
    }
}
