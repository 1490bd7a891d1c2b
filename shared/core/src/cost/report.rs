//! What was spent in a span of time, and why the bill differs from the ledger.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::settlement::{Changes, Settlement, changes_of};
use crate::money::MicroDollars;
use crate::rows::{MemberRow, SweepRow};

/// Cost Explorer is renewed at least once a day (AWS Cost Management User Guide, "Budgets best practices").
const BILLED_AFTER_MS: u64 = 24 * 3_600_000;

/// What a number of sweeps have cost from `start` to `end`. The parts of consecutive spans add up to the bills.
#[derive(Clone, Debug)]
pub struct Report {
    start: u64,
    end: u64,
    total: MicroDollars,
    by: BTreeMap<&'static str, BTreeMap<String, MicroDollars>>,
    unpriced: u32,
}

impl Report {
    /// A report from `start` to `end` (ms since 1970), the end not included.
    #[must_use]
    pub fn new(start: u64, end: u64) -> Self {
        Self {
            start,
            end,
            total: MicroDollars::ZERO,
            by: BTreeMap::new(),
            unpriced: 0,
        }
    }

    /// Adds what the members of a sweep have cost in the span, as far as it is past at `now`.
    pub fn add(&mut self, sweep: &SweepRow, members: &[MemberRow], changes: &Changes, now: u64) {
        for spent in members.iter().flat_map(|member| &member.spent) {
            let of_pool = changes_of(changes, spent);
            // What begins at the very moment belongs to the span after it.
            let until = |moment: u64| {
                let Some(moment) = moment.checked_sub(1) else {
                    return Some(MicroDollars::ZERO);
                };
                let bill = spent.bill(of_pool, moment.min(now)).ok().flatten();
                bill.map(|bill| bill.total)
            };
            let Some(cost) = until(self.end)
                .zip(until(self.start))
                .and_then(|(after, before)| after.checked_sub(before))
            else {
                self.unpriced += 1;
                continue;
            };
            if cost == MicroDollars::ZERO {
                continue;
            }
            let sum =
                |amount: MicroDollars| amount.checked_add(cost).unwrap_or(MicroDollars(i64::MAX));
            self.total = sum(self.total);
            for (name, key) in [
                ("sweep", sweep.sweep_id.as_str()),
                ("owner", &sweep.owner),
                ("project", &sweep.project),
                ("instance_type", &spent.instance_type),
                ("region", spent.region.as_str()),
                ("market", spent.market.as_str()),
            ] {
                let entry = self
                    .by
                    .entry(name)
                    .or_default()
                    .entry(key.to_owned())
                    .or_default();
                *entry = sum(*entry);
            }
        }
    }

    /// The sum.
    #[must_use]
    pub fn total(&self) -> MicroDollars {
        self.total
    }

    /// The report as an output shows it, the dearest first.
    #[must_use]
    pub fn to_output(&self) -> Value {
        let mut shown = json!({
            "total": self.total.to_string(),
            "source": "the ledger: prices as they were noted, without data transfer and tax",
        });
        for (name, amounts) in &self.by {
            let mut rows: Vec<_> = amounts.iter().collect();
            rows.sort_by_key(|(_, amount)| std::cmp::Reverse(**amount));
            let rows: Vec<Value> = rows
                .into_iter()
                .take(ROWS_SHOWN_MAX)
                .map(|(key, amount)| json!({"key": key, "cost": amount.to_string()}))
                .collect();
            shown[format!("by_{name}")] = Value::from(rows);
        }
        if self.unpriced > 0 {
            shown["incomplete"] = Value::from(format!("{} instances have no price", self.unpriced));
        }
        shown
    }
}

/// Rows of one table of a report: a state's output holds 256 KiB.
const ROWS_SHOWN_MAX: usize = 300;

/// A line of the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillLine {
    /// AWS's usage type, such as `USW2-BoxUsage:c5.4xlarge`.
    pub usage_type: String,
    /// Its amount.
    pub amount: MicroDollars,
}

/// What Cost Explorer says of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    /// Its lines.
    pub lines: Vec<BillLine>,
    /// How many more there are, whose amounts nobody can read.
    pub unread: usize,
    /// Whether AWS calls some of it an estimate.
    pub is_estimated: bool,
}

