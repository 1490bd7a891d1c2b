//! What standing budgets have room for, before anything is launched.
//!
//! They are shared and change by the minute, so what they leave now is a warning. What they could never hold, a member dearer
//! than the whole of one or a price that is not known, refuses the document: launching would fail every such member.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::AccountId;
use crate::budget::{Period, Standing};
use crate::document::Fault;
use crate::money::MicroDollars;
use crate::plan::Plan;
use crate::plan::budget::{Because, missing, once_at_most};
use crate::prices::PriceBook;

/// What one standing budget has room for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The budget in words.
    pub budget: String,
    /// What its present period is charged with.
    pub charged: String,
    /// Members of the sweep that are charged to it.
    pub members: usize,
    /// How many of them it has room for now, at their full ttl, in the order of their indices.
    pub has_room_for_members: usize,
    /// What is left of it.
    #[serde(skip)]
    left: i64,
    /// How long it lasts.
    #[serde(skip)]
    period: Period,
}

impl Share {
    fn of(one: &Standing) -> Self {
        Self {
            budget: one.words(),
            charged: MicroDollars(one.period.charged).to_string(),
            members: 0,
            has_room_for_members: 0,
            left: one.budget.limit.0.saturating_sub(one.period.charged),
            period: one.budget.period,
        }
    }

    fn add(&mut self, most: MicroDollars) {
        self.members += 1;
        if most.0 <= self.left {
            self.left -= most.0;
            self.has_room_for_members += 1;
        }
    }

    fn warning(&self) -> Option<String> {
        let next = match self.period {
            Period::Daily => "day",
            Period::Monthly => "month",
        };
        (self.has_room_for_members < self.members).then(|| {
            format!(
                "{} is charged with {}, which leaves room for {} of {} members at their full ttl: the others wait until instances have ended, \
                 or a new {next} has begun",
                self.budget, self.charged, self.has_room_for_members, self.members
            )
        })
    }
}

/// Notes in a plan what the standing budgets, by the account of a lane, have room for.
///
/// # Errors
/// That a member could never be launched, or that what it may cost cannot be told, and what to do.
pub fn note_standing(
    plan: &mut Plan,
    book: &PriceBook,
    standing: &BTreeMap<Option<AccountId>, Vec<Standing>>,
) -> Result<(), Fault> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for (member, shape) in plan.members.iter().zip(&plan.shapes) {
        let budgets = standing.get(&member.lane.account).into_iter().flatten();
        for one in budgets {
            let words = one.words();
            let Some(most) = once_at_most(plan, member, *shape) else {
                let because = Because {
                    why: format!("the sweep is charged to {words}"),
                    without: "",
                };
                return Err(missing(plan, book, &because));
            };
            if most > one.budget.limit {
                let index = member.index;
                return Err(Fault::new(
                    one.budget.scope.to_string(),
                    format!(
                        "member {index} at its full ttl may cost {most}, more than {words}, so that it could never be launched"
                    ),
                    "a shorter ttl or cheaper types, or a larger budget (spawn-budget)",
                ));
            }
            let share = shares
                .entry(one.charged_to())
                .or_insert_with(|| Share::of(one));
            share.add(most);
        }
    }
    let shares: Vec<Share> = shares.into_values().collect();
    let warnings = shares.iter().filter_map(Share::warning);
    plan.report.warnings.extend(warnings);
    plan.report.standing = shares;
    Ok(())
}
