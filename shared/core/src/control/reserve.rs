//! What controls make an instance cost beside the ttl that it was launched with: budgets are charged with it before it is done.

use crate::budget::{NoRoom, Purse};
use crate::cost::{BILLED_MS_MIN, Commitment, Spent, commitment};
use crate::ids::Market;
use crate::money::MicroDollars;
use crate::rows::MemberRow;

/// Commits `member` with what its instance may cost from its deadline to a new one (both in ms since 1970), and takes that of
/// `purse`. What is noted as committed is what budgets get back in the end.
///
/// # Errors
/// When a budget has no room for it, or cannot tell whether it has because a price is missing. Nothing was taken then.
pub fn reserve_longer(
    member: &mut MemberRow,
    deadline: u64,
    purse: &mut Purse,
) -> Result<(), NoRoom> {
    let more_ms = deadline.saturating_sub(member.ttl_deadline.unwrap_or(deadline));
    match present(member) {
        Some(spent) => reserve(spent, more_ms, purse),
        None => unlimited(purse, &[]),
    }
}

/// Commits `member` with the minute that another run of its stopped instance is billed for at least: of ttl it may have less
/// left, and the run before may have taken less. Each start is committed once, however often it is asked for. Answers whether
/// anything was taken.
///
/// # Errors
/// As [`reserve_longer`].
pub fn reserve_start(member: &mut MemberRow, purse: &mut Purse) -> Result<bool, NoRoom> {
    let Some(spent) = present(member) else {
        return unlimited(purse, &[]).map(|()| false);
    };
    let runs = u32::try_from(spent.runs.len()).unwrap_or(u32::MAX);
    let starts = runs.saturating_sub(spent.minutes);
    if starts == 0 {
        return Ok(false);
    }
    reserve(spent, u64::from(starts) * BILLED_MS_MIN, purse)?;
    spent.minutes = runs;
    Ok(true)
}

/// What is noted of the costs of a member's present instance.
fn present(member: &mut MemberRow) -> Option<&mut Spent> {
    let id = member.instance.as_ref()?.instance_id.as_str();
    let mut spent = member.spent.iter_mut().rev();
    spent.find(|spent| spent.instance_id == id)
}

/// Takes what so many ms more cost at the most.
fn reserve(spent: &mut Spent, more_ms: u64, purse: &mut Purse) -> Result<(), NoRoom> {
    let charged_to = spent.charged_to.clone();
    if let (Some(committed), Some(more)) = (spent.committed, at_most(spent, more_ms)) {
        purse.take(more, &charged_to)?;
        spent.committed = Some(MicroDollars(committed.0.saturating_add(more.0)));
        return Ok(());
    }
    unlimited(purse, &charged_to)
}

/// An instance whose price is not known was launched without a commitment, which only a sweep without any budget may do; it
/// is billed in the end as it would have been.
fn unlimited(purse: &Purse, charged_to: &[String]) -> Result<(), NoRoom> {
    match purse.limited_by(charged_to) {
        None => Ok(()),
        Some(budget) => Err(NoRoom {
            words: format!(
                "{budget} cannot be kept: what the instance costs an hour was not known when it was launched"
            ),
            budget,
        }),
    }
}

/// The most that an instance can cost in so many ms more. Spot costs no more than on demand.
fn at_most(spent: &Spent, more_ms: u64) -> Option<MicroDollars> {
    let hour = match spent.market {
        Market::OnDemand => spent.hour?,
        Market::Spot => spent.on_demand_hour?.max(spent.hour?),
    };
    let prices = Commitment {
        hour,
        gib: spent.gib?,
        gib_month: spent.gib_month?,
        public_ipv4_hour: spent.public_ipv4_hour?,
    };
    commitment(&prices, more_ms.div_ceil(1000))
}
