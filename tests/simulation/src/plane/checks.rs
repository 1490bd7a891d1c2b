//! What must hold at every moment of a run.

use std::collections::BTreeMap;

use serde_json::Value;
use spawn_core::ledger::{Attributes, Key, Row, Write};

use super::{State, money};
use crate::engine::Ms;
use crate::rows::find;

/// Members as their rows say, kept up with every write, by sweep.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, OfSweep>);

#[derive(Debug, Default)]
struct OfSweep {
    by_state: BTreeMap<String, i64>,
    live: i64,
    /// Micro-dollars: the bills of instances that are gone, and what is committed for the others.
    charged: i64,
    /// Micro-dollars: the bills alone.
    billed: i64,
}

/// The sweep of a member's or instance's row: the partition key without the shard.
fn sweep_of(pk: &str) -> &str {
    let id = pk.strip_prefix("SWEEP#").unwrap_or(pk);
    id.split('#').next().unwrap_or(id)
}

fn text<'a>(row: &'a Attributes, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}

impl Tally {
    fn change(&mut self, sweep: &str, row: &Attributes, by: i64) {
        let of_sweep = match self.0.get_mut(sweep) {
            Some(of_sweep) => of_sweep,
            None => self.0.entry(sweep.to_owned()).or_default(),
        };
        let state = text(row, "state").unwrap_or("?");
        match of_sweep.by_state.get_mut(state) {
            Some(count) => *count += by,
            None => {
                of_sweep.by_state.insert(state.to_owned(), by);
            }
        }
        if row.get("live") == Some(&Value::Bool(true)) {
            of_sweep.live += by;
        }
        let (charged, billed) = money::of_member(row);
        of_sweep.charged += charged * by;
        of_sweep.billed += billed * by;
    }

    /// What a sweep's members are charged and billed with, in micro-dollars.
    pub(super) fn money(&self, sweep: &str) -> (i64, i64) {
        let of_sweep = self.0.get(sweep);
        of_sweep.map_or((0, 0), |of_sweep| (of_sweep.charged, of_sweep.billed))
    }
}

impl State {
    /// Puts a row without a condition.
    pub(crate) fn put(&mut self, row: Row, now: Ms) {
        if row.key.sk.starts_with("MEMBER#") {
            let sweep = sweep_of(&row.key.pk).to_owned();
            if let Some(before) = self.rows.get(&row.key) {
                self.tally.change(&sweep, before, -1);
                if text(before, "state") != Some("planned") {
                    let what = format!("{}/{} is planned again", row.key.pk, row.key.sk);
                    self.violate(now, what);
                }
            }
            self.tally.change(&sweep, &row.attributes, 1);
        }
        self.rows.put(row);
    }

    /// Checks what must hold after these writes.
    pub(crate) fn check_writes(
        &mut self,
        writes: &[Write],
        before: &BTreeMap<Key, Attributes>,
        now: Ms,
    ) {
        let mut sweeps: Vec<String> = Vec::new();
        for write in writes {
            let key = write.key();
            if key.pk.starts_with("BUDGET#") {
                self.check_period(key, now);
            }
            if !key.pk.starts_with("SWEEP#") {
                continue;
            }
            let sweep = sweep_of(&key.pk);
            if key.sk.starts_with("MEMBER#") {
                if let Some(row) = before.get(key) {
                    self.tally.change(sweep, row, -1);
                }
                if let Some(row) = self.rows.get(key) {
                    self.tally.change(sweep, row, 1);
                }
            } else if key.sk != "META" {
                continue;
            }
            if !sweeps.iter().any(|known| known == sweep) {
                sweeps.push(sweep.to_owned());
            }
        }
        for sweep in sweeps {
            self.check_counters(&sweep, now);
            self.check_budget(&sweep, now);
        }
    }

    /// The counters of a sweep move in the transaction of the rows that they count: they never differ.
    fn check_counters(&mut self, sweep: &str, now: Ms) {
        let key = Key::new(format!("SWEEP#{sweep}"), "META");
        let Some(meta) = self.rows.get(&key) else {
            return;
        };
        let empty = OfSweep::default();
        let tally = self.tally.0.get(sweep).unwrap_or(&empty);
        // A planner is at work, or died: the rows are not all there, and nothing is launched.
        let members = meta.get("members").and_then(Value::as_i64);
        if members != Some(tally.by_state.values().sum()) {
            return;
        }
        let number = |path: &[&str]| {
            find(meta, &spawn_core::ledger::path(path))
                .and_then(Value::as_i64)
                .unwrap_or(0)
        };
        let mut wrong = Vec::new();
        if let Some(Value::Object(counts)) = meta.get("counts") {
            for (state, count) in counts {
                let rows = tally.by_state.get(state).copied().unwrap_or(0);
                if count.as_i64() != Some(rows) {
                    wrong.push(format!(
                        "{sweep} counts {count} {state}, its rows are {rows}"
                    ));
                }
            }
        }
        let live = number(&["live"]);
        if live < tally.live {
            wrong.push(format!(
                "{sweep} counts {live} live instances, its rows are {}",
                tally.live
            ));
        }
        if let Some(Value::Object(regions)) = meta.get("live_in") {
            let sum: i64 = regions.values().filter_map(Value::as_i64).sum();
            if sum != live {
                wrong.push(format!("{sweep} counts {live} live, by region {sum}"));
            }
        }
        if let Some(max) = meta.get("max_concurrent").and_then(Value::as_i64)
            && live > max
        {
            wrong.push(format!("{sweep} takes {live} slots of {max}"));
        }
        for what in wrong {
            self.violate(now, what);
        }
    }

    /// The instances of a sweep that live in the cloud never pass its limits, whatever the ledger says.
    pub(crate) fn check_limits(&mut self, sweep: &str, now: Ms) {
        let key = Key::new(format!("SWEEP#{sweep}"), "META");
        let Some(meta) = self.rows.get(&key) else {
            self.violate(
                now,
                format!("instances of {sweep}, which is not in the ledger"),
            );
            return;
        };
        let limit = |name: &str| meta.get(name).and_then(Value::as_u64);
        let limits = (limit("max_concurrent"), limit("max_concurrent_per_region"));
        let members = limit("members").unwrap_or(0);
        self.check_cost(sweep, now);
        if limits == (None, None) && !self.rows_few() {
            return;
        }
        let mut by_region: BTreeMap<String, u64> = BTreeMap::new();
        for instance in self.ec2.instances().iter().filter(|i| i.is_live()) {
            if self.ec2.launch_of(instance).tag("spawn:sweep-id") == Some(sweep) {
                let region = instance.arn.region.to_string();
                *by_region.entry(region).or_insert(0) += 1;
            }
        }
        let all: u64 = by_region.values().sum();
        if all > limits.0.unwrap_or(members) {
            let what = format!("{all} instances of {sweep} live, {:?} may", limits.0);
            self.violate(now, what);
        }
        for (region, live) in by_region {
            if limits.1.is_some_and(|max| live > max) {
                let what = format!(
                    "{live} instances of {sweep} live in {region}, {:?} may",
                    limits.1
                );
                self.violate(now, what);
            }
        }
    }

    /// Whether all instances can be looked at after every launch.
    fn rows_few(&self) -> bool {
        self.ec2.instances().len() < 2_000
    }
}
