//! What a member's instances cost: noted as they are launched, run, stop and go.

use serde::{Deserialize, Serialize};

use super::bill::{Bill, BillError, bill};
use super::history::{EndedBy, History, PriceFrom, Run, Volume};
use crate::ids::Market;
use crate::lifecycle::SECOND_REST_MS;
use crate::money::MicroDollars;
use crate::region::Region;
use crate::rows::MemberRow;
use crate::state::MemberState;

/// One instance of a member, as far as it costs money. Written when its launch is recorded, then by who applies what was
/// observed of it; a member that is tried again has one for each try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The instance's id.
    pub instance_id: String,
    /// Its type.
    pub instance_type: String,
    /// How it was bought.
    pub market: Market,
    /// Its region.
    pub region: Region,
    /// Its availability zone.
    pub zone: Option<String>,
    /// When it was launched, in ms since 1970.
    pub launched_at: u64,
    /// The ttl that it was launched with, in seconds.
    pub ttl_s: Option<u64>,
    /// The price of an hour at its launch.
    pub hour: Option<MicroDollars>,
    /// Whether that is the operator's own price, which the market does not change.
    #[serde(default)]
    pub hour_is_fixed: bool,
    /// The price of an hour on demand at its launch.
    pub on_demand_hour: Option<MicroDollars>,
    /// The size of its root volume in GiB.
    pub gib: Option<u32>,
    /// The price of a GiB for a month.
    pub gib_month: Option<MicroDollars>,
    /// The price of an hour of a public IPv4 address.
    pub public_ipv4_hour: Option<MicroDollars>,
    /// What budgets were charged with at its launch.
    pub committed: Option<MicroDollars>,
    /// The standing budgets that were charged, beside the sweep's own: their rows' keys.
    #[serde(default)]
    pub charged_to: Vec<String>,
    /// When it ran.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// What budgets were charged with in the end, when it was gone: its bill by the prices of its launch.
    #[serde(default)]
    pub billed: Option<MicroDollars>,
}

/// What budgets get back when an instance is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What they were charged with.
    pub committed: MicroDollars,
    /// What they are charged with in the end.
    pub billed: MicroDollars,
    /// The standing budgets.
    pub charged_to: Vec<String>,
}

impl Spent {
    /// Its life as a bill needs it. Spot has the prices of `changes` where they are known, else that of the launch. `None`
    /// when a price is missing.
    #[must_use]
    pub fn history(&self, changes: &[PriceFrom]) -> Option<History> {
        let mut prices: Vec<PriceFrom> = match self.market {
            Market::Spot => changes.to_vec(),
            Market::OnDemand => Vec::new(),
        };
        // The price at launch holds until a later change, unless the changes reach back that far.
        if prices
            .first()
            .is_none_or(|first| first.from > self.launched_at)
        {
            let hour = self.hour?;
            let at_launch = PriceFrom {
                from: self.launched_at,
                hour,
            };
            prices.insert(0, at_launch);
        }
        Some(History {
            name: self.instance_id.clone(),
            market: self.market,
            prices,
            running: self.runs.clone(),
            volume: Some(Volume {
                gib: self.gib?,
                gib_month: self.gib_month?,
                from: Some(self.launched_at),
                to: self.runs.last().and_then(|run| run.to),
                month_hours: None,
            }),
            public_ipv4_hour: Some(self.public_ipv4_hour?),
        })
    }

    /// What it would have cost on demand for the same runs. `None` when a price is missing.
    #[must_use]
    pub fn on_demand_history(&self) -> Option<History> {
        let mut history = self.history(&[])?;
        history.market = Market::OnDemand;
        history.prices = vec![PriceFrom {
            from: self.launched_at,
            hour: self.on_demand_hour?,
        }];
        Some(history)
    }

    /// Its bill at the moment `at` (ms since 1970). `None` when a price is missing.
    ///
    /// # Errors
    /// When what is noted contradicts itself.
    pub fn bill(&self, changes: &[PriceFrom], at: u64) -> Result<Option<Bill>, BillError> {
        let history = self.history(changes);
        history.map(|history| bill(&history, at)).transpose()
    }

