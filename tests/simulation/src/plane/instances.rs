//! The lives of instances: boot, assignment, program, report, end; and what EC2 tells of them.
//!
//! What an instance does follows `infra/instance/runner.sh`; its own timer ends it whatever becomes of the control plane.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use spawn_core::clock::format_iso;
use spawn_core::ids::{InstanceArn, Market};
use spawn_core::ledger::Key;
use spawn_core::ports::InstanceState;

use super::{Fault, Plane};
use crate::engine::Ms;

/// From the notice to the end of a spot instance (Amazon EC2 User Guide, "Spot Instance interruption notices").
const SPOT_NOTICE: Ms = 120_000;

/// Between two looks for the assignment; the runner's longest pause.
const ASSIGNMENT_PAUSE: (Ms, Ms) = (1_000, 15_000);

/// What an instance reads at boot.
#[derive(Clone, Debug)]
struct Assignment {
    sweep: String,
    member: u32,
    on_complete: String,
    deadline: Option<Ms>,
    results: (String, String),
}

impl Assignment {
    /// Reads lines of `key base64`.
    fn parse(text: &str) -> Option<Self> {
        let lines: BTreeMap<&str, String> = text
            .lines()
            .filter_map(|line| {
                let (key, value) = line.split_once(' ')?;
                let value = STANDARD.decode(value).ok()?;
                Some((key, String::from_utf8(value).ok()?))
            })
            .collect();
        Some(Self {
            sweep: lines.get("sweep_id")?.clone(),
            member: lines.get("member_index")?.parse().ok()?,
            on_complete: lines.get("on_complete")?.clone(),
            deadline: lines
                .get("ttl_deadline")
                .and_then(|seconds| seconds.parse::<u64>().ok())
                .map(|seconds| seconds * 1_000),
            results: (
                lines.get("results_bucket")?.clone(),
                lines.get("results_prefix")?.clone(),
            ),
        })
    }
}

fn instance_key(arn: &InstanceArn) -> Key {
    Key::new(format!("INSTANCE#{arn}"), "INSTANCE")
}

impl Plane {
    /// An instance was launched.
    pub(crate) fn begin_life(self: &Arc<Self>, number: usize) {
        self.tell(number, "pending");
        let pending = self.clock.between(self.settings.ec2.pending);
        let plane = Arc::clone(self);
        self.clock.after(pending, move || plane.run(number));
        let (is_spot, kill_after_s) = {
            let state = self.state();
            let instance = state.ec2.instance(number);
            (instance.market == Market::Spot, instance.kill_after_s)
        };
        if let Some(seconds) = kill_after_s {
            let plane = Arc::clone(self);
            let timer = pending + seconds * 1_000;
            self.clock
                .after(timer, move || plane.time_is_over(number, None));
        }
        if is_spot && self.fault(Fault::SpotLoss) {
            let plane = Arc::clone(self);
            let life = self.settings.life.run.1 + 30_000;
            let at = self.clock.below(life);
            self.clock.after(at, move || plane.notice(number));
        }
        if self.fault(Fault::InstanceLost) {
            let plane = Arc::clone(self);
            let at = self.clock.below(self.settings.life.run.1 + 30_000);
            self.clock.after(at, move || {
                plane.shut_down(number, "Server.InternalError");
            });
        }
    }

    fn run(self: &Arc<Self>, number: usize) {
        if self.state_of(number) != InstanceState::Pending {
            return;
        }
        self.put_state(number, InstanceState::Running, None);
        let boot = self.clock.between(self.settings.life.boot);
        let plane = Arc::clone(self);
        self.clock.after(boot, move || plane.look_for_work(number));
    }

    fn look_for_work(self: &Arc<Self>, number: usize) {
        if self.state_of(number) != InstanceState::Running {
            return;
        }
        let arn = self.arn_of(number);
        let text = {
            let state = self.state();
            let row = state.rows.get(&instance_key(&arn));
            row.and_then(|row| row.get("assignment")?.as_str().map(str::to_owned))
        };
        let Some(text) = text else {
            let pause = self.clock.between(ASSIGNMENT_PAUSE);
            let plane = Arc::clone(self);
            self.clock.after(pause, move || plane.look_for_work(number));
            return;
        };
        match Assignment::parse(&text) {
            Some(assignment) => self.work(number, arn, assignment),
            None => self.violated(format!("{arn} cannot read its assignment")),
        }
    }

    /// Works on its member: at most one instance does at any moment.
    fn work(self: &Arc<Self>, number: usize, arn: InstanceArn, assignment: Assignment) {
        let member = (assignment.sweep.clone(), assignment.member);
        self.note(|| format!("{arn} works on member {}", assignment.member));
        let other = self.state().at_work.insert(member, arn.clone());
        if let Some(other) = other {
            let what = format!("member {} runs on {other} and on {arn}", assignment.member);
            self.violated(what);
        }
        let run = self.clock.between(self.settings.life.run);
        if let Some(deadline) = assignment.deadline {
            let left = deadline.saturating_sub(self.clock.now());
            let plane = Arc::clone(self);
            let of_member = assignment.clone();
            self.clock
                .after(left, move || plane.time_is_over(number, Some(of_member)));
        }
        let plane = Arc::clone(self);
        self.clock
            .after(run, move || plane.finish(number, &assignment));
    }