impl BillLine {
    /// An amount of Cost Explorer, such as `0.0001234567` or `1.5E-5`, to the nearest micro-dollar.
    #[must_use]
    pub fn amount(text: &str) -> Option<MicroDollars> {
        let (text, exponent) = match text.split_once(['e', 'E']) {
            // A hundred digits are more than any amount has.
            Some((text, exponent)) => {
                let exponent = exponent.parse().ok();
                (
                    text,
                    exponent.filter(|exponent: &i32| exponent.abs() <= 100)?,
                )
            }
            None => (text, 0),
        };
        let (sign, text) = match text.strip_prefix('-') {
            Some(text) => (-1, text),
            None => (1, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        // How many of the digits are whole micro-dollars: the next one rounds.
        let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + 6;
        let kept = usize::try_from(point).unwrap_or(0);
        let mut micros: i64 = 0;
        for place in 0..kept {
            let digit = digits.as_bytes().get(place).map_or(0, |digit| digit - b'0');
            micros = micros.checked_mul(10)?.checked_add(digit.into())?;
        }
        let next = usize::try_from(point).ok();
        let next = next.and_then(|next| digits.as_bytes().get(next));
        let up = i64::from(next.is_some_and(|digit| *digit >= b'5'));
        Some(MicroDollars(sign * micros.checked_add(up)?))
    }
}

/// What a usage type is for.
fn category(usage_type: &str) -> &'static str {
    let has = |part: &str| usage_type.contains(part);
    if has("BoxUsage") || has("SpotUsage") {
        "instances"
    } else if has("EBS:") {
        "volumes"
    } else if has("PublicIPv4") {
        "public_ipv4"
    } else if has("DataTransfer") || has("-Bytes") {
        "data_transfer"
    } else if usage_type.to_lowercase().contains("tax") {
        "tax"
    } else {
        "other"
    }
}

/// The ledger against the bill, category by category, with the difference explained.
#[must_use]
pub fn explain(sweep: &SweepRow, settled: &Settlement, bill: &Billed, now: u64) -> Value {
    let unread = bill.unread;
    let mut billed: BTreeMap<&'static str, i64> = BTreeMap::new();
    for line in &bill.lines {
        let entry = billed.entry(category(&line.usage_type)).or_insert(0);
        *entry = entry.saturating_add(line.amount.0);
    }
    let is_young = sweep
        .ended_at
        .is_none_or(|ended| now < ended + BILLED_AFTER_MS);
    // Each part of each instance is rounded up to a micro-dollar in the ledger, and to ten decimals in the bill.
    let rounding = i64::from(settled.instances);
    let ledger: BTreeMap<&'static str, i64> = BTreeMap::from([
        ("instances", settled.instances_cost.0),
        ("volumes", settled.volumes_cost.0),
        ("public_ipv4", settled.addresses_cost.0),
    ]);
    let names = [
        "instances",
        "volumes",
        "public_ipv4",
        "data_transfer",
        "tax",
        "other",
    ];
    let mut categories = Vec::new();
    let mut difference = 0_i64;
    for name in names {
        let of = |amounts: &BTreeMap<&'static str, i64>| amounts.get(name).copied().unwrap_or(0);
        let (expected, bill) = (of(&ledger), of(&billed));
        let off = bill.saturating_sub(expected);
        difference = difference.saturating_add(off);
        if expected == 0 && bill == 0 {
            continue;
        }
        let why = if off == 0 {
            "equal"
        } else if off.abs() <= rounding {
            "rounding: the ledger rounds each part of each instance up to a micro-dollar"
        } else if bill == 0 && is_young {
            "not billed yet: AWS renews the bill at least once a day"
        } else if name == "public_ipv4" && bill == 0 {
            "the subnets gave no public addresses, which the ledger counts for every instance"
        } else if !ledger.contains_key(name) {
            "not in the ledger, which knows neither data transfer nor tax nor what members used beside their instances"
        } else if off < 0 && is_young {
            "billed in part: AWS renews the bill at least once a day"
        } else if off < 0 {
            "the bill is lower: rates of a contract, a Savings Plan or credits (give them in the price book)"
        } else {
            "the bill is higher: instances or volumes with the sweep's tag that the ledger does not know, or dearer rates"
        };
        categories.push(json!({
            "category": name,
            "ledger": MicroDollars(expected).to_string(),
            "bill": MicroDollars(bill).to_string(),
            "difference": MicroDollars(off).to_string(),
            "why": why,
        }));
    }
    let unread = (unread > 0).then(|| format!("{unread} lines of the bill cannot be read"));
    let incomplete: Vec<String> = settled.gaps().into_iter().chain(unread).collect();
    let incomplete = (!incomplete.is_empty()).then(|| incomplete.join("; "));
    let total: i64 = billed
        .values()
        .fold(0, |sum, amount| sum.saturating_add(*amount));
    json!({
        "sweep_id": sweep.sweep_id,
        "ledger": settled.total.to_string(),
        "bill": MicroDollars(total).to_string(),
        "difference": MicroDollars(difference).to_string(),
        "bill_is_estimated": bill.is_estimated,
        "incomplete": incomplete,
        "categories": categories,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_cost_explorer_writes_them() {
        for (text, micros) in [
            ("12", Some(12_000_000)),
            ("0.0001234567", Some(123)),
            ("0.0000005", Some(1)),
            ("-0.0000015", Some(-2)),
            ("1.5E-5", Some(15)),
            ("2.8e-8", Some(0)),
            ("9.9E-7", Some(1)),
            ("-1.25E+2", Some(-125_000_000)),
            ("1E3", Some(1_000_000_000)),
            ("0E0", Some(0)),
            ("", None),
            ("-", None),
            ("1.2.3", None),
            ("1E", None),
            ("1E999", None),
            ("9E99", None),
            ("about 5", None),
        ] {
            assert_eq!(BillLine::amount(text), micros.map(MicroDollars), "{text}");
        }
    }
}