    /// What budgets are charged with when it is gone: its bill. It was first seen running at `running_at` and is known to have
    /// ended no sooner than at `certain_end`; both may be unknown.
    ///
    /// An instance whose own timer works costs no more than its commitment. A bill that is higher because news came late is a
    /// bill for time in which nothing ran, and would pass a budget that was kept: only what is certain may do so.
    fn charged_in_the_end(
        &self,
        running_at: Option<u64>,
        certain_end: Option<u64>,
        now: u64,
    ) -> Option<MicroDollars> {
        // A function that began sooner may take a moment for the present that lies before what is noted.
        let noted = self.runs.last().and_then(|run| run.to).unwrap_or(now);
        let at = now.max(noted);
        let total = |spent: &Self| match spent.bill(&[], at) {
            Ok(bill) => bill.map(|bill| bill.total),
            Err(_) => None,
        };
        // What cannot be billed is not given back: the most that it may have cost stays charged.
        let Some(most) = total(self) else {
            return self.committed;
        };
        let Some(committed) = self.committed.filter(|committed| *committed < most) else {
            return Some(most);
        };
        let mut least = self.clone();
        if let Some(run) = least.runs.last_mut() {
            let ended = run.to.unwrap_or(now);
            let to = certain_end.unwrap_or(run.from).clamp(run.from, ended);
            run.from = running_at.unwrap_or(to).clamp(run.from, to);
            run.to = Some(to);
        }
        let is_certain = total(&least).is_some_and(|least| least > committed);
        Some(if is_certain { most } else { committed })
    }

    fn is_running(&self) -> bool {
        self.runs.last().is_some_and(|run| run.to.is_none())
    }
}

/// Notes in `after` what an observation at `now` means for the costs of the instance that it concerns, the one of `before`, and
/// which began at `since` if that is known (all in ms since 1970). Answers what budgets get back, once, when the instance is
/// gone.
///
/// News may come late, or never. A run then has the earliest beginning and the latest end that it can have had, so that a bill is
/// never too low, and what budgets get back never too much.
pub fn note(
    before: &MemberRow,
    after: &mut MemberRow,
    since: Option<u64>,
    now: u64,
) -> Option<Release> {
    let instance = before.instance.as_ref()?.instance_id.clone();
    // A member that waits for another try has the state of a new one already; its end is that of the try before.
    let is_retried = after.instance != before.instance;
    let is_lost =
        after.state == MemberState::Interrupted || (is_retried && before.spot_notice_at.is_some());
    let lives = after.live && !is_retried;
    let is_gone = !lives && (is_retried || after.state.is_ended());
    let runs_now = lives && (after.state == MemberState::Running || after.state.is_ended());
    let spent = after
        .spent
        .iter_mut()
        .rev()
        .find(|spent| spent.instance_id == instance)?;
    if runs_now && !spent.is_running() {
        let earliest = match spent.runs.last() {
            Some(run) => run.to.unwrap_or(run.from),
            None => spent.launched_at,
        };
        // The clocks of EC2 and of this function may differ, and functions that began sooner may write later: whatever they
        // take for the present, no run begins before the one in front of it has ended.
        let from = since.unwrap_or(earliest).min(now).max(earliest);
        spent.runs.push(Run {
            from,
            to: None,
            ended_by: EndedBy::User,
        });
    }
    if !lives && before.live {
        // Never seen running, and yet gone: it may have run since its launch.
        if spent.runs.is_empty() {
            spent.runs.push(Run {
                from: spent.launched_at,
                to: None,
                ended_by: EndedBy::User,
            });
        }
        if let Some(run) = spent.runs.last_mut().filter(|run| run.to.is_none()) {
            let ended = since.map_or(now, |since| now.min(since + SECOND_REST_MS));
            run.to = Some(ended.max(run.from));
            run.ended_by = if is_lost { EndedBy::Ec2 } else { EndedBy::User };
        }
    }
    if !is_gone || spent.billed.is_some() {
        return None;
    }
    let certain_end = since.or(before.reaping.as_ref().map(|reaping| reaping.at));
    let billed = spent.charged_in_the_end(before.running_at, certain_end, now)?;
    spent.billed = Some(billed);
    Some(Release {
        committed: spent.committed.unwrap_or(MicroDollars::ZERO),
        billed,
        charged_to: spent.charged_to.clone(),
    })
}

#[cfg(test)]
#[path = "spent_tests.rs"]
pub(crate) mod tests;
