//! Who did what to a sweep, and when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::Request;
use super::name::Control;
use crate::ids::{ClientToken, SweepId};
use crate::ledger::{Key, Stored};
use crate::ranges::Indices;
use crate::rows::{sweep_pk, versioned};

/// A control that was asked for (`SWEEP#id` / `CONTROL#time#execution`). Created by the function `control` when a request
/// is accepted, completed when it is done. The execution tells who asked: AWS CloudTrail has its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlRow {
    /// The sweep.
    pub sweep_id: SweepId,
    /// When the execution started, in ms since 1970.
    pub at: u64,
    /// The execution that asked.
    pub execution_arn: String,
    /// What was asked.
    pub control: Control,
    /// Of what, in words.
    pub target: String,
    /// The members that it acts on; `None`: all of the sweep.
    #[serde(default)]
    pub members: Option<Indices>,
    /// With what, in words, when there is something to say.
    pub with: Option<String>,
    /// The tries, by member, whose instances are to be replaced.
    #[serde(default)]
    pub replaces: BTreeMap<u32, u32>,
    /// Why, in the words of who asked.
    pub reason: Option<String>,
    /// What came of it; `None` while it goes on, or when it failed.
    pub outcome: Option<Value>,
    /// When it was done, in ms since 1970.
    pub done_at: Option<u64>,
    /// Counts the changes.
    pub version: u64,
}

/// The key of the control of an execution that started at `at` (ms since 1970).
#[must_use]
pub fn control_key(sweep: &SweepId, at: u64, execution_arn: &str) -> Key {
    let token = ClientToken::of(&[execution_arn]);
    let hash = &token.as_str()[..12];
    Key::new(sweep_pk(sweep), format!("CONTROL#{at:013}#{hash}"))
}

impl Stored for ControlRow {
    fn key(&self) -> Key {
        control_key(&self.sweep_id, self.at, &self.execution_arn)
    }
}
versioned!(ControlRow);

impl ControlRow {
    /// The row of a request that was accepted.
    #[must_use]
    pub fn asked(request: &Request, sweep_id: SweepId, execution_arn: &str, at: u64) -> Self {
        let mut with: Vec<String> = request.extension.iter().map(ToString::to_string).collect();
        if request.force {
            with.push("force".to_owned());
        }
        Self {
            sweep_id,
            at,
            execution_arn: execution_arn.to_owned(),
            control: request.control,
            target: request.target.to_string(),
            members: None,
            with: (!with.is_empty()).then(|| with.join(", ")),
            replaces: BTreeMap::new(),
            reason: request.reason.clone(),
            outcome: None,
            done_at: None,
            version: 0,
        }
    }
}