    fn finish(self: &Arc<Self>, number: usize, assignment: &Assignment) {
        if self.state_of(number) != InstanceState::Running {
            return;
        }
        let failed = self.clock.happens(self.settings.life.fails);
        let exit_code = i64::from(failed);
        let (bucket, prefix) = &assignment.results;
        let result_key = format!("{prefix}/result.json");
        let name = format!("{bucket}/{result_key}");
        self.state()
            .objects
            .insert(name, br#"{"loss": 0.5}"#.to_vec());
        let report = json!({
            "report_exit_code": exit_code,
            "report_result_key": result_key,
            "report_at": self.clock.now(),
        });
        self.report(number, report);
        if assignment.on_complete == "terminate" {
            // From the report to the shutdown a moment passes.
            let plane = Arc::clone(self);
            let moment = self.clock.between((500, 3_000));
            self.clock.after(moment, move || {
                plane.shut_down(number, "Client.InstanceInitiatedShutdown");
            });
        } else {
            self.leave_work(number);
        }
    }

    /// Writes the instance's report into its row, and tells that it is there.
    fn report(self: &Arc<Self>, number: usize, report: Value) {
        let arn = self.arn_of(number);
        let Value::Object(attributes) = report else {
            return;
        };
        {
            let mut state = self.state();
            state.rows.set(&instance_key(&arn), attributes);
            state.stats.write(2_048, false);
            state.stats.member_events += 1;
        }
        self.deliver(json!({
            "detail-type": "Spawn Member Report",
            "source": "spawn.member",
            "detail": {"instance_arn": arn.to_string()},
        }));
    }

    /// The kill switch, or the member's own deadline.
    fn time_is_over(self: &Arc<Self>, number: usize, assignment: Option<Assignment>) {
        let live = matches!(
            self.state_of(number),
            InstanceState::Running | InstanceState::Pending
        );
        if !live {
            return;
        }
        let working = assignment.is_some_and(|assignment| {
            let member = (assignment.sweep, assignment.member);
            self.state().at_work.contains_key(&member)
        });
        if working {
            let report = json!({"report_reason": "the ttl passed", "report_at": self.clock.now()});
            self.report(number, report);
        }
        self.shut_down(number, "Client.InstanceInitiatedShutdown");
    }

    /// EC2 will take a spot instance back.
    fn notice(self: &Arc<Self>, number: usize) {
        if !matches!(
            self.state_of(number),
            InstanceState::Running | InstanceState::Pending
        ) {
            return;
        }
        let arn = self.arn_of(number);
        self.deliver(json!({
            "detail-type": "EC2 Spot Instance Interruption Warning",
            "source": "aws.ec2",
            "resources": [arn.to_string()],
            "detail": {"instance-id": arn.instance_id, "instance-action": "terminate"},
        }));
        let plane = Arc::clone(self);
        self.clock.after(SPOT_NOTICE, move || {
            plane.shut_down(number, "Server.SpotInstanceTermination");
        });
    }

    /// Ends an instance, if it has not ended.
    pub(crate) fn shut_down(self: &Arc<Self>, number: usize, reason: &str) {
        if self.state_of(number).is_ending() {
            return;
        }
        self.put_state(number, InstanceState::ShuttingDown, Some(reason));
        self.leave_work(number);
        let plane = Arc::clone(self);
        let shutdown = self.clock.between(self.settings.ec2.shutdown);
        self.clock.after(shutdown, move || {
            plane.put_state(number, InstanceState::Terminated, None);
        });
    }

    /// Stops an instance that runs.
    pub(crate) fn stop(self: &Arc<Self>, number: usize) {
        if self.state_of(number) != InstanceState::Running {
            return;
        }
        self.put_state(
            number,
            InstanceState::Stopping,
            Some("Client.UserInitiatedShutdown"),
        );
        self.leave_work(number);
        let plane = Arc::clone(self);
        let shutdown = self.clock.between(self.settings.ec2.shutdown);
        self.clock.after(shutdown, move || {
            if plane.state_of(number) == InstanceState::Stopping {
                plane.put_state(number, InstanceState::Stopped, None);
            }
        });
    }

    fn leave_work(&self, number: usize) {
        let arn = self.arn_of(number);
        let mut state = self.state();
        let key = instance_key(&arn);
        let Some(row) = state.rows.get(&key) else {
            return;
        };
        let sweep = row.get("sweep_id").and_then(Value::as_str);
        let member = row.get("member_index").and_then(Value::as_u64);
        let (Some(sweep), Some(member)) = (sweep, member) else {
            return;
        };
        let member = (sweep.to_owned(), u32::try_from(member).unwrap_or(u32::MAX));
        if state.at_work.get(&member) == Some(&arn) {
            state.at_work.remove(&member);
        }
    }

    fn state_of(&self, number: usize) -> InstanceState {
        self.state().ec2.instance(number).state()
    }

    fn arn_of(&self, number: usize) -> InstanceArn {
        self.state().ec2.instance(number).arn.clone()
    }

    fn put_state(self: &Arc<Self>, number: usize, to: InstanceState, reason: Option<&str>) {
        let now = self.clock.now();
        if self.state().ec2.set_state(number, to, reason, now) {
            self.tell(
                number,
                match to {
                    InstanceState::Pending => "pending",
                    InstanceState::Running => "running",
                    InstanceState::Stopping => "stopping",
                    InstanceState::Stopped => "stopped",
                    InstanceState::ShuttingDown => "shutting-down",
                    InstanceState::Terminated => "terminated",
                },
            );
        }
    }

    /// EC2 tells of a state: best effort.
    fn tell(self: &Arc<Self>, number: usize, state: &str) {
        let arn = self.arn_of(number);
        self.note(|| format!("{arn} is {state}"));
        self.deliver(json!({
            "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2",
            "time": format_iso(self.clock.now() / 1_000 * 1_000),
            "resources": [arn.to_string()],
            "detail": {"instance-id": arn.instance_id, "state": state},
        }));
    }
}
