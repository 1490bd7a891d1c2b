//! How many instances budgets have room for.

use crate::money::MicroDollars;
use crate::rows::SweepRow;

use super::rows::PeriodRow;
use super::standing::Standing;

/// How many more instances budgets have room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// For so many now.
    For(u32),
    /// For none now: the sweep's own budget has room for one when it is charged with no more than this, in micro-dollars, because
    /// others of its instances have ended.
    WhenCharged(i64),
    /// For none now, but perhaps when other sweeps have ended or a new day has begun.
    Later,
    /// For none, ever: what is spent leaves less than one costs. In words.
    Never(String),
}

/// How many instances of `each` have room, of `wanted`.
#[must_use]
pub fn room(
    sweep: &SweepRow,
    standing: &[Standing],
    each: Option<MicroDollars>,
    wanted: u32,
) -> Room {
    let is_limited = sweep.budget.is_some() || !standing.is_empty();
    let Some(each) = each else {
        return if is_limited {
            Room::Never("its price or its ttl is not known, and there is a budget".to_owned())
        } else {
            Room::For(wanted)
        };
    };
    if each.0 <= 0 || !is_limited {
        return Room::For(wanted);
    }
    let own = sweep.budget.map(|budget| {
        (
            budget.0,
            sweep.charged,
            sweep.billed,
            true,
            format!("the budget of {budget}"),
        )
    });
    let others = standing.iter().map(|one| {
        let PeriodRow {
            charged, billed, ..
        } = one.period;
        (one.budget.limit.0, charged, billed, false, one.words())
    });
    let mut own_fits = i64::from(wanted);
    let mut others_fit = own_fits;
    for (limit, charged, billed, is_own, words) in own.into_iter().chain(others) {
        let free = limit.saturating_sub(charged);
        let fits = if is_own {
            &mut own_fits
        } else {
            &mut others_fit
        };
        *fits = (*fits).min(free.max(0) / each.0);
        // What is billed is spent for good; what is merely committed may come back. Another day has another budget, but
        // none in which a single instance has room.
        let for_good = if is_own {
            limit.saturating_sub(billed)
        } else {
            limit
        };
        if for_good < each.0 {
            return Room::Never(format!(
                "{words} has no room for an instance that may cost {each} to the end of its ttl ({} are spent)",
                MicroDollars(billed)
            ));
        }
    }
    match (u32::try_from(own_fits.min(others_fit)), sweep.budget) {
        (Ok(count), _) if count > 0 => Room::For(count),
        (_, Some(budget)) if others_fit > 0 => Room::WhenCharged(budget.0.saturating_sub(each.0)),
        _ => Room::Later,
    }
}
