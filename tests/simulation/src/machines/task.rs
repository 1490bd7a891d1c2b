//! How states run: transitions, retries with jitter, time limits, task tokens.

use std::future::Future;
use std::sync::Arc;

use serde_json::Value;

use super::asl::Machine;
use crate::engine::Ms;
use crate::plane::{Function, Plane, TaskError};

/// What a task answered, and how often it was retried.
pub(crate) struct Done {
    pub(crate) result: Result<Value, TaskError>,
    pub(crate) retries: u64,
}

impl Plane {
    /// Enters a state.
    pub(crate) async fn enter(self: &Arc<Self>, machine: &Machine, state: &str) {
        machine.check(state);
        self.count_transition(machine);
        self.note(|| format!("{}: {state}", machine.name));
        let moment = self.clock.between(self.settings.latencies.transition);
        self.clock.sleep(moment).await;
    }

    fn count_transition(&self, machine: &Machine) {
        *self
            .state()
            .stats
            .transitions
            .entry(machine.name)
            .or_insert(0) += 1;
    }

    /// Runs a task with the retries that its definition names.
    pub(crate) async fn task<F, A>(
        self: &Arc<Self>,
        machine: &Machine,
        state: &str,
        attempt: F,
    ) -> Done
    where
        F: Fn() -> A,
        A: Future<Output = Result<Value, TaskError>>,
    {
        self.enter(machine, state).await;
        let task = machine.task(state);
        let mut used = vec![0_u32; task.retriers.len()];
        let mut retries = 0;
        loop {
            let error = match attempt().await {
                Ok(value) => {
                    return Done {
                        result: Ok(value),
                        retries,
                    };
                }
                Err(error) => error,
            };
            let retrier = task
                .retriers
                .iter()
                .position(|retrier| retrier.matches(&error.name))
                .filter(|&index| used[index] < task.retriers[index].attempts);
            let Some(index) = retrier else {
                self.note(|| format!("{}: {state} fails: {error:?}", machine.name));
                return Done {
                    result: Err(error),
                    retries,
                };
            };
            let most = task.retriers[index].delay_ms(used[index]);
            used[index] += 1;
            retries += 1;
            self.count_transition(machine);
            let delay = self.clock.between((0, most));
            self.clock.sleep(delay).await;
        }
    }

    /// A task that calls a function and waits for its answer.
    pub(crate) async fn call(
        self: &Arc<Self>,
        machine: &Machine,
        state: &str,
        function: Function,
        payload: Value,
    ) -> Done {
        let timeout = machine.task(state).timeout_ms.unwrap_or(Ms::MAX / 2);
        self.task(machine, state, || async {
            tokio::select! {
                biased;
                answer = self.invoke(function, payload.clone()) => answer,
                () = self.clock.sleep(timeout) => {
                    Err(TaskError::new("States.Timeout", "the task's time is over"))
                }
            }
        })
        .await
    }

    /// A task that gives a function a token and waits until somebody answers it.
    pub(crate) async fn call_with_token(
        self: &Arc<Self>,
        machine: &Machine,
        state: &str,
        function: Function,
        timeout: Option<Ms>,
        payload: impl Fn(&str) -> Value,
    ) -> Done {
        let timeout = timeout
            .or(machine.task(state).timeout_ms)
            .unwrap_or(Ms::MAX / 2);
        self.task(machine, state, || async {
            let (token, answered) = self.state().executions.token();
            let began = self.clock.now();
            let result = tokio::select! {
                biased;
                answer = answered.take() => Ok(answer),
                error = self.ask_for_token(function, payload(&token)) => Err(error),
                () = self.clock.sleep(timeout) => {
                    Err(TaskError::new("States.Timeout", "nobody answered the token"))
                }
            };
            self.state().executions.forget(&token);
            let waited = self.clock.now() - began;
            self.note(|| format!("{}: waited {waited} ms: {result:?}", machine.name));
            result
        })
        .await
    }

    /// Calls the function that will see to the token's answer; comes back only with an error.
    async fn ask_for_token(self: &Arc<Self>, function: Function, payload: Value) -> TaskError {
        match self.invoke(function, payload).await {
            Ok(_) => std::future::pending().await,
            Err(error) => error,
        }
    }
}
