//! Lists of sweeps: by owner, project and status, the newest first, page by page.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::read::{Reader, shown};
use super::view;
use crate::document::TAG_CHARS_MAX;
use crate::errors::FunctionError;
use crate::ids::SweepId;
use crate::ledger::Stored;
use crate::ports::{ListSweeps, Listing, SweepsBy};
use crate::rows::SweepRow;
use crate::state::SweepStatus;

/// Sweeps of one page, unless asked for another number.
const LIMIT: u32 = 20;
/// The most: an entry has about 500 characters, and an output holds 256 KiB.
const LIMIT_MAX: u32 = 100;

/// Which sweeps are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    owner: Option<String>,
    project: Option<String>,
    statuses: Vec<SweepStatus>,
    limit: u32,
    after: Option<Cursor>,
}

/// The last sweep of a page: the next page begins behind it, whatever has been added or has changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    started_at: u64,
    sweep_id: SweepId,
}

impl Cursor {
    fn of(sweep: &SweepRow) -> Self {
        Self {
            started_at: sweep.started_at,
            sweep_id: sweep.sweep_id.clone(),
        }
    }

    /// The order of the list: the newest first, and of the same age by id.
    fn order(&self) -> (Reverse<u64>, &str) {
        (Reverse(self.started_at), self.sweep_id.as_str())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.started_at, self.sweep_id)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (started_at, sweep_id) = text.split_once('~').ok_or(())?;
        Ok(Self {
            started_at: started_at.parse().map_err(|_| ())?,
            sweep_id: SweepId::from(sweep_id),
        })
    }
}

/// Reads the input of spawn-list.
///
/// # Errors
/// [`FunctionError::InvalidInput`] with every fault.
pub fn parse_list(input: &Value) -> Result<ListRequest, FunctionError> {
    const NAMES: [&str; 5] = ["owner", "project", "status", "limit", "next"];
    let mut reader = Reader::new("spawn-list", input, &NAMES);
    let owner = reader.text("owner", TAG_CHARS_MAX, "the owner of sweeps");
    let project = reader.text("project", TAG_CHARS_MAX, "the project of sweeps");
    let statuses = statuses(&mut reader);
    let limit = limit(&mut reader);
    let after = reader
        .text("next", 200, NEXT)
        .and_then(|text| match text.parse() {
            Ok(cursor) => Some(cursor),
            Err(()) => {
                reader.fault("next", &format!("\"{text}\" is none of a list"), NEXT);
                None
            }
        });
    reader.finish(Some(ListRequest {
        owner: owner.map(str::to_owned),
        project: project.map(str::to_owned),
        statuses,
        limit,
        after,
    }))
}

const NEXT: &str = "the `next` of the page before";

