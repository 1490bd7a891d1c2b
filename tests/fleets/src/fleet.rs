//! A fleet, its clock, and the passes of the reaper over it.

use idle_reaper::{Input, Ports, handle};
use serde_json::Value;
use simulation::Executions;
use spawn_core::errors::FunctionError;
use spawn_core::ledger::{Ledger, Row};
use spawn_core::reap::breaker::Limit;
use spawn_core::rows::instance_key;

use crate::build::{checked, words};
use crate::cloud::{FleetCloud, Truth};
use crate::ledger::CountingLedger;

/// A fleet in one region.
#[derive(Debug)]
pub struct Fleet {
    /// The ledger.
    pub ledger: CountingLedger,
    /// EC2 and CloudWatch.
    pub cloud: FleetCloud,
    /// Writes that instances made to their rows.
    pub words: std::cell::Cell<u64>,
    executions: Executions,
}

impl Fleet {
    /// A fleet of these instances whose ledger holds these rows.
    pub async fn new(instances: Vec<Truth>, rows: Vec<Row>, seed: u64) -> Self {
        let ledger = CountingLedger::default();
        checked(ledger.put_all(rows).await);
        Self {
            ledger,
            cloud: FleetCloud::new(instances, seed),
            words: std::cell::Cell::new(0),
            executions: Executions::default(),
        }
    }

    /// An instance speaks.
    pub fn say(&self, truth: &Truth, activity: &str, since: u64, at: u64) {
        self.words.set(self.words.get() + 1);
        let key = instance_key(&truth.managed.instance.arn);
        self.ledger.report(&key, words(activity, since, at));
    }

    /// The end of an instance's program is in its row.
    pub fn report_end(&self, truth: &Truth, at: u64) {
        let mut words = spawn_core::ledger::Attributes::new();
        words.insert("report_exit_code".to_owned(), 0.into());
        words.insert("report_at".to_owned(), at.into());
        let key = instance_key(&truth.managed.instance.arn);
        self.ledger.report(&key, words);
    }

    /// One pass at `now`.
    ///
    /// # Errors
    /// As the handler.
    pub async fn pass(&self, now: u64) -> Result<Value, FunctionError> {
        self.cloud.set_now(now);
        let ports = Ports {
            ledger: &self.ledger,
            ec2: &self.cloud,
            executions: &self.executions,
            limit: Limit::default(),
            home: crate::build_region(),
            measure: &|_, _| (),
        };
        let place = serde_json::json!({"reap_place": {"place": "us-east-1"}});
        let input: Input =
            serde_json::from_value(place).map_err(|error| FunctionError::Bug(error.to_string()))?;
        handle(input, &ports, now).await
    }

    /// What a pass asks of the ledger before its places: which there are.
    ///
    /// # Errors
    /// As the handler.
    pub async fn places(&self, now: u64) -> Result<(), FunctionError> {
        let home = spawn_core::account::Place::home(crate::build_region());
        spawn_core::reap::places(&self.ledger, home, spawn_core::reap::Which::Due, now).await?;
        Ok(())
    }
}
