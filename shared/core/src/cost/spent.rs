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
    /// Whether it has a public IPv4 address. While nobody knows it is billed as if it had.
    #[serde(default)]
    pub public_ip: Option<bool>,
    /// What budgets are charged with for it until it is billed.
    pub committed: Option<MicroDollars>,
    /// The standing budgets that were charged, beside the sweep's own: their rows' keys.
    #[serde(default)]
    pub charged_to: Vec<String>,
    /// When it ran.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// How many starts after a stop are committed, each with the minute that a run is billed for at least.
    #[serde(default)]
    pub minutes: u32,
    /// When its volume was gone, because the instance was, in ms since 1970. That of a stopped instance is there, and costs.
    #[serde(default)]
    pub volume_to: Option<u64>,
    /// What budgets are charged with since its member's end: its bill by the prices of its launch. While the instance is there,
    /// stopped, it grows with what the volume costs.
    #[serde(default)]
    pub billed: Option<MicroDollars>,
    /// Until when the volume is in `billed`, in ms since 1970, of an instance that is stopped though its member has ended.
    #[serde(default)]
    pub billed_to: Option<u64>,
}

/// What was seen of an instance, as far as its costs go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// When it began, in ms since 1970, if that is known.
    pub since: Option<u64>,
    /// Whether the instance is gone, or on its way, and its volume with it.
    pub is_gone: bool,
}

/// What budgets get back when a member has ended; and what they are charged with on top while its instance is there, stopped:
/// then nothing is committed.
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
                // While it is there, later than any moment of a bill: it does not end with the last run.
                to: Some(self.volume_end().unwrap_or(u64::MAX)),
                month_hours: None,
            }),
            public_ipv4_hour: match self.public_ip {
                Some(false) => None,
                Some(true) | None => Some(self.public_ipv4_hour?),
            },
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
        let at = self.noted_until(now);
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
            // That of an instance that was stopped before was there until its end was seen.
            if least.volume_to == Some(ended) {
                least.volume_to = Some(to);
            }
        }
        let is_certain = total(&least).is_some_and(|least| least > committed);
        Some(if is_certain { most } else { committed })
    }

    /// The present, or the end of what is noted, if a function takes a moment for the present that lies before that: one that
    /// began sooner may write later.
    fn noted_until(&self, now: u64) -> u64 {
        let ended = self.runs.last().and_then(|run| run.to);
        now.max(ended.unwrap_or(0)).max(self.volume_to.unwrap_or(0))
    }

    fn is_running(&self) -> bool {
        self.runs.last().is_some_and(|run| run.to.is_none())
    }

    /// Whether the instance is there as far as anybody knows, running or stopped: its volume costs.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.volume_to.is_none() && (self.billed.is_none() || self.billed_to.is_some())
    }

    /// When its volume was gone, in ms since 1970; `None` while it is there.
    #[must_use]
    pub fn volume_end(&self) -> Option<u64> {
        let of_runs = || self.runs.last().and_then(|run| run.to);
        self.volume_to
            .or_else(|| of_runs().filter(|_| !self.is_there()))
    }

    /// Whether something is to be noted of an instance whose member has ended: that it is gone, or what its volume has cost since.
    #[must_use]
    pub fn is_due(&self, is_gone: bool, now: u64) -> bool {
        let grown = |billed_to: u64| now >= billed_to.saturating_add(GROWS_EACH_MS);
        self.is_there() && (is_gone || self.billed_to.is_some_and(grown))
    }

    /// Notes that the instance is gone since `ended` (ms since 1970).
    fn end(&mut self, ended: u64) {
        let last = self
            .runs
            .last()
            .map_or(self.launched_at, |run| run.to.unwrap_or(run.from));
        let noted = last.max(self.billed_to.unwrap_or(0));
        self.volume_to = Some(ended.max(noted));
    }

    /// Brings the bill of a member that has ended up to the present, and answers by how much it has grown.
    fn grow(&mut self, now: u64) -> Option<MicroDollars> {
        let from = self.billed_to?;
        let to = self.volume_to.unwrap_or(now).max(from);
        let total = |at| Some(self.bill(&[], at).ok()??.total);
        let more = total(to)?.checked_sub(total(from)?)?;
        self.billed = Some(self.billed?.checked_add(more)?);
        self.billed_to = Some(to);
        Some(more)
    }

    fn release(&self, committed: MicroDollars, billed: MicroDollars) -> Release {
        Release {
            committed,
            billed,
            charged_to: self.charged_to.clone(),
        }
    }
}