/// A status, several, or `live`.
fn statuses(reader: &mut Reader<'_>) -> Vec<SweepStatus> {
    let names: Vec<&str> = SweepStatus::ALL.iter().map(|s| s.as_str()).collect();
    let accepted = format!("{}, a list of these, or live", names.join(", "));
    let values = match reader.value("status") {
        None => return Vec::new(),
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    let mut statuses = Vec::new();
    for value in values {
        let text = value.as_str().unwrap_or_default();
        match SweepStatus::ALL.iter().find(|s| s.as_str() == text) {
            Some(status) => statuses.push(*status),
            None if text == "live" => statuses.extend(SweepStatus::LIVE),
            None => reader.fault(
                "status",
                &format!("{} is no status", shown(value)),
                &accepted,
            ),
        }
    }
    if values.is_empty() {
        reader.fault("status", "is an empty list", &accepted);
    }
    statuses.sort();
    statuses.dedup();
    statuses
}

fn limit(reader: &mut Reader<'_>) -> u32 {
    let Some(value) = reader.value("limit") else {
        return LIMIT;
    };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number {
        Some(number @ 1..=LIMIT_MAX) => number,
        _ => {
            let problem = format!("{} is no such number", shown(value));
            reader.fault("limit", &problem, &format!("1 to {LIMIT_MAX}"));
            LIMIT
        }
    }
}

/// A page of the sweeps that are asked for: `sweeps`, and `next` when there are more.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub async fn list(ledger: &impl ListSweeps, request: &ListRequest) -> Result<Value, FunctionError> {
    let all_statuses: Vec<&str> = SweepStatus::ALL.iter().map(|s| s.as_str()).collect();
    let wanted: Vec<&str> = request.statuses.iter().map(|s| s.as_str()).collect();
    // The narrowest index; what it does not tell apart is told apart here.
    let sources: Vec<(SweepsBy, &str)> = match (&request.owner, &request.project) {
        (Some(owner), _) => vec![(SweepsBy::Owner, owner)],
        (None, Some(project)) => vec![(SweepsBy::Project, project)],
        (None, None) => {
            let statuses = if wanted.is_empty() {
                all_statuses
            } else {
                wanted
            };
            let by_status = |status| (SweepsBy::Status, status);
            statuses.into_iter().map(by_status).collect()
        }
    };
    let mut sweeps = Vec::new();
    for (by, value) in sources {
        sweeps.extend(newest(ledger, request, by, value).await?);
    }
    sweeps.sort_by(|a, b| Cursor::of(a).order().cmp(&Cursor::of(b).order()));
    // A sweep whose status has just changed can be in two indices for a moment.
    sweeps.dedup_by(|a, b| a.sweep_id == b.sweep_id);
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let more = sweeps.len() > limit;
    sweeps.truncate(limit);
    let next = sweeps.last().filter(|_| more).map(Cursor::of);
    let entries: Vec<Value> = sweeps.iter().map(view::sweep_in_list).collect();
    let mut page = json!({"sweeps": entries});
    if let Some(next) = next {
        page["next"] = Value::from(next.to_string());
    }
    Ok(page)
}

/// One more of one index than a page holds, if there are so many.
async fn newest(
    ledger: &impl ListSweeps,
    request: &ListRequest,
    by: SweepsBy,
    value: &str,
) -> Result<Vec<SweepRow>, FunctionError> {
    let enough = usize::try_from(request.limit + 1).unwrap_or(usize::MAX);
    let until = request
        .after
        .as_ref()
        .map_or(u64::MAX >> 1, |c| c.started_at);
    let mut listing = Listing {
        by,
        value,
        until,
        limit: request.limit + 1,
        from: None,
    };
    let mut sweeps = Vec::new();
    loop {
        let page = ledger.newest_sweeps(&listing).await?;
        for row in page.rows {
            let sweep = SweepRow::from_row(row)?;
            if matches(request, &sweep) {
                sweeps.push(sweep);
            }
        }
        listing.from = page.next;
        // Sweeps of the same age come in no order: all of the last age are needed to take the first of them.
        let is_enough = sweeps.len() >= enough
            && sweeps[enough - 1].started_at != sweeps[sweeps.len() - 1].started_at;
        if is_enough || listing.from.is_none() {
            return Ok(sweeps);
        }
    }
}

fn matches(request: &ListRequest, sweep: &SweepRow) -> bool {
    let is = |wanted: &Option<String>, actual: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == actual)
    };
    let cursor = Cursor::of(sweep);
    is(&request.owner, &sweep.owner)
        && is(&request.project, &sweep.project)
        && (request.statuses.is_empty() || request.statuses.contains(&sweep.status))
        && request
            .after
            .as_ref()
            .is_none_or(|after| cursor.order() > after.order())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_list_is_told_at_once() {
        let input = json!({"status": ["running", "gone"], "limit": 0, "next": "x", "project": "", "owners": "me"});
        let words = parse_list(&input).unwrap_err().to_string();
        for part in [
            "5 faults in the input of spawn-list:",
            "owners: is not known; accepted: owner, project, status, limit, next (did you mean owner?)",
            "status: \"gone\" is no status; accepted: planning, launching",
            "limit: 0 is no such number; accepted: 1 to 100",
            "next: \"x\" is none of a list",
            "project: is empty",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn live_stands_for_every_status_of_a_sweep_that_is_not_over() {
        let request = parse_list(&json!({"status": "live"})).unwrap();
        assert_eq!(request.statuses, SweepStatus::LIVE);
        assert_eq!(request.limit, 20);
    }
}
