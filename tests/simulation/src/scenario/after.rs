//! What must be true when everything is over.

use std::collections::BTreeMap;

use serde_json::Value;
use spawn_core::ledger::{Attributes, Key};
use spawn_core::ports::InstanceState;

use crate::engine::Ms;
use crate::plane::{Fault, State};

fn text<'a>(row: &'a Attributes, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// How much later than it was made the call of a fleet may reach EC2.
const FLEET_ON_ITS_WAY: Ms = 100;

/// The same when its launcher stands still meanwhile, for so short that nobody notices.
const FLEET_HELD_UP: Ms = 5_100;

fn is_over(status: &str) -> bool {
    !matches!(status, "planning" | "launching" | "running" | "draining")
}

impl State {
    /// Whether every execution has ended, every sweep is over, and no instance costs anything.
    pub(crate) fn is_settled(&self) -> bool {
        self.executions
            .sweeps
            .values()
            .all(|execution| execution.ending.is_some())
            && self.metas().all(|(_, meta)| is_over(text(meta, "status")))
            && self.living().next().is_none()
    }

    /// What is not settled, in words.
    pub(crate) fn unsettled(&self) -> String {
        let executions: Vec<String> = self
            .executions
            .sweeps
            .iter()
            .filter(|(_, execution)| execution.ending.is_none())
            .map(|(arn, _)| format!("{arn} runs"))
            .collect();
        let sweeps: Vec<String> = self
            .metas()
            .filter(|(_, meta)| !is_over(text(meta, "status")))
            .map(|(key, meta)| {
                let counts = meta.get("counts").map(ToString::to_string);
                format!(
                    "{} is {} with {} live and {}",
                    key.pk,
                    text(meta, "status"),
                    meta.get("live").unwrap_or(&Value::Null),
                    counts.unwrap_or_default()
                )
            })
            .collect();
        let living: Vec<String> = self
            .living()
            .take(5)
            .map(|arn| format!("{arn} lives"))
            .collect();
        let drains = &self.executions.drains_failed;
        [executions, sweeps, living, drains.clone()]
            .concat()
            .join("; ")
    }

    /// How many members have completed.
    pub(crate) fn completed(&self) -> u64 {
        let members = self
            .rows
            .iter()
            .filter(|(k, _)| k.sk.starts_with("MEMBER#"));
        let completed = members.filter(|(_, row)| text(row, "state") == "completed");
        u64::try_from(completed.count()).unwrap_or(u64::MAX)
    }

    fn metas(&self) -> impl Iterator<Item = (&Key, &Attributes)> {
        self.rows.iter().filter(|(key, _)| key.sk == "META")
    }

    /// Instances that run, or that will run, and that nobody asked to be kept (a stopped one is kept).
    fn living(&self) -> impl Iterator<Item = String> {
        self.ec2
            .instances()
            .iter()
            .filter(|instance| {
                matches!(
                    instance.state(),
                    InstanceState::Pending | InstanceState::Running | InstanceState::Stopping
                )
            })
            .map(|instance| instance.arn.to_string())
    }