/// What the volume of a stopped instance costs after its member's end is noted this often: bills are exact at any time, budgets
/// need not be.
const GROWS_EACH_MS: u64 = 3_600_000;

/// When what was seen at `now` came about, at the latest (all in ms since 1970).
fn ended_at(since: Option<u64>, now: u64) -> u64 {
    since.map_or(now, |since| now.min(since + SECOND_REST_MS))
}

/// The entry of an instance.
#[must_use]
pub fn entry_of<'a>(member: &'a MemberRow, instance_id: &str) -> Option<&'a Spent> {
    let mut entries = member.spent.iter().rev();
    entries.find(|spent| spent.instance_id == instance_id)
}

/// Notes whether a member's instance has a public IPv4 address. One that has had one is billed for it to its end.
pub fn note_public_ip(member: &mut MemberRow, has_one: bool) {
    let Some(instance) = &member.instance else {
        return;
    };
    let mut entries = member.spent.iter_mut().rev();
    let spent = entries.find(|spent| spent.instance_id == instance.instance_id);
    if let Some(spent) = spent.filter(|spent| spent.public_ip != Some(true)) {
        spent.public_ip = Some(has_one);
    }
}

/// Notes what was seen at `now` of an instance that its member has had before, and which stays, stopped. Answers what budgets are
/// charged with on top.
pub fn note_former(
    member: &mut MemberRow,
    instance_id: &str,
    news: News,
    now: u64,
) -> Option<Release> {
    let mut entries = member.spent.iter_mut().rev();
    let spent = entries.find(|spent| spent.instance_id == instance_id)?;
    if !spent.is_due(news.is_gone, now) {
        return None;
    }
    if news.is_gone {
        spent.end(ended_at(news.since, now));
    }
    let more = spent.grow(now)?;
    Some(spent.release(MicroDollars::ZERO, more))
}

/// Notes in `after` what an observation at `now` means for the costs of the instance that it concerns, the one of `before` (in ms
/// since 1970). Answers what budgets get back, once, when the member has ended; and later what the volume of an instance that is
/// stopped costs on top.
///
/// News may come late, or never. A run then has the earliest beginning and the latest end that it can have had, so that a bill is
/// never too low, and what budgets get back never too much.
pub fn note(before: &MemberRow, after: &mut MemberRow, news: News, now: u64) -> Option<Release> {
    let instance = before.instance.as_ref()?.instance_id.clone();
    // A member that waits for another try has the state of a new one already; its end is that of the try before.
    let is_retried = after.instance != before.instance;
    let is_lost =
        after.state == MemberState::Interrupted || (is_retried && before.spot_notice_at.is_some());
    let lives = after.live && !is_retried;
    let is_over = !lives && (is_retried || after.state.is_ended());
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
        let from = news.since.unwrap_or(earliest).min(now).max(earliest);
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
            run.to = Some(ended_at(news.since, now).max(run.from));
            run.ended_by = if is_lost { EndedBy::Ec2 } else { EndedBy::User };
        }
    }
    if spent.billed_to.is_some() {
        return note_former(after, &instance, news, now);
    }
    if news.is_gone && spent.is_there() {
        spent.end(ended_at(news.since, now));
    }
    if !is_over || spent.billed.is_some() {
        return None;
    }
    // Nothing bounds how long a stopped instance stays: what its volume costs from now on is added as it comes.
    if spent.is_there() {
        spent.billed_to = Some(spent.noted_until(now));
    }
    let certain_end = news
        .since
        .or(before.reaping.as_ref().map(|reaping| reaping.at));
    let billed = spent.charged_in_the_end(before.running_at, certain_end, now)?;
    spent.billed = Some(billed);
    let committed = spent.committed.unwrap_or(MicroDollars::ZERO);
    Some(spent.release(committed, billed))
}

#[cfg(test)]
#[path = "spent_tests.rs"]
pub(crate) mod tests;
#[cfg(test)]
#[path = "spent_volume_tests.rs"]
mod volume_tests;
