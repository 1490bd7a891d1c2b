//! Budgets that several launchers share: what is committed is reserved in the same transaction that begins a launch, and given
//! back in the one that records its end. So budgets hold whoever launches at the same moment.
//!
//! A sweep's own budget is on its row. Standing ones belong to an owner, a project or an account, by the day or the month:
//!
//! ```text
//! BUDGET#owner#ann   daily               the limit, put by the machine spawn-budget
//! BUDGET#owner#ann   daily#2026-01-22    what that day is charged with
//! ```

mod charges;
mod purse;
mod room;
mod rows;
mod standing;

pub use charges::{Charges, Releases};
pub use purse::{NoRoom, Purse};
pub use room::{Room, room};
pub use rows::{BudgetRow, Period, PeriodRow, Scope, budget_pk};
pub use standing::{Standing, key_of, noted, shown, standing};

#[cfg(test)]
mod tests;