    /// Checks the end.
    pub(crate) fn check_end(&mut self, now: Ms) {
        let mut wrong = Vec::new();
        if !self.is_settled() {
            wrong.push(format!("it did not stay settled: {}", self.unsettled()));
        }
        let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, row) in self
            .rows
            .iter()
            .filter(|(k, _)| k.sk.starts_with("MEMBER#"))
        {
            let state = text(row, "state");
            let name = format!("{}/{}", key.pk, key.sk);
            if !matches!(
                state,
                "completed" | "failed" | "interrupted" | "reaped" | "planned"
            ) {
                wrong.push(format!("{name} is {state} at the end"));
            }
            if row.get("live") == Some(&Value::Bool(true)) {
                wrong.push(format!("{name} takes a slot at the end"));
            }
            let instance = text(row, "instance");
            if !instance.is_empty() {
                owners
                    .entry(instance.to_owned())
                    .or_default()
                    .push(name.clone());
                wrong.extend(self.wrong_verdict(row, &name));
            } else if state != "failed" && state != "planned" {
                wrong.push(format!("{name} is {state} and never had an instance"));
            }
        }
        for (instance, members) in owners {
            if members.len() > 1 {
                wrong.push(format!("{instance} belongs to {members:?}"));
            }
        }
        for (key, meta) in self.metas() {
            wrong.extend(self.wrong_sweep(key, meta));
        }
        wrong.extend(self.orphans());
        wrong.extend(self.too_near());
        wrong.extend(self.wrong_budgets());
        wrong.extend(self.low_bills(now));
        for what in wrong {
            self.violate(now, what);
        }
    }

    /// Instances that no row knows: only a drain may leave some, which it has terminated.
    fn orphans(&self) -> Vec<String> {
        let drained = |sweep: &str| {
            let meta = self.rows.get(&Key::new(format!("SWEEP#{sweep}"), "META"));
            meta.is_some_and(|meta| meta.contains_key("drain"))
        };
        let instances = self.ec2.instances().iter();
        instances
            .filter(|instance| {
                let key = Key::new(format!("INSTANCE#{}", instance.arn), "INSTANCE");
                let launch = self.ec2.launch_of(instance);
                self.rows.get(&key).is_none()
                    && !drained(launch.tag("spawn:sweep-id").unwrap_or(""))
            })
            .map(|instance| format!("{} belongs to no member", instance.arn))
            .collect()
    }

    /// Launches of a lane with `launch_delay` are at least so far apart, as EC2 saw them.
    fn too_near(&self) -> Vec<String> {
        let stands_still = self.stats.faults.contains_key(&Fault::Stall);
        let mut wrong = Vec::new();
        let lanes = self.rows.iter().filter(|(k, _)| k.sk.starts_with("LANE#"));
        for (key, lane) in lanes {
            let delay = lane.get("launch_delay_s").and_then(Value::as_u64);
            let delay = delay.unwrap_or(0) * 1_000;
            if delay == 0 {
                continue;
            }
            let (pk, name) = (&key.pk, text(lane, "lane"));
            let is_of_lane = |row: &Attributes| text(row, "lane") == name;
            let attempts: BTreeMap<&str, &str> = self
                .rows
                .iter()
                .filter(|(k, row)| k.pk == *pk && k.sk.starts_with("ATTEMPT#") && is_of_lane(row))
                .map(|(_, row)| {
                    let rung = row.get("rung").and_then(Value::as_object);
                    let api = rung.and_then(|rung| rung.get("api")?.as_str());
                    (text(row, "token"), api.unwrap_or_default())
                })
                .collect();
            let mut launches: Vec<(Ms, &str)> = self
                .ec2
                .instances()
                .iter()
                .filter_map(|instance| {
                    let token = self.ec2.launch_of(instance).tag("spawn:attempt")?;
                    Some((instance.launched_at, *attempts.get(token)?))
                })
                .collect();
            launches.sort_unstable();
            for pair in launches.windows(2) {
                let ((before, api), (after, _)) = (pair[0], pair[1]);
                // A fleet does not tell when it launched: its call is what the next one is counted from.
                let slack = match api {
                    "CreateFleet" if stands_still => FLEET_HELD_UP,
                    "CreateFleet" => FLEET_ON_ITS_WAY,
                    _ => 0,
                };
                let apart = after - before;
                if apart + slack < delay {
                    wrong.push(format!(
                        "{pk}/{name} launches {apart} ms after another, {delay} is asked for"
                    ));
                }
            }
        }
        wrong
    }

    /// A member's end must be what its instance said.
    fn wrong_verdict(&self, member: &Attributes, name: &str) -> Option<String> {
        let key = Key::new(format!("INSTANCE#{}", text(member, "instance")), "INSTANCE");
        let Some(row) = self.rows.get(&key) else {
            return Some(format!("{name} has an instance without a row"));
        };
        let state = text(member, "state");
        let code = row.get("report_exit_code").and_then(Value::as_i64);
        match (state, code) {
            ("completed", Some(0)) => None,
            ("completed", _) => Some(format!("{name} is completed without a report of it")),
            (_, Some(0)) => Some(format!(
                "{name} is {state}, and its instance reported success"
            )),
            _ => None,
        }
    }

    fn wrong_sweep(&self, key: &Key, meta: &Attributes) -> Vec<String> {
        let mut wrong = Vec::new();
        let pk = &key.pk;
        let status = text(meta, "status");
        if meta.get("live").and_then(Value::as_i64) != Some(0) {
            let live = meta.get("live").unwrap_or(&Value::Null);
            wrong.push(format!("{pk} is {status} and counts {live} live"));
        }
        let counts = |name: &str| meta["counts"][name].as_i64().unwrap_or(0);
        let planned = counts("planned");
        if planned > 0 && !meta.contains_key("drain") {
            wrong.push(format!(
                "{pk} is {status} and {planned} members are planned"
            ));
        }
        if !meta.contains_key("ended_at") {
            wrong.push(format!("{pk} is {status} without an end"));
        }
        for (lane, row) in self
            .rows
            .iter()
            .filter(|(k, _)| k.pk == *pk && k.sk.starts_with("LANE#"))
        {
            if row["open_attempts"]
                .as_array()
                .is_some_and(|open| !open.is_empty())
            {
                wrong.push(format!("{pk}/{} has an open attempt", lane.sk));
            }
        }
        wrong
    }
}
