//! What budgets have room for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use spawn_core::account::AccountId;
use spawn_core::budget::{self, Room, Standing};
use spawn_core::errors::FunctionError;
use spawn_core::ids::LaneId;
use spawn_core::launch::{self, Chosen};
use spawn_core::ledger::Ledger;
use spawn_core::limits::Book;
use spawn_core::ports::{Clock, InAccounts, LaunchInstances};
use spawn_core::rows::{AttemptCosts, LaneRow};

use crate::turn::{Lane, Run};

/// Why nothing of what was chosen can be paid for.
pub(crate) enum Unaffordable {
    /// What is committed may come back: the sweep's own budget has room again when it is charged with no more than this, in
    /// micro-dollars; `None`: others' budgets must have room, too. With the budget, in words.
    Now(Option<i64>, String),
    /// Shapes that no budget will ever have room for, with the reason.
    Ever(BTreeMap<u32, String>),
}

impl<L: Ledger, E: InAccounts + LaunchInstances, C: Clock> Run<'_, L, E, C> {
    /// What of the chosen attempts the budgets have room for, with what each costs; or what to do when they have none.
    pub(crate) async fn afford(
        &self,
        lane: &Lane,
        peers: &BTreeMap<LaneId, LaneRow>,
        chosen: Vec<Chosen>,
        book: &mut Book,
    ) -> Result<Result<Vec<Chosen>, Unaffordable>, FunctionError> {
        let mut sweep = lane.sweep.clone();
        let mut standings: BTreeMap<Option<AccountId>, Vec<Standing>> = BTreeMap::new();
        let mut affordable = Vec::new();
        let mut never = BTreeMap::new();
        let (mut room_when, mut is_others) = (None, false);
        let mut full = None;
        for mut one in chosen {
            let at = peers.get(&one.at).unwrap_or(&lane.row);
            let shape = one.batch.shape;
            let standing = match standings.entry(one.at.account) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let ledger = self.ports.ledger;
                    let found = budget::standing(ledger, &lane.sweep, &one.at, self.now).await?;
                    entry.insert(found)
                }
            };
            let wanted = one.count;
            let each = at.prices.commitment(shape);
            one.count = match budget::room(&sweep, standing, each, wanted) {
                Room::For(count) => count,
                Room::WhenCharged(most) => {
                    room_when = room_when.max(Some(most));
                    0
                }
                Room::Later => {
                    is_others = true;
                    let has_none = |one: &&Standing| !one.has_room(each.unwrap_or_default());
                    full = full.or_else(|| standing.iter().find(has_none).map(Standing::words));
                    0
                }
                Room::Never(words) => {
                    let unpriced = each.is_none().then(|| at.why_unpriced(shape));
                    never.insert(shape, unpriced.unwrap_or(words));
                    0
                }
            };
            if one.count < wanted {
                let site = launch::site(&lane.sweep, &one.at);
                book.give_back(&site, wanted - one.count, self.now);
            }
            if one.count == 0 {
                continue;
            }
            one.costs = AttemptCosts::of(at, shape, standing);
            one.standing.clone_from(standing);
            if let Some(amount) = one.costs.commitment(one.count) {
                sweep.charged = sweep.charged.saturating_add(amount.0);
                for standing in standing {
                    standing.period.charged = standing.period.charged.saturating_add(amount.0);
                }
            }
            affordable.push(one);
        }
        if !affordable.is_empty() {
            return Ok(Ok(affordable));
        }
        Ok(Err(if never.is_empty() {
            let own = lane
                .sweep
                .budget
                .map(|budget| format!("the budget of {budget}"));
            let budget = full.or(own).unwrap_or_else(|| "a budget".to_owned());
            Unaffordable::Now(room_when.filter(|_| !is_others), budget)
        } else {
            Unaffordable::Ever(never)
        }))
    }
}
